"""ICC profiles written from numbers: for files that tell their colours by chromaticities and a curve, without a profile."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

__all__ = ["ADOBE_RGB", "SRGB_PRIMARIES", "from_cicp", "from_numbers"]

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
"""ITU-T H.273, table 3: the curves that are powers. That of BT.709 (1, 6, 14, 15) is shown as sRGB's, as browsers do."""
_SRGB_CURVES = (1, 2, 6, 13, 14, 15)
_PQ, _HLG = 16, 18
_WHITE_NITS = 203.0
"""Diffuse white of pictures of high dynamic range (ITU-R BT.2408); what is brighter is white."""
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@lru_cache(maxsize=64)
def from_numbers(primaries: Primaries, gamma: float | None) -> bytes | None:
    """ICC v4 display profile of RGB with these primaries and this power, or sRGB's curve; None where they make no colours."""
    if gamma is None:
        numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        curve = struct.pack(">4sIHH5i", b"para", 0, 3, 0, *(_fixed(number) for number in numbers))
    else:
        curve = struct.pack(">4sIHHi", b"para", 0, 0, 0, _fixed(gamma))
    return _profile(primaries, curve)


@lru_cache(maxsize=64)
def from_cicp(primaries: int, transfer: int) -> bytes | None:
    """Of the code points of ITU-T H.273, as PNG's cICP and AVIF's nclx have them; None for sRGB and for those not known."""
    where = SRGB_PRIMARIES if primaries == 2 else _PRIMARIES.get(primaries)
    if where is None or (where == SRGB_PRIMARIES and transfer in _SRGB_CURVES):
        return None
    if transfer in _SRGB_CURVES:
        return from_numbers(where, None)
    if transfer in _GAMMAS:
        return from_numbers(where, _GAMMAS[transfer])
    if transfer in (_PQ, _HLG):
        steps = np.linspace(0, 1, 4096)
        light = _pq(steps) if transfer == _PQ else _hlg(steps)
        table = np.rint(np.clip(light, 0, 1) * 65535).astype(">u2").tobytes()
        return _profile(where, struct.pack(">4sII", b"curv", 0, len(steps)) + table)
    return None


def _pq(signal: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: light of a signal of 0–1, where 1 is diffuse white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    light: np.ndarray = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * 10000 / _WHITE_NITS
    return light


def _hlg(signal: np.ndarray) -> np.ndarray:
    """ARIB STD-B67: light of the scene, where 1 is diffuse white, which lies at three quarters of the signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073

    def light(value: np.ndarray) -> np.ndarray:
        return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)

    shown: np.ndarray = light(signal) / light(np.array(0.75))
    return shown


def _profile(primaries: Primaries, curve: bytes) -> bytes | None:
    matrix = _to_d50(primaries)
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


def _to_d50(primaries: Primaries) -> np.ndarray | None:
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
