"""A rebuild takes every source of the collection, by its own settings, or says which it cannot; nothing is dropped unsaid."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from semblant_indexer import IndexJob, preview
from semblant_search import EncoderMismatch, InvalidInput, SearchClient, canonical_uri
from semblant_search.sources import read_sources
from semblant_search.store import open_database
from support.encoders import encoder_bytes
from support.older import forget_sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


@pytest.fixture
def finer(tmp_path: Path) -> Path:
    path = tmp_path / "finer.onnx"
    path.write_bytes(encoder_bytes("grey-28-finer"))
    return path


def test_a_rebuild_takes_all_sources_by_their_own_settings(
    pictures: Path, index: Index, records: Records, tmp_path: Path, finer: Path
) -> None:
    """What the message of a foreign encoder recommends."""
    table = tmp_path / "coats.csv"
    table.write_text("file,price\n" + "".join(f"{path},7\n" for path in (pictures / "coat").iterdir()))
    index(pictures / "bag", exclude=["*1.png"])
    index(pictures / "coat", metadata=table, source_name="winter")
    index(pictures)
    before = records()
    with pytest.raises(EncoderMismatch, match="Use --rebuild to build a new generation"):
        index(pictures / "bag", exclude=["*1.png"], encoder=finer)
    report = index(pictures / "bag", exclude=["*1.png"], encoder=finer, rebuild=True)
    assert (report.generation, report.source_name, report.points) == ("g0002", "bag", 30)
    rebuilt = [note for note in report.notes if "was rebuilt as well" in note]
    assert rebuilt == [
        "source 'pictures' was rebuilt as well: found 30 = 30 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped",
        "source 'winter' was rebuilt as well: found 10 = 10 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped",
    ]
    after = records()
    assert after.keys() == before.keys()
    for uri, record in before.items():
        assert {**after[uri].payload, "_indexed_at": ""} == {**record.payload, "_indexed_at": ""}
        new, old = after[uri].image, record.image
        assert new is not None
        assert old is not None
        assert new.shape != old.shape
    with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as store:
        assert [(one.name, one.pictures) for one in read_sources(store)] == [
            ("bag", report.found),
            ("pictures", 30),
            ("winter", 10),
        ]
    assert index(pictures / "coat", encoder=None, metadata=table, prune=True).unchanged == 10
    assert index(pictures, encoder=None, prune=True).unchanged == 30


def test_a_source_out_of_reach_is_named_before_anything_is_built(
    pictures: Path, index: Index, tmp_path: Path, finer: Path
) -> None:
    for name in ("bag", "coat", "sneaker"):
        index(pictures / name)
    (pictures / "coat").rename(tmp_path / "away")
    (pictures / "sneaker").rename(tmp_path / "gone")
    with pytest.raises(
        InvalidInput, match=r"of these 2 cannot be reached.*'coat': .*no such folder.*'sneaker': .*sources remove"
    ):
        index(pictures / "bag", encoder=finer, rebuild=True)
    assert not (tmp_path / "db" / "images" / "g0002").exists()
    with SearchClient(tmp_path / "db") as client:
        assert client.count() == 30
        client.relocate_source("coat", tmp_path / "away")
        client.remove_source("sneaker")
    report = index(pictures / "bag", encoder=finer, rebuild=True)
    assert (report.generation, report.points) == ("g0002", 20)


def test_a_source_that_is_empty_or_unreadable_is_named_before_anything_is_built(
    pictures: Path, index: Index, finer: Path, tmp_path: Path
) -> None:
    """Its folder is the mount point of a disk that is not mounted, or it is a list of files there."""
    disk, table = tmp_path / "disk", tmp_path / "list.csv"
    (pictures / "coat").rename(disk)
    table.write_text("file\n" + "".join(f"{path}\n" for path in disk.iterdir()))
    for source in (pictures / "bag", disk, table):
        index(source)
    disk.rename(tmp_path / "away")
    disk.mkdir()
    expected = (
        r"of these 2 cannot be reached.*'disk': file:.*/disk/ holds no pictures; 'list.csv': none of the 10 pictures in .* "
        r"can be used now \(.*\)\. Bring them back.*sources relocate.*sources remove"
    )
    with pytest.raises(InvalidInput, match=expected):
        index(pictures / "bag", encoder=finer, rebuild=True)
    with closing(open_database(tmp_path / "db")) as db:
        assert db.generations("images") == ["g0001"]
    with pytest.raises(InvalidInput, match=expected):
        preview(IndexJob(str(pictures / "bag"), finer, str(tmp_path / "db"), orb=None, rebuild=True))
    disk.rmdir()
    (tmp_path / "away").rename(disk)
    assert index(pictures / "bag", encoder=finer, rebuild=True).points == 20


def test_metadata_of_all_sources_has_one_type_in_a_rebuild(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    for name, price in (("bag", "7"), ("coat", "7.5"), ("sneaker", "8")):
        table = tmp_path / f"{name}.csv"
        table.write_text("file,price\n" + "".join(f"{path},{price}\n" for path in (pictures / name).iterdir()))
        index(pictures / name, metadata=table)
    before = {uri: record.payload["price"] for uri, record in records().items()}
    index(pictures / "bag", metadata=tmp_path / "bag.csv", rebuild=True)
    after = {uri: record.payload["price"] for uri, record in records().items()}
    assert after == before
    assert {type(price) for price in after.values()} <= {int, float}


def test_pictures_that_are_there_are_not_left_out_by_a_rebuild(pictures: Path, index: Index, tmp_path: Path) -> None:
    """The last job of a source took a part of it only: that is how it would be rebuilt."""
    index(pictures)
    index(pictures / "bag")
    index(pictures, exclude=["sneaker"])
    with pytest.raises(InvalidInput, match=r"10 of 30 pictures .* are not in the new one.*is there still.*g0001 keeps serving"):
        index(pictures / "bag", rebuild=True)
    with SearchClient(tmp_path / "db") as client:
        assert (client.count(), client.manifest.generation) == (30, "g0001")
    assert index(pictures, rebuild=True).points == 30


def test_a_rebuild_drops_no_more_than_may_be_pruned(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    coats = sorted((pictures / "coat").iterdir())
    for path in coats[:7]:
        path.unlink()
    with pytest.raises(InvalidInput, match=r"7 of 30 pictures.*more than 20%.*--prune-limit 100"):
        index(pictures, rebuild=True)
    report = index(pictures, rebuild=True, prune_limit=0.5)
    assert (report.generation, report.points) == ("g0002", 23)
    assert any("7 of 30 pictures of generation g0001 are not in the new one" in note for note in report.notes)
    assert canonical_uri(coats[0]) not in str(report.failures)


def test_a_rebuild_of_what_was_not_seen_advises_to_look_there_first(pictures: Path, index: Index, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (pictures / "coat").rename(disk)
    (pictures / "link").symlink_to(disk)
    index(pictures)
    disk.rename(tmp_path / "away")
    with pytest.raises(InvalidInput, match=r"not seen completely.*see to that, and run the job again$"):
        index(pictures, rebuild=True)


def test_pictures_of_no_source_are_no_rebuild_s_to_drop(pictures: Path, index: Index, tmp_path: Path) -> None:
    """Those of an older Semblant, which a second folder may hold."""
    index(pictures / "bag")
    index(pictures / "coat")
    forget_sources(tmp_path / "db")
    (pictures / "coat").rename(tmp_path / "away")
    with pytest.raises(InvalidInput, match="belongs to no source"):
        index(pictures / "bag", rebuild=True)
    assert index(pictures / "bag", rebuild=True, prune_limit=1).points == 10


def test_pictures_out_of_reach_are_not_left_out_by_a_rebuild(pictures: Path, index: Index, tmp_path: Path) -> None:
    """A list names files on a disk that is not mounted."""
    table, disk = tmp_path / "list.csv", tmp_path / "disk"
    (pictures / "bag").rename(disk)
    named = [*sorted(disk.iterdir())[:2], *sorted((pictures / "coat").iterdir())]
    table.write_text("file\n" + "".join(f"{path}\n" for path in named))
    index(table)
    disk.rename(tmp_path / "away")
    disk.mkdir()
    assert index(table).points == 12
    with pytest.raises(InvalidInput) as caught:
        index(table, rebuild=True)
    message = str(caught.value)
    assert f"2 of 12 pictures of generation g0001 are not in the new one, such as '{canonical_uri(named[0])[:-11]}" in message
    assert "2 of them are in their sources, but could not be used now (missing: " in message
    assert "is not mounted" in message
    assert "Generation g0001 keeps serving" in message
    with SearchClient(tmp_path / "db") as client:
        assert (client.count(), client.manifest.generation) == (12, "g0001")
    disk.rmdir()
    (tmp_path / "away").rename(disk)
    report = index(table, rebuild=True)
    assert (report.generation, report.points) == ("g0002", 12)


def test_pictures_whose_files_turned_bad_count_as_gone_in_a_rebuild(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    for path in sorted((pictures / "coat").iterdir())[:7]:
        path.write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"7 of 30 pictures.*more than 20%.*--prune-limit 100"):
        index(pictures, rebuild=True)
    report = index(pictures, rebuild=True, prune_limit=0.5)
    assert (report.generation, report.points, report.failed) == ("g0002", 23, 7)
    assert "7 of 30 pictures of generation g0001 are not in the new one" in str(report.notes)
    assert "or their files hold no picture any more" in str(report.notes)
