"""Pictures of high dynamic range (PQ and HLG) as a screen of none shows them: ICC profiles that hold the way there as a table.

Browsers bring them to such screens by the curve for reference white of SMPTE ST 2094-50: diffuse white, of 203 nits (ITU-R
BT.2408), becomes half of the screen's light, what is brighter shares the other half up to 1,000 nits, and a colour is dimmed by
its brightest channel in BT.2020, so that it keeps its hue.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

from .icc import SRGB_PRIMARIES, to_d50
from .light import in_srgb_curve

__all__ = ["high_range_profile"]

_PQ = 16
_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0
_PEAK = _PEAK_NITS / _WHITE_NITS
_BT_2020 = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])
"""Of BT.2020."""
_WHITE_LIGHT, _BEND = 0.5, 0.65
"""The screen's light of diffuse white, and how far the curve above it bends (kappa)."""
_HLG_GAMMA = 1.2
"""Of a screen of 1,000 nits (ITU-R BT.2100, table 5)."""
_GRID, _STEPS = 33, 4096
_BELOW_PEAK = 0.85
"""The share of the table's steps for light that a screen of 1,000 nits has."""
_D50 = np.array([0.9642, 1.0, 0.8249])


@lru_cache(maxsize=8)
def _table(matrix: bytes, transfer: int) -> bytes:
    """ICC v2 profile with a table (`mft2`) from RGB to CIELAB; `matrix`: bytes of float64 `[3, 3]`, RGB to XYZ of D50."""
    to_bt_2020 = np.linalg.inv(_d50(_BT_2020)) @ np.frombuffer(matrix).reshape(3, 3)
    signals = np.linspace(0, 1, _STEPS)
    places = _places(signals, transfer)
    nodes = np.interp(np.linspace(0, 1, _GRID), places, signals)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 3)  # red changes last
    numbers = np.rint(_lab(_shown(grid, transfer, to_bt_2020))).clip(0, 65535)
    ramp = struct.pack(">2H", 0, 65535)
    table = struct.pack(">4sI4B9i2H", b"mft2", 0, 3, 3, _GRID, 0, *np.eye(3, dtype=int).ravel() * 65536, _STEPS, 2)
    table += np.rint(places * 65535).astype(">u2").tobytes() * 3 + numbers.astype(">u2").tobytes() + ramp * 3
    white = struct.pack(">4sI3i", b"XYZ ", 0, *(round(value * 65536) for value in _D50))
    start = 128 + 4 + 24
    head = struct.pack(">I4sI4s4s4s12x4s28x3i48x", start + len(white) + len(table), b"\0" * 4, 0x02400000, b"mntr", b"RGB ",
                       b"Lab ", b"acsp", *(round(value * 65536) for value in _D50))  # fmt: skip
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", start, len(white), b"A2B0", start + len(white), len(table))
    profile: bytes = head + tags + white + table
    return profile


def high_range_profile(matrix: np.ndarray | None, transfer: int) -> bytes | None:
    """Profile of RGB in PQ (16) or HLG (18), the code points of ITU-T H.273.

    Args:
        matrix: float64 `[3, 3]`, from linear RGB to XYZ under D50 (`icc.to_d50`); None makes no profile.
        transfer: which of the two.
    """
    return None if matrix is None else _table(np.ascontiguousarray(matrix, np.float64).tobytes(), transfer)


def _places(signals: np.ndarray, transfer: int) -> np.ndarray:
    """Where signals of 0–1 stand among the steps of the table, 0–1: evenly for the eye, as far as a screen has their light."""
    grey = _light(np.repeat(signals[:, None], 3, axis=1), transfer, np.eye(3)).max(axis=1)
    seen = in_srgb_curve(_dimmed(np.minimum(grey, _PEAK)))
    if transfer != _PQ:
        return np.asarray(seen)
    peak = signals[np.searchsorted(grey, _PEAK)]
    beyond = _BELOW_PEAK + (1 - _BELOW_PEAK) * (signals - peak) / (1 - peak)
    places: np.ndarray = np.where(grey < _PEAK, _BELOW_PEAK * seen, beyond)
    return places


def _light(signals: np.ndarray, transfer: int, to_bt_2020: np.ndarray) -> np.ndarray:
    """Linear light in BT.2020, 1 for diffuse white, of signals `[n, 3]`."""
    if transfer == _PQ:
        return np.asarray(_pq(signals) / _WHITE_NITS @ to_bt_2020.T)
    scene = _hlg(signals) @ to_bt_2020.T
    luminance = np.maximum(scene @ _LUMINANCE, 0)[:, None]
    return np.asarray(scene * luminance ** (_HLG_GAMMA - 1) * _PEAK)


def _shown(signals: np.ndarray, transfer: int, to_bt_2020: np.ndarray) -> np.ndarray:
    """Linear light of sRGB, 0–1, of signals `[n, 3]`."""
    light = _light(signals, transfer, to_bt_2020)
    brightest = np.maximum(light.max(axis=1, keepdims=True), 1e-9)
    to_srgb = np.linalg.inv(_d50(SRGB_PRIMARIES)) @ _d50(_BT_2020)
    return np.asarray((light * (_dimmed(brightest) / brightest) @ to_srgb.T).clip(0, 1))


def _dimmed(light: np.ndarray) -> np.ndarray:
    """The screen's light, 0–1, of light that is 1 for diffuse white: straight up to it, then along a quadratic Bézier curve."""
    middle_x = (1 - _BEND) + _BEND / _WHITE_LIGHT
    middle_y = (1 - _BEND) * _WHITE_LIGHT + _BEND
    t = np.linspace(0, 1, 1024)
    x = (1 - t) ** 2 + 2 * t * (1 - t) * middle_x + t**2 * _PEAK
    y = (1 - t) ** 2 * _WHITE_LIGHT + 2 * t * (1 - t) * middle_y + t**2
    return np.where(light <= 1, light * _WHITE_LIGHT, np.interp(light, x, y))


def _pq(signal: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: nits of a signal of 0–1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return np.asarray((np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * 10000)


def _hlg(signal: np.ndarray) -> np.ndarray:
    """ARIB STD-B67: light of the scene, 0–1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _lab(light: np.ndarray) -> np.ndarray:
    """CIELAB of D50 in the numbers of `mft2` (ICC.1, 10.10) of linear light of sRGB `[n, 3]`."""
    ratios = light @ _d50(SRGB_PRIMARIES).T / _D50
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios * (29 / 6) ** 2 / 3 + 4 / 29)
    lightness = 116 * f[:, 1] - 16
    return np.stack([
        lightness * 652.8, (500 * (f[:, 0] - f[:, 1]) + 128) * 256, (200 * (f[:, 1] - f[:, 2]) + 128) * 256
    ], axis=1)  # fmt: skip


def _d50(primaries: tuple[float, ...]) -> np.ndarray:
    matrix = to_d50(primaries)  # type: ignore[arg-type]
    assert matrix is not None
    return matrix
