"""Servers that are down, deny, stall, reset and lose answers: clear errors, and nothing lost or done twice."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest
from semblant_search.collection import FieldType, Manifest, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.errors import StoreDenied, StoreError, StoreUnavailable
from semblant_search.images import Fit
from semblant_search.store import Point, open_database
from semblant_search.store.engines.qdrant.connection import RetryPolicy
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from semblant_search.where import F
from support.asking import request_for
from support.servers import server

DIM = 8
IMPATIENT = RetryPolicy(attempts=2, first_wait=0.01)


def manifest() -> Manifest:
    card = EncoderCard("test", "test", Fit(4, 4, 1), DIM, "none")
    return Manifest(
        "images", "g0001", "0" * 64, card, {"number": FieldType.INTEGER}, {"feature_bytes": 4}, "2024-01-01T00:00:00Z"
    )


def points(count: int) -> list[Point]:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    features = rng.integers(0, 128, size=(count, 2, 4), dtype=np.uint8)
    features[..., 3] = 0
    return [Point(point_id(str(n)), vectors[n], {"number": n}, features=features[n]) for n in range(count)]


def test_nothing_is_lost_and_nothing_twice_on_a_server_that_fails_every_third_request() -> None:
    written = points(300)
    with server("--faults", "0.3", "--seed", "5", "--stall", "1.6") as url:
        patient = RetryPolicy(attempts=12, first_wait=0.01, longest_wait=0.1, total_timeout=60)
        database = QdrantDatabase(url, timeout=1, retry=patient)
        store = database.create(manifest())
        for start in range(0, len(written), 30):
            store.upsert(written[start : start + 30])
        store.put_asset("encoder.onnx", b"x" * 5_000_000)
        store.set_payloads({written[7].id: {"number": 1007}})
        store.delete([point.id for point in written[:5]])
        store.add_fields({"label": FieldType.KEYWORD})
        database.publish("images", "g0001")

        again = QdrantDatabase(url, timeout=1, retry=patient)
        assert again.collections() == {"images": "g0001"}
        read = again.open("images")
        assert read.manifest == manifest().with_fields({"label": FieldType.KEYWORD})
        assert read.asset("encoder.onnx") == b"x" * 5_000_000
        records = {record.id: record for record in read.scroll(batch=100, with_image=True)}
        expected = {point.id: point for point in written[5:]}
        assert records.keys() == expected.keys()
        assert read.count() == len(expected)
        for id, record in records.items():
            number = expected[id].payload["number"]
            assert record.payload == {"number": 1007 if number == 7 else number}
            assert record.image is not None
            np.testing.assert_allclose(record.image, expected[id].image, atol=1e-6)
        hits = read.query(request_for(written[50].image, 3, where=F("number") >= 0))
        assert hits[0].id == written[50].id
        database.close()
        again.close()


def test_a_wrong_api_key_is_denied_at_once() -> None:
    with server("--api-key", "right") as url:
        for key in ("wrong", None):
            database = open_database(url, api_key=key)
            with pytest.raises(StoreDenied, match="API key"):
                database.collections()
            with pytest.raises(StoreDenied, match="API key"):
                database.open("images")
            database.close()
        database = open_database(url, api_key="right")
        assert database.collections() == {}
        database.close()


def test_a_server_that_is_down_is_unavailable_and_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        database = QdrantDatabase(url, retry=IMPATIENT)
        with pytest.raises(StoreUnavailable, match=url):
            database.collections()
        database.close()


def test_a_server_that_is_down_is_unavailable_over_grpc_too() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        database = QdrantDatabase(f"grpc://127.0.0.1:{unused.getsockname()[1]}", timeout=1, retry=IMPATIENT)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            database.collections()
        database.close()


def test_a_server_that_comes_up_late_is_waited_for() -> None:
    """Requests that meet a closed port are tried again until it opens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

    def answer_late() -> None:
        time.sleep(0.5)
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                body = b'{"result": {"aliases": []}, "status": "ok", "time": 0}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                connection.sendall(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    thread = threading.Thread(target=answer_late)
    thread.start()
    database = QdrantDatabase(f"http://127.0.0.1:{port}", retry=RetryPolicy(attempts=20, first_wait=0.1, longest_wait=0.2))
    assert database.collections() == {}
    thread.join()
    database.close()


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = QdrantDatabase(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1, retry=IMPATIENT)
        with pytest.raises(StoreUnavailable, match="in time"):
            database.collections()
        database.close()


def test_a_server_that_is_not_qdrant_is_a_clear_error() -> None:
    page = b"<html>hello</html>"

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(page) + page)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        database = QdrantDatabase(f"http://127.0.0.1:{listener.getsockname()[1]}", retry=RetryPolicy(attempts=1))
        with pytest.raises(StoreError, match="URL right"):
            database.collections()
        thread.join()
        database.close()
