"""A client follows its collection from generation to generation, and no call mixes two of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import (
    CollectionNotFound,
    EncoderError,
    InvalidInput,
    Manifest,
    SearchClient,
    StoreError,
    StoreLocked,
    WhereError,
)
from semblant_search.collection import FieldType, point_id
from semblant_search.open_collection import LocalCollection
from semblant_search.serving import Generation, Serving, Settings
from semblant_search.store import Database, Point, open_database
from support.servers import REAL, database_of, own_name, stand_in, sweep, url_of
from support.small_stores import as_points, manifest, unit_vectors
from support.systems import needs_posix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search import Encoder

DIM = 8


def add(db: Database, number: int, pictures: int, collection: str = "images") -> None:
    """A generation in which every picture says which one it is of, published."""
    facts = replace(manifest(f"g{number:04d}"), collection=collection)
    with closing(db.create(facts)) as store:
        store.add_fields({"build": FieldType.INTEGER})
        names = [f"file:///pictures/{picture:04d}.png" for picture in range(pictures)]
        points = as_points(unit_vectors(pictures), names)
        store.upsert([Point(point.id, point.image, {**point.payload, "build": number}) for point in points])
    db.publish(collection, f"g{number:04d}")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "db", create=True)) as db:
        add(db, 1, 3)
        yield db


@pytest.fixture(params=["stand-in", REAL])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Database]]:
    """A server's URL, the name of a collection on it that holds one generation, and the database."""
    url = url_of(request.param)
    with own_name(url) as name, database_of(url) as db:
        add(db, 1, 3, name)
        yield url, name, db


def builds(client: SearchClient) -> set[int]:
    return {hit.metadata["build"] for hit in client.search_vector([1.0] * DIM, limit=100)}


def test_a_client_of_a_directory_goes_on_to_a_new_generation_and_lets_go_of_the_old_one(directory: Database) -> None:
    with SearchClient(directory.location, refresh=0) as client:
        assert (client.count(), builds(client)) == (3, {1})
        add(directory, 2, 5)
        assert (client.count(), builds(client), client.manifest.generation) == (5, {2}, "g0002")
        directory.drop("images", "g0001")  # nobody has it open
        add(directory, 3, 4)
        assert (builds(client), client.count()) == ({3}, 4)
        directory.publish("images", "g0002")
        assert builds(client) == {2}


def test_a_change_that_missed_a_switch_is_made_again_in_what_serves(directory: Database) -> None:
    with SearchClient(directory.location, refresh=3600) as client:
        add(directory, 2, 5)
        assert (client.count(), client.update_metadata("file:///pictures/0001.png", {"build": 7})) == (3, 1)
        assert (client.count(), client.count("build == 7"), client.manifest.generation) == (5, 1, "g0002")


def test_pictures_that_a_rebuild_found_deleted_already_are_counted(directory: Database) -> None:
    with SearchClient(directory.location, refresh=3600) as client:
        add(directory, 2, 2)  # as a job does that read the collection after the deletion, and publishes before it is told
        assert client.delete(["file:///pictures/0002.png"]) == 1
        assert (client.count(), client.manifest.generation) == (2, "g0002")


def test_a_change_that_cannot_reach_what_serves_is_an_error(directory: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_search.serving._PATIENCE", 0.1)
    with SearchClient(directory.location, refresh=3600) as client, closing(directory.create(manifest("g0002"))):
        directory.publish("images", "g0002")
        with pytest.raises(StoreLocked, match=r"was rebuilt meanwhile.*'g0002' open still.*'g0001'"):
            client.delete(["file:///pictures/0001.png"])


def test_a_generation_that_its_job_has_open_still_is_followed_once_it_is_free(directory: Database) -> None:
    with SearchClient(directory.location, refresh=0) as client:
        with closing(directory.create(manifest("g0002"))):
            directory.publish("images", "g0002")
            assert (client.count(), client.manifest.generation) == (3, "g0001")
        assert (client.count(), client.manifest.generation) == (0, "g0002")


def test_it_looks_no_more_often_than_it_is_told(directory: Database) -> None:
    with SearchClient(directory.location, refresh=3600) as client:
        add(directory, 2, 5)
        assert (client.count(), client.manifest.generation) == (3, "g0001")


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "often", True, None])
def test_how_often_is_a_number_of_seconds(directory: Database, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"refresh .*: expected seconds, 0 or more"):
        SearchClient(directory.location, refresh=wrong)  # type: ignore[arg-type]


def test_a_call_ends_with_the_generation_that_it_began_with(directory: Database) -> None:
    client = SearchClient(directory.location, refresh=0)
    assert isinstance(client._collection, LocalCollection)
    with client._collection.serving.current() as first:
        add(directory, 2, 5)
        assert client.count() == 5
        assert (first.store.count(), first.manifest.generation) == (3, "g0001")
        client.close()
        assert first.store.count() == 3
    for closed in (first.store.count, client.count):
        with pytest.raises(StoreError, match="closed"):
            closed()
    with closing(directory.open("images", "g0001")), closing(directory.open("images", "g0002")):
        pass  # both are free


def test_an_encoder_that_was_given_is_that_of_its_generation(directory: Database, encoder: Encoder, tmp_path: Path) -> None:
    """The next one, of another encoder, keeps its own, or says that it has none."""
    facts = Manifest("images", "g0002", encoder.fingerprint, encoder.card, {}, None, "2024-05-01T12:00:00Z")
    with closing(directory.create(facts)):
        directory.publish("images", "g0002")
    path = tmp_path / "mine.onnx"
    path.write_bytes(encoder.to_bytes())
    picture = np.zeros((28, 28), np.uint8)
    with SearchClient(directory.location, path, refresh=0) as client:
        assert client.embed([picture]).shape == (1, encoder.dim)
        with closing(directory.create(replace(facts, generation="g0003", created_at="2024-06-01T12:00:00Z"))):
            directory.publish("images", "g0003")
        assert client.embed([picture]).shape == (1, encoder.dim)  # the same encoder, which the collection does not keep
        assert client.manifest.generation == "g0003"
        add(directory, 4, 3)
        assert client.count() == 3
        with pytest.raises(EncoderError, match="does not keep its encoder"):
            client.embed([picture])


def test_a_client_of_a_server_follows_switches_and_new_fields(served: tuple[str, str, Database]) -> None:
    url, name, db = served
    with SearchClient(db, collection=name, refresh=0) as client:
        assert builds(client) == {1}
        with pytest.raises(WhereError, match="price"):
            client.count("price > 3")
        with closing(db.open(name)) as store:
            store.add_fields({"price": FieldType.FLOAT})
            store.set_payloads({point_id("file:///pictures/0001.png"): {"_uri": "file:///pictures/0001.png", "price": 4.5}})
        assert client.count("price > 3") == 1
        add(db, 2, 5, name)
        assert (client.count(), builds(client)) == (5, {2})
        assert url


def test_a_field_that_others_have_just_made_is_known_at_once(served: tuple[str, str, Database]) -> None:
    _, name, db = served
    with SearchClient(db, collection=name, refresh=3600) as client:
        assert client.count() == 3
        asks: dict[str, Callable[[], int]] = {
            "price": lambda: client.count("price > 3"),
            "cluster": lambda: sum(client.facet("cluster").values()),
            "size": lambda: len([one for one in client.pictures(order_by="size") if "size" in one.metadata]),
        }
        for field, ask in asks.items():
            with pytest.raises(InvalidInput, match=field):
                ask()
            with closing(db.open(name)) as store:
                store.add_fields({field: FieldType.INTEGER})
                store.set_payloads({point_id("file:///pictures/0001.png"): {"_uri": "file:///pictures/0001.png", field: 4}})
            assert ask() == 1


def test_a_call_whose_generation_was_deleted_is_asked_of_the_next_one(served: tuple[str, str, Database]) -> None:
    _, name, db = served
    with SearchClient(db, collection=name, refresh=3600) as client:
        for number in (2, 3, 4):
            add(db, number, 3 + number, name)
            db.drop(name, f"g{number - 1:04d}")
            assert builds(client) == {number}
            assert client.search_batch([f"file:///pictures/{number:04d}.png"], limit=1)[0][0].metadata["build"] == number
            assert client.count() == 3 + number


def test_where_no_other_generation_serves_the_call_says_that_the_collection_is_gone() -> None:
    url = stand_in().url
    with own_name(url) as name, database_of(url) as db:
        add(db, 1, 3, name)
        with SearchClient(db, collection=name, refresh=3600) as client:
            sweep(url, name)
            with pytest.raises(CollectionNotFound, match="deleted or rebuilt meanwhile"):
                client.count()


@pytest.mark.parametrize("place", ["directory", "server"])
def test_ten_rebuilds_under_load_fail_no_call_and_mix_no_two_generations(place: str, tmp_path: Path) -> None:
    url = stand_in().url if place == "server" else str(tmp_path / "db")
    failures: list[str] = []
    answered: set[int] = set()
    done = threading.Event()

    def ask(client: SearchClient) -> None:
        while not done.wait(0.01):
            try:
                hits = client.search_vector([1.0] * DIM, limit=100)
                seen = {hit.metadata["build"] for hit in hits}
                if len(seen) != 1 or len(hits) != 2 + min(seen):
                    failures.append(f"{len(hits)} hits of {seen}")
                answered.update(seen)
            except Exception as error:
                failures.append(repr(error))

    with own_name(url) as name, open_database(url, create=place == "directory") as db:
        add(db, 1, 3, name)
        with SearchClient(url, collection=name, refresh=0.02) as client:
            threads = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for number in range(2, 12):
                add(db, number, 2 + number, name)
                for old in db.generations(name)[:-2]:
                    try:
                        db.drop(name, old)
                    except StoreError as error:
                        assert "open in another process" in str(error)  # noqa: PT017 - the client has it still
            while 11 not in answered and not failures:
                done.wait(0.05)
            done.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert len(answered) > 3


FORK = """
import os, signal, sys
from semblant_search import SearchClient, StoreError

client = SearchClient(sys.argv[1], collection=sys.argv[2])
parent = [hit.id for hit in client.search_vector([1.0] * 8)]
child = os.fork()
if child == 0:
    signal.alarm(30)
    for call in (
        client.count, lambda: client.search_vector([1.0] * 8), lambda: client.get(parent[0]), lambda: client.delete(parent[:1])
    ):
        try:
            found = call()
            print("answered", found if isinstance(found, int) else "", flush=True)
        except StoreError as error:
            print(error, flush=True)
    client.close()
    sys.exit(0)
same = all([hit.id for hit in client.search_vector([1.0] * 8)] == parent for _ in range(50))
print("child ended with", os.waitpid(child, 0)[1], flush=True)
print("parent", same, client.count(), flush=True)
client.close()
"""


FORK_AMID_WRITES = """
import os, signal, sys, threading
from semblant_search import SearchClient, StoreError

client = SearchClient(sys.argv[1], collection=sys.argv[2])
first = next(client.pictures()).id
done = threading.Event()

def write():
    while not done.is_set():
        client.update_metadata(where="build >= 0", metadata={"build": 1})

writer = threading.Thread(target=write)
writer.start()
for _ in range(8):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            print("changed", client.update_metadata(first, {"build": 1}), flush=True)
        except StoreError as error:
            print(error, flush=True)
        os._exit(0)
    print("child ended with", os.waitpid(child, 0)[1], flush=True)
    done.wait(0.01)
done.set()
writer.join()
"""


def forked(place: str, collection: str, script: str = FORK) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, place, collection],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return ended.stdout.splitlines()


@needs_posix
def test_a_directory_does_not_go_through_a_fork_and_says_so(directory: Database) -> None:
    *answers, child, parent = forked(directory.location, "images")
    assert len(answers) == 4
    for answer in answers:
        assert "before this one was forked" in answer
        assert "open it after forking" in answer
    assert child == "child ended with 0"
    assert parent == "parent True 3"  # nothing was deleted
    with SearchClient(directory.location) as client:
        assert client.count() == 3


@needs_posix
def test_a_server_is_connected_to_again_after_a_fork(served: tuple[str, str, Database]) -> None:
    url, name, _ = served
    *answers, child, parent = forked(url, name)
    assert answers == ["answered 3", "answered ", "answered ", "answered 1"]
    assert child == "child ended with 0"
    assert parent.endswith(" 2")  # without the one that the child deleted


@needs_posix
def test_a_fork_while_another_thread_writes_leaves_no_lock_to_the_child(directory: Database, served: Any) -> None:
    url, name, _ = served
    assert forked(url, name, FORK_AMID_WRITES) == ["changed 1", "child ended with 0"] * 8
    answers = forked(directory.location, "images", FORK_AMID_WRITES)
    assert answers[1::2] == ["child ended with 0"] * 8
    assert all("open it after forking" in answer for answer in answers[::2])


@needs_posix
def test_a_clients_own_connection_does_not_go_through_a_fork(served: tuple[str, str, Database]) -> None:
    url, name, _ = served
    script = FORK.replace("import os, signal, sys", "import os, signal, sys\nfrom qdrant_client import QdrantClient").replace(
        "SearchClient(sys.argv[1]", "SearchClient(QdrantClient(sys.argv[1], check_compatibility=False)"
    )
    ended = subprocess.run([sys.executable, "-c", script, url, name], capture_output=True, text=True, check=True, timeout=120)
    *answers, child, parent = ended.stdout.splitlines()
    assert len(answers) == 4
    assert all("make a new one in each process" in answer for answer in answers)
    assert (child, parent) == ("child ended with 0", "parent True 3")


def test_a_generation_that_is_closed_is_handed_out_no_more(directory: Database) -> None:
    generation = Generation(directory.open("images"), Settings())
    assert generation.keep()
    generation.release()
    assert generation.keep()  # open still: whoever made it holds it
    generation.release()
    generation.release()
    assert [generation.keep(), generation.keep()] == [False, False]


def test_what_is_missing_in_the_generation_that_serves_is_not_asked_for_again(directory: Database) -> None:
    asked = []

    def ask(generation: Generation) -> None:
        asked.append(generation.manifest.generation)
        raise CollectionNotFound("it is gone")

    serving = Serving(directory, "images", Settings(), refresh=3600)
    try:
        with pytest.raises(CollectionNotFound, match="it is gone"):
            serving.call(ask)
        assert asked == ["g0001"]
        asked.clear()
        add(directory, 2, 3)
        with pytest.raises(CollectionNotFound, match="it is gone"):
            serving.call(ask)
        assert asked == ["g0001", "g0002"]
    finally:
        serving.close()
