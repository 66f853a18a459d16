"""What a job of one source does to pictures that are another's, a client's, or nobody's as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import Duplicates, preview
from semblant_indexer.job import IndexJob
from semblant_search import SearchClient, canonical_uri
from support.older import forget_sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def metadata(records: dict[str, Record]) -> dict[str, dict[str, Any]]:
    return {
        uri: {name: value for name, value in record.payload.items() if not name.startswith("_")}
        for uri, record in records.items()
    }


@pytest.mark.parametrize("ledger", [False, True])
def test_a_job_of_an_inner_folder_keeps_what_an_older_version_gave(
    pictures: Path, index: Index, records: Records, tmp_path: Path, encoder_file: Path, ledger: bool
) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("file,price\n" + "".join(f"{path},5\n" for path in pictures.rglob("*.png")))
    index(pictures, metadata=table)
    forget_sources(tmp_path / "db")
    if not ledger:
        (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    before = metadata(records())
    inner = IndexJob(str(pictures / "bag"), db=str(tmp_path / "db"), orb=None, encoder=encoder_file)
    assert preview(inner).unchanged == 10
    report = index(pictures / "bag")
    assert (report.unchanged, report.points) == (10, 30)
    assert metadata(records()) == before
    assert index(pictures, metadata=table, prune=True).points == 30
    assert metadata(records()) == before


@pytest.mark.parametrize(("policy", "field"), [(Duplicates.MERGE, "_uris"), (Duplicates.FLAG, "_duplicate_of")])
def test_a_plain_job_of_an_inner_folder_keeps_the_marks_of_the_outer_one(
    pictures: Path, index: Index, records: Records, policy: Duplicates, field: str
) -> None:
    one = sorted((pictures / "bag").iterdir())[0]
    twin = pictures / ("zzz.png" if policy is Duplicates.MERGE else "aaa.png")
    twin.write_bytes(one.read_bytes())

    def marks() -> dict[str, Any]:
        return {uri: record.payload[field] for uri, record in records().items() if field in record.payload}

    index(pictures, duplicates=policy)
    before = marks()
    assert list(before) == [canonical_uri(one)]
    index(pictures / "bag")
    assert marks() == before
    index(pictures, duplicates=policy)
    assert marks() == before
    twin.unlink()
    index(pictures, duplicates=policy)
    assert marks() == {}


def test_a_lost_ledger_keeps_what_a_client_wrote(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    one = canonical_uri(next((pictures / "bag").iterdir()))
    index(pictures)
    with SearchClient(tmp_path / "db") as client:
        client.update_metadata(one, {"note": "mine"})
    before = metadata(records())
    assert before[one] == {"label": "bag", "note": "mine"}
    assert index(pictures).unchanged == 30
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    assert index(pictures).unchanged == 30
    assert metadata(records()) == before


def test_a_picture_of_two_lists_has_the_fields_of_both_while_one_of_them_says_them(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    """As the README says."""
    one = sorted((pictures / "bag").iterdir())[0]

    def listed(name: str, **fields: int) -> dict[str, Any]:
        (tmp_path / name).write_text(f"{','.join(('file', *fields))}\n{','.join((str(one), *map(str, fields.values())))}\n")
        index(tmp_path / name)
        return metadata(records())[canonical_uri(one)]

    listed("a.csv", price=1)
    assert listed("b.csv", price=2) == {"price": 2}
    assert listed("a.csv", price=1) == {"price": 2}  # it ran last, but nothing is new
    assert listed("a.csv", price=3, stock=7) == {"price": 3, "stock": 7}
    assert listed("a.csv", stock=8, size=1) == {"price": 3, "stock": 8, "size": 1}
    assert listed("b.csv", price=5, stock=9) == {"price": 5, "stock": 9, "size": 1}
    assert listed("a.csv") == {"price": 5, "stock": 9}
    with SearchClient(tmp_path / "db") as client:
        client.update_metadata(canonical_uri(one), {"note": "mine"})
    assert listed("a.csv", size=2) == {"price": 5, "stock": 9, "size": 2, "note": "mine"}
    with SearchClient(tmp_path / "db") as client:
        client.remove_source("a.csv")
    assert metadata(records())[canonical_uri(one)] == {"price": 5, "stock": 9, "note": "mine"}
    assert "_fields_of" not in records()[canonical_uri(one)].payload
    assert listed("b.csv", price=6) == {"price": 6}


def test_a_lost_ledger_takes_no_field_of_a_shared_picture_and_the_next_run_those_that_went(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    one = sorted((pictures / "bag").iterdir())[0]

    def listed(name: str, **fields: int) -> dict[str, Any]:
        (tmp_path / name).write_text(f"{','.join(('file', *fields))}\n{','.join((str(one), *map(str, fields.values())))}\n")
        index(tmp_path / name)
        return metadata(records())[canonical_uri(one)]

    listed("a.csv", price=1, stock=7)
    listed("b.csv", size=2)
    assert index(tmp_path / "a.csv").unchanged == 1
    assert index(pictures / "bag").unchanged == 1  # the tenth of them is there; that it is of three sources is no news
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    assert listed("a.csv", price=1) == {"price": 1, "stock": 7, "size": 2}
    assert listed("a.csv", price=2) == {"price": 2, "size": 2}


def test_what_a_client_and_a_source_say_of_a_picture_survives_a_rebuild_and_goes_with_its_own(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    one = sorted((pictures / "bag").iterdir())[0]
    with SearchClient(_indexed(index, pictures, tmp_path)) as client:
        client.add(one, metadata={"label": "bag", "mine": 1})
    (tmp_path / "list.csv").write_text(f"file,price,size\n{one},1,2\n")
    index(tmp_path / "list.csv")
    everything = {"label": "bag", "mine": 1, "price": 1, "size": 2}
    assert metadata(records())[canonical_uri(one)] == everything
    (tmp_path / "list.csv").write_text(f"file,price\n{one},1\n")
    index(tmp_path / "list.csv", rebuild=True)
    assert metadata(records())[canonical_uri(one)] == {"label": "bag", "mine": 1, "price": 1}
    with SearchClient(tmp_path / "db") as client:
        client.remove_source("list.csv")
    assert metadata(records())[canonical_uri(one)] == {"label": "bag", "mine": 1}


def _indexed(index: Index, pictures: Path, tmp_path: Path) -> Path:
    index(pictures)
    return tmp_path / "db"


@pytest.mark.parametrize("policy", [Duplicates.MERGE, Duplicates.FLAG])
@pytest.mark.parametrize("inner_first", [True, False])
def test_overlapping_sources_that_both_merge_or_flag_come_to_rest(
    pictures: Path, index: Index, records: Records, policy: Duplicates, inner_first: bool
) -> None:
    one = sorted((pictures / "bag").iterdir())[0]
    for name in ("aaa.png", "bag/aab.png", "bag/zzz.png"):
        (pictures / name).write_bytes(one.read_bytes())
    sources = [pictures / "bag", pictures] if inner_first else [pictures, pictures / "bag"]

    def state() -> dict[str, Any]:
        return {uri: {k: v for k, v in one.payload.items() if k != "_indexed_at"} for uri, one in records().items()}

    for source in sources:
        index(source, duplicates=policy)
    for source in sources:
        index(source, duplicates=policy)
    rested = state()
    for _ in range(2):
        for source in sources:
            report = index(source, duplicates=policy)
            assert (report.indexed, report.moved, report.removed) == (0, 0, 0)
            assert state() == rested
    (pictures / "aaa.png").unlink()
    for _ in range(2):
        for source in sources:
            assert index(source, duplicates=policy, prune=True).adds_up
    held = [canonical_uri(path) for path in sorted((pictures / "bag").glob("*.png"))]
    assert not any("aaa.png" in str(payload) for payload in state().values())
    assert any(uri in state() for uri in held)
