"""Whether one picture is another one that was changed all over: mirrored, framed, recoloured, or with a watermark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .pixels import LUMA, box_mean, oriented

if TYPE_CHECKING:
    from .signatures import Box

__all__ = ["changes_between"]

_SIDE = 256
_MARGIN = 3
"""Pixels at the edges that are not looked at: a frame's shadow, the blur of a JPEG block across it."""
_ENERGY, _COLOUR, _UNEXPLAINED = 13.0, 16.0, 0.3
_ALL: Box = (0.0, 0.0, 1.0, 1.0)


def changes_between(
    one: np.ndarray, one_box: Box, other: np.ndarray, other_box: Box, orientation: int
) -> tuple[str, ...] | None:
    """What was done to one picture to get the other, in words of `Duplicate.why`; None where something else differs.

    Args:
        one, other: uint8 `[h, w, 3]`.
        one_box, other_box: the parts that are compared: all, or what is within a border.
        orientation: how the first is to be laid over the second, 0–7.
    """
    first, second = oriented(_cut(one, one_box), orientation), _cut(other, other_box)
    (h1, w1), (h2, w2) = first.shape[:2], second.shape[:2]
    if min(h1, w1, h2, w2) < 16 or not 0.95 < (w1 * h2) / (w2 * h1) < 1.05:
        return None
    framed = one_box != _ALL or other_box != _ALL
    scale = min(1.0, _SIDE / max(h1, w1), _SIDE / max(h2, w2), (h1 * w1 / (h2 * w2)) ** 0.5)
    size = (max(12, round(w2 * scale)), max(12, round(h2 * scale)))
    a, b = (_shrunk(part, size) for part in (first, second))
    if framed:
        a = _registered(a, b)
    inside = (slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    plain, b = a[inside], b[inside]
    a = plain
    why = ["mirrored"] * (orientation >= 4) + ["turned"] * (orientation % 4 > 0) + ["framed"] * framed
    contrast = float((b @ LUMA).std())
    if contrast < 8:
        return None
    if float(np.corrcoef((a @ LUMA).ravel(), (b @ LUMA).ravel())[0, 1]) < 0.85:
        return None
    if _agrees(b - a, contrast):
        return tuple(why) if why else ("recompressed",)
    colours = _colours(a, b)
    if colours is not None:
        # Cut off at black and white before it was shrunk, as whatever changed the picture did.
        a = _in_colours(a, colours) if framed else _shrunk(_in_colours(first, colours), size)[inside]
        if _agrees(b - a, contrast):
            return (*why, "recoloured")
        a = plain
    if _has_watermark(a, b, contrast) or _has_watermark(b, a, contrast):
        return (*why, "watermark")
    return None


def _cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    return pixels[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


def _shrunk(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(np.rint(pixels).astype(np.uint8)))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.float32)


def _agrees(left: np.ndarray, contrast: float, where: np.ndarray | None = None) -> bool:
    """Whether what is left to differ is small at every place, or at those that are asked for."""
    luma = left @ LUMA
    energy = np.sqrt(box_mean(luma * luma, 5))
    colour = np.abs(box_mean(left - luma[..., None], 7)).max(axis=2)
    if where is not None:
        if not where.any():
            return False
        luma, energy, colour = luma[where], energy[where], colour[where]
    unexplained = float(np.sqrt((luma * luma).mean())) / contrast
    return unexplained <= _UNEXPLAINED and float(energy.max()) <= _ENERGY and float(colour.max()) <= _COLOUR


def _registered(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The first picture moved and scaled by the few pixels that a border was cut wrongly by (Gauss–Newton, four unknowns)."""
    height, width = a.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    wanted = box_mean(b @ LUMA, 3)
    sx, tx, sy, ty = 1.0, 0.0, 1.0, 0.0
    moved = a
    for _ in range(6):
        grey = box_mean(moved @ LUMA, 3)
        down, across = np.gradient(grey)
        columns = np.stack([across * xs, across, down * ys, down, grey, np.ones_like(grey)], axis=-1)[2:-2, 2:-2].reshape(-1, 6)
        left = (wanted - grey)[2:-2, 2:-2].reshape(-1)
        try:
            step = np.linalg.lstsq(columns, left, rcond=None)[0]
        except np.linalg.LinAlgError:
            return a
        # The places of the moved picture are moved again: x → s (x (1 + a) + b) + t.
        sx, tx = sx * (1 + step[0]), tx + sx * step[1]
        sy, ty = sy * (1 + step[2]), ty + sy * step[3]
        if not (0.93 < sx < 1.07 and 0.93 < sy < 1.07 and abs(tx) < 0.06 * width + 2 and abs(ty) < 0.06 * height + 2):
            return a
        moved = np.stack([_moved(a[..., c], (sx, 0, tx, 0, sy, ty)) for c in range(3)], axis=-1)
        if abs(step[:4]).max() < 1e-3:
            break
    return moved


def _moved(channel: np.ndarray, matrix: tuple[float, ...]) -> np.ndarray:
    sx, _, tx, _, sy, ty = matrix
    # Pillow's places are corners of pixels, ours are centres.
    shifted = (sx, 0, tx + 0.5 - 0.5 * sx, 0, sy, ty + 0.5 - 0.5 * sy)
    picture = Image.fromarray(channel)
    out = picture.transform(picture.size, Image.Transform.AFFINE, shifted, Image.Resampling.BICUBIC)
    inside = Image.new("L", picture.size, 255).transform(picture.size, Image.Transform.AFFINE, shifted)
    return np.where(np.asarray(inside) > 0, np.asarray(out), channel)


def _colours(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """What brings the first picture into the second one's colours (brightness, contrast, gamma, saturation, no colour at all):
    float64 `[7, 3]`, weights of 1, the channels and their squares; None where colours were exchanged."""
    flat_a, flat_b = a.reshape(-1, 3) / 255, b.reshape(-1, 3) / 255
    luma_a, luma_b = flat_a @ LUMA, flat_b @ LUMA
    if float(np.corrcoef(luma_a, luma_b)[0, 1]) < 0.9:
        return None
    hue_a, hue_b = flat_a - luma_a[:, None], flat_b - luma_b[:, None]
    strength = float(np.sqrt((hue_a**2).mean() * (hue_b**2).mean()))
    if (hue_b**2).mean() > 1e-4 and float((hue_a * hue_b).mean()) < 0.5 * strength:
        return None
    terms, solved = _terms(flat_a), np.zeros((7, 3))
    for channel in range(3):
        use = (flat_b[:, channel] > 0.02) & (flat_b[:, channel] < 0.98)  # what was cut off at black or white says nothing
        for _ in range(2):
            if use.sum() < 50:
                use[:] = True
            solved[:, channel] = np.linalg.lstsq(terms[use], flat_b[use, channel], rcond=None)[0]
            away = np.abs(np.clip(terms @ solved[:, channel], 0, 1) - flat_b[:, channel])
            use &= away <= 3 * np.median(away) + 0.01
    return solved


def _terms(flat: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(flat), 1)), flat, flat**2], axis=1)


def _in_colours(pixels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    shown = np.clip(_terms(pixels.reshape(-1, 3) / 255) @ colours, 0, 1) * 255
    out: np.ndarray = shown.reshape(pixels.shape).astype(np.float32)
    return out


def _has_watermark(plain: np.ndarray, marked: np.ndarray, contrast: float) -> bool:
    """Whether the second picture is the first with letters or a sign of one colour and transparency laid over a part of it.

    Such a mark moves every pixel by the same share towards its own colour, so that what is below can still be seen: places that
    differ more from its colour change more. A thing that came, went or moved does not do that.
    """
    left = marked - plain
    luma, below = left @ LUMA, plain @ LUMA
    noise = float(np.median(np.abs(luma)))
    changed = np.abs(box_mean(luma, 3)) > max(6.0, 4 * noise)
    share = float(changed.mean())
    if not 0.002 < share < 0.35:
        return False
    around = box_mean(changed.astype(np.float32), 9) > 0
    if not _agrees(left, contrast, ~around):
        return False
    core = box_mean(changed.astype(np.float32), 3) > 0.7
    if core.sum() < 20:
        return False
    moved, under = luma[core], below[core]
    for colour, sign in ((255.0, 1), (0.0, -1)):
        room = sign * (colour - under)
        if (sign * moved > -2).mean() < 0.97:
            continue
        use = room > 25
        if use.mean() < 0.4 or float(np.subtract(*np.percentile(under[use], [75, 25]))) < 8:
            continue
        strength = sign * moved[use] / room[use]
        middle = float(np.median(strength))
        spread = float(np.median(np.abs(strength - middle)))
        slope = float(np.polyfit(room[use], sign * moved[use], 1)[0])  # 1 where one colour covers what was there
        if 0.1 < middle < 0.8 and spread < 0.12 and abs(slope - middle) < 0.15:
            return True
    return False
