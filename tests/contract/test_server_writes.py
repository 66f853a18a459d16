"""Writing to a Qdrant server: what was written is there on return, and no request is larger than a server takes."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.store import SparseVector
from support import servers
from support.samples import WIDTH, manifest, points
from support.servers import PROPER, REAL, Answer, StandIn, client_of, database_of, own_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Store

LARGEST = 32 * 1024 * 1024


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    shared = servers.stand_in()
    shared.forget()
    yield shared
    shared.forget()  # answers that nothing asked for are no other test's


@pytest.fixture
def store(stand_in: StandIn) -> Iterator[Store]:
    with own_name(stand_in.url) as name, closing(database_of(stand_in.url)) as database:
        yield database.create(manifest(name))


@pytest.fixture(scope="module", params=["stand-in", REAL])
def url(request: pytest.FixtureRequest) -> str:
    return servers.url_of(request.param)


@pytest.fixture
def served(url: str) -> Iterator[Store]:
    """An empty collection on the stand-in, and on the real server."""
    with own_name(url) as name, closing(database_of(url)) as database:
        yield database.create(manifest(name))


def numbers(store: Store) -> list[int]:
    return sorted(record.payload["number"] for record in store.scroll(fields=["number"]))


def test_what_was_written_is_there_on_return(served: Store) -> None:
    written = points(4)
    served.upsert(written)
    assert numbers(served) == [0, 1, 2, 3]
    served.set_payloads({written[0].id: {"number": 10}, written[1].id: {"number": 11}})
    assert numbers(served) == [2, 3, 10, 11]
    served.delete([written[2].id])
    assert numbers(served) == [3, 10, 11]
    served.put_asset("encoder.onnx", b"one")
    assert served.asset("encoder.onnx") == b"one"
    served.put_asset("encoder.onnx", b"two")
    assert served.asset("encoder.onnx") == b"two"


def test_an_index_is_there_on_return(served: Store) -> None:
    """A facet needs one."""
    assert served.facet("number") == {}
    served.upsert(points(2, label="red"))
    served.add_fields({"label": FieldType.KEYWORD})
    assert served.facet("label") == {"red": 2}


def test_every_write_is_waited_for(stand_in: StandIn, store: Store) -> None:
    written = points(90, text="x" * 100_000)
    stand_in.forget()
    store.upsert(written)
    store.set_payloads({point.id: point.payload for point in written})
    store.delete([point.id for point in written])
    store.add_fields({"label": FieldType.KEYWORD})
    for _ in range(2):
        store.put_asset("encoder.onnx", b"x" * 4_000_001)
    waited = {"points": 2 + 2 * 3, "points/batch": 2, "points/delete": 2, "index": 1}
    collection = stand_in.requests("PATCH")[0].path
    for route, count in waited.items():
        writes = [each for each in stand_in.requests() if each.path.endswith(f"/{route}") and each.method in ("PUT", "POST")]
        writes = [each for each in writes if route != "points" or each.method == "PUT"]
        assert len(writes) == count, route
        assert all(each.path.startswith(collection) for each in writes)
        assert [each.query.get("wait") for each in writes] == ["true"] * count, route


def test_payloads_larger_than_a_request_are_written_in_several(stand_in: StandIn, store: Store) -> None:
    written = points(36, text="x" * 1_000_000)
    store.upsert(written)
    assert numbers(store) == list(range(36))
    store.set_payloads({point.id: {**point.payload, "number": 100} for point in written})
    assert numbers(store) == [100] * 36
    assert max(request.size for request in stand_in.requests()) < LARGEST / 2


def test_a_payload_that_no_request_can_carry_is_refused_by_its_point(stand_in: StandIn, store: Store) -> None:
    one, other = points(2)
    text = "ü" * 13_000_000
    stand_in.forget()
    told = pytest.raises(InvalidInput, match=f"{one.id}: its payload takes 26 MB.*24 MB at most")
    with told:
        store.upsert([other, replace(one, payload={**one.payload, "text": text})])
    store.upsert([one, other])
    with told:
        store.set_payloads({other.id: {"number": 5}, one.id: {"text": text}})
    assert not store.payload_fits({"text": text})
    fitting = {"number": 0, "text": text[:11_900_000]}
    assert store.payload_fits(fitting)
    store.upsert([replace(one, payload=fitting)])
    assert len(store.retrieve([one.id])[0].payload["text"]) == 11_900_000
    assert max(request.size for request in stand_in.requests()) < LARGEST


def test_whatever_makes_points_large_counts(stand_in: StandIn) -> None:
    """Image, words, features and cells are as large as each other; three of them would fit into one request."""
    point = replace(
        points(1)[0],
        image=np.ones(1024, np.float32),
        orb=SparseVector(np.arange(1024, dtype=np.uint32), np.ones(1024, np.float32)),
        features=np.zeros((512, WIDTH), np.uint8),
        cells=np.ones((341, 3), np.float32),
    )
    with own_name(stand_in.url) as name, closing(database_of(stand_in.url)) as database:
        encoder = replace(manifest().encoder, dim=1024, cells=(341, 3))
        store = database.create(manifest(name, encoder=encoder, fields={}))
        stand_in.forget()
        store.upsert([point] * 116)
        assert len(stand_in.requests("PUT", "/points")) == 2


def test_empty_words_and_features_are_not_written(stand_in: StandIn, store: Store) -> None:
    """A server refuses a multivector of nothing."""
    nothing = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))
    point = replace(points(1)[0], orb=nothing, features=np.empty((0, WIDTH), np.uint8), cells=None)
    stand_in.forget()
    store.upsert([point])
    (request,) = stand_in.requests("PUT", "/points")
    assert list(request.body["points"][0]["vector"]) == ["image"]
    assert store.retrieve([point.id], with_features=True)[0].features is None


def parts(stand_in: StandIn, store: Store) -> list[Any]:
    """The points that hold a file."""
    client = client_of(stand_in.url)
    found, _ = client.scroll(assets(store), limit=100)
    client.close()
    return found


def assets(store: Store) -> str:
    return f"{store.manifest.collection}__{store.manifest.generation}__assets"


def test_files_are_kept_in_parts_that_a_server_takes_and_old_parts_go(stand_in: StandIn, store: Store) -> None:
    stand_in.forget()
    for content in (b"a" * 9_000_000, b"b" * 4_000_001, b"c"):
        store.put_asset("encoder.onnx", content)
        store.put_asset("vocabulary.npz", content)
    assert store.asset("encoder.onnx") == store.asset("vocabulary.npz") == b"c"
    assert len(parts(stand_in, store)) == 2 * (1 + 1)
    assert max(request.size for request in stand_in.requests("PUT")) < LARGEST / 4


def test_many_old_parts_go_as_well(stand_in: StandIn, store: Store) -> None:
    client = client_of(stand_in.url)
    store.put_asset("encoder.onnx", b"old")
    payload = next(part.payload for part in parts(stand_in, store) if "data" in part.payload)
    lost = [point.id for point in points(150)]
    client.upsert(assets(store), [{"id": id, "vector": {}, "payload": payload} for id in lost])  # type: ignore[misc]
    store.put_asset("encoder.onnx", b"new")
    assert client.count(assets(store)).count == 2
    client.close()


def test_a_damaged_file_is_named(stand_in: StandIn, store: Store) -> None:
    store.put_asset("encoder.onnx", b"x" * 4_000_001)
    last = next(part for part in parts(stand_in, store) if len(part.payload.get("data", "x" * 9)) < 9)
    stand_in.damage(assets(store), last.id, {"data": base64.b64encode(b"y").decode()})
    with pytest.raises(StoreError, match=r"encoder\.onnx.*damaged"):
        store.asset("encoder.onnx")
    stand_in.damage(assets(store), last.id)
    with pytest.raises(StoreError, match=r"encoder\.onnx.*part 2 is missing"):
        store.asset("encoder.onnx")


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_file_stays_readable_when_replacing_it_fails(stand_in: StandIn, store: Store, written: int) -> None:
    """Two parts and the head are written; whichever fails, the old file is there, and the next try leaves no rest."""
    store.put_asset("encoder.onnx", b"old" * 2_000_000)
    stand_in.answer(*[PROPER] * written, Answer(400))
    with pytest.raises(StoreError):
        store.put_asset("encoder.onnx", b"new" * 2_000_000)
    assert store.asset("encoder.onnx") == b"old" * 2_000_000
    store.put_asset("encoder.onnx", b"newer")
    assert store.asset("encoder.onnx") == b"newer"
    assert len(parts(stand_in, store)) == 2
