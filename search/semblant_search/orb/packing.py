"""Features as the store keeps them: one row of `FEATURE_BYTES` bytes for each, 8,064 bytes for a picture at the default.

A row is the 32 bytes of the descriptor, then 32 bits of geometry, little-endian, from the lowest bit:
11 bits x and 11 bits y (half pixels), 5 bits size (steps of 2^¼ from 4 pixels), 5 bits angle (steps of 11.25°).
A grey thumbnail may follow, in rows of 32 pixels of 7 bits in place of a descriptor, whose geometry has the thumbnail's width
and height in place of x and y, and 31 for the size.
Verification estimates its transform from positions; size and angle only bring out votes, so they may be coarse.

The store keeps four bytes as one float32 (`store.feature_numbers`), and no engine takes one that is NaN or infinite. Of the
descriptors' words 1 in 256 would be: it loses its bit 23. Sizes that would make one of the geometry are out of range.
"""

from __future__ import annotations

import numpy as np

from semblant_search.errors import StoreError

from .features import DESCRIPTOR_BYTES, Features

__all__ = ["FEATURE_BYTES", "as_stored", "pack", "unpack", "unpack_thumbnail"]

FEATURE_BYTES = 36
_WIDE = 4 * FEATURE_BYTES
_POSITIONS = 2048  # half pixels: pictures up to 1,024 pixels, which OrbSettings.longest_side allows at most
_STEP = 0.5
_SMALLEST = 4.0
_SIZES = 30
_ANGLES = 32
_PIXELS = 31
"""In place of the size: a row of the thumbnail. With an angle of 0, and pixels of 7 bits, its numbers are never NaN."""
_EXPONENT = 0x7F800000
_SPARED = 0x00800000


def pack(features: Features, thumbnail: np.ndarray | None = None) -> np.ndarray:
    """uint8 `[n, FEATURE_BYTES]`. Descriptors keep all but one bit in some 8,000; positions are rounded to half a pixel.

    Args:
        features: of the picture.
        thumbnail: uint8 `[h, w]`, of 2,047 pixels a side at most, to be kept beside them; pixels lose their lowest bit.
    """
    x, y, size, angle = features.keypoints.T.astype(np.float64)
    column = np.clip(np.rint(x / _STEP), 0, _POSITIONS - 1).astype(np.uint32)
    row = np.clip(np.rint(y / _STEP), 0, _POSITIONS - 1).astype(np.uint32)
    octave = np.clip(np.rint(4 * np.log2(np.maximum(size, _SMALLEST) / _SMALLEST)), 0, _SIZES - 1).astype(np.uint32)
    turn = (np.rint(angle * (_ANGLES / 360)).astype(np.int64) % _ANGLES).astype(np.uint32)
    geometry = column | row << 11 | octave << 22 | turn << 27
    packed = np.empty((len(features), FEATURE_BYTES), np.uint8)
    words = np.array(features.descriptors, order="C").view("<u4")
    words[words & _EXPONENT == _EXPONENT] ^= _SPARED
    packed[:, :DESCRIPTOR_BYTES] = words.view(np.uint8)
    packed[:, DESCRIPTOR_BYTES:] = geometry.astype("<u4").view(np.uint8).reshape(-1, 4)
    return packed if thumbnail is None else np.concatenate([packed, _pack_thumbnail(thumbnail)])


def _pack_thumbnail(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape
    rows = np.zeros((-(-pixels.size // DESCRIPTOR_BYTES), FEATURE_BYTES), np.uint8)
    content = np.zeros(len(rows) * DESCRIPTOR_BYTES, np.uint8)
    content[: pixels.size] = pixels.ravel() >> 1
    rows[:, :DESCRIPTOR_BYTES] = content.reshape(-1, DESCRIPTOR_BYTES)
    rows[:, DESCRIPTOR_BYTES:] = np.array([width | height << 11 | _PIXELS << 22], "<u4").view(np.uint8)
    return rows


def as_stored(packed: np.ndarray, feature_bytes: int) -> np.ndarray:
    """Packed features as a collection keeps them whose manifest says `feature_bytes`: uint8 `[n, feature_bytes]`.

    A collection that was made in format 1 has a number for each byte, and a number takes four bytes.
    """
    return packed if feature_bytes != _WIDE else np.ascontiguousarray(packed.astype("<f4")).view(np.uint8)


def unpack(packed: np.ndarray) -> Features:
    """The features that were packed; raises `StoreError` on an array that is none of `pack`'s or `as_stored`'s."""
    packed = _narrow(packed)
    geometry = _geometry(packed)
    is_feature = geometry >> 22 & 31 != _PIXELS
    packed, geometry = packed[is_feature], geometry[is_feature]
    keypoints = np.empty((len(packed), 4), np.float32)
    keypoints[:, 0] = (geometry & 2047) * _STEP
    keypoints[:, 1] = (geometry >> 11 & 2047) * _STEP
    keypoints[:, 2] = _SMALLEST * 2.0 ** ((geometry >> 22 & 31) / 4)
    keypoints[:, 3] = (geometry >> 27) * (360 / _ANGLES)
    return Features(keypoints, np.ascontiguousarray(packed[:, :DESCRIPTOR_BYTES]))


def unpack_thumbnail(packed: np.ndarray) -> np.ndarray | None:
    """The thumbnail that was packed beside features, uint8 `[h, w]`, or None; raises `StoreError` as `unpack` does."""
    packed = _narrow(packed)
    geometry = _geometry(packed)
    rows = np.flatnonzero(geometry >> 22 & 31 == _PIXELS)
    if len(rows) == 0:
        return None
    width, height = int(geometry[rows[0]] & 2047), int(geometry[rows[0]] >> 11 & 2047)
    pixels = packed[rows, :DESCRIPTOR_BYTES].ravel()
    if not 0 < width * height <= pixels.size:
        raise StoreError(f"a stored thumbnail of {width}×{height} pixels in {pixels.size} bytes: index again")
    out: np.ndarray = (pixels[: width * height] << 1 | 1).reshape(height, width)
    return out


def _narrow(packed: np.ndarray) -> np.ndarray:
    """The inverse of `as_stored`."""
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != _WIDE:
        return packed
    return np.ascontiguousarray(packed).view("<f4").astype(np.uint8)


def _geometry(packed: np.ndarray) -> np.ndarray:
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != FEATURE_BYTES:
        raise StoreError(
            f"stored features of {packed.dtype} {list(packed.shape)}: expected uint8 [n, {FEATURE_BYTES}]; "
            "the collection was written by another Semblant: index again"
        )
    out: np.ndarray = np.ascontiguousarray(packed[:, DESCRIPTOR_BYTES:]).view("<u4").ravel()
    return out
