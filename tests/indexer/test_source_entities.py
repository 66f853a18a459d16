"""Sources are entities: a job adopts, moves and prunes the pictures of its own source only, whoever's ledger it has."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import IndexJob
from semblant_indexer.sources.remembered import record_for
from semblant_search import InvalidInput, SearchClient, SemblantError, canonical_uri
from semblant_search.sources import owners, read_sources
from semblant_search.store import open_database
from support.older import forget_sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.sources import SourceRecord
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def sources(db: Path) -> dict[str, SourceRecord]:
    with closing(open_database(db)) as database, closing(database.open("images")) as store:
        return {record.name: record for record in read_sources(store)}


def uris(*folders: Path) -> set[str]:
    return {canonical_uri(path) for folder in folders for path in folder.rglob("*.png")}


def test_two_machines_prune_their_own_pictures_only(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    """Each has a ledger of its own, which knows nothing of the other's pictures."""
    first, second = tmp_path / "first", tmp_path / "second"
    index(pictures / "bag", state=first, prune=True)
    report = index(pictures / "coat", state=second, prune=True)
    assert (report.removed, report.pruned, report.points) == (0, 0, 20)
    report = index(pictures / "bag", state=first, prune=True)
    assert (report.account, report.points) == (
        "found 10 = 0 indexed + 10 unchanged + 0 duplicate + 0 failed + 0 skipped",
        20,
    )
    assert set(records()) == uris(pictures / "bag", pictures / "coat")


@pytest.mark.parametrize("prune", [False, True])
def test_a_lost_ledger_costs_one_slow_run_and_no_picture(
    pictures: Path, index: Index, records: Records, tmp_path: Path, prune: bool
) -> None:
    index(pictures / "bag")
    index(pictures / "coat")
    before = records()
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    report = index(pictures / "coat", prune=prune)
    assert (report.account, report.encoded, report.points) == (
        "found 10 = 0 indexed + 10 unchanged + 0 duplicate + 0 failed + 0 skipped",
        0,
        20,
    )
    next((pictures / "bag").iterdir()).unlink()
    report = index(pictures / "bag", prune=prune)
    assert (report.removed, report.pruned, report.unchanged, report.points) == (1, prune, 9, 20 - prune)
    after = records()
    assert all(after[uri].payload == before[uri].payload for uri in after)


def test_a_copy_in_another_source_is_no_move(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    index(pictures / "bag", state=tmp_path / "first")
    here, copies = pictures / "bag", tmp_path / "copies"
    shutil.copytree(here, copies)
    gone = sorted(here.iterdir())[0]
    gone.unlink()
    for _ in range(2):
        report = index(copies, state=tmp_path / "first")
        assert (report.moved, report.removed, report.points) == (0, 0, 20)
        report = index(here, state=tmp_path / "first")
        assert (report.moved, report.removed, report.points) == (0, 1, 20)
    assert canonical_uri(gone) in records()


def test_a_picture_of_two_sources_goes_with_the_last_of_them(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    """And keeps the metadata of the wider one."""
    index(pictures)
    report = index(pictures / "bag")
    assert (report.encoded, report.points) == (0, 30)
    shared = sorted((pictures / "bag").iterdir())[0]
    found = records()[canonical_uri(shared)].payload
    ids = sorted(record.id for record in sources(tmp_path / "db").values())
    assert (owners(found), found["label"]) == (ids, "bag")
    shared.unlink()
    report = index(pictures / "bag", prune=True)
    assert (report.pruned, report.points) == (1, 30)
    assert any("1 picture gone from this source, and kept" in note for note in report.notes)
    assert owners(records()[canonical_uri(shared)].payload) == [sources(tmp_path / "db")["pictures"].id]
    assert index(pictures, prune=True).points == 29
    assert index(pictures / "bag", prune=True).points == 29


def test_what_another_machine_did_to_the_same_source_is_found_out(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    """Two ledgers of one source: the one that was not there reads what the collection holds."""
    first, second = tmp_path / "first", tmp_path / "second"
    index(pictures, state=first)
    assert (index(pictures, state=second).unchanged, index(pictures, state=first).unchanged) == (30, 30)
    one, other = sorted((pictures / "bag").iterdir())[:2]
    shutil.copyfile(other, one)  # other content
    (pictures / "metadata.csv").write_text(f"file,price\nbag/{other.name},3\n")
    assert index(pictures, state=second).indexed == 2
    expected = {uri: record.payload for uri, record in records().items()}
    assert index(pictures, state=first).unchanged == 30
    assert {uri: record.payload for uri, record in records().items()} == expected
    (pictures / "metadata.csv").unlink()
    index(pictures, state=first, find_metadata=False)
    (pictures / "metadata.csv").write_text(f"file,price\nbag/{other.name},3\n")
    assert index(pictures, state=second).indexed == 1
    assert records()[canonical_uri(other)].payload["price"] == 3


def test_the_collection_remembers_its_sources(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures / "bag", include=["*.png"], exif=True)
    report = index(pictures / "coat", source_name="winter")
    assert report.source_name == "winter"
    table = tmp_path / "bag"
    table.mkdir()
    shutil.copyfile(next((pictures / "sneaker").iterdir()), table / "one.png")
    index(table)
    known = sources(tmp_path / "db")
    assert {name: record.root for name, record in known.items()} == {
        "bag": canonical_uri(pictures / "bag") + "/",
        "winter": canonical_uri(pictures / "coat") + "/",
        "bag-2": canonical_uri(table) + "/",
    }
    bag = known["bag"]
    assert bag.settings == {
        "include": ["*.png"],
        "exclude": [],
        "hidden": False,
        "include_system": False,
        "frames": "first",
        "metadata": None,
        "find_metadata": True,
        "file_column": None,
        "fields": {},
        "exif": True,
        "duplicates": "keep",
        "tables": [],
        "missing_tables": [],
    }
    assert (bag.pictures, bag.scanned_at is not None) == (10, True)
    again = index(pictures / "coat")
    assert again.source_name == "winter"
    assert sources(tmp_path / "db")["winter"].id == known["winter"].id


def test_a_name_is_one_source_s(pictures: Path, index: Index, records: Records) -> None:
    index(pictures / "bag", source_name="shop")
    for wrong in ("client", "", "a\nb"):
        with pytest.raises(InvalidInput, match="source name"):
            index(pictures / "coat", source_name=wrong)
    with pytest.raises(InvalidInput, match=r"'shop' .* is file:.*/bag/, not file:.*/coat/.*semblant sources relocate 'shop'"):
        index(pictures / "coat", source_name="shop")
    with pytest.raises(InvalidInput, match=r"is source 'shop' .* already, not 'other'"):
        index(pictures / "bag", source_name="other")
    assert len(records()) == 10


def test_pictures_of_an_older_version_are_taken_in_by_the_source_that_holds_them_and_pruned_by_no_other(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    """They name no source. Nothing is encoded for it."""
    index(pictures / "bag")
    index(pictures / "coat")
    forget_sources(tmp_path / "db", identity=True)
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    sorted((pictures / "bag").iterdir())[0].unlink()
    report = index(pictures / "bag", prune=True)
    assert (report.encoded, report.removed, report.points) == (0, 0, 20)
    held = [uri for uri, record in records().items() if owners(record.payload)]
    assert set(held) == uris(pictures / "bag")
    assert index(pictures / "coat", prune=True).points == 20


def test_what_a_client_adds_to_a_source_s_picture_stays_the_source_s(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    one = sorted((pictures / "bag").iterdir())[0]
    with SearchClient(tmp_path / "db") as client:
        added = client.add(one, {"owner": "me"})
        assert len(added.facts["_sources"]) == 2
    known: dict[str, Any] = sources(tmp_path / "db")
    assert set(known) == {"client", "pictures"}
    assert index(pictures).unchanged == 30


@pytest.mark.parametrize(
    ("scope", "root"),
    [
        ("file:///a@b/c/", "file:///a@b/c/"),
        ("s3://bucket/a@b/", "s3://bucket/a@b/"),
        ("https://me:secret@host:8/list.csv?x=1", "https://***@host:8/list.csv?x=1"),
    ],
)
def test_a_root_is_kept_without_passwords(scope: str, root: str) -> None:
    record = record_for(IndexJob("pictures", None, "db"), scope, [])
    assert record.root == root
    assert record_for(IndexJob("pictures", None, "db"), scope, [record]) == record


@pytest.mark.parametrize("rest", ["none/", "none.csv", "none-*.tar"])
def test_a_source_that_is_not_there_is_told_without_its_password(rest: str, index: Index) -> None:
    with pytest.raises(SemblantError) as caught:
        index(f"http://me:s3cr3t@127.0.0.1:9/{rest}")
    assert "***@127.0.0.1:9" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
