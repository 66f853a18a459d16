"""What a collection keeps of its pictures' details: the bytes of a feature, and the settings that made it."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.orb import FEATURE_BYTES, Features, OrbSettings, pack, unpack

DESCRIPTOR = bytes(range(32))


def feature(x: float, y: float, size: float, angle: float, descriptor: bytes = DESCRIPTOR) -> Features:
    keypoints = np.array([[x, y, size, angle]], np.float32)
    return Features(keypoints, np.frombuffer(descriptor, np.uint8).reshape(1, 32).copy())


@pytest.mark.parametrize(
    ("keypoint", "bits", "back"),
    [
        ((0, 0, 4, 0), 0, (0, 0, 4, 0)),
        ((10.5, 0, 4, 0), 21, (10.5, 0, 4, 0)),
        ((0, 10.5, 4, 0), 21 << 11, (0, 10.5, 4, 0)),
        ((0, 0, 8, 0), 4 << 22, (0, 0, 8, 0)),
        ((0, 0, 4, 45), 4 << 27, (0, 0, 4, 45)),
        ((100.2, 200.3, 31, 123), 200 | 401 << 11 | 12 << 22 | 11 << 27, (100, 200.5, 32, 123.75)),
        ((-3, -0.2, 1, 359), 0, (0, 0, 4, 0)),
        ((5000, 1023.5, 1e6, 354), 2047 | 2047 << 11 | 29 << 22 | 31 << 27, (1023.5, 1023.5, 4 * 2**7.25, 348.75)),
    ],
    ids=["origin", "x", "y", "size", "angle", "all", "least", "most"],
)
def test_a_feature_has_golden_bytes(
    keypoint: tuple[float, float, float, float], bits: int, back: tuple[float, float, float, float]
) -> None:
    packed = pack(feature(*keypoint))
    assert FEATURE_BYTES == 36
    assert packed.tobytes() == DESCRIPTOR + bits.to_bytes(4, "little")
    unpacked = unpack(packed)
    assert unpacked.descriptors.tobytes() == DESCRIPTOR
    np.testing.assert_allclose(unpacked.keypoints, [back])


def test_what_no_engine_takes_as_a_number_loses_one_bit_and_nothing_else_does() -> None:
    """A word that is NaN or infinite as float32 has its lowest bit of the exponent cleared."""
    words = np.array([0x7F800000, 0x7FC00001, 0xFF800000, 0x7F7FFFFF, 0, 0xFFFFFFFF, 1, 0x3F800000], "<u4")
    packed = pack(feature(1, 1, 31, 0, words.tobytes()))
    kept = [0x7F000000, 0x7F400001, 0xFF000000, 0x7F7FFFFF, 0, 0xFF7FFFFF, 1, 0x3F800000]
    assert packed[0, :32].copy().view("<u4").tolist() == kept


def test_packing_leaves_the_features_as_they_were() -> None:
    words = np.full(8, 0x7FC00001, "<u4").tobytes()
    features = feature(1, 1, 31, 0, words)
    pack(features)
    assert features.descriptors.tobytes() == words


@pytest.mark.parametrize(
    "wrong", [np.zeros((5, 35), np.uint8), np.zeros((5, 36), np.int8), np.zeros(36, np.uint8), np.zeros((1, 5, 36), np.uint8)],
    ids=lambda array: f"{array.dtype} {array.shape}",
)  # fmt: skip
def test_bytes_that_are_no_features_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(StoreError, match=r"\[n, 36\].*index again"):
        unpack(wrong)


DEFAULTS = {
    "features": 224,
    "query_features": 400,
    "longest_side": 480,
    "grow_to": 320,
    "grow_at_most": 2.0,
    "smallest": 112,
    "levels": 8,
    "scale_factor": 1.25,
    "fast_threshold": 16,
    "faint_threshold": 5,
    "edge": 12,
    "grid": 6,
    "least_side": 48,
}
"""What a collection's manifest says today. Others are kept as they are written, so that index and query agree."""


def test_settings_of_collections_that_exist_stay_readable() -> None:
    assert OrbSettings().to_json() == DEFAULTS
    assert OrbSettings.from_json(DEFAULTS) == OrbSettings()
    changed = {**DEFAULTS, "levels": 4, "scale_factor": 1.5}
    assert OrbSettings.from_json(changed).to_json() == changed
    for name in DEFAULTS.keys() - {"least_side"}:
        with pytest.raises(InvalidInput, match=name):
            OrbSettings.from_json({key: value for key, value in DEFAULTS.items() if key != name})


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("features", (1, 4096), (0, 4097)),
        ("query_features", (1, 4096), (0, 4097)),
        ("longest_side", (32, 1024), (31, 1025)),  # beyond 1,024 pixels, half pixels do not fit into 11 bits
        ("grow_to", (1, 1024), (0, 1025)),
        ("grow_at_most", (1, 8), (0.9, 8.1)),
        ("smallest", (1, 1024), (0, 1025)),
        ("levels", (1, 16), (0, 17)),
        ("scale_factor", (1.05, 2.0), (1.04, 2.1)),
        ("fast_threshold", (1, 100), (0, 101)),
        ("faint_threshold", (1, 100), (0, 101)),
        ("edge", (3, 64), (2, 65)),
        ("grid", (1, 32), (0, 33)),
        ("least_side", (1, 1024), (0, 1025)),
    ],
)
def test_settings_have_ranges(name: str, allowed: tuple[float, ...], refused: tuple[float, ...]) -> None:
    for value in allowed:
        assert OrbSettings.from_json({**DEFAULTS, name: value}).to_json()[name] == value
    for wrong in (*refused, True, "9", None, float("nan")):
        with pytest.raises(InvalidInput, match=name):
            OrbSettings.from_json({**DEFAULTS, name: wrong})


@pytest.mark.parametrize(
    ("size", "grey"),
    [
        ((480, 480), (480, 480)),
        ((960, 480), (480, 240)),
        ((300, 1000), (144, 480)),
        ((200, 100), (200, 100)),
        ((9000, 3), (480, 1)),
    ],
)  # fmt: skip
def test_the_size_of_the_grey_picture_is_known_without_it(size: tuple[int, int], grey: tuple[int, int]) -> None:
    from PIL import Image
    from semblant_search.images import to_grey

    assert OrbSettings().grey_size(*size) == grey
    assert to_grey(Image.new("L", size), longest_side=480).shape == grey[::-1]
    assert OrbSettings(longest_side=100).grey_size(1000, 500) == (100, 50)
