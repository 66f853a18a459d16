"""Every file that Semblant writes, byte for byte or key for key: a change is a new format version, never an accident."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import Encoder, EncoderCard, Fit, Manifest
from semblant_search.collection import (
    CELLS_VECTOR,
    FEATURES_VECTOR,
    FORMAT_VERSION,
    IMAGE_VECTOR,
    ORB_VECTOR,
    RESERVED_FIELDS,
    FieldType,
    StorageOptions,
)
from semblant_search.encoder import CARD_KEY
from semblant_search.encoder import FORMAT_VERSION as CARD_VERSION
from semblant_search.errors import EncoderError, InvalidInput, NotADatabase, StoreError
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.images import open_image, to_grey
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.orb import (
    CALIBRATION_ASSET,
    FEATURE_BYTES,
    Calibration,
    Features,
    OrbSettings,
    Vocabulary,
    pack,
    thumbnail,
    unpack,
    unpack_thumbnail,
)
from semblant_search.orb.calibration import Tail
from semblant_search.querying.background import BACKGROUND_ASSET, Background
from semblant_search.store import open_database
from support.golden import CREATED_AT, GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

CARD = EncoderCard(
    name="größe",
    architecture="cae",
    fit=Fit(28, 20, 1, policy="crop", interpolation="area", background=(1, 2, 3)),
    dim=128,
    objective="reconstruct",
    training={"pictures": 60000, "seed": 1},
    quality={"P@10": 0.864},
    cells=(49, 16),
)
USER_FIELDS = {
    "label": FieldType.KEYWORD,
    "tags": FieldType.KEYWORD,
    "camera.model": FieldType.KEYWORD,
    "stock": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "place": FieldType.GEO,
}
MANIFEST = Manifest(
    collection="images",
    generation="g0007",
    encoder_fingerprint="0123456789abcdef" * 4,
    encoder=CARD,
    fields={**RESERVED_FIELDS, **USER_FIELDS},
    orb={"settings": OrbSettings(features=40).to_json(), "vocabulary": "f" * 64, "feature_bytes": FEATURE_BYTES},
    created_at=CREATED_AT,
    storage=StorageOptions("scalar", on_disk=True),
)


def golden(name: str) -> dict[str, Any]:
    data = json.loads((GOLDEN / name).read_bytes())
    assert isinstance(data, dict)
    return data


def without(data: dict[str, Any], *path: str) -> dict[str, Any]:
    """A copy that lacks what lies at the end of a path of keys."""
    key, *rest = path
    return {
        name: without(value, *rest) if rest and name == key else value for name, value in data.items() if rest or name != key
    }


def test_names_inside_a_collection_belong_to_its_format_version() -> None:
    names = (IMAGE_VECTOR, ORB_VECTOR, FEATURES_VECTOR, CELLS_VECTOR)
    assert (FORMAT_VERSION, *names) == (2, "image", "orb", "orb_features", "cells")
    assert (ENCODER_ASSET, VOCABULARY_ASSET, CALIBRATION_ASSET) == ("encoder.onnx", "vocabulary.npz", "calibration.json")
    assert BACKGROUND_ASSET == "background.json"
    assert (CARD_VERSION, CARD_KEY, FEATURE_BYTES) == (1, "semblant", 36)
    assert {kind.name: kind.value for kind in FieldType} == {
        "KEYWORD": "keyword",
        "INTEGER": "integer",
        "FLOAT": "float",
        "BOOL": "bool",
        "DATETIME": "datetime",
        "GEO": "geo",
    }


def test_a_card_is_written_and_read_as_it_was() -> None:
    assert json.dumps(CARD.to_json()) == json.dumps(golden("card.json"))
    assert EncoderCard.from_json(golden("card.json")) == CARD
    bare = replace(CARD, cells=None, training={}, quality={})
    assert EncoderCard.from_json(bare.to_json()) == bare
    assert EncoderCard.from_json(without(bare.to_json(), "cells")) == bare


def test_a_manifest_is_written_and_read_as_it_was() -> None:
    assert json.dumps(MANIFEST.to_json()) == json.dumps(golden("manifest.json"))
    assert Manifest.from_json(golden("manifest.json")) == MANIFEST
    plain = replace(MANIFEST, orb=None, storage=StorageOptions())
    assert Manifest.from_json(plain.to_json()) == plain
    assert Manifest.from_json(without(plain.to_json(), "storage")) == plain


@pytest.mark.parametrize("version", [None, 0, 3, "2", 2.5, True])
def test_another_version_of_a_manifest_is_refused_by_its_number(version: object) -> None:
    with pytest.raises(NotADatabase, match=r"versions 1 to 2; index again") as caught:
        Manifest.from_json({**golden("manifest.json"), "format_version": version})
    assert f"collection format version {version!r}" in str(caught.value)


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_another_version_of_a_card_is_refused_by_its_number(version: object) -> None:
    with pytest.raises(EncoderError, match=r"version 1; export the encoder again") as caught:
        EncoderCard.from_json({**golden("card.json"), "format_version": version})
    assert f"encoder format version {version!r}" in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        ("collection",),
        ("generation",),
        ("encoder_fingerprint",),
        ("encoder",),
        ("fields",),
        ("created_at",),
        ("storage", "quantize"),
        ("storage", "on_disk"),
    ],
)
def test_a_manifest_that_lacks_a_fact_is_refused_and_names_it(path: tuple[str, ...]) -> None:
    with pytest.raises(NotADatabase, match=f"incomplete.*{path[-1]}.*index again"):
        Manifest.from_json(without(golden("manifest.json"), *path))


@pytest.mark.parametrize(
    "path",
    [
        *[(key,) for key in ("name", "architecture", "fit", "dim", "objective")],
        *[("fit", key) for key in ("height", "width", "channels", "policy", "interpolation", "background")],
    ],
)
def test_a_card_that_lacks_a_fact_is_refused_and_names_it(path: tuple[str, ...]) -> None:
    with pytest.raises(EncoderError, match=f"incomplete.*{path[-1]}.*export the encoder again"):
        EncoderCard.from_json(without(golden("card.json"), *path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fields", {"label": "colour"}),
        ("fields", []),
        ("orb", 3),
        ("encoder", []),
        ("storage", {"quantize": "octal", "on_disk": 0}),
    ],
)
def test_a_manifest_with_impossible_values_is_refused(key: str, value: object) -> None:
    with pytest.raises((NotADatabase, EncoderError), match="incomplete"):
        Manifest.from_json({**golden("manifest.json"), key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("height", 0),
        ("channels", 2),
        ("policy", "squeeze"),
        ("interpolation", "magic"),
        ("background", [1, 2]),
        ("width", None),
    ],
)
def test_a_fit_with_impossible_values_is_refused(key: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        Fit.from_json({**CARD.fit.to_json(), key: value})


def test_the_golden_encoder_is_what_it_was() -> None:
    data = (GOLDEN / "encoder.onnx").read_bytes()
    encoder = Encoder(data)
    assert encoder.fingerprint == hashlib.sha256(data).hexdigest() == Encoder(GOLDEN / "encoder.onnx").fingerprint
    assert encoder.card == EncoderCard("golden", "pixels", Fit(6, 6, 3, background=(20, 90, 160)), 27, "none", cells=(9, 12))
    assert encoder.to_bytes() == data


def test_a_database_points_at_its_generations_as_it_did(tmp_path: Path) -> None:
    database = open_database(tmp_path / "db", create=True)
    manifest = replace(MANIFEST, fields={})  # each index takes time
    database.create(manifest).close()
    pointer = tmp_path / "db" / "semblant.json"
    assert json.loads(pointer.read_bytes()) == {"format_version": 1, "serving": {}}
    database.publish("images", "g0007")
    assert json.loads(pointer.read_bytes()) == {"format_version": 1, "serving": {"images": "g0007"}}
    folder = tmp_path / "db" / "images" / "g0007"
    assert json.loads((folder / "manifest.json").read_bytes()) == manifest.to_json()
    assert {entry.name for entry in folder.iterdir()} == {"manifest.json", "shard", "assets"}


def test_features_are_packed_and_unpacked_as_they_were() -> None:
    with np.load(GOLDEN / "features.npz") as arrays:
        keypoints, descriptors, packed = arrays["keypoints"], arrays["descriptors"], arrays["packed"]
    assert len(packed) > 20
    np.testing.assert_array_equal(pack(Features(keypoints, descriptors)), packed)
    features = unpack(packed)
    np.testing.assert_array_equal(pack(features), packed)
    np.testing.assert_allclose(features.keypoints[:, :2], keypoints[:, :2], atol=0.25)
    assert (np.abs(features.keypoints[:, 2] / keypoints[:, 2] - 1) < 0.1).all()
    turn = np.abs(features.keypoints[:, 3] - keypoints[:, 3]) % 360
    assert (np.minimum(turn, 360 - turn) <= 5.625 + 1e-3).all()


def test_a_thumbnail_is_made_packed_and_unpacked_as_it_was() -> None:
    with np.load(GOLDEN / "thumbnail.npz") as arrays, np.load(GOLDEN / "features.npz") as before:
        pixels, packed = arrays["thumbnail"], arrays["packed"]
        features, alone = Features(before["keypoints"], before["descriptors"]), before["packed"]
    assert (pixels.shape, packed.shape) == ((43, 64), (86, 36))
    np.testing.assert_array_equal(pack(features, pixels), np.concatenate([alone, packed]))
    np.testing.assert_array_equal(unpack_thumbnail(packed), pixels | 1)
    grey = to_grey(open_image(GOLDEN / "pictures" / "progressive.jpg"), longest_side=480)
    assert np.abs(thumbnail(grey, 64).astype(int) - pixels).max() <= 2  # decoders of JPEG differ by as much


def test_a_row_of_features_has_its_geometry_at_known_bits() -> None:
    """Bits of x, y, size and angle, from the lowest; and one bit of a descriptor that would read as NaN is given up."""
    keypoints = np.array([[1.5, 1023.5, 8.0, 348.75], [2000, -3, 1, 360], [0, 0, 1e6, 0]], np.float32)
    descriptors = np.full((3, 32), 0x11, np.uint8)
    descriptors[1, 4:8] = (0x34, 0x12, 0x80, 0x7F)
    words = pack(Features(keypoints, descriptors)).view("<u4")
    assert words[0, 8] == 3 | 2047 << 11 | 4 << 22 | 31 << 27
    assert words[1, 8] == 2047
    assert words[2, 8] == 29 << 22
    assert words[0, :8].tolist() == [0x11111111] * 8
    assert words[1, 1] == 0x7F001234


def test_a_vocabulary_is_written_and_read_as_it_was() -> None:
    data = (GOLDEN / "vocabulary.npz").read_bytes()
    vocabulary = Vocabulary.from_bytes(data)
    assert (len(vocabulary), len(vocabulary.branches)) == (64, 8)
    assert vocabulary.fingerprint == "8a200dc7e3e004065783bd5dac5e51ec1d02553c9a24d70d25f886a3f714398b"
    for file in (data, vocabulary.to_bytes()):
        with np.load(io.BytesIO(file)) as arrays:
            assert {name: (array.dtype.str, array.shape) for name, array in arrays.items()} == {
                "format": ("<i8", ()),
                "branches": ("|u1", (8, 32)),
                "words": ("|u1", (64, 32)),
            }
            assert arrays["format"] == 1
    assert Vocabulary.from_bytes(vocabulary.to_bytes()).fingerprint == vocabulary.fingerprint


def test_the_vocabulary_that_ships_with_the_package_stays_the_same() -> None:
    assert Vocabulary.general().fingerprint == "cfce49eecac0834cf5d2b03dc5c8708cdd8bcc2293e0d2f48ab02ceccbf3d178"


def test_another_version_of_a_vocabulary_is_refused_by_its_number(tmp_path: Path) -> None:
    vocabulary = Vocabulary.from_bytes((GOLDEN / "vocabulary.npz").read_bytes())
    np.savez(tmp_path / "v.npz", format=np.int64(2), branches=vocabulary.branches, words=vocabulary.words)
    with pytest.raises(StoreError, match="vocabulary of version 2: this Semblant reads version 1"):
        Vocabulary.from_bytes((tmp_path / "v.npz").read_bytes())


def test_a_calibration_is_written_and_read_as_it_was() -> None:
    calibration = Calibration(Tail(-2.5, 2.75), Tail(-6.5, 3.0), Tail(-3.5, 2.25), 160)
    assert json.loads(calibration.to_bytes()) == golden("calibration-3.json")
    assert Calibration.from_bytes((GOLDEN / "calibration-3.json").read_bytes()) == calibration
    with pytest.raises(StoreError, match="version 4"):
        Calibration.from_bytes(json.dumps({**golden("calibration-3.json"), "format": 4}).encode())


def test_a_background_is_written_and_read_as_it_was() -> None:
    background = Background(2000, (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8), 0.5, -0.125)
    assert json.loads(background.to_bytes()) == golden("background-1.json")
    assert Background.from_bytes((GOLDEN / "background-1.json").read_bytes()) == background
    with pytest.raises(StoreError, match="version 2"):
        Background.from_bytes(json.dumps({**golden("background-1.json"), "format": 2}).encode())


def test_a_calibration_of_format_1_is_read_as_the_general_one() -> None:
    """It told how often random pairs agree, which no longer decides anything."""
    assert golden("calibration-1.json")["format"] == 1
    assert Calibration.from_bytes((GOLDEN / "calibration-1.json").read_bytes()) == Calibration.general()


def test_a_calibration_of_format_2_is_read_as_what_it_was_above_the_general_one() -> None:
    """It had one tail for what lies over each other and for what was moved, which began at −7.0 in general."""
    found, general = Calibration.from_bytes((GOLDEN / "calibration-2.json").read_bytes()), Calibration.general()
    assert golden("calibration-2.json")["pixels"]["start"] == -6.5
    assert found.laid_over == Tail(general.laid_over.start + 0.5, general.laid_over.scale)
    assert found.pixels == Tail(general.pixels.start + 0.5, general.pixels.scale)
    assert (found.details, found.queries) == (Tail(-3.5, 2.25), 160)


def test_settings_of_features_are_written_as_they_were_and_unknown_ones_refused() -> None:
    facts = golden("manifest.json")["orb"]["settings"]
    assert OrbSettings.from_json(facts) == OrbSettings(features=40)
    assert list(facts) == [
        *("features", "query_features", "longest_side", "grow_to", "grow_at_most", "smallest"),
        *("levels", "scale_factor", "fast_threshold", "faint_threshold", "edge", "grid", "thumbnail", "least_side"),
    ]
    # Before small pictures were left out, manifests did not say from which size on.
    assert OrbSettings.from_json(without(facts, "least_side")) == OrbSettings(features=40, least_side=1)
    for wrong in ({**facts, "colour": 1}, without(facts, "grid")):
        with pytest.raises(InvalidInput, match="index again"):
            OrbSettings.from_json(wrong)


def test_settings_that_were_written_before_there_were_thumbnails_have_none() -> None:
    manifest = Manifest.from_json(golden("manifest-before-thumbnails.json"))
    assert manifest.orb is not None
    facts = manifest.orb["settings"]
    assert "thumbnail" not in facts
    assert OrbSettings.from_json(facts) == OrbSettings(features=40, thumbnail=0, least_side=1)
    new = golden("manifest.json")
    assert new["orb"]["settings"].pop("thumbnail") == 64
    assert new["orb"]["settings"].pop("least_side") == 48
    assert new == golden("manifest-before-thumbnails.json")
