"""The client answers alike over a directory and a Qdrant server: local mode, a stand-in, and a real one if there is."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from qdrant_client import QdrantClient
from semblant_search import F, InvalidInput, PointNotFound, SearchClient, canonical_uri
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from semblant_search.web import ServiceSettings
from support.servers import REAL, database_of, own_name, url_of
from support.service import listening, service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from semblant_search import Hit, Manifest
    from semblant_search.store import Store


@pytest.fixture(scope="module")
def chosen(photos: Path) -> list[Path]:
    names = ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "moon.png", "rocket.jpg", "text.png"]
    return [photos / name for name in names]


class Renamed:
    """A database in which whoever makes a collection gets one of another name: `write` makes `images`, a server is shared."""

    def __init__(self, database: QdrantDatabase, name: str) -> None:
        self._database = database
        self._name = name

    def create(self, manifest: Manifest) -> Store:
        return self._database.create(replace(manifest, collection=self._name))

    def publish(self, _: str, generation: str) -> None:
        self._database.publish(self._name, generation)


@pytest.fixture(scope="module", params=["local", "stand-in", "service", REAL])
def clients(
    request: pytest.FixtureRequest,
    chosen: list[Path],
    index: Callable[..., None],
    write: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SearchClient, SearchClient]]:
    directory = tmp_path_factory.mktemp("both") / "db"
    index(directory, chosen)
    if request.param == "service":
        settings = ServiceSettings(roots=(chosen[0].parent,), cache=directory.with_name("cache"))
        with (
            SearchClient(directory) as embedded,
            listening(service_of(embedded, settings=settings)) as address,
            SearchClient(address) as remote,
        ):
            yield embedded, remote
        return
    local = request.param == "local"
    database = QdrantDatabase(client=QdrantClient(":memory:")) if local else database_of(url_of(request.param))
    with closing(database), own_name(database.location) as name:
        write(Renamed(database, name), chosen)
        with SearchClient(directory) as embedded, SearchClient(database, collection=name) as served:
            yield embedded, served


def comparable(hits: Sequence[Hit]) -> list[tuple[str, Any, Any]]:
    return [(hit.uri, pytest.approx(hit.score, abs=1e-3), hit.metadata) for hit in hits]


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_searches_by_look_agree(clients: tuple[SearchClient, SearchClient], chosen: list[Path], fashion_small: Path) -> None:
    one, other = clients
    stranger = next((fashion_small / "test").rglob("*.png"))
    asks: list[Callable[[SearchClient], Sequence[Hit]]] = [
        lambda client: client.search(stranger),
        lambda client: client.search(chosen[0]),
        lambda client: client.search(canonical_uri(chosen[1]), limit=3, include_self=True),
        lambda client: client.search(stranger, where="price < 4", limit=3, offset=1),
        lambda client: client.search(stranger, where=~(F("price") == 2), exact=True),
        lambda client: client.search_batch(chosen[:3], limit=4)[2],
        lambda client: client.search_vector(client.embed([stranger])[0], limit=100),
    ]
    for ask in asks:
        hits = ask(one)
        assert hits
        assert [(hit.uri, hit.score, hit.metadata) for hit in ask(other)] == comparable(hits)


def test_searches_by_details_agree(clients: tuple[SearchClient, SearchClient], chosen: list[Path]) -> None:
    with Image.open(chosen[2]) as picture:
        crop = picture.crop((120, 60, 330, 250))
    one, other = clients
    (hit,), (twin,) = (client.search_features(crop, limit=1) for client in (one, other))
    assert (hit.uri, hit.verdict, hit.inliers, hit.polygon) == (twin.uri, twin.verdict, twin.inliers, twin.polygon)
    assert hit.verdict == "crop"
    fused = [[hit.uri for hit in client.search_fused(crop, limit=4)] for client in (one, other)]
    # Among pictures that share hardly a word the order of ties is the engine's own.
    assert {len(uris) for uris in fused} == {4}
    assert {uris[0] for uris in fused} == {canonical_uri(chosen[2])}


def test_counts_facets_and_records_agree(clients: tuple[SearchClient, SearchClient], chosen: list[Path]) -> None:
    one, other = clients
    assert one.count("price >= 3") == other.count("price >= 3") == len(chosen) - 3
    assert one.facet("label") == other.facet("label")
    assert one.get(chosen[3]).metadata == other.get(chosen[3]).metadata
    assert one.manifest.encoder_fingerprint == other.manifest.encoder_fingerprint


def test_thumbnails_agree(clients: tuple[SearchClient, SearchClient], chosen: list[Path]) -> None:
    one, other = clients
    for path, size, side in ((chosen[0], 100, 128), (chosen[1], 256, 256), (chosen[6], 1024, 640)):
        data = one.thumbnail(path, size=size)
        assert other.thumbnail(canonical_uri(path), size=size) == data
        with Image.open(io.BytesIO(data)) as small:
            assert (small.format, max(small.size)) == ("WEBP", side)
    for client in clients:
        with pytest.raises(InvalidInput, match="size 0: expected a whole number of pixels from 1 to 1,024"):
            client.thumbnail(chosen[0], size=0)
        with pytest.raises(PointNotFound):
            client.thumbnail("shop://none")


def test_duplicates_and_deletion_agree(
    chosen: list[Path], index: Callable[..., None], write: Callable[..., None], tmp_path: Path
) -> None:
    pictures = [tmp_path / shutil.copy(path, tmp_path) for path in chosen]
    with Image.open(chosen[0]) as picture:
        picture.convert("RGB").save(tmp_path / "copy.jpg", quality=80)
    pictures.append(tmp_path / "copy.jpg")
    index(tmp_path / "db", pictures)
    database = QdrantDatabase(client=QdrantClient(":memory:"))
    write(database, pictures)
    with SearchClient(tmp_path / "db") as one, SearchClient(database) as other:
        groups = [client.duplicates() for client in (one, other)]
        assert [group.representative.uri for group in groups[0]] == [canonical_uri(tmp_path / "astronaut.png")]
        assert [group.representative.uri for group in groups[1]] == [group.representative.uri for group in groups[0]]
        for client in (one, other):
            assert client.delete([tmp_path / "copy.jpg"]) == 1
            assert client.count() == len(chosen)
            with pytest.raises(PointNotFound):
                client.get(tmp_path / "copy.jpg")
    assert database.collections() == {"images": "g0001"}  # a client closes only what it opened
    database.close()
