"""What a collection keeps of its pictures' details: the bytes of a feature, and the settings that made it."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.orb import FEATURE_BYTES, Features, OrbSettings, pack, unpack, unpack_thumbnail

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


def test_a_thumbnail_has_golden_bytes_behind_the_features() -> None:
    """7 bits a pixel, 32 of them in a row, with width, height and 31 for the size in each."""
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
    packed = pack(feature(10.5, 0, 8, 45), pixels)
    geometry = (7 | 5 << 11 | 31 << 22).to_bytes(4, "little")
    shown = bytes(number * 7 % 256 >> 1 for number in range(35))
    first = DESCRIPTOR + (21 | 4 << 22 | 4 << 27).to_bytes(4, "little")
    assert packed.tobytes() == first + shown[:32] + geometry + shown[32:] + bytes(29) + geometry
    np.testing.assert_array_equal(unpack_thumbnail(packed), pixels | 1)  # the middle of what a pixel may have been
    assert unpack(packed).descriptors.tobytes() == DESCRIPTOR
    np.testing.assert_allclose(unpack(packed).keypoints, [(10.5, 0, 8, 45)])


@pytest.mark.parametrize("size", [(1, 1), (64, 43), (43, 64), (64, 1), (1, 64), (32, 32), (256, 256), (33, 31)], ids=str)
def test_thumbnails_of_any_size_come_back_but_for_their_lowest_bit_and_are_numbers(size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(width)
    features = Features(rng.uniform(4, 400, (40, 4)).astype(np.float32), rng.integers(0, 256, (40, 32), dtype=np.uint8))
    for pixels in (rng.integers(0, 256, (height, width), dtype=np.uint8), np.full((height, width), 255, np.uint8)):
        packed = pack(features, pixels)
        assert packed.dtype == np.uint8
        assert packed.shape == (40 + -(-width * height // 32), FEATURE_BYTES)
        assert np.isfinite(packed.view("<f4")).all()  # or no engine takes them
        back = unpack_thumbnail(packed)
        assert back is not None
        assert back.dtype == np.uint8
        assert back.shape == (height, width)
        assert np.abs(back.astype(int) - pixels).max() <= 1
        alone = pack(features)
        np.testing.assert_array_equal(packed[:40], alone)
        np.testing.assert_array_equal(unpack(packed).descriptors, unpack(alone).descriptors)
        np.testing.assert_array_equal(unpack(packed).keypoints, unpack(alone).keypoints)
        assert unpack_thumbnail(alone) is None
        np.testing.assert_array_equal(unpack_thumbnail(packed[::-1][::-1]), back)  # in whatever memory


def test_the_largest_feature_is_no_thumbnail() -> None:
    packed = pack(feature(1023.5, 1023.5, 1e9, 359))
    assert len(unpack(packed)) == 1
    assert unpack_thumbnail(packed) is None


def test_a_thumbnail_without_features_and_nothing_at_all() -> None:
    none = Features(np.empty((0, 4), np.float32), np.empty((0, 32), np.uint8))
    assert unpack_thumbnail(pack(none)) is None
    packed = pack(none, np.full((2, 3), 200, np.uint8))
    assert len(unpack(packed)) == 0
    np.testing.assert_array_equal(unpack_thumbnail(packed), np.full((2, 3), 201))


@pytest.mark.parametrize("sides", [0, 7, 5 << 11, 7 | 5 << 11], ids=["none", "wide", "high", "too many"])
def test_a_thumbnail_whose_rows_do_not_hold_it_is_refused(sides: int) -> None:
    row = bytes(32) + (sides | 31 << 22).to_bytes(4, "little")
    with pytest.raises(StoreError, match="index again"):
        unpack_thumbnail(np.frombuffer(row, np.uint8).reshape(1, 36))


@pytest.mark.parametrize(
    "wrong", [np.zeros((5, 35), np.uint8), np.zeros((5, 36), np.int8), np.zeros(36, np.uint8), np.zeros((1, 5, 36), np.uint8)],
    ids=lambda array: f"{array.dtype} {array.shape}",
)  # fmt: skip
def test_bytes_that_are_no_features_are_refused(wrong: np.ndarray) -> None:
    for read in (unpack, unpack_thumbnail):
        with pytest.raises(StoreError, match=r"\[n, 36\].*index again"):
            read(wrong)


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
    "thumbnail": 64,
    "least_side": 48,
}
"""What a collection's manifest says today. Others are kept as they are written, so that index and query agree."""


def test_settings_of_collections_that_exist_stay_readable() -> None:
    assert OrbSettings().to_json() == DEFAULTS
    assert OrbSettings.from_json(DEFAULTS) == OrbSettings()
    changed = {**DEFAULTS, "levels": 4, "scale_factor": 1.5}
    assert OrbSettings.from_json(changed).to_json() == changed
    # Collections that were made before there were any thumbnails, and before small pictures were left out.
    before = {key: value for key, value in DEFAULTS.items() if key not in ("thumbnail", "least_side")}
    assert OrbSettings.from_json(before) == OrbSettings(thumbnail=0, least_side=1)
    for name in before:
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
        ("thumbnail", (0, 256), (-1, 257)),
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
