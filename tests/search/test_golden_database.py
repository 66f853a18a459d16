"""A database of format 2, as it was committed: every later version opens it and finds all of it, or refuses it by name."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import (
    CollectionNotFound,
    Encoder,
    EncoderError,
    F,
    FieldType,
    Manifest,
    NotADatabase,
    SearchClient,
    point_id,
)
from semblant_search.collection import RESERVED_FIELDS
from semblant_search.orb import unpack
from semblant_search.store import open_database
from support.golden import CREATED_AT, GOLDEN, indexed_files, picture_files, unpack_database, uri_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Store

VERSION = 2
SEEN_OTHERWISE = "colour.png"
"""It has the profile of a screen; this database was made before profiles were heeded."""


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """What was written, and what was answered then."""
    data: dict[str, Any] = json.loads((GOLDEN / f"database-{VERSION}.json").read_bytes())
    return data


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: `fresh` is for a test that changes it."""
    return unpack_database(VERSION, tmp_path_factory.mktemp("golden"))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A copy of one's own."""
    return unpack_database(VERSION, tmp_path)


@pytest.fixture(scope="module")
def store(unpacked: Path) -> Iterator[Store]:
    opened = open_database(unpacked).open("golden")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    with SearchClient(unpack_database(VERSION, tmp_path_factory.mktemp("golden")), collection="golden") as opened:
        yield opened


def test_it_says_what_it_is(unpacked: Path, store: Store) -> None:
    database = open_database(unpacked)
    assert database.collections() == {"golden": "g0001"}
    assert database.generations("golden") == ["g0001"]
    manifest = store.manifest
    assert (manifest.collection, manifest.generation, manifest.created_at) == ("golden", "g0001", CREATED_AT)
    assert manifest.encoder == Encoder(GOLDEN / "encoder.onnx").card
    assert dict(manifest.fields) == {
        **RESERVED_FIELDS,
        "label": FieldType.KEYWORD,
        "tags": FieldType.KEYWORD,
        "camera.model": FieldType.KEYWORD,
        "stock": FieldType.INTEGER,
        "price": FieldType.FLOAT,
        "on_sale": FieldType.BOOL,
        "taken": FieldType.DATETIME,
        "place": FieldType.GEO,
    }
    assert Manifest.from_json(json.loads((unpacked / "golden" / "g0001" / "manifest.json").read_bytes())) == manifest


def test_every_record_is_what_was_written(store: Store, facts: dict[str, Any]) -> None:
    records = list(store.scroll(with_image=True))
    assert {record.id: record.payload for record in records} == facts["payloads"]
    assert [record.id for record in records] == sorted(facts["payloads"])
    with np.load(GOLDEN / "vectors.npz") as arrays:
        names, embedding, cells = arrays["names"].tolist(), arrays["embedding"], arrays["cells"]
    for record in store.retrieve(list(facts["payloads"]), with_image=True, with_features=True, with_cells=True):
        number = names.index(record.payload["_uri"].rpartition("/")[2])
        assert record.image is not None
        assert record.cells is not None
        if names[number] != SEEN_OTHERWISE:
            np.testing.assert_allclose(record.image, embedding[number], atol=1e-6)
            np.testing.assert_allclose(record.cells, cells[number], atol=1e-6)
        packed = record.features if record.features is not None else np.empty((0, 36), np.uint8)
        assert hashlib.sha256(packed.tobytes()).hexdigest() == facts["features"][record.id]
        assert len(unpack(packed)) == len(packed)


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (None, 12),
        ('label == "letters"', 1),
        ('tags == "small"', 6),
        ('"grün" in tags', 3),
        ('camera.model == "X100"', 6),
        ("stock < 0", 5),
        ("price >= 2.25", 2),
        ("price is null", 3),
        ("on_sale == true", 4),
        ('taken < "2024-05-03"', 2),
        ("exists(place)", 12),
        ("_width > 100", 6),
        ('_format == "JPEG"', 3),
        ('startswith(_uri, "file:///golden/")', 12),
        ('_indexed_at < "2026-01-03"', 12),
    ],
)
def test_every_type_of_field_still_filters(client: SearchClient, where: str | None, count: int) -> None:
    assert client.count(where) == count


def test_values_are_still_counted(client: SearchClient) -> None:
    assert client.facet("camera.model") == {"X100": 6, "Z 5": 6}
    assert client.facet("on_sale") == {False: 8, True: 4}
    assert list(client.facet("_format").items()) == [("PNG", 8), ("JPEG", 3), ("GIF", 1)]
    assert client.facet("price", limit=2) == {0.25: 1, 0.5: 1}


def test_it_still_finds_what_it_found(client: SearchClient, facts: dict[str, Any]) -> None:
    for uri, expected in facts["answers"].items():
        hits = client.search(uri, len(expected))
        assert [hit.uri for hit in hits] == [hit[0] for hit in expected]
        np.testing.assert_allclose([hit.score for hit in hits], [hit[1] for hit in expected], atol=1e-5)


@pytest.mark.parametrize("path", indexed_files(), ids=lambda path: path.name)
def test_the_kept_encoder_finds_each_picture_by_its_file(client: SearchClient, path: Path) -> None:
    hit = client.search(path.read_bytes(), 1)[0]
    assert hit.uri == uri_of(path)
    assert hit.score > (0.98 if path.name == SEEN_OTHERWISE else 0.9999)


@pytest.mark.parametrize("name", ["letters.png", "cmyk.jpg", "turned.jpg", "profile.jpg"])
def test_details_still_find_the_picture_of_a_crop(client: SearchClient, name: str) -> None:
    from PIL import Image, ImageOps

    with Image.open(GOLDEN / "pictures" / name) as image:
        whole = ImageOps.exif_transpose(image).convert("RGB")
    across, down = whole.width // 8, whole.height // 8
    hits = client.search_features(whole.crop((across, down, whole.width - across, whole.height - down)))
    assert [hit.uri for hit in hits][:1] == [uri_of(GOLDEN / "pictures" / name)]


def test_a_region_still_finds_by_its_cells(client: SearchClient) -> None:
    hits = client.search(uri_of(GOLDEN / "pictures" / "letters.png"), 3, region=(0, 0, 112, 86), include_self=True)
    assert hits[0].uri == uri_of(GOLDEN / "pictures" / "letters.png")
    assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_it_can_be_written_to(fresh: Path, facts: dict[str, Any]) -> None:
    extra = next(path for path in picture_files() if path not in indexed_files())
    store = open_database(fresh).open("golden")
    store.delete([point_id(uri_of(path)) for path in indexed_files()[:2]])
    store.add_fields({"more": FieldType.INTEGER})
    first = sorted(record.id for record in store.scroll())[0]
    store.set_payloads({first: {"more": 1, "_uri": uri_of(extra)}})
    store.optimize()
    assert store.count() == len(facts["payloads"]) - 2
    assert [record.id for record in store.scroll(where=F("more") == 1)] == [first]
    store.close()


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}))


@pytest.fixture(scope="module")
def skeleton(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its own files without those of the engine, which are looked at after them."""
    path = tmp_path_factory.mktemp("skeleton") / "golden.db"
    shutil.copytree(unpacked, path, ignore=shutil.ignore_patterns("shard"))
    return path


@pytest.mark.parametrize("version", [0, 2, 7, "1", None])
def test_a_pointer_file_of_another_version_is_refused_by_its_number(skeleton: Path, tmp_path: Path, version: object) -> None:
    path = shutil.copytree(skeleton, tmp_path / "db")
    change(path / "semblant.json", format_version=version)
    with pytest.raises(NotADatabase) as caught:
        open_database(path)
    assert f"{str(path)!r}: database format version {version!r}; this Semblant reads version 1" in str(caught.value)


@pytest.mark.parametrize("version", [3, 7])
def test_a_generation_of_another_version_is_refused_by_its_number(skeleton: Path, tmp_path: Path, version: int) -> None:
    path = shutil.copytree(skeleton, tmp_path / "db")
    change(path / "golden" / "g0001" / "manifest.json", format_version=version)
    with pytest.raises(NotADatabase, match=f"collection format version {version}"):
        SearchClient(path, collection="golden")
    manifest = json.loads((path / "golden" / "g0001" / "manifest.json").read_bytes())
    card = {**manifest["encoder"], "format_version": version + 1}
    change(path / "golden" / "g0001" / "manifest.json", format_version=VERSION, encoder=card)
    with pytest.raises(EncoderError, match=f"encoder format version {version + 1}"):
        SearchClient(path, collection="golden")


def test_a_generation_that_the_pointer_names_and_is_gone_is_named(skeleton: Path, tmp_path: Path) -> None:
    path = shutil.copytree(skeleton, tmp_path / "db")
    change(path / "semblant.json", serving={"golden": "g0002"})
    with pytest.raises(CollectionNotFound, match=r"'g0002'; there: g0001"):
        open_database(path).open("golden")
    with pytest.raises(CollectionNotFound, match="there: golden"):
        open_database(path).open("silver")
