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


def test_a_picture_of_two_lists_has_the_fields_of_both_and_loses_none(
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
    assert listed("a.csv") == {"price": 3, "stock": 7}
    with SearchClient(tmp_path / "db") as client:
        client.remove_source("a.csv")
    assert metadata(records())[canonical_uri(one)] == {"price": 3, "stock": 7}
    assert listed("b.csv", price=5) == {"price": 5}
