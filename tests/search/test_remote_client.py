"""A client of a service: each call answers as a client of the database does, and every failure is an error of Semblant's."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from semblant_search import (
    AsyncSearchClient,
    CollectionNotFound,
    F,
    ImageError,
    InvalidInput,
    MetadataError,
    NotIndexed,
    PointNotFound,
    SearchClient,
    SemblantError,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    WhereError,
    canonical_uri,
)
from semblant_search.open_collection import searches
from semblant_search.store import open_database
from semblant_search.web import KeyFile, ServiceSettings, create_app
from support.service import listening, service_of
from support.small_stores import as_points, manifest, unit_vectors
from support.systems import needs_posix

if TYPE_CHECKING:
    from pathlib import Path

Call = Callable[[SearchClient, "Asked"], Any]


class Asked(NamedTuple):
    """What the calls are about: a photograph of the collection, one that is not, and two names."""

    path: Path
    data: bytes
    ids: list[str]
    uris: list[str]


@pytest.fixture(scope="module")
def both(
    shop: Path, shop_pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SearchClient, SearchClient]]:
    copy = shutil.copytree(shop, tmp_path_factory.mktemp("remote") / "shop.db")
    with closing(open_database(copy)) as database, SearchClient(database) as local:
        app = create_app(database, client=local, settings=ServiceSettings(roots=(shop_pictures,)))
        with listening(app) as address, SearchClient(address) as remote:
            yield local, remote


@pytest.fixture(scope="module")
def asked(both: tuple[SearchClient, SearchClient], shop_pictures: Path, photos: Path) -> Asked:
    data = (photos / "clock_motion.png").read_bytes()
    path = shop_pictures / "photos" / "coins.png"
    # Ids follow from paths: the one at the path is not among them, whose thumbnails a service makes of larger ones that it has.
    pictures = [one for one in both[0].scroll(7).pictures if one.uri != path.as_uri()][:6]
    return Asked(path, data, [one.id for one in pictures], [one.uri for one in pictures])


def test_a_service_says_how_far_its_comparison_is(
    both: tuple[SearchClient, SearchClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    local, remote = both
    monkeypatch.setattr("semblant_search.open_collection.remote._WAIT", 0.01)
    told: list[int] = []
    assert remote.duplicates(on_progress=told.append) == local.duplicates()
    assert told == sorted(told)
    assert 0 <= told[-1] <= local.count()


def _mask(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        mask = np.zeros(image.size[::-1], dtype=bool)
    mask[20:160, 30:200] = True
    return mask


CALLS: dict[str, Call] = {
    "id": lambda client, asked: client.search(asked.ids[0], 7),
    "uri": lambda client, asked: client.search(asked.uris[0], 7),
    "path": lambda client, asked: client.search(asked.path, 7),
    "bytes": lambda client, asked: client.search(asked.data, 7),
    "image": lambda client, asked: client.search(Image.open(asked.path), 7),
    "array": lambda client, asked: client.search(np.asarray(Image.open(asked.path).convert("RGB")), 7),
    "open file": lambda client, asked: client.search(io.BytesIO(asked.data), 7),
    "itself": lambda client, asked: client.search(asked.path, 3, include_self=True),
    "where": lambda client, asked: client.search(
        asked.ids[0], 5, where=(F("label") == "bag") | (F("price") > 3), offset=2, min_score=0.1, exact=True
    ),
    "fpr": lambda client, asked: client.search(asked.ids[0], 5, fpr=0.5),
    "diversity": lambda client, asked: client.search(asked.ids[0], 5, diversity=0.3),
    "unique": lambda client, asked: client.search(asked.ids[0], 5, unique=True),
    "order_by": lambda client, asked: client.search(asked.ids[0], 5, min_score=0.0, order_by="price", descending=True),
    "region": lambda client, asked: client.search(asked.path, 5, region=(10, 10, 200, 150)),
    "mask": lambda client, asked: client.search(asked.path, 5, region=_mask(asked.path)),
    "more than a page": lambda client, asked: client.search(asked.ids[0], 5000),
    "vector": lambda client, asked: client.search_vector(np.ones(client.manifest.dim), 5, ef_search=100),
    "groups": lambda client, asked: client.search_groups(asked.ids[0], "label", 4, group_size=2, offset=1),
    "groups beyond chance": lambda client, asked: client.search_groups(asked.ids[0], "label", 4, fpr=0.5),
    "features": lambda client, asked: client.search_features(asked.path, 5, include_self=True),
    "features of a region": lambda client, asked: client.search_features(asked.path, 5, region=(60, 50, 150, 120)),
    "features of a mask": lambda client, asked: client.search_features(asked.path, 5, region=_mask(asked.path)),
    "shortlist": lambda client, asked: client.search_features(asked.path, 3, verify=False, offset=1),
    "shared parts": lambda client, asked: client.search_features(asked.path, 3, shared_parts=True, min_confidence=0.5),
    "fused": lambda client, asked: client.search_fused(asked.data, 5, min_score=-0.5),
    "like": lambda client, asked: client.search_like([asked.data, (asked.ids[0], 2.0)], [asked.uris[1]], 5),
    "best_score": lambda client, asked: client.search_like([asked.ids[0]], [asked.ids[1]], 5, strategy="best_score"),
    "discover": lambda client, asked: client.discover(asked.ids[0], [(asked.ids[1], asked.data)], 5),
    "batch": lambda client, asked: client.search_batch([asked.ids[0], asked.data], 3),
    "embed": lambda client, asked: client.embed([asked.path, *[asked.data] * 20]).round(5).tolist(),
    "count": lambda client, asked: client.count('label == "bag"'),
    "facet": lambda client, asked: client.facet("label", where="price > 3"),
    "get": lambda client, asked: client.get(asked.uris[2], with_vectors=True),
    "get_many": lambda client, asked: client.get_many([asked.ids[0], "file:///none", asked.path]),
    "thumbnail": lambda client, asked: client.thumbnail(asked.path),
    "a larger thumbnail": lambda client, asked: client.thumbnail(asked.ids[0], size=500),
    "a thumbnail of none": lambda client, asked: client.thumbnail("shop://none"),
    "a thumbnail that is too large": lambda client, asked: client.thumbnail(asked.path, size=1025),
    "scroll": lambda client, asked: client.scroll(7, where='label == "bag"'),
    "scroll in order": lambda client, asked: client.scroll(5, order_by="price", descending=True).pictures,
    "pictures": lambda client, asked: list(client.pictures(where='label == "bag"')),
    "manifest": lambda client, asked: client.manifest,
    "collections": lambda client, asked: client.collections(),
    "sources": lambda client, asked: client.sources(),
    "duplicates": lambda client, asked: client.duplicates(where='label == "photos"'),
    # and what is wrong
    "a field that there is not": lambda client, asked: client.search(asked.ids[0], where="nope == 1"),
    "a filter that is none": lambda client, asked: client.search(asked.ids[0], where="label =="),
    "an id that there is not": lambda client, asked: client.get("00000000-0000-0000-0000-000000000000"),
    "a path that there is not": lambda client, asked: client.search("nowhere.png"),
    "a uri that there is not": lambda client, asked: client.search("shop://none"),
    "no picture": lambda client, asked: client.search(b"no picture"),
    "a bad one among others": lambda client, asked: client.search_batch([asked.ids[0], b"xx"], 3),
    "a bad one to embed": lambda client, asked: client.embed([*[asked.path] * 17, b"xx"]),
    "a bad example": lambda client, asked: client.search_like([asked.ids[0], "shop://none"]),
    "a flat picture": lambda client, asked: client.search_features(np.zeros((50, 50), np.uint8)),
    "a region outside": lambda client, asked: client.search_features(asked.path, region=(9000, 9000, 5, 5)),
    "a field without groups": lambda client, asked: client.search_groups(asked.ids[0], "nope"),
    "a picture to add that is none": lambda client, asked: client.add(b"xx", {"label": "bag"}),
    "metadata that do not fit": lambda client, asked: client.add(asked.data, {"price": "dear"}, uri="shop://1"),
    "a name of ours": lambda client, asked: client.add(asked.data, {"_mine": 1}, uri="shop://1"),
    "a change of none": lambda client, asked: client.update_metadata("shop://none", {"label": "x"}),
    "a cursor that is none": lambda client, asked: client.scroll(5, cursor="x"),
    "a source that there is not": lambda client, asked: client.remove_source("nope"),
    "a source of no name that is called otherwise": lambda client, asked: client.rename_source("nope", "x"),
    "a place that is none": lambda client, asked: client.relocate_source("nope", asked.path.parent / "none"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_service_answers_as_its_database_does(name: str, both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    def outcome(client: SearchClient) -> Any:
        try:
            return _comparable(CALLS[name](client, asked))
        except SemblantError as error:
            return type(error), str(error)

    local, remote = both
    assert outcome(remote) == outcome(local)


def _comparable(answer: Any) -> Any:
    """Scores are compared roughly: a vector that is sent is rounded once more."""
    if hasattr(answer, "to_json"):
        return _comparable(answer.to_json())
    if isinstance(answer, dict):
        return {name: _comparable(value) for name, value in answer.items()}
    if isinstance(answer, (list, tuple)):
        return [_comparable(value) for value in answer]
    return pytest.approx(answer, rel=1e-4, abs=1e-5) if isinstance(answer, float) else answer


def test_what_is_added_through_it_is_in_the_database(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    local, remote = both
    before = local.count()
    added = remote.add_many(
        [(asked.data, {"label": "new", "price": 5}, "shop://1"), b"no picture", (asked.data, {"label": "new"})],
        on_error="return",
    )
    assert str(added[1]).startswith("pictures[1]: picture of 10 bytes")
    assert local.get_many([added[0].id, added[2].id]) == [added[0], added[2]]
    assert remote.update_metadata([added[0].uri], {"label": "newer"}) == 1
    assert local.get("shop://1").metadata == {"label": "newer", "price": 5.0}
    assert remote.delete(["shop://1", "shop://none"]) == 1
    assert remote.delete(where='label == "new"') == 1
    assert local.count() == before


def test_a_picture_that_was_sent_has_a_thumbnail(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    """That of the service is in colour; without one there is the grey one beside the details."""
    local, remote = both
    added = remote.add(asked.data, uri="shop://sent")
    with Image.open(io.BytesIO(asked.data)) as opened:
        original = np.asarray(opened.convert("L").resize((40, 40)), float)
    for client, side in ((remote, 256), (local, 64)):
        with Image.open(io.BytesIO(client.thumbnail(added.uri))) as thumbnail:
            assert (thumbnail.format, max(thumbnail.size)) == ("WEBP", side)
            small = np.asarray(thumbnail.convert("L").resize((40, 40)), float)
        assert np.corrcoef(small.ravel(), original.ravel())[0, 1] > 0.95
    remote.delete([added.uri])


def test_a_picture_gone_from_disk_has_no_thumbnail(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    away = asked.path.rename(asked.path.with_suffix(".away"))
    try:
        for client in both:
            with pytest.raises(ImageError, match=r"coins\.png") as gone:
                client.thumbnail(asked.path)
            assert gone.value.reason == "missing"
    finally:
        away.rename(asked.path)


@pytest.mark.parametrize("mode", ["1", "P", "PA", "La", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_pictures_of_every_mode_are_seen_as_the_database_s_client_sees_them(
    mode: str, both: tuple[SearchClient, SearchClient], asked: Asked
) -> None:
    local, remote = both
    with Image.open(io.BytesIO(asked.data)) as opened:
        whole = {"La": "LA", "RGBa": "RGBA", "I;16": "I"}.get(mode)
        picture = (opened if whole is None else opened.convert(whole)).convert(mode)
    np.testing.assert_allclose(remote.embed([picture]), local.embed([picture]), atol=1e-6)


@pytest.mark.parametrize("wrong", ["", "abc", 5, "s://\ud800"])
def test_a_name_that_is_none_is_refused_in_the_same_words(
    wrong: Any, both: tuple[SearchClient, SearchClient], asked: Asked
) -> None:
    said = []
    for client in both:
        with pytest.raises(InvalidInput) as refused:
            client.add(asked.data, uri=wrong)
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_picture_is_added_under_the_path_that_it_is_given(
    both: tuple[SearchClient, SearchClient], asked: Asked, tmp_path: Path
) -> None:
    _, remote = both
    added = remote.add(asked.data, uri=tmp_path / "a" / ".." / "named.png")
    assert added.uri == canonical_uri(tmp_path / "named.png")
    assert remote.delete([tmp_path / "named.png"]) == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_by_its_field(
    number: float, both: tuple[SearchClient, SearchClient], asked: Asked
) -> None:
    for client in both:
        with pytest.raises(MetadataError, match=r"'weight': (nan|inf) is not a value of type float"):
            client.update_metadata(asked.ids[0], {"weight": number})


def test_more_pictures_than_a_request_names_are_changed_and_deleted(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "many.db", create=True)) as database:
        names = [f"file:///pictures/{number}.png" for number in range(10_002)]
        with closing(database.create(manifest("g0001"))) as store:
            store.upsert(as_points(unit_vectors(len(names)), names))
        database.publish("images", "g0001")
        with SearchClient(database) as local, listening(service_of(local)) as address, SearchClient(address) as remote:
            assert remote.update_metadata([*names[1:], names[1]], {"seen": True}) == 10_001
            assert local.count("seen == true") == 10_001
            assert remote.delete([*names[1:], names[1], "file:///pictures/none.png"]) == 10_001
            assert [picture.uri for picture in local.pictures()] == names[:1]


def test_pictures_that_several_delete_at_once_are_counted_once(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    _, remote = both
    names = [f"shop://many/{number}" for number in range(6)]
    together = threading.Barrier(8)

    def delete(_: int) -> int:
        together.wait(60)
        return remote.delete(names)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            remote.add_many([(asked.data, None, name) for name in names])
            assert sum(pool.map(delete, range(8))) == 6


def test_a_path_that_is_added_has_its_own_name(both: tuple[SearchClient, SearchClient], asked: Asked, tmp_path: Path) -> None:
    path = tmp_path / "ä b.png"
    path.write_bytes(asked.data)
    added = both[1].add(path, {"label": "new"})
    assert (added.path, both[0].get(path)) == (path, added)
    assert [hit.uri for hit in both[1].search(path, 1, include_self=True)] == [added.uri]
    assert both[1].search(path, 1)[0].uri != added.uri
    both[1].delete([path])


def test_a_changed_file_is_sent_and_its_old_picture_is_no_hit(
    both: tuple[SearchClient, SearchClient], asked: Asked, tmp_path: Path
) -> None:
    local, remote = both
    path = tmp_path / "one.png"
    path.write_bytes(asked.path.read_bytes())
    local.add(path)
    path.write_bytes(asked.data)
    found = [[(hit.uri, round(hit.score, 4)) for hit in client.search(path, 5)] for client in (local, remote)]
    assert found[0] == found[1]
    local.delete([path])


def test_async_clients_ask_services_too(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    async def ask() -> Any:
        async with AsyncSearchClient(both[1].__repr__().split("'")[1]) as client:
            return await asyncio.gather(client.search(asked.ids[0], 3), client.count(), client.thumbnail(asked.path))

    hits, count, small = asyncio.run(ask())
    assert (hits, count) == (both[0].search(asked.ids[0], 3), both[0].count())
    assert small == both[0].thumbnail(asked.path)


def test_many_threads_share_a_client(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    expected = both[0].search(asked.ids[0], 5)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.extend(both[1].search(asked.ids[0], 5) == expected for _ in range(10)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


def test_neither_the_engines_nor_onnx_runtime_are_loaded(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    address = repr(both[1]).split("'")[1]
    script = f"""
import sys
from semblant_search import SearchClient
with SearchClient({address!r}) as client:
    assert client.search(open({str(asked.path)!r}, "rb").read(), 3)
    assert client.search_features({asked.ids[0]!r}, 3, verify=False) is not None
loaded = {{"onnxruntime", "qdrant_client", "qdrant_edge", "cv2", "fastapi"}} & set(sys.modules)
print(sorted(loaded))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@needs_posix
def test_after_a_fork_both_processes_ask(both: tuple[SearchClient, SearchClient]) -> None:
    address = repr(both[1]).split("'")[1]
    script = f"""
import os
from semblant_search import SearchClient
client = SearchClient({address!r})
before = client.count()
child = os.fork()
for _ in range(20):
    assert client.count() == before
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_keys_and_what_they_do_not_allow(own_shop: Any, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.create("reader", where='label == "bag"')
    with SearchClient(own_shop) as local, listening(create_app(own_shop, client=local, keys=keys)) as address:
        with pytest.raises(StoreDenied, match="expected a key"):
            SearchClient(address)
        with pytest.raises(StoreDenied, match="not known"):
            SearchClient(address, api_key="sk_0_0")
        with SearchClient(address, api_key=key) as client:
            assert client.facet("label") == {"bag": 10}
            with pytest.raises(StoreDenied, match="scope"):
                client.delete(where="price > 0")


def test_what_the_collection_lacks_and_what_the_service_is_told_not_to_do(own_shop: Any) -> None:
    settings = ServiceSettings(read_only=True, max_limit=3)
    with SearchClient(own_shop, collection="plain") as local, listening(service_of(local, settings=settings)) as address:
        with pytest.raises(CollectionNotFound, match="'images'"):
            SearchClient(address)
        with SearchClient(address, collection="plain") as client:
            name = client.get_many([local.scroll(1).pictures[0].id])[0]
            assert name is not None
            with pytest.raises(NotIndexed, match="without ORB"):
                client.search_features(name.id, 3)
            with pytest.raises(StoreDenied, match="read-only"):
                client.delete([name.id])
            assert len(client.search(name.id, 6, include_self=True)) == 5  # all that there are, asked for in two parts


def test_a_service_that_is_not_there_is_waited_for_as_long_as_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"semblant://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            SearchClient(address, timeout=0.3)


@pytest.mark.parametrize("verify", [False, True])
def test_proven_hits_come_beyond_what_one_answer_holds(
    both: tuple[SearchClient, SearchClient], asked: Asked, monkeypatch: pytest.MonkeyPatch, verify: bool
) -> None:
    monkeypatch.setattr(searches, "_PAGE", 3)
    calls: list[Callable[[SearchClient], list[Any]]] = [
        lambda client: client.search_features(
            asked.path, 8, verify=verify, include_self=True, min_confidence=0.0 if verify else None
        ),
        lambda client: client.search_fused(asked.path, 8, offset=1),
    ]
    for call in calls:
        expected, found = ([hit.id for hit in call(client)] for client in both)
        assert found == expected
        assert len(found) > 3


class _Other(BaseHTTPRequestHandler):
    """Another service, that answers everything with one JSON."""

    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("{}", "answers without 'manifest'"),
        ("[]", "a JSON list, no object"),
        ("null", "a JSON NoneType, no object"),
        ("<html>", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"manifest": []}', "manifest that service"),
        ('{"manifest": {"collection": 1}}', "manifest that service"),
    ],
)
def test_another_service_is_told_from_semblants(answer: str, said: str) -> None:
    kind = type("Other", (_Other,), {"answer": answer.encode()})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(StoreError, match=said):
                SearchClient(f"semblant://127.0.0.1:{server.server_address[1]}", timeout=20)
        finally:
            server.shutdown()


def test_what_was_done_is_not_done_again_where_the_answer_was_lost(shop: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    class Breaking(_Other):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.close_connection = True
            if asked.count(self.path) > 1:  # the first time there is no answer
                self.answer = b'{"count": 7}'
                self.do_GET()

    with SearchClient(shutil.copytree(shop, tmp_path / "db")) as local:
        Breaking.answer = json.dumps({"manifest": local.manifest.to_json()}).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with SearchClient(f"semblant://127.0.0.1:{server.server_address[1]}", timeout=20) as client:
                for call in (
                    lambda: client.delete(where="price > 5"),
                    lambda: client.remove_source("shop"),
                    lambda: client.start_job("shoes"),
                ):
                    with pytest.raises(StoreUnavailable, match="broke off, and may have done what it was asked for"):
                        call()
                assert asked == ["/v1/pictures/delete", "/v1/sources/remove", "/v1/jobs"]
                assert client.count("price > 5") == 7  # nothing is done by it, so that it is asked again
        finally:
            server.shutdown()


def test_what_may_be_over_soon_is_asked_again_after_the_seconds_that_the_service_says(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    failures: list[tuple[int, str, dict[str, str]]] = []

    class Failing(_Other):
        def do_GET(self) -> None:
            if not failures:
                return super().do_GET()
            status, code, headers = failures.pop(0)
            problem = json.dumps({"code": code, "detail": "later"}).encode() if code else b"<html>"  # a proxy's
            self.send_response(status)
            for name, value in {"Content-Length": str(len(problem)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(problem)
            return None

    with SearchClient(shutil.copytree(shop, tmp_path / "db")) as local:
        Failing.answer = json.dumps({"manifest": local.manifest.to_json()}).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
        address = f"semblant://127.0.0.1:{server.server_address[1]}"
        try:
            failures[:] = [(503, "starting", {}), (429, "too-busy", {"Retry-After": "1"}), (503, "starting", {}), (502, "", {})]
            SearchClient(address, timeout=20).close()
            assert waits == [0.1, 1.0, 0.4, 0.8]
            failures[:] = [(429, "too-busy", {"Retry-After": "30"})]  # longer than anyone waits at once
            SearchClient(address, timeout=20).close()
            assert waits[4:] == [2.0]
            failures[:] = [(429, "too-busy", {"Retry-After": "1"})]
            with pytest.raises(StoreUnavailable, match="later"):
                SearchClient(address, timeout=0.5)  # there is no time for another try
            failures[:] = [(403, "key-refused", {}), (403, "key-refused", {})]
            with pytest.raises(StoreDenied, match="later"):
                SearchClient(address, timeout=20)
            assert (len(waits), len(failures)) == (5, 1)  # asked once
        finally:
            server.shutdown()


def test_what_tls_refuses_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port without TLS, and a certificate that nobody vouches for."""
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    for tls in (False, True):
        with ThreadingHTTPServer(("127.0.0.1", 0), _Other) as server:
            if tls:
                server.socket = _own_certificate(tmp_path).wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            place = f"127.0.0.1:{server.server_address[1]}"
            said = "cannot be trusted .*SSL_CERT_FILE" if tls else f"does not speak TLS.* 'semblant://{place}' without TLS"
            try:
                with pytest.raises(StoreUnavailable, match=said):
                    SearchClient(f"semblants://{place}", timeout=20)
            finally:
                server.shutdown()
    assert waits == []


def _own_certificate(folder: Path) -> ssl.SSLContext:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
    ).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "own.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "own.pem")
    return server


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("semblant://", InvalidInput, "expected semblant://host:8765"),
        ("semblant://user:secret@host", InvalidInput, r"\*\*\*@host"),
        ("semblant://host:port", InvalidInput, "is no address"),
        ("semblant://host:1?x=1", InvalidInput, "expected semblant://host:8765"),
    ],
)
def test_addresses_that_are_none(address: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        SearchClient(address)
    assert "secret" not in str(raised.value)


def test_options_that_are_the_services_own_are_refused() -> None:
    with pytest.raises(InvalidInput, match="the service's own"):
        SearchClient("semblant://127.0.0.1:1", threads=2)


def test_errors_keep_what_programs_read_of_them(both: tuple[SearchClient, SearchClient], asked: Asked) -> None:
    remote = both[1]
    with pytest.raises(WhereError) as wrong:
        remote.count("price > 3 and nope == 1")
    assert wrong.value.column == 14
    with pytest.raises(PointNotFound, match="like\\[1\\]: "):
        remote.search_like([asked.ids[0], "shop://none"])
    with SearchClient(repr(remote).split("'")[1]) as client:
        client.close()
        with pytest.raises(StoreError, match="closed"):
            client.count()
        assert repr(client) == "SearchClient(closed)"
