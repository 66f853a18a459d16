"""What `--prune` deletes, and what it never does: the pictures of other sources, other folders, other lists."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_indexer import IndexJob, preview
from semblant_search import canonical_uri
from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def test_pruning_a_folder_spares_the_one_whose_name_goes_on(pictures: Path, index: Index, records: Records) -> None:
    (pictures / "coat").rename(pictures / "bag-old")
    index(pictures / "bag-old")
    gone = sorted((pictures / "bag").iterdir())[0]
    index(pictures / "bag")
    gone.unlink()
    report = index(pictures / "bag", prune=True)
    assert (report.removed, report.pruned, report.points) == (1, 1, 19)
    assert set(records()) == {canonical_uri(path) for name in ("bag", "bag-old") for path in (pictures / name).iterdir()}


def test_a_list_prunes_what_it_named_once_and_nothing_else(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    index(pictures / "coat")
    named, coats = sorted((pictures / "bag").iterdir()), sorted((pictures / "coat").iterdir())
    table, other = tmp_path / "list.csv", tmp_path / "list.csv.csv"
    other.write_text(f"file\n{named[9]}\n")
    index(other)

    def write(count: int) -> None:
        table.write_text("file\n" + "".join(f"{path}\n" for path in [*named[:count], coats[count]]))

    write(5)
    index(table)
    write(3)
    kept = index(table)
    assert (kept.removed, kept.pruned, kept.points) == (3, 0, 16)
    report = index(table, prune=True, prune_limit=0.5)
    assert (report.removed, report.pruned, report.points) == (3, 3, 14)
    assert [note for note in report.notes if note.startswith("1 picture gone from this source, and kept")]
    assert "optimize" in report.stages
    expected = [*named[:3], named[9], *coats]
    assert set(records()) == {canonical_uri(path) for path in expected}
    assert index(table, prune=True).removed == 0


def test_a_picture_of_two_sources_is_not_moved_away_from_the_other(pictures: Path, index: Index, records: Records) -> None:
    """A copy in another folder needs no encoding, but the first one stays, also where its folder is not looked at."""
    index(pictures / "bag")
    before = records()
    shutil.copytree(pictures / "bag", pictures / "copies")
    report = index(pictures / "copies", prune=True)
    assert (report.indexed, report.encoded, report.moved, report.removed, report.points) == (10, 0, 0, 0, 20)
    stored = records()
    for path in (pictures / "bag").iterdir():
        copy = stored[canonical_uri(pictures / "copies" / path.name)]
        assert copy.payload["_uri"] == canonical_uri(pictures / "copies" / path.name)
        assert copy.image is not None
        np.testing.assert_array_equal(copy.image, before[canonical_uri(path)].image)


def test_failures_that_are_gone_are_no_removed_pictures(pictures: Path, index: Index) -> None:
    (pictures / "bad.png").write_text("no picture")
    assert index(pictures).failed == 1
    (pictures / "bad.png").unlink()
    report = index(pictures, prune=True)
    assert (report.failed, report.removed, report.pruned, report.points) == (0, 0, 0, 30)


def test_a_folder_that_is_not_there_prunes_nothing(pictures: Path, index: Index, records: Records) -> None:
    """A disk that is not mounted looks like this."""
    index(pictures)
    shutil.rmtree(pictures)
    with pytest.raises(InvalidInput):
        index(pictures, prune=True)
    assert len(records()) == 30


def make_unlistable(folder: Path) -> None:
    """A folder below it whose path is too long to be opened, also for root."""
    name, here = "d" * 250, os.open(folder, os.O_RDONLY)
    for _ in range(18):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_a_folder_that_cannot_be_listed_may_hold_what_is_missing(pictures: Path, index: Index, records: Records) -> None:
    index(pictures)
    gone = sorted((pictures / "bag").iterdir())[0]
    gone.rename(pictures / "new.png")
    make_unlistable(pictures)
    report = index(pictures, prune=True)
    assert (report.moved, report.removed, report.pruned, report.points, report.exit_code) == (0, 1, 0, 31, 3)
    assert report.unpruned is not None
    assert "removed nothing of 1 pictures that are gone: the source was not seen completely" in report.unpruned
    assert "the folder cannot be listed" in report.unpruned
    assert report.unpruned in report.notes
    assert canonical_uri(gone) in records()
    shutil.rmtree(pictures / ("d" * 250))
    report = index(pictures)
    assert (report.moved, report.points) == (1, 30)


def test_a_link_to_a_disk_that_is_not_mounted_is_not_seen_completely(pictures: Path, index: Index, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (pictures / "coat").rename(disk)
    (pictures / "link").symlink_to(disk)
    index(pictures)
    disk.rename(tmp_path / "away")
    report = index(pictures, prune=True, prune_limit=1)
    assert (report.removed, report.pruned, report.points) == (10, 0, 30)
    assert "a link to nothing" in str(report.unpruned)


def test_what_was_never_seen_completely_is_not_pruned_by_the_first_complete_scan(pictures: Path, index: Index) -> None:
    (pictures / "link").symlink_to(pictures / "not-mounted")
    index(pictures)
    (pictures / "link").unlink()
    sorted((pictures / "bag").iterdir())[0].unlink()
    report = index(pictures, prune=True)
    assert (report.removed, report.pruned, report.points) == (1, 0, 30)
    assert "remembers no complete scan of this source yet" in str(report.unpruned)
    report = index(pictures, prune=True)
    assert (report.removed, report.pruned, report.points) == (1, 1, 29)


@pytest.mark.parametrize(
    ("name", "options"), [("link", {"include": ["*.png"]}), ("2024.jpg", {}), ("2024.jpg", {"include": ["*.png"]})]
)
def test_a_link_to_nothing_may_have_led_to_a_folder_whatever_it_is_called(
    pictures: Path, index: Index, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    sorted((pictures / "coat").iterdir())[0].rename(disk / "a.png")
    (pictures / name).symlink_to(disk)
    index(pictures, **options)
    disk.rename(tmp_path / "away")
    report = index(pictures, prune=True, **options)
    assert (report.removed, report.pruned, report.points) == (1, 0, 30)
    assert "a link to nothing (remove it, or leave it out by --exclude)" in str(report.unpruned)
    index(pictures, exclude=[name], **options)  # it counts no more
    assert index(pictures, exclude=[name], prune=True, **options).points == 29


def test_a_truncated_tar_prunes_nothing(pictures: Path, index: Index, tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as tar:
        for picture in sorted(pictures.rglob("*.png")):
            tar.add(picture, picture.name)
    index(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 20_000)
    report = index(path, prune=True, prune_limit=1)
    assert 0 < report.removed < 12
    assert (report.pruned, report.points) == (0, 30)
    assert "cannot be read to its end" in str(report.unpruned)


def test_other_patterns_prune_only_when_they_are_the_source_s(pictures: Path, index: Index) -> None:
    """`--include '*.png'` on a collection of JPEGs, say, by which all of them would go."""
    index(pictures)
    report = index(pictures, include=["bag/*"], prune=True, prune_limit=1)
    assert (report.removed, report.pruned, report.points) == (20, 0, 30)
    assert "--include: others than the last time" in str(report.unpruned)
    report = index(pictures, prune=True)
    assert (report.removed, report.points, report.unpruned) == (0, 30, None)
    index(pictures, exclude=["coat"])
    assert index(pictures, exclude=["coat"], prune=True, prune_limit=0.4).points == 20


def test_more_than_a_share_is_not_pruned_unasked(pictures: Path, index: Index, records: Records) -> None:
    index(pictures)
    shutil.rmtree(pictures / "coat")
    report = index(pictures, prune=True)
    assert (report.removed, report.pruned, report.points, report.exit_code) == (10, 0, 30, 3)
    assert report.unpruned == (
        "--prune removed nothing of 10 pictures that are gone: they are 33% of the source's 30 pictures, and the limit is 20%; "
        "where they are to go, run it again with --prune-limit 34"
    )
    report = index(pictures, prune=True, prune_limit=0.34)
    assert (report.removed, report.pruned, report.points, report.exit_code) == (10, 10, 20, 0)
    assert len(records()) == 20
    for path in sorted((pictures / "bag").iterdir())[:8]:
        path.unlink()
    report = index(pictures, prune=True)
    assert str(report.unpruned).endswith("--prune-limit 40")  # 8 of 20 are 40 %
    assert index(pictures, prune=True, prune_limit=0.4).pruned == 8
    for wrong in (-0.1, 1.1):
        with pytest.raises(InvalidInput, match="prune_limit"):
            index(pictures, prune_limit=wrong)


def test_files_that_turned_bad_stay_as_they_were_until_they_are_pruned(
    pictures: Path, index: Index, records: Records, encoder_file: Path, tmp_path: Path
) -> None:
    """A sync tool's placeholders, half a copy, or a page that says "not found"."""
    index(pictures)
    coats, bags = sorted((pictures / "coat").iterdir()), sorted((pictures / "bag").iterdir())
    good, before = {path: path.read_bytes() for path in coats}, records()
    for path in coats[:8]:
        path.write_bytes(b"")
    coats[8].write_bytes(good[coats[8]][:100])
    coats[9].write_text("not found")
    bags[0].unlink()
    job = IndexJob(str(pictures), encoder_file, str(tmp_path / "db"), orb=None)
    found = preview(job)
    assert (found.failed, found.changed, found.removed, found.pruned, found.gone) == (8, 2, 1, 0, (canonical_uri(bags[0]),))
    for _ in range(2):
        report = index(pictures)
        assert (report.failed, report.unchanged, report.removed, report.pruned, report.points) == (10, 19, 1, 0, 30)
        assert report.reasons == {"empty": 8, "not-an-image": 1, "truncated": 1}
        (note,) = [note for note in report.notes if "no picture any more" in note]
        assert note.startswith("10 indexed pictures have files that hold no picture any more, such as 'file:")
        assert note in preview(job).notes
    after = records()
    assert after.keys() == before.keys()
    assert all(after[uri].payload == record.payload for uri, record in before.items())

    coats[0].write_bytes(good[coats[0]])
    report = index(pictures, retry=True)  # those that were not mended fail again
    assert (report.encoded, report.unchanged, report.failed) == (0, 20, 9)

    report = index(pictures, prune=True)
    assert (report.removed, report.pruned, report.points, report.exit_code) == (10, 0, 30, 3)
    assert report.unpruned is not None
    assert "10 pictures that are gone (9 of them have files that hold no picture any more): they are 33%" in report.unpruned
    found = preview(dataclasses.replace(job, prune=True, prune_limit=0.4))
    assert (found.removed, found.pruned) == (10, 10)
    assert set(found.gone) == {canonical_uri(path) for path in [*coats[1:], bags[0]]}
    report = index(pictures, prune=True, prune_limit=0.4)
    assert (report.removed, report.pruned, report.points, report.failed) == (10, 10, 20, 9)
    assert set(records()) == set(before) - set(found.gone)
    report = index(pictures, prune=True)
    assert (report.removed, report.failed, report.unchanged, report.points) == (0, 9, 20, 20)
    for path in coats[1:]:
        path.write_bytes(good[path])
    assert index(pictures).points == 29


def test_a_file_that_turned_bad_is_pruned_only_after_a_complete_scan(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    sorted((pictures / "coat").iterdir())[0].write_text("no picture")
    (pictures / "link").symlink_to(tmp_path / "nowhere")
    report = index(pictures, prune=True)
    assert (report.removed, report.pruned, report.points) == (1, 0, 30)
    assert "a link to nothing" in str(report.unpruned)


def test_another_source_keeps_a_file_that_turned_bad(pictures: Path, index: Index) -> None:
    index(pictures / "bag")
    index(pictures)
    sorted((pictures / "bag").iterdir())[0].write_bytes(b"")
    assert index(pictures, prune=True).points == 30
    assert index(pictures / "bag", prune=True).points == 29
