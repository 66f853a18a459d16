"""Files under new names keep their vectors; files that are byte for byte the same are kept, flagged or merged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
from semblant_indexer import Duplicates, IndexJob, preview
from semblant_search import SearchClient, canonical_uri
from semblant_search.orb import OrbSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def test_renamed_files_keep_their_vectors(pictures: Path, index: Index, records: Records) -> None:
    index(pictures)
    before = records()
    old = sorted(pictures.rglob("*.png"))[:5]
    new = [path.with_name(f"new-{path.name}") for path in old]
    for source, target in zip(old, new, strict=True):
        source.rename(target)
    report = index(pictures)
    assert (report.encoded, report.indexed, report.moved, report.removed, report.points) == (0, 5, 5, 0, 30)
    after = records()
    for source, target in zip(old, new, strict=True):
        assert canonical_uri(source) not in after
        moved = after[canonical_uri(target)]
        assert moved.payload == {**before[canonical_uri(source)].payload, "_uri": canonical_uri(target)}
        assert moved.image is not None
        np.testing.assert_array_equal(moved.image, before[canonical_uri(source)].image)
    assert index(pictures).unchanged == 30


def test_a_folder_under_a_new_name_keeps_vectors_and_features(photos: Path, index: Index, tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(photos, first)
    index(first, orb=OrbSettings())
    second = tmp_path / "second"
    first.rename(second)
    report = index(second, orb=OrbSettings(), source_name="second")
    assert (report.encoded, report.indexed) == (0, 19)
    with SearchClient(tmp_path / "db") as client:
        hits = client.search_features(second / "coffee.png", limit=2, include_self=True)
        assert second / "coffee.png" in [hit.path for hit in hits]


def test_a_copy_that_was_there_before_is_no_new_place(
    pictures: Path, index: Index, records: Records, encoder_file: Path, tmp_path: Path
) -> None:
    """An archive on a disk that is not mounted, so that its folder is empty."""
    archive = pictures / "archive"
    shutil.copytree(pictures / "bag", archive)
    index(pictures)
    before = records()
    archive.rename(tmp_path / "away")
    archive.mkdir()
    job = IndexJob(str(pictures), encoder_file, str(tmp_path / "db"), orb=None)
    found = preview(job)
    assert (found.moved, found.removed) == (0, 10)
    report = index(pictures)
    assert (report.moved, report.removed, report.points) == (0, 10, 40)
    assert records().keys() == before.keys()
    report = index(pictures, prune=True)
    assert (report.removed, report.pruned, report.points) == (10, 0, 40)
    assert "limit" in str(report.unpruned)
    archive.rmdir()
    (tmp_path / "away").rename(archive)
    report = index(pictures)
    assert (report.unchanged, report.encoded, report.removed, report.points) == (40, 0, 0, 40)


def test_a_move_of_a_run_that_saw_not_all_counts_in_the_next_one(pictures: Path, index: Index, tmp_path: Path) -> None:
    """But a copy that came with it is none of what goes later."""
    index(pictures)
    bags = sorted((pictures / "bag").iterdir())
    bags[0].rename(pictures / "new name.png")
    shutil.copyfile(bags[1], pictures / "copy.png")
    link = pictures / "link"
    link.symlink_to(tmp_path / "nowhere")
    report = index(pictures)
    assert (report.moved, report.removed, report.points) == (0, 1, 32)
    link.unlink()
    bags[1].unlink()
    report = index(pictures)
    assert (report.moved, report.removed, report.points) == (1, 1, 31)


def copies(pictures: Path) -> list[Path]:
    original = sorted(pictures.rglob("*.png"))[0]
    paths = [pictures / "sneaker" / f"copy-{number}.png" for number in range(3)]
    for path in paths:
        shutil.copyfile(original, path)
    return [original, *paths]


def test_duplicates_are_kept_unless_told_otherwise(pictures: Path, index: Index) -> None:
    copies(pictures)
    report = index(pictures)
    assert (report.indexed, report.duplicate, report.points) == (33, 0, 33)


def test_flagged_duplicates_name_the_first(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    first, *others = copies(pictures)
    report = index(pictures, duplicates=Duplicates.FLAG)
    assert (report.indexed, report.duplicate, report.points) == (33, 0, 33)
    stored = records()
    assert "_duplicate_of" not in stored[canonical_uri(first)].payload
    assert {stored[canonical_uri(path)].payload["_duplicate_of"] for path in others} == {canonical_uri(first)}
    with SearchClient(tmp_path / "db") as client:
        assert client.count(where="not exists(_duplicate_of)") == 30
    first.unlink()
    index(pictures, duplicates=Duplicates.FLAG, prune=True)
    named = {uri: record.payload.get("_duplicate_of") for uri, record in records().items()}
    others.sort(key=canonical_uri)
    assert [named[canonical_uri(path)] for path in others] == [None, *[canonical_uri(others[0])] * (len(others) - 1)]


def test_merged_duplicates_have_one_point_with_all_their_uris(pictures: Path, index: Index, records: Records) -> None:
    first, *others = copies(pictures)
    report = index(pictures, duplicates=Duplicates.MERGE)
    assert (report.indexed, report.duplicate, report.points) == (30, 3, 30)
    assert report.adds_up
    stored = records()
    assert stored[canonical_uri(first)].payload["_uris"] == sorted(canonical_uri(path) for path in [first, *others])
    again = index(pictures, duplicates=Duplicates.MERGE)
    assert (again.encoded, again.unchanged, again.duplicate) == (0, 30, 3)
    # The one that stood for all goes: another one takes its place, in the same run.
    first.unlink()
    report = index(pictures, duplicates=Duplicates.MERGE)
    assert (report.found, report.duplicate, report.points) == (32, 2, 30)
    stored = records()
    assert canonical_uri(first) not in stored
    assert stored[canonical_uri(others[0])].payload["_uris"] == sorted(canonical_uri(path) for path in others)


def test_duplicates_get_points_of_their_own_when_they_are_kept_again(pictures: Path, index: Index) -> None:
    copies(pictures)
    index(pictures, duplicates=Duplicates.MERGE)
    report = index(pictures)
    assert (report.duplicate, report.points) == (0, 33)
