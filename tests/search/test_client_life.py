"""Opening and closing a client, what it refuses, and what it does with names of pictures."""

from __future__ import annotations

import contextlib
import copy
import http.server
import pickle
import shutil
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import (
    CollectionNotFound,
    Encoder,
    EncoderError,
    F,
    InvalidInput,
    PointNotFound,
    SearchClient,
    StoreDenied,
    StoreError,
    StoreLocked,
    StoreUnavailable,
    canonical_uri,
    point_id,
)
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def shared(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    with SearchClient(shutil.copytree(indexed, tmp_path_factory.mktemp("life") / "pictures.db")) as client:
        yield client


CALLS: dict[str, Callable[[SearchClient, Any], Any]] = {
    "search": lambda client, picture: client.search(picture),
    "search_fused": lambda client, picture: client.search_fused(picture),
    "search by region": lambda client, picture: client.search(picture, region=(0, 0, 5, 5)),
    "search_batch": lambda client, picture: client.search_batch([picture]),
    "search_vector": lambda client, picture: client.search_vector([1.0] * 49),
    "search_features": lambda client, picture: client.search_features(picture),
    "duplicates": lambda client, picture: client.duplicates(),
    "count": lambda client, picture: client.count(),
    "facet": lambda client, picture: client.facet("label"),
    "get": lambda client, picture: client.get(picture),
    "delete": lambda client, picture: client.delete([picture]),
    "manifest": lambda client, picture: client.manifest,
}


def test_after_closing_every_call_says_that_it_is_closed(db: Path, pictures: list[Path]) -> None:
    with SearchClient(db) as client:
        assert client.count() == 300
        assert repr(client) == f"SearchClient({str(db)!r}, collection='images')"
    assert repr(client) == "SearchClient(closed)"
    for name, call in CALLS.items():
        with pytest.raises(StoreError, match="closed"):
            call(client, pictures[0])
        assert name
    with pytest.raises(StoreError, match="closed"):
        client.embed([pictures[0]])  # the encoder was never loaded
    client.close()


def test_an_error_inside_the_block_goes_through_and_closes(db: Path) -> None:
    with pytest.raises(ZeroDivisionError), SearchClient(db):
        raise ZeroDivisionError
    SearchClient(db).close()


def test_a_client_is_not_sent_to_another_process_and_says_so(shared: SearchClient) -> None:
    for send in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make one there"):
            send(shared)


def test_a_directory_is_held_until_the_client_closes(db: Path) -> None:
    with SearchClient(db), pytest.raises(StoreLocked, match="open in another process"):
        SearchClient(db)


@pytest.mark.parametrize("call", ["search_batch", "embed"])
def test_one_picture_in_place_of_a_list_is_refused(shared: SearchClient, pictures: list[Path], call: str) -> None:
    for one in (str(pictures[0]), pictures[0].read_bytes(), pictures[0], Image.new("L", (28, 28))):
        with pytest.raises(InvalidInput, match=f"{call}: expected a list of pictures, not one"):
            getattr(shared, call)(one)
    assert len(getattr(shared, call)(pictures[:2])) == 2


def test_a_database_that_was_given_stays_open(db: Path, encoder: Encoder) -> None:
    database = open_database(db)
    with SearchClient(database) as client, SearchClient(database, encoder, "plain") as plain:
        assert (client.count(), plain.count()) == (300, 20)
        assert plain.manifest.collection == "plain"
        assert "collection='plain'" in repr(plain)
    assert set(database.collections()) == {"images", "plain"}
    with SearchClient(database) as again:
        assert again.count() == 300
    with pytest.raises(CollectionNotFound):
        SearchClient(database, collection="none")
    assert set(database.collections()) == {"images", "plain"}
    database.close()


@pytest.mark.parametrize(
    "options",
    [
        {"collection": ""},
        {"collection": "a/b"},
        {"collection": "x" * 101},
        {"timeout": 0},
        {"timeout": -1.0},
        {"api_key": "secret"},
    ],
    ids=str,
)
def test_a_client_that_can_never_work_is_refused(db: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        SearchClient(db, **options)
    assert "secret" not in str(caught.value)
    SearchClient(db).close()


@contextlib.contextmanager
def _answering(status: int, content: bytes = b"") -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server that answers all of this, and the keys it was sent."""
    keys: list[str | None] = []

    class Same(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("api-key"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Same)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", keys
    finally:
        server.shutdown()
        server.server_close()


def test_the_api_key_reaches_the_server() -> None:
    with _answering(401) as (address, keys), pytest.raises(StoreDenied) as caught:
        SearchClient(address, api_key="open sesame")
    assert set(keys) == {"open sesame"}
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 404, 405])
def test_a_server_of_pages_is_no_qdrant(status: int) -> None:
    with _answering(status, b"<!doctype html><title>Welcome</title>") as (address, _), pytest.raises(StoreError) as caught:
        SearchClient(address)
    assert "does not answer as Qdrant does" in str(caught.value)
    assert f"semblant{address.removeprefix('http')} " in str(caught.value)
    assert not isinstance(caught.value, StoreUnavailable)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client, uri: client.search(uri, 0), "limit 0"),
        (lambda client, uri: client.search(uri, True), "limit True"),
        (lambda client, uri: client.search(uri, offset=-1), "offset -1"),
        (lambda client, uri: client.search(uri, offset=True), "offset True"),
        (lambda client, uri: client.search(uri, offset=1.0), "offset 1.0"),
        (lambda client, uri: client.search(uri, min_score=1.01), "min_score 1.01"),
        (lambda client, uri: client.search(uri, min_score=-1.01), "min_score -1.01"),
        (lambda client, uri: client.search(uri, min_score=float("nan")), "min_score nan"),
        (lambda client, uri: client.search(uri, where=3), "filter 3"),
        (lambda client, uri: client.search(uri, region=(0, 0, 5, 5)), "keeps no cells"),
        (lambda client, uri: client.search_batch([uri], 0), "limit 0"),
        (lambda client, uri: client.search_batch([uri], where="price <"), "price <"),
        (lambda client, uri: client.search_vector([1.0] * 49, 0), "limit 0"),
        (lambda client, uri: client.search_vector([1.0] * 49, offset=-1), "offset -1"),
        (lambda client, uri: client.search_vector([1.0] * 49, min_score=2), "min_score 2"),
        (lambda client, uri: client.search_vector([1.0] * 49, ef_search=0), "ef_search 0"),
        (lambda client, uri: client.search_vector([1.0] * 50), "vector of shape [50]: collection 'images' holds [49]"),
        (lambda client, uri: client.search_features(uri, 0), "limit 0"),
        (lambda client, uri: client.search_features(uri, offset=-1), "offset -1"),
        (lambda client, uri: client.search_features(uri, min_confidence=1.1), "min_confidence 1.1"),
        (lambda client, uri: client.search_features(uri, min_confidence=-0.1), "min_confidence -0.1"),
        (lambda client, uri: client.duplicates(min_score=1.1), "min_score 1.1"),
        (lambda client, uri: client.duplicates(min_score=-1.1), "min_score -1.1"),
        (lambda client, uri: client.duplicates(min_confidence=2), "min_confidence 2"),
        (lambda client, uri: client.count(b"price < 3"), "filter"),
        (lambda client, uri: client.facet("label", limit=0), "limit 0"),
        (lambda client, uri: client.facet("lable"), "did you mean label?"),
        (lambda client, uri: client.delete(uri), "expected a list of pictures, not one"),
    ],
)
def test_arguments_that_can_never_work_are_refused_by_their_value(
    shared: SearchClient, pictures: list[Path], call: Callable[[SearchClient, str], Any], words: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        call(shared, canonical_uri(pictures[0]))
    assert words in str(caught.value)


def test_the_ends_of_each_range_are_taken(shared: SearchClient, pictures: list[Path]) -> None:
    own = canonical_uri(pictures[0])
    assert len(shared.search(own, 1, min_score=-1)) == 1
    assert [hit.uri for hit in shared.search(own, min_score=1, include_self=True)] in ([], [own])
    assert len(shared.search_vector([1.0] * 49, 1, ef_search=1)) == 1
    assert len(shared.search_features(own, 1, min_confidence=0)) == 1
    shared.search_features(own, min_confidence=1)


def test_embeddings_are_those_of_the_encoder_in_the_order_asked(
    shared: SearchClient, encoder: Encoder, pictures: list[Path]
) -> None:
    asked = [pictures[9], pictures[0], pictures[9]]
    vectors = shared.embed([asked[0], asked[1].read_bytes(), asked[2]])
    assert vectors.shape == (3, 49)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, encoder.encode_pictures(asked), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_given_encoder_is_the_one_that_is_used(db: Path, encoder: Encoder, pictures: list[Path]) -> None:
    with SearchClient(db, collection="plain") as client, pytest.raises(EncoderError, match=encoder.fingerprint[:12]):
        client.embed(pictures[:1])
    with SearchClient(db, encoder, "plain") as client:
        assert client.embed(pictures[:2]).shape == (2, 49)


def test_one_unknown_picture_of_a_batch_is_named(shared: SearchClient, pictures: list[Path]) -> None:
    with pytest.raises(PointNotFound, match=r"https://example\.org/none\.png"):
        shared.search_batch([pictures[0], "https://example.org/none.png"])


def test_a_point_id_may_be_written_in_capitals(shared: SearchClient, pictures: list[Path]) -> None:
    own = canonical_uri(pictures[3])
    picture = shared.get(own)
    assert (picture.id, picture.uri, picture.path) == (point_id(own), own, pictures[3])
    assert set(picture.facts) == {"_sha256", "_width", "_height", "_format", "_bytes", "_indexed_at"}
    assert (picture.facts["_width"], picture.facts["_bytes"]) == (28, pictures[3].stat().st_size)
    assert shared.get(point_id(own).upper()) == picture
    for name in (point_id("file:///nowhere.png"), "nowhere.png", "x" * 36):
        with pytest.raises(PointNotFound, match="expected its URI, its path or its point id"):
            shared.get(name)


def test_deleting_counts_what_was_there_and_leaves_the_files(db: Path, pictures: list[Path]) -> None:
    asked: list[str | Path] = [pictures[0], str(pictures[1]), canonical_uri(pictures[2]), point_id(canonical_uri(pictures[3]))]
    with SearchClient(db) as client:
        assert client.delete(iter([*asked, pictures[0], "nowhere.png"])) == 4
        assert client.delete(asked) == 0
        assert client.count() == 296
        assert client.facet("label", where=F("price") < 5) == {"ankle-boot": 1}
        for name in asked:
            with pytest.raises(PointNotFound):
                client.get(name)
        assert client.delete(client.get(pictures[4]).uri for _ in range(1)) == 1
    assert all(path.is_file() for path in pictures[:5])


def test_a_path_through_a_linked_folder_is_the_file_that_it_leads_to(db: Path, pictures: list[Path], tmp_path: Path) -> None:
    """`link/..` is above what the link points to, not beside the link: another picture must not be deleted for it."""
    folder = pictures[0].parent
    beside = folder.parent / "a-link"
    beside.symlink_to(tmp_path)
    try:
        with SearchClient(db) as client:
            (tmp_path.parent / pictures[0].name).touch()
            with pytest.raises(PointNotFound):
                client.get(beside / ".." / folder.name / pictures[0].name)
            assert client.delete([folder / ".." / "a-link" / ".." / pictures[0].name]) == 0
            assert client.delete([folder / ".." / folder.name / pictures[0].name]) == 1
            assert client.count() == 299
    finally:
        beside.unlink()
