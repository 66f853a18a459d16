"""Whether one picture is another one that was changed all over: mirrored, framed, recoloured, or with a watermark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .copies import light_change
from .pixels import LUMA, box_mean, oriented
from .signatures import WHOLE

if TYPE_CHECKING:
    from .signatures import Box

__all__ = ["changes_between", "in_light_of"]

_SIDE = 256
_LEAST_SIDE = 48
"""Pixels of the longer side, in either picture: of fewer, one shirt is a recoloured other one."""
_MARGIN = 3
"""Pixels at the edges that are not looked at: a frame's shadow, the blur of a JPEG block across it."""
_LIGHT = 1.0
"""Levels from which on the brightness of a whole picture is another one."""
_ENERGY, _COLOUR, _UNEXPLAINED = 13.0, 16.0, 0.3


def changes_between(
    one: np.ndarray, one_box: Box, other: np.ndarray, other_box: Box, orientation: int
) -> tuple[str, ...] | None:
    """What was done to one picture to get the other, in words of `Duplicate.why`; None where something else differs.

    Args:
        one, other: uint8 `[h, w, 3]`.
        one_box, other_box: the parts that are compared: all, or what is within a border.
        orientation: how the first is to be laid over the second, 0–7.
    """
    whole, place = oriented(one, orientation), _oriented_box(one_box, orientation)
    first, second = _cut(whole, place), _cut(other, other_box)
    (h1, w1), (h2, w2) = first.shape[:2], second.shape[:2]
    if min(h1, w1, h2, w2) < 16 or min(max(h1, w1), max(h2, w2)) < _LEAST_SIDE or not 0.95 < (w1 * h2) / (w2 * h1) < 1.05:
        return None
    framed = one_box != WHOLE or other_box != WHOLE
    scale = min(1.0, _SIDE / max(h1, w1), _SIDE / max(h2, w2), (h1 * w1 / (h2 * w2)) ** 0.5)
    size = (max(12, round(w2 * scale)), max(12, round(h2 * scale)))
    b = _shrunk(second, size)
    a = _registered(whole, place, b) if framed else _shrunk(first, size)
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


def in_light_of(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """The first picture in the colours of the second, both uint8 `[h, w, 3]`; None where it has them already."""
    scale = min(1.0, _SIDE / max(*one.shape[:2], *other.shape[:2]))
    size = (max(12, round(other.shape[1] * scale)), max(12, round(other.shape[0] * scale)))
    a, b = _shrunk(one, size), _shrunk(other, size)
    if light_change(a @ LUMA, (b - a) @ LUMA) < _LIGHT:
        return None
    colours = _colours(a, b)
    return None if colours is None else np.rint(_in_colours(one, colours)).astype(np.uint8)


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


def _oriented_box(box: Box, orientation: int) -> Box:
    """Where a part of a picture lies once the picture is in another one of the `pixels.ORIENTATIONS`."""
    left, top, right, bottom = box
    if orientation >= 4:
        left, right = 1 - right, 1 - left
    for _ in range(orientation % 4):
        left, top, right, bottom = top, 1 - right, bottom, 1 - left
    return left, top, right, bottom


def _registered(whole: np.ndarray, box: Box, b: np.ndarray) -> np.ndarray:
    """The part of the first picture that the second shows, where a border was cut wrongly by a few pixels.

    A dark corner of a picture goes with its black border. Gauss–Newton with four unknowns, coarse first; each step shrinks the
    picture itself, so that what was cut off comes back and edges stay sharp.
    """
    height, width = b.shape[:2]
    down, across = whole.shape[:2]
    pad = int(0.08 * max(down, across)) + 4
    picture = Image.fromarray(np.pad(whole, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    start = (box[0] * across + pad, box[1] * down + pad, box[2] * across + pad, box[3] * down + pad)
    part = (round(start[0]), round(start[1]), round(start[2]), round(start[3]))
    ys, xs = (np.mgrid[0:height, 0:width] + 0.5).astype(np.float32)
    sx, tx, sy, ty = 1.0, 0.0, 1.0, 0.0
    first = moved = _part(picture, part, (width, height))
    for side in (9, 9, 5, 3, 3, 3, 3):
        grey, wanted = box_mean(moved @ LUMA, side), box_mean(b @ LUMA, side)
        slope_y, slope_x = np.gradient(grey)
        columns = [slope_x * xs, slope_x, slope_y * ys, slope_y, grey, np.ones_like(grey)]
        inner = np.stack([column[2:-2, 2:-2].ravel() for column in columns], axis=-1)
        try:
            step = np.linalg.lstsq(inner, (wanted - grey)[2:-2, 2:-2].ravel(), rcond=None)[0]
        except np.linalg.LinAlgError:
            return first
        # The places of the moved picture are moved again: x → s (x (1 + a) + b) + t.
        sx, tx = sx * (1 + step[0]), tx + sx * step[1]
        sy, ty = sy * (1 + step[2]), ty + sy * step[3]
        if not (0.93 < sx < 1.07 and 0.93 < sy < 1.07 and abs(tx) < 0.06 * width + 2 and abs(ty) < 0.06 * height + 2):
            return first
        wide, high = (part[2] - part[0]) / width, (part[3] - part[1]) / height
        left, top = part[0] + tx * wide, part[1] + ty * high
        place = (left, top, left + sx * width * wide, top + sy * height * high)
        place = (max(place[0], 0.0), max(place[1], 0.0), min(place[2], picture.width), min(place[3], picture.height))
        moved = _part(picture, place, (width, height))
        if side == 3 and abs(step[:4] * (width, 1, height, 1)).max() < 0.05:
            break
    return moved


def _part(picture: Image.Image, place: tuple[float, ...], size: tuple[int, int]) -> np.ndarray:
    left, top, right, bottom = place
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, (left, top, right, bottom), reducing_gap=3.0), np.float32)


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
        low, high = flat_b[:, channel] <= 0.02, flat_b[:, channel] >= 0.98
        use = ~(low | high)  # what was cut off at black or white says no more than on which side it was
        for _ in range(4):
            if use.sum() < 50:
                use[:] = True
            solved[:, channel] = np.linalg.lstsq(terms[use], flat_b[use, channel], rcond=None)[0]
            shown = terms @ solved[:, channel]
            away = np.abs(np.clip(shown, 0, 1) - flat_b[:, channel])
            fits = away <= 3 * np.median(away) + 0.01
            use = np.where(low, shown > 0.02, np.where(high, shown < 0.98, fits))
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
        if (sign * moved > -2 - 2 * noise).mean() < 0.95:
            continue
        use = room > 25
        if use.mean() < 0.4 or float(np.subtract(*np.percentile(under[use], [75, 25]))) < 8:
            continue
        strength = sign * moved[use] / room[use]
        middle = float(np.median(strength))
        spread = float(np.median(np.abs(strength - middle)))
        slope = float(np.polyfit(room[use], sign * moved[use], 1)[0])  # 1 where one colour covers what was there
        if 0.1 < middle < 0.8 and spread < 0.16 and abs(slope - middle) < 0.15:
            return True
    return False
