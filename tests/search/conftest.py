"""A small database of real pictures, written through the store, for what reads it."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import Encoder, FieldType, Manifest, canonical_uri, point_id
from semblant_search.collection import RESERVED_FIELDS
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.images import open_image, to_grey
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.orb import FEATURE_BYTES, OrbSettings, Vocabulary, extract, pack, thumbnail
from semblant_search.querying.background import BACKGROUND_ASSET, measure_background
from semblant_search.store import Database, Point, open_database
from semblant_search.web import ServiceSettings
from support.copies import copied
from support.encoders import encoder_bytes
from support.service import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.service import Served

FIELDS = {"label": FieldType.KEYWORD, "price": FieldType.FLOAT, "split": FieldType.KEYWORD}


def encoded(encoder: Encoder, pictures: list[Path]) -> tuple[Any, Any]:
    """Embeddings of all, and the cells of each, or None for each."""
    if encoder.card.cells is None:
        return encoder.encode_pictures(pictures), [None] * len(pictures)
    return encoder.encode_with_cells(np.stack([encoder.prepare(path) for path in pictures]))


def write_collection(
    database: Database,
    encoder: Encoder,
    pictures: list[Path],
    *,
    collection: str = "images",
    orb: bool = True,
    keep: bool = True,
    thumbnails: bool = True,
) -> None:
    """Index pictures the short way: label = name of the folder, price = position in the list.

    Without thumbnails it is a collection as versions before them made it: its settings do not know the word.
    """
    # Of pictures of 28 pixels, too, which an index job leaves out.
    settings, vocabulary = OrbSettings(least_side=1, thumbnail=64 if thumbnails else 0), Vocabulary.general()
    known = {name: value for name, value in settings.to_json().items() if thumbnails or name != "thumbnail"}
    facts = {"settings": known, "vocabulary": vocabulary.fingerprint, "feature_bytes": FEATURE_BYTES}
    manifest = Manifest(
        collection=collection,
        generation="g0001",
        encoder_fingerprint=encoder.fingerprint,
        encoder=encoder.card,
        orb=facts if orb else None,
        created_at=datetime.now(timezone.utc).isoformat(),
    )
    store = database.create(manifest)
    store.add_fields({**RESERVED_FIELDS, **FIELDS})
    if keep:
        store.put_asset(ENCODER_ASSET, encoder.to_bytes())
    if orb:
        store.put_asset(VOCABULARY_ASSET, vocabulary.to_bytes())
    points = []
    for number, (path, vector, local) in enumerate(zip(pictures, *encoded(encoder, pictures), strict=True)):
        uri, data, picture = canonical_uri(path), path.read_bytes(), open_image(path)
        packed = words = None
        if orb:
            grey = to_grey(picture, longest_side=settings.longest_side)
            if len(features := extract(grey, settings)):
                packed = pack(features, thumbnail(grey, settings.thumbnail) if settings.thumbnail else None)
                words = vocabulary.sparse(features)
        payload = {
            "label": path.parent.name,
            "price": float(number),
            "_uri": uri,
            "_sha256": hashlib.sha256(data).hexdigest(),
            "_width": picture.width,
            "_height": picture.height,
            "_format": "PNG",
            "_bytes": len(data),
            "_indexed_at": manifest.created_at,
        }
        points.append(Point(point_id(uri), vector, payload, words, packed, local))
    for start in range(0, len(points), 50):  # as the indexer does; the last batch is replayed whenever the database is opened
        store.upsert(points[start : start + 50])
    store.optimize()
    store.close()
    database.publish(collection, "g0001")


def _thinned(path: Path) -> Path:
    """Put a copy, whose own copies cost little, in the place of a database."""
    made = path.rename(path.with_name("made"))
    copied(made, path)
    shutil.rmtree(made)
    return path


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """Grey 28×28 pictures as the means of 7×7 cells."""
    return Encoder(encoder_bytes("grey-28"), threads=1)


@pytest.fixture(scope="session")
def other_encoder() -> Encoder:
    """A sound encoder that no collection here was made with."""
    return Encoder(encoder_bytes("grey-28-finer"), threads=1)


@pytest.fixture(scope="session")
def pictures(fashion_small: Path) -> list[Path]:
    """The indexed pictures: 300 of Fashion-MNIST's train pictures, 30 of each category."""
    folders = sorted((fashion_small / "train").iterdir())
    return [path for folder in folders for path in sorted(folder.glob("*.png"))[:30]]


@pytest.fixture(scope="session")
def indexed(encoder: Encoder, pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database directory with collections `images` and `plain` (without ORB, without its encoder). Copy it to change it."""
    path = tmp_path_factory.mktemp("databases") / "pictures.db"
    database = open_database(path, create=True)
    write_collection(database, encoder, pictures)
    write_collection(database, encoder, pictures[:20], collection="plain", orb=False, keep=False)
    database.close()
    return _thinned(path)


@pytest.fixture
def db(indexed: Path, tmp_path: Path) -> Path:
    """A copy of the database that belongs to one test."""
    return copied(indexed, tmp_path / "pictures.db")


@pytest.fixture(scope="session")
def write(encoder: Encoder) -> Callable[..., None]:
    """Writes pictures into a collection of an open database, `images` unless told another name."""
    return lambda database, pictures, **options: write_collection(database, encoder, pictures, **options)


@pytest.fixture(scope="session")
def index(encoder: Encoder) -> Callable[..., None]:
    """Writes pictures into a new database directory; `thumbnails=False` as versions before thumbnails did."""

    def write(path: Path, pictures: list[Path], *, thumbnails: bool = True) -> None:
        database = open_database(path, create=True)
        write_collection(database, encoder, pictures, thumbnails=thumbnails)
        database.close()

    return write


@pytest.fixture(scope="session")
def write_with() -> Callable[[Path, Encoder, list[Path]], None]:
    """Writes pictures into a new database directory with an encoder of one's own."""

    def write(path: Path, encoder: Encoder, pictures: list[Path]) -> None:
        database = open_database(path, create=True)
        write_collection(database, encoder, pictures)
        database.close()

    return write


@pytest.fixture(scope="session")
def shop_pictures(pictures: list[Path], photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `bag`, `coat`, … of ten pictures each, and `photos`: six photographs and a piece of one."""
    root = tmp_path_factory.mktemp("shop")
    for path in pictures:
        folder = root / path.parent.name
        folder.mkdir(exist_ok=True)
        if len(list(folder.iterdir())) < 10:
            shutil.copyfile(path, folder / path.name)
    (root / "photos").mkdir()
    for name in ("astronaut", "camera", "chelsea", "coffee", "coins", "moon"):
        picture = open_image(photos / f"{name}.png").convert("RGB")
        picture.thumbnail((320, 320))
        picture.save(root / "photos" / f"{name}.png")
        if name == "coins":
            picture.crop((60, 50, 230, 200)).save(root / "photos" / "coins-part.png")
    return root


@pytest.fixture(scope="session")
def shop(shop_pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of those pictures, for the tests of the service: with cells, details, and a second collection, `plain`."""
    encoder = Encoder(encoder_bytes("grey-28-cells"), threads=1)
    files = sorted(shop_pictures.glob("*/*.png"))
    path = tmp_path_factory.mktemp("shops") / "shop.db"
    database = open_database(path, create=True)
    write_collection(database, encoder, files)
    with closing(database.open("images", "g0001")) as store:
        store.put_asset(BACKGROUND_ASSET, measure_background(store).to_bytes())
    write_collection(database, encoder, files[:5], collection="plain", orb=False)
    database.close()
    return _thinned(path)


@pytest.fixture(scope="session")
def shop_settings(shop_pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> ServiceSettings:
    """What the service of these tests allows: the pictures' folder, a cache of their own, originals."""
    return ServiceSettings(roots=(shop_pictures,), cache=tmp_path_factory.mktemp("thumbnails"), originals=True)


@pytest.fixture(scope="session")
def served(shop: Path, shop_settings: ServiceSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that tests may ask, and must leave as it is."""
    copy = copied(shop, tmp_path_factory.mktemp("served") / "shop.db")
    with closing(open_database(copy)) as database, serving(database, shop_settings) as served:
        yield served


@pytest.fixture
def own_shop(shop: Path, tmp_path: Path) -> Iterator[Database]:
    """An open copy of the database that belongs to one test."""
    with closing(open_database(copied(shop, tmp_path / "shop.db"))) as database:
        yield database
