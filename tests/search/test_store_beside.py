"""A directory's graph is built by another process, while this one searches and writes."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from semblant_search.collection import FieldType
from semblant_search.errors import StoreError
from semblant_search.store import Nearest, Point, SearchRequest, open_database
from semblant_search.store.engines.edge import shard_copy
from semblant_search.store.files import bytes_on_disk, copy_sparse
from semblant_search.where import parse_where
from support.small_stores import as_points, manifest, unit_vectors, uris

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Store

DIM, COUNT = 64, 3000


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Three thousand points without a graph, of which a few are many."""
    monkeypatch.setattr("semblant_search.store.engines.edge.engine._FEW", 1)
    with closing(open_database(tmp_path / "db", create=True)) as db, closing(db.create(manifest(dim=DIM))) as made:
        made.upsert(as_points(unit_vectors(COUNT, DIM)))
        yield made


def folders(tmp_path: Path) -> set[str]:
    return {entry.name for entry in (tmp_path / "db" / "images" / "g0001").iterdir() if entry.is_dir()}


def nearest(store: Store, point: Point) -> str:
    return store.query(SearchRequest(Nearest(point.image), limit=1))[0].id


def test_searches_and_changes_go_on_and_are_in_what_was_built(store: Store, tmp_path: Path) -> None:
    points = as_points(unit_vectors(COUNT + 10, DIM, seed=1), uris(COUNT + 10))
    changed, added, deleted = points[:3], points[COUNT:], points[5:9]
    told: list[tuple[int, int]] = []
    found: list[str] = []

    def meanwhile(done: int, total: int) -> None:
        if not told:
            store.add_fields({"price": FieldType.INTEGER})
            store.upsert([Point(one.id, one.image, {**one.payload, "price": 7}) for one in changed])
            store.upsert(added)
            store.delete([one.id for one in deleted])
            store.set_payloads({points[4].id: {"_uri": "file:///other.png", "price": 8}})
        told.append((done, total))
        found.append(nearest(store, added[0]))

    assert store.optimize(meanwhile, beside=True)
    assert set(told) == {(0, COUNT)}
    assert set(found) == {added[0].id}
    assert folders(tmp_path) == {"assets", "shard"}
    for again in (False, True):
        if again:
            store.close()
            store = open_database(tmp_path / "db").open("images", "g0001")
        assert store.count() == COUNT + 10 - 4
        assert [nearest(store, one) for one in (*changed, *added)] == [one.id for one in (*changed, *added)]
        assert store.retrieve([one.id for one in deleted]) == []
        assert (store.count(parse_where("price == 7")), store.count(parse_where("price == 8"))) == (3, 1)
    store.close()


def test_many_threads_search_through_the_replacement(store: Store) -> None:
    point = as_points(unit_vectors(1, DIM))[0]
    done, errors, counts = threading.Event(), [], [0] * 4

    def ask(number: int) -> None:
        try:
            while not done.is_set():
                assert nearest(store, point) == point.id
                counts[number] += 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    before = counts.copy()
    store.optimize(beside=True)
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(after > first for first, after in zip(before, counts, strict=True))


def test_what_is_called_meanwhile_ends_it_and_everything_is_as_it_was(store: Store, tmp_path: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        store.optimize(stop, beside=True)
    assert folders(tmp_path) == {"assets", "shard"}
    assert store.count() == COUNT
    store.delete([as_points(unit_vectors(1, DIM))[0].id])
    assert store.optimize(beside=True)
    assert store.count() == COUNT - 1


def test_a_build_that_fails_leaves_what_there_is(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_copy, "_CHILD", "raise SystemExit('no luck')")
    with pytest.raises(StoreError, match="the search index cannot be built: no luck"):
        store.optimize(beside=True)
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(StoreError, match="cannot be started"):
        store.optimize(beside=True)
    assert folders(tmp_path) == {"assets", "shard"}
    assert store.count() == COUNT


@pytest.mark.parametrize("left", ["shard.building", "shard.before"])
def test_what_a_killed_process_left_is_put_right_by_the_next_one(store: Store, tmp_path: Path, left: str) -> None:
    store.close()
    generation = tmp_path / "db" / "images" / "g0001"
    if left == "shard.before":  # between the two renames
        copy_sparse(generation / "shard", generation / "shard.building")
        (generation / "shard").rename(generation / left)
    else:
        copy_sparse(generation / "shard", generation / left)
    with closing(open_database(tmp_path / "db")) as db, closing(db.open("images", "g0001")) as opened:
        assert opened.count() == COUNT
        assert folders(tmp_path) == {"assets", "shard"}


def test_little_that_changed_is_left_to_searches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_search.store.engines.edge.engine._FEW", COUNT + 1)
    monkeypatch.setattr(shard_copy, "_CHILD", "raise SystemExit('nobody is to be started')")
    assert store.optimize(beside=True)


def test_a_copy_keeps_holes_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with (tmp_path / "a" / "b" / "holes").open("wb") as file:
        for at in (0, 20_000_000, 40_000_000):
            file.seek(at)
            file.write(b"here")
        file.truncate(50_000_000)
    (tmp_path / "a" / "hole").touch()
    with (tmp_path / "a" / "hole").open("wb") as file:
        file.truncate(1_000_000)
    copy_sparse(tmp_path / "a", tmp_path / "c")
    for name in ("b/holes", "hole"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()
    assert bytes_on_disk(tmp_path / "c") <= bytes_on_disk(tmp_path / "a")
