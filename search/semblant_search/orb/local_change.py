"""The place where two pictures that lie over each other differ most: another name on the same form, words on a photograph.

Over all of a page, three other lines of text are nothing: it correlates beyond .995, everywhere. What tells such a page from a
copy is that the one difference stands out from all others. What compression, another size or another light leaves is spread
over the picture; it is small, or lies at edges.
"""

from __future__ import annotations

import numpy as np

from .features import load_cv2

__all__ = ["is_unchanged", "local_change"]

_DARKEST, _BRIGHTEST = 4, 251
"""Grey levels beyond which whatever changed a picture's light cut it off."""
_LEAST = 50
"""Fewest pixels that say in which light a picture was put."""
_OFF = 2.5
"""Pixels that differ by so many medians, and a grey level, do not."""
_EDGE = 0.15
"""Share of the contrast around a pixel that a part of a pixel's shift may put into it."""
_SPREAD = 0.95
"""What one pixel in twenty differs by is spread; a line of text on a page takes less."""
_BLUR = 0.8
"""Pixels (standard deviation): fur and weave are sampled otherwise in a copy of half the size, and a line of text is not."""
_MOST_SPREAD = 6.0
"""Grey levels: more is another light or colour, which a stranger of the same family may have, too."""
_MOST_AWAY = 22.0
"""Grey levels. On 240 pixels a side, copies of pages of black text have 16 at most (in JPEG 15, half as large), and other pages
of the same form 34 at least."""


def local_change(query: np.ndarray, candidate: np.ndarray, inside: np.ndarray) -> float:
    """The largest difference of a pixel ÷ (that which one pixel in twenty has, and one grey level).

    Light is taken out first, in either direction, for what was cut off at black or white is known from one side only. On
    thumbnails of 64 pixels, of copies, compressed, blurred or shrunk, half reach 1 and one in thirty 2.6, in other light 3.3
    (of some photographs 11); of pages of one form with another name and number one in fifty stays below 1, and half reach 8.

    Args:
        query: uint8 `[h, w]`, laid over the candidate.
        candidate: uint8 `[h, w]`.
        inside: bool `[h, w]`, where there is anything of both.

    Returns:
        0 or more; 0 where nothing differs, or too little is to be seen.
    """
    if inside.sum() < _LEAST:
        return 0.0
    cv2 = load_cv2()
    one, other = (cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), _BLUR) for pixels in (query, candidate))
    least = np.inf
    for given, wanted in ((one, other), (other, one)):
        away = _away(_in_its_light(given, wanted, inside), wanted)[inside]
        least = min(least, float(away.max() / (1 + np.quantile(away, _SPREAD))))
    return least


def is_unchanged(query: np.ndarray, candidate: np.ndarray, inside: np.ndarray) -> bool:
    """Whether nothing stands out, and all is in the same light; arguments as of `local_change`."""
    if inside.sum() < _LEAST:
        return False
    away = _away(query.astype(np.float32), candidate.astype(np.float32))[inside]
    return float(np.quantile(away, _SPREAD)) <= _MOST_SPREAD and float(away.max()) <= _MOST_AWAY


def _away(shown: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Differences in grey levels, float32 `[h, w]`, without what a shift by a part of a pixel explains."""
    cv2 = load_cv2()
    square = np.ones((3, 3), np.uint8)
    edge = np.maximum(*(cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, square) for pixels in (wanted, shown)))
    away: np.ndarray = np.maximum(np.abs(wanted - shown) - _EDGE * edge, 0)
    return away


def _in_its_light(given: np.ndarray, wanted: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The first picture in the second one's brightness, contrast and gamma: a parabola, fitted twice, without what is off."""
    use = inside & (wanted > _DARKEST) & (wanted < _BRIGHTEST)
    if use.sum() < _LEAST:
        use = inside
    shown = given
    for _ in range(2):
        level = given[use] / 255
        terms = np.column_stack([np.ones_like(level), level, level * level])
        weights = np.linalg.lstsq(terms, wanted[use], rcond=None)[0]
        shown = np.clip(weights[0] + weights[1] * (given / 255) + weights[2] * (given / 255) ** 2, 0, 255).astype(np.float32)
        away = np.abs(wanted - shown)
        fits = use & (away <= _OFF * np.median(away[use]) + 1)
        if fits.sum() < _LEAST:
            break
        use = fits
    return shown
