"""Whether one picture is a copy of another: nothing is left to differ but what resizing and compressing do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .pixels import LUMA, box_mean, explanations

if TYPE_CHECKING:
    from .codecs import Codec

__all__ = ["Seen", "copy_distance"]


_SLACK = 3.0
"""Levels by which a copy may have differed from its original before it was compressed: other filters, other roundings."""
_UNEXPLAINED = 0.4
"""The most that may be left to differ, as a share of the contrast: the noise of two empty pages is all of it."""
_NOISY_UNEXPLAINED = 0.25
_TINY = 64
"""Pixels of the shorter side, below which nothing is put down to noise that cannot be told from a change."""
_FAR, _STRICT = 4.0, 0.6
"""Shrunk by more than this, a changed word is hardly more than noise, and copies have to agree better."""
_NEARLY = 6.0
"""A distance from which on no other explanation is tried."""
_USUAL = 3
"""Settings of a codec that are tried with every filter; the others are tried with the best of them."""
_GLANCE, _GLANCE_LEVELS = 64, 60.0
"""Longest side in pixels, and levels, of the first look."""
_ACTIVE = 30.0
"""Variance of fine detail, in levels², from which on a place shows how a picture was compressed."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What is compared of a picture.

    Attributes:
        pixels: uint8 `[h, w, 3]`, over white.
        codec: how its file was compressed.
    """

    pixels: np.ndarray
    codec: Codec


def copy_distance(larger: Seen, smaller: Seen) -> float:
    """How far two pictures are from being copies: 0 for equal pixels, up to 1 for copies, more for others.

    The larger one is shrunk to the size of the smaller one, then compressed as the smaller one's file was (its quantization
    tables, its palette), and the *worst* place is looked at, of luma and of colour: what compression does is undone by doing it
    again, while a changed word stays. The larger one may have differed by `_SLACK` levels before. Where the smaller file keeps
    every pixel, or the larger one was itself compressed, the noise is estimated at the edges of the picture instead.
    """
    if larger.pixels.shape == smaller.pixels.shape:
        if np.array_equal(larger.pixels, smaller.pixels):
            return 0.0
        if _differ_at_a_glance(larger.pixels, smaller.pixels):
            return float("inf")
        return min(_one_way(larger, smaller), _one_way(smaller, larger))
    if _differ_at_a_glance(larger.pixels, smaller.pixels):
        return float("inf")
    distance = _one_way(larger, smaller)
    enlarged = larger.pixels.shape[0] / smaller.pixels.shape[0]
    if 1 < distance < _NEARLY and enlarged < _FAR:
        distance = min(distance, _one_way(smaller, larger))  # which would mean that the larger one was enlarged
    return distance


def _differ_at_a_glance(larger: np.ndarray, smaller: np.ndarray) -> bool:
    """Whether two pictures already differ at a size at which compression is averaged out: most lookalikes do."""
    height, width = smaller.shape[:2]
    scale = _GLANCE / max(height, width)
    if scale > 0.4:  # few pixels of the smaller one would be averaged
        return False
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    one, other = (
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BOX), np.float32) @ LUMA
        for pixels in (larger, smaller)
    )
    left = one - other
    return float(np.sqrt(np.square(left).mean())) > 0.6 * float(other.std()) or worst_energy(left, 3) > _GLANCE_LEVELS


def _one_way(source: Seen, copy: Seen) -> float:
    wanted = copy.pixels.astype(np.float32)
    contrast = float((wanted @ LUMA).std())
    if contrast < 1:
        return float("inf")  # of one colour, there is nothing to be the same
    shrunk = (source.pixels.shape[0] * source.pixels.shape[1] / (wanted.shape[0] * wanted.shape[1])) ** 0.5
    strict = _STRICT if shrunk > _FAR else 1.0
    best = np.inf
    closest: tuple[float, np.ndarray] | None = None
    usual, unusual = copy.codec.settings[:_USUAL], copy.codec.settings[_USUAL:]
    noise = copy.codec.step + source.codec.step
    for shown in explanations(source.pixels, copy.pixels):
        left = wanted - shown
        unexplained = float(np.sqrt(np.square(left @ LUMA).mean())) / contrast
        if unexplained > _UNEXPLAINED:
            continue
        for setting in usual:
            distance = _compressed_distance(shown, left, copy, setting, noise, strict)
            if closest is None or distance < closest[0]:
                closest = distance, shown
            best = min(best, distance)
        if unexplained <= _NOISY_UNEXPLAINED and (copy.codec.kind == "EXACT" or source.codec.kind != "EXACT"):
            best = min(best, _noisy_distance(left, wanted, small=min(wanted.shape[:2]) < _TINY, shrunk=shrunk))
        if best <= 0.5:
            return float(best)
    if closest is not None and 1 < best < _NEARLY:
        for setting in unusual:
            best = min(best, _compressed_distance(closest[1], wanted - closest[1], copy, setting, noise, strict))
    return float(best)


def _compressed_distance(shown: np.ndarray, left: np.ndarray, copy: Seen, setting: int, noise: float, strict: float) -> float:
    """What is left, in what is allowed, once the shown picture was compressed: as it is, and a little nearer to the copy."""
    best, slack = np.inf, _SLACK * strict
    for near in (shown, shown + np.clip(left, -slack, slack)):
        again = copy.pixels - copy.codec.rewritten(np.clip(np.rint(near), 0, 255).astype(np.uint8), setting).astype(np.float32)
        luma = again @ LUMA
        hue = again - luma[..., None]
        colour = max(float(np.abs(box_mean(hue, 5)).max()), worst_energy(np.abs(hue).max(axis=2), 3) / 2)
        best = min(best, max(worst_energy(luma, 3) / (4 + 1.3 * noise), colour / (5 + 0.8 * noise)) / strict)
        if best <= 0.5:
            break
    return best


def _noisy_distance(left: np.ndarray, wanted: np.ndarray, *, small: bool, shrunk: float) -> float:
    luma = left @ LUMA
    grey = wanted @ LUMA
    energy = box_mean(luma * luma, 3)
    same_size = shrunk < 1.15
    active = box_mean(np.square(grey - box_mean(grey, 5)), 9) > _ACTIVE
    noise = float(np.sqrt(np.median(energy[active] if active.sum() > 50 else energy)))
    most = 6.0 if small else 26.0 if same_size else 12.0
    allowed = min(most, 2.5 + (5 if same_size and noise > 2.5 else 8) * noise)
    colour = float(np.abs(box_mean(left - luma[..., None], 5)).max())
    return max(float(np.sqrt(energy.max())) / allowed, colour / (2 + allowed))


def worst_energy(values: np.ndarray, side: int) -> float:
    """The largest root mean square over any square of `side` pixels of `[h, w]`."""
    return float(np.sqrt(box_mean(values * values, side).max()))
