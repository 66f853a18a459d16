"""ICC profiles written from numbers: for files that tell their colours by chromaticities and a curve, without a profile."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

__all__ = ["ADOBE_RGB", "SRGB_PRIMARIES", "from_cicp", "from_numbers", "to_d50"]

Primaries = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

_D65 = (0.3127, 0.3290)
SRGB_PRIMARIES: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""ITU-T H.273, table 2."""
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
"""ITU-T H.273, table 3: the curves that are powers."""
_UNSPECIFIED, _SMPTE_240M, _SRGB_CURVE, _SMPTE_428 = 2, 7, 13, 17
_CAMERA_CURVES = (1, 6, 11, 14, 15)
"""Of BT.709 and its like. Browsers show them as sRGB's, and those of a PNG by the curve of the screens for them (BT.1886)."""
_SCREEN_GAMMA = 2.4
_OF_240M = (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0913)
_OF_CINEMA = (2.6, (52.37 / 48) ** (1 / 2.6), 0.0)
"""SMPTE ST 428-1: its power, and what the signal is multiplied by, whose white is less than full."""
_HIGH_RANGE = (16, 18)
"""PQ and HLG: curves of high dynamic range."""
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@lru_cache(maxsize=64)
def from_numbers(primaries: Primaries, gamma: float | None) -> bytes | None:
    """ICC v4 display profile of RGB with these primaries and this power, or sRGB's curve; None where they make no colours."""
    if gamma is None:
        return _profile(primaries, _parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    return _profile(primaries, _parametric(0, gamma))


@lru_cache(maxsize=64)
def from_cicp(primaries: int, transfer: int, *, of_png: bool = False) -> bytes | None:
    """Of the code points of ITU-T H.273, as PNG's cICP and AVIF's nclx have them; None for sRGB and for those not known."""
    where = SRGB_PRIMARIES if primaries == _UNSPECIFIED else _PRIMARIES.get(primaries)
    if where is None:
        return None
    if transfer in _CAMERA_CURVES and of_png:
        return from_numbers(where, _SCREEN_GAMMA)
    if transfer in (_SRGB_CURVE, _UNSPECIFIED, *_CAMERA_CURVES):
        return None if where == SRGB_PRIMARIES else from_numbers(where, None)
    if transfer in _GAMMAS:
        return from_numbers(where, _GAMMAS[transfer])
    if transfer in _HIGH_RANGE:
        from .high_range import high_range_profile

        return high_range_profile(to_d50(where), transfer)
    if transfer == _SMPTE_240M:
        return _profile(where, _parametric(3, *_OF_240M))
    return _profile(where, _parametric(1, *_OF_CINEMA)) if transfer == _SMPTE_428 else None


def _parametric(kind: int, *numbers: float) -> bytes:
    """A curve of one of the kinds that profiles have (ICC.1, 10.18)."""
    return struct.pack(f">4sIHH{len(numbers)}i", b"para", 0, kind, 0, *(_fixed(number) for number in numbers))


def _profile(primaries: Primaries, curve: bytes) -> bytes | None:
    matrix = to_d50(primaries)
    if matrix is None:
        return None
    tags = [(b"wtpt", _xyz(_D50))]
    tags += [(name, _xyz(tuple(column))) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    start = 128 + 4 + 12 * len(tags)
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for name, content in tags:
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    head = struct.pack(">I4sI4s4s4s12x4s28x3i48x", start + len(body), b"\0" * 4, 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"acsp",
                       *(_fixed(v) for v in _D50))  # fmt: skip
    return head + table + body


def to_d50(primaries: Primaries) -> np.ndarray | None:
    """`[3, 3]` from linear RGB to XYZ under D50, as profiles have it."""
    xy = np.array(primaries, np.float64).reshape(4, 2)
    if not np.isfinite(xy).all() or (xy[:, 1] <= 0).any():
        return None
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]], axis=1)  # [4, 3]
    try:
        matrix = xyz[1:].T * np.linalg.solve(xyz[1:].T, xyz[0])
        cones = _BRADFORD @ np.array(_D50) / (_BRADFORD @ xyz[0])
        adapted: np.ndarray = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix
    except np.linalg.LinAlgError:
        return None
    return adapted if np.isfinite(adapted).all() and np.abs(adapted).max() < 100 else None


def _xyz(values: tuple[float, ...]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(_fixed(value) for value in values))


def _fixed(value: float) -> int:
    return round(value * 65536)


_ADOBE = from_numbers((*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256)
assert _ADOBE is not None
ADOBE_RGB: bytes = _ADOBE
"""Adobe RGB (1998), which cameras name in EXIF by `InteropIndex` R03."""
