"""Generations of a collection in a directory: which there are, which one serves, and what may be removed."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from semblant_search import CollectionNotFound, InvalidInput
from semblant_search.errors import NotADatabase, StoreError
from semblant_search.store import open_database
from support.points import MANIFEST, point
from support.systems import needs_posix

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.store import Database

PLAIN = replace(MANIFEST, fields={}, orb=None)


def create(database: Database, generation: str, *, collection: str = "images", points: int = 0) -> None:
    store = database.create(replace(PLAIN, generation=generation, collection=collection))
    store.upsert([point(number) for number in range(points)])
    store.close()


def pretend(path: Path, generation: str) -> None:
    """A generation as far as listing goes."""
    (path / "images" / generation).mkdir(parents=True)
    (path / "images" / generation / "manifest.json").write_text(json.dumps(PLAIN.to_json()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def database(path: Path) -> Database:
    return open_database(path, create=True)


def test_generations_are_listed_oldest_first_by_their_numbers(path: Path, database: Database) -> None:
    for name in ("g10000", "g9999", "g0002", "g0010", "g0001"):
        pretend(path, name)
    for name in ("g001", "x0001", "g00x1", "G0003", "g", "g٠٠٠١"):
        pretend(path, name)
    (path / "images" / "g0003").mkdir()  # without a manifest
    (path / "images" / "notes.txt").touch()
    assert database.generations("images") == ["g0001", "g0002", "g0010", "g9999", "g10000"]
    assert database.generations("others") == []


def test_the_serving_generation_is_opened_and_any_other_by_its_name(database: Database) -> None:
    for number, name in enumerate(("g0001", "g0002", "g0003")):
        create(database, name, points=number)
    database.publish("images", "g0002")
    asked: list[tuple[str | None, int]] = [(None, 1), ("g0001", 0), ("g0002", 1), ("g0003", 2)]
    for generation, count in asked:
        store = database.open("images", generation)
        assert (store.manifest.generation, store.count()) == (generation or "g0002", count)
        store.close()


def test_a_new_generation_must_be_new_and_harms_none(path: Path, database: Database) -> None:
    create(database, "g0001", points=2)
    with pytest.raises(StoreError, match="collection 'images' already has a generation 'g0001'"):
        database.create(replace(PLAIN, generation="g0001"))
    store = database.open("images", "g0001")
    assert store.count() == 2
    store.close()
    for wrong in ("", "g1", "0001", "g0001/..", "../g0001"):
        with pytest.raises(InvalidInput, match="expected a name such as 'g0001'"):
            database.create(replace(PLAIN, generation=wrong))
    assert sorted(entry.name for entry in path.iterdir()) == ["images", "semblant.json"]


def test_publishing_changes_one_collection_only(path: Path, database: Database) -> None:
    create(database, "g0001")
    create(database, "g0002")
    create(database, "g0001", collection="others")
    assert database.collections() == {}
    database.publish("images", "g0001")
    database.publish("others", "g0001")
    database.publish("images", "g0002")
    assert database.collections() == open_database(path).collections() == {"images": "g0002", "others": "g0001"}
    with pytest.raises(CollectionNotFound, match=r"'images' in .* has no generation 'g0007' to publish"):
        database.publish("images", "g0007")
    with pytest.raises(CollectionNotFound, match=r"'paintings' in .* has no generation 'g0001' to publish"):
        database.publish("paintings", "g0001")
    assert database.collections() == {"images": "g0002", "others": "g0001"}


def test_only_what_does_not_serve_is_dropped(path: Path, database: Database) -> None:
    create(database, "g0001")
    create(database, "g0002", points=3)
    create(database, "g0001", collection="others")
    database.publish("images", "g0002")
    database.publish("others", "g0001")
    for collection, generation in (("images", "g0002"), ("others", "g0001")):
        with pytest.raises(StoreError, match=f"'{generation}' of '{collection}' is serving; publish another one"):
            database.drop(collection, generation)
    database.drop("images", "g0001")
    database.drop("images", "g0001")
    database.drop("images", "g0009")
    assert database.generations("images") == ["g0002"]
    assert [entry.name for entry in (path / "images").iterdir()] == ["g0002"]
    store = database.open("images")
    assert store.count() == 3
    store.close()


def test_a_generation_whose_removal_fails_half_way_does_not_count(
    path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(database, "g0001")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refuse)
        with pytest.raises(StoreError, match=r"g0001' cannot be removed: no permission"):
            database.drop("images", "g0001")
    assert database.generations("images") == []
    create(database, "g0001")
    assert database.generations("images") == ["g0001"]


def refuse(*_: object) -> None:
    raise PermissionError(1, "no permission")


@needs_posix
def test_a_switch_waits_for_another_process_that_is_switching(path: Path, database: Database) -> None:
    import fcntl

    create(database, "g0001")
    database.publish("images", "g0001")
    create(database, "g0002")
    (lock,) = path.glob(".*lock")
    switch = threading.Thread(target=database.publish, args=("images", "g0002"), daemon=True)
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        switch.start()
        switch.join(0.2)
        assert database.collections() == {"images": "g0001"}
    switch.join(30)
    assert database.collections() == {"images": "g0002"}


def test_what_is_not_there_is_named_with_what_is(path: Path, database: Database) -> None:
    with pytest.raises(CollectionNotFound, match="has no collection 'images'; it has none yet"):
        database.open("images")
    create(database, "g0001", collection="b")
    create(database, "g0001", collection="a")
    with pytest.raises(CollectionNotFound, match="it has none yet"):
        database.open("a")
    for name in "ba":
        database.publish(name, "g0001")
    with pytest.raises(CollectionNotFound, match=r"has no collection 'images'; there: a, b$"):
        database.open("images")
    with pytest.raises(CollectionNotFound, match=r"'a' in .* has no generation 'g0004'; there: g0001$"):
        database.open("a", "g0004")
    with pytest.raises(CollectionNotFound, match=r"no generation 'g0004'; there: none$"):
        database.open("images", "g0004")
    assert str(path) in repr(database)
    assert database.location == str(path)


def test_what_an_interrupted_first_write_left_is_no_stranger(path: Path) -> None:
    path.mkdir()
    (path / ".semblant.json.0123.tmp").touch()
    database = open_database(path, create=True)
    assert database.collections() == {}
    create(database, "g0001")
    assert open_database(path).generations("images") == ["g0001"]


def test_strangers_are_named_but_not_all_of_them(path: Path) -> None:
    path.mkdir()
    for name in "dbca":
        (path / name).touch()
    with pytest.raises(NotADatabase, match=r"holds a, b, c and more; .*nothing was touched"):
        open_database(path, create=True)
    (path / "d").unlink()
    with pytest.raises(NotADatabase, match=r"holds a, b, c; "):
        open_database(path, create=True)


@pytest.mark.parametrize(
    ("location", "options", "words"),
    [
        ("", {}, "database '': expected a directory or a URL"),
        ("ftp://h/db", {}, "'ftp://h/db': expected a directory, or a URL that begins with http, https, grpc, grpcs"),
        ("semblant://h:8765", {}, "grpcs; a service is searched, and indexed by `semblant jobs start`"),
        ("somewhere", {"api_key": "k"}, "'somewhere' is a directory; an API key is for servers"),
    ],
)
def test_places_that_can_be_no_database_are_refused(location: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        open_database(location, create=True, **options)  # type: ignore[arg-type]
