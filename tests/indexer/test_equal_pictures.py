"""Which of equal pictures stands for the others, how the others are marked, and when they no longer are."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from semblant_indexer import Duplicates
from semblant_indexer.duplicates import settle_duplicates
from semblant_indexer.ledger import Entry
from semblant_search.collection import FieldType, point_id
from semblant_search.store import open_database
from support.ledgers import Desk
from support.small_stores import FOLDER, as_points, manifest, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_indexer.ledger import Ledger


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(open_database(tmp_path / "db", create=True)) as db, closing(db.create(manifest())) as store:
        store.add_fields({"_uris": FieldType.KEYWORD, "_duplicate_of": FieldType.KEYWORD})
        yield Desk(store, tmp_path / "ledger.sqlite")


def written(desk: Desk, ledger: Ledger, **contents: str) -> None:
    """Points and rows of all that is to do."""
    todos = list(ledger.todo())
    desk.store.upsert(as_points(unit_vectors(len(todos)), [one.uri for one in todos]))
    for one in todos:
        sha256 = contents[one.uri[len(FOLDER) : -4]] * 64
        ledger.record([Entry(one.uri, 10, 20, sha256, one.metadata, "indexed", written=True)])


def test_flags_name_the_first_and_go_when_the_others_do(desk: Desk) -> None:
    with desk.run("a", "b", "c", "d", "e") as ledger:
        written(desk, ledger, a="x", b="y", c="x", d="x", e="y")
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    marks = {name: payload.get("_duplicate_of") for name, payload in desk.payloads().items()}
    a, b = f"{FOLDER}a.png", f"{FOLDER}b.png"
    assert marks == {"a": None, "b": None, "c": a, "d": a, "e": b}
    with desk.run("c", "d", "e") as ledger:  # another run, without the first ones
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    marks = {name: payload.get("_duplicate_of") for name, payload in desk.payloads().items()}
    assert marks == {"a": None, "b": None, "c": None, "d": f"{FOLDER}c.png", "e": None}


def test_a_picture_whose_point_was_deleted_by_hand_stands_for_no_other(desk: Desk) -> None:
    with desk.run("a", "b", "c") as ledger:
        written(desk, ledger, a="x", b="x", c="x")
        desk.store.delete([point_id(f"{FOLDER}a.png")])
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    marks = {name: payload.get("_duplicate_of") for name, payload in desk.payloads().items()}
    assert marks == {"b": None, "c": f"{FOLDER}b.png"}


def test_flags_of_other_sources_are_left_alone(desk: Desk) -> None:
    with desk.run("a", "b") as ledger:
        written(desk, ledger, a="x", b="x")
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    with desk.run("c") as ledger:
        written(desk, ledger, c="z")
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    assert desk.payloads()["b"]["_duplicate_of"] == f"{FOLDER}a.png"


def test_merging_leaves_one_point_that_names_all(desk: Desk) -> None:
    with desk.run("a", "b", "c") as ledger:
        written(desk, ledger, a="x", b="x", c="y")
        settle_duplicates(desk.store, ledger, Duplicates.MERGE, FOLDER)
        assert ledger.account()["duplicate"] == 1
        assert ledger.points() == 2
    merged = {"a": [f"{FOLDER}a.png", f"{FOLDER}b.png"], "c": None}
    assert {name: payload.get("_uris") for name, payload in desk.payloads().items()} == merged
    with desk.run("a", "b", "c", merge=True) as ledger:  # nothing new: those without a point are named all the same
        settle_duplicates(desk.store, ledger, Duplicates.MERGE, FOLDER)
    assert {name: payload.get("_uris") for name, payload in desk.payloads().items()} == merged
    with desk.run("a", "c", merge=True) as ledger:  # the copy is gone
        settle_duplicates(desk.store, ledger, Duplicates.MERGE, FOLDER)
    assert {name: payload.get("_uris") for name, payload in desk.payloads().items()} == {"a": None, "c": None}


def test_marks_of_another_policy_go_with_it(desk: Desk) -> None:
    with desk.run("a", "b", "c") as ledger:
        written(desk, ledger, a="x", b="x", c="x")
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    with desk.run("a", "b", "c", merge=True) as ledger:
        settle_duplicates(desk.store, ledger, Duplicates.MERGE, FOLDER)
    (merged,) = desk.payloads().values()
    assert (len(merged["_uris"]), "_duplicate_of" in merged) == (3, False)
    with desk.run("a", "b", "c") as ledger:
        written(desk, ledger, b="x", c="x")
        settle_duplicates(desk.store, ledger, Duplicates.FLAG, FOLDER)
    marks = {name: (payload.get("_uris"), payload.get("_duplicate_of")) for name, payload in desk.payloads().items()}
    assert marks == {"a": (None, None), "b": (None, f"{FOLDER}a.png"), "c": (None, f"{FOLDER}a.png")}
    with desk.run("a", "b", "c") as ledger:
        settle_duplicates(desk.store, ledger, Duplicates.KEEP, FOLDER)
    assert not any({"_uris", "_duplicate_of"} & payload.keys() for payload in desk.payloads().values())
