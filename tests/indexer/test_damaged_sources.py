"""The record of one source is damaged: searches, the other sources and their jobs go on, and there is a way out."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_indexer import IndexJob, preview, run
from semblant_search import InvalidInput, NotADatabase, SearchClient, canonical_uri
from semblant_search.cli.sources import sources
from semblant_search.sources import read_sources
from semblant_search.store import open_database
from support.servers import server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport

    Index = Callable[..., IndexReport]


@pytest.fixture(params=["directory", "server"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "directory":
        yield str(tmp_path / "db")
        return
    with server() as url:
        yield url


@pytest.fixture
def index(encoder_file: Path, tmp_path: Path, db: str) -> Index:
    def go(source: Path, **options: Any) -> IndexReport:
        settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "state": tmp_path / "state", **options}
        return run(IndexJob(str(source), encoder_file, db, **settings))

    return go


def damage(db: str, name: str, content: bytes = b'{"id": "half of') -> str:
    with closing(open_database(db)) as database, closing(database.open("images")) as store:
        (id,) = (record.id for record in read_sources(store) if record.name == name)
        store.put_asset(f"source-{id}.json", content)
        return id


@pytest.mark.parametrize("content", [b"", b'{"id": "half of', b"[1]", b'{"id": "another", "name": "x", "root": "file:///x/"}'])
def test_everything_else_goes_on(pictures: Path, index: Index, db: str, tmp_path: Path, content: bytes) -> None:
    index(pictures / "bag")
    index(pictures / "coat")
    id = damage(db, "bag", content)
    query = sorted((pictures / "coat").iterdir())[0]
    with SearchClient(db) as client:
        assert client.search(query.read_bytes(), 1)[0].uri == canonical_uri(query)
        found = {one.name: one for one in client.sources()}
        assert (found[id].pictures, found[id].root, found["coat"].damaged) == (10, "", None)
        assert f"the record of source {id!r}" in str(found[id].damaged)
        client.add(query.read_bytes(), uri="shop://mine")
        for change in (lambda: client.relocate_source(id, tmp_path), lambda: client.rename_source(id, "bags")):
            with pytest.raises(NotADatabase, match=r"Index its folder again.*semblant sources remove"):
                change()
    listed = CliRunner().invoke(sources, ["--db", db])
    assert (listed.exit_code, "Note: the record of source" in listed.output) == (0, True)
    report = index(pictures / "coat", prune=True)
    assert (report.unchanged, report.points) == (10, 21)
    assert any(f"semblant sources remove {id}" in note for note in report.notes)
    planned = preview(IndexJob(str(pictures / "coat"), None, db, orb=None, state=tmp_path / "state"))
    assert any(f"semblant sources remove {id}" in note for note in planned.notes)
    with pytest.raises(InvalidInput, match=rf"cannot be rebuilt.*the record of source '{id}'"):
        index(pictures / "coat", rebuild=True)


def test_indexing_it_again_writes_the_record_anew(pictures: Path, index: Index, db: str) -> None:
    index(pictures / "bag")
    index(pictures / "coat")
    id = damage(db, "bag")
    report = index(pictures / "bag", prune=True)
    assert (report.source_name, report.encoded, report.unchanged, report.points) == ("bag", 0, 10, 20)
    assert any("is written anew" in note for note in report.notes)
    with SearchClient(db) as client:
        assert [(one.id == id, one.name, one.damaged) for one in client.sources()] == [
            (True, "bag", None),
            (False, "coat", None),
        ]
    assert index(pictures / "coat", rebuild=True).points == 20


def test_it_is_removed_by_its_id(pictures: Path, index: Index, db: str) -> None:
    index(pictures / "bag")
    index(pictures / "coat")
    id = damage(db, "bag")
    done = CliRunner().invoke(sources, ["remove", id, "--yes", "--db", db])
    assert (done.exit_code, "removed 10 pictures" in done.output) == (0, True)
    with SearchClient(db) as client:
        assert [(one.name, one.pictures, one.damaged) for one in client.sources()] == [("coat", 10, None)]
        assert client.count() == 10


def test_what_clients_added_is_kept_by_a_rebuild(pictures: Path, index: Index, db: str) -> None:
    index(pictures / "bag")
    with SearchClient(db) as client:
        client.add(sorted((pictures / "coat").iterdir())[0])
    damage(db, "client")
    assert index(pictures / "bag", rebuild=True).points == 11
    with SearchClient(db) as client:
        assert {one.name: one.pictures for one in client.sources()} == {"bag": 10, "client": 1}
