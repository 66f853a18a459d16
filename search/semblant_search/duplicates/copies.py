"""Whether one picture is a copy of another: nothing is left to differ but what resizing and compressing do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from semblant_search.images import scaled_size

from .pixels import LUMA, box_mean, explanations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .decoding import DecodedPicture

__all__ = ["NO_COPY", "CopyProof", "copy_proof", "light_change"]

_SLACK = 3.0
"""Levels by which a copy may have differed from its original before it was compressed: other filters, other roundings."""
_UNEXPLAINED = 0.4
"""The most that may be left to differ, as a share of the contrast: the noise of two empty pages is all of it."""
_NOISY_UNEXPLAINED = 0.25
_TINY = 64
"""Pixels of the shorter side, below which nothing is put down to noise that cannot be told from a change."""
_LEAST_SIDE, _LEAST_AREA = 6, 144
"""Pixels of the shorter side and of the whole, below which a shrunk picture is like too many others."""
_FAR, _STRICT, _COARSE = 4.0, 0.6, 2.5
"""Shrunk by more than this, a changed word is hardly more than noise: copies have to agree better, and where compression has
steps of more levels than the third, nothing is proven unless all was done again exactly."""
_GREY_LEVELS = 6.0
"""Levels of colour that a picture may have of which a copy without colours was made."""
_NEARLY = 6.0
"""A distance from which on no other explanation is tried."""
_USUAL = 3
"""Settings of a codec that are tried with every filter; the others are tried with the best of them."""
_GLANCE, _GLANCE_LEVELS = 64, 60.0
"""Longest side in pixels, and levels, of the first look."""
_ACTIVE = 30.0
"""Variance of fine detail, in levels², from which on a place shows how a picture was compressed."""
_AGAIN, _AGAIN_LEVELS = 0.95, 0.6
"""What made the copy was found and done again exactly where at this share of such places no more than these levels are left."""
_GRAIN = 1.2
"""Levels of noise between two pictures of one size, beyond what their compression makes: more is another scan or exposure."""
_SURE_LEVELS = 12.0
"""Levels up to which what is left may be compression for a copy to be sure."""
_BIAS, _BIAS_NOISE, _BIAS_SIDE = 1.8, 1.5, 17
"""Levels by which the mean of a larger place may be off, more of them for each level of noise, and its side in pixels."""

_LIGHT, _LIGHT_NOISE = 1.0, 0.15
"""Levels by which brightness may be another one all over, and more of them for each level of noise."""


class CopyProof(NamedTuple):
    """How far two pictures are from being copies.

    Attributes:
        distance: 0 for equal pixels, up to 1 for copies, more for others.
        sure: a small change would have been seen: what made the copy was done again exactly, or little of it was lost.
        again: what made the copy was done again exactly, so that whatever is left is a change.
    """

    distance: float
    sure: bool = False
    again: bool = False


NO_COPY = CopyProof(float("inf"))


def copy_proof(larger: DecodedPicture, smaller: DecodedPicture) -> CopyProof:
    """Compare two pictures, of which the first has as many pixels or more.

    The larger one is shrunk to the size of the smaller one, then compressed as the smaller one's file was (its quantization
    tables, its palette), and the *worst* place is looked at, of luma and of colour: what compression does is undone by doing it
    again, while a changed word stays. Where this brings back nearly every place exactly, what is left elsewhere is a change,
    however faint. Else the larger one may have differed by `_SLACK` levels before. Where the smaller file keeps every pixel, or
    the larger one was itself compressed, the noise is estimated at the edges of the picture instead.
    """
    if larger.pixels.shape == smaller.pixels.shape:
        if np.array_equal(larger.pixels, smaller.pixels):
            return CopyProof(0.0, sure=True, again=True)
        if _differ_at_a_glance(larger.pixels, smaller.pixels):
            return NO_COPY
        return _better(_one_way(larger, smaller), _one_way(smaller, larger))
    height, width = smaller.pixels.shape[:2]
    if min(height, width) < _LEAST_SIDE or height * width < _LEAST_AREA or _differ_at_a_glance(larger.pixels, smaller.pixels):
        return NO_COPY
    proof = _one_way(larger, smaller)
    if 1 < proof.distance < _NEARLY and larger.pixels.shape[0] / height < _FAR:
        proof = _better(proof, _one_way(smaller, larger))  # which would mean that the larger one was enlarged
    return proof


def _better(one: CopyProof, other: CopyProof) -> CopyProof:
    """The one that says more: what was done again exactly, else the nearer."""
    return min(one, other, key=lambda proof: (not proof.again, proof.distance))


def _differ_at_a_glance(larger: np.ndarray, smaller: np.ndarray) -> bool:
    """Whether two pictures already differ at a size at which compression is averaged out: most lookalikes do."""
    height, width = smaller.shape[:2]
    scale = _GLANCE / max(height, width)
    if scale > 0.4:  # few pixels of the smaller one would be averaged
        return False
    size = scaled_size((width, height), scale)
    one, other = (
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BOX), np.float32) @ LUMA
        for pixels in (larger, smaller)
    )
    left = one - other
    return float(np.sqrt(np.square(left).mean())) > 0.6 * float(other.std()) or worst_energy(left, 3) > _GLANCE_LEVELS


class _Copy:
    """A picture that may be the copy, with all that is the same whatever it is compared with."""

    def __init__(self, source: DecodedPicture, copy: DecodedPicture) -> None:
        self.wanted = copy.pixels.astype(np.float32)
        self.codec = copy.codec
        grey = self.wanted @ LUMA
        self.contrast = float(grey.std())
        self.shrunk = float((source.area / copy.area) ** 0.5)
        self.noise = copy.codec.step + source.codec.step / (self.shrunk if self.shrunk > _FAR else 1.0)
        self.small = min(self.wanted.shape[:2]) < _TINY
        active = box_mean(np.square(grey - box_mean(grey, 5)), 9) > _ACTIVE
        self.active = active if active.sum() > 50 else np.ones_like(active)
        strict = _STRICT if self.shrunk > _FAR else 1.0
        # Where there is little to be seen, as at night, little may differ.
        self.slack = strict * min(_SLACK, 0.5 + 0.15 * self.contrast)
        self.luma_allowed = strict * (min(4.0, 1 + 0.15 * self.contrast) + 1.3 * self.noise)
        self.colour_allowed = strict * (5 + 0.8 * self.noise)

    def tried(self, shown: np.ndarray, setting: int | None) -> CopyProof:
        """The picture that is shown, compressed as the copy was: as it is, then a little nearer to the copy."""
        if self.codec.grey and float(np.abs(box_mean(shown - (shown @ LUMA)[..., None], 5)).max()) > _GREY_LEVELS:
            return NO_COPY  # written again as it was, it would lose its colours unseen
        best: CopyProof | None = None
        left = self.wanted - shown
        luma_left = hue_left = np.full(left.shape[:2], np.inf, np.float32)
        exact, bias = [False, False], 0.0
        for slack in (0.0, 1.0, self.slack):
            near = np.clip(np.rint(shown + np.clip(left, -slack, slack)), 0, 255).astype(np.uint8)
            again = self.wanted - (near if setting is None else self.codec.rewritten(near, setting)).astype(np.float32)
            luma = again @ LUMA
            hue = np.abs(again - luma[..., None]).max(axis=2)
            luma_energy, hue_energy = box_mean(luma * luma, 3), box_mean(hue * hue, 3)
            if slack == 0:
                exact = [self._is_exact(energy) for energy in (luma_energy, hue_energy)]
                bias = max(self._bias(luma), self._light(shown, luma))
            # A step of quantization more or less is gone with one of them, a change stays with all.
            luma_left, hue_left = np.minimum(luma_left, luma_energy), np.minimum(hue_left, hue_energy)
            faint = 1.5 if setting is None else 2 + 0.25 * self.noise
            worst = float(np.sqrt(luma_left.max())), float(np.sqrt(hue_left.max())) / 2
            if exact[0]:
                if exact[1]:
                    colour = worst[1] / faint
                else:  # another filter for colours, which leaves their means
                    off = float(np.abs(box_mean(again - luma[..., None], _BIAS_SIDE)).max())
                    colour = max(worst[1] / self.colour_allowed, off / (_BIAS + 0.3 * self.noise))
                best = CopyProof(max(worst[0] / faint, colour), sure=exact[1], again=True)
            elif setting is None:
                return NO_COPY
            else:
                flat = float(np.abs(box_mean(again - luma[..., None], 5)).max())
                distance = max(worst[0] / self.luma_allowed, max(flat, worst[1]) / self.colour_allowed, bias)
                found = CopyProof(distance, sure=self.shrunk <= _FAR and self.luma_allowed <= _SURE_LEVELS)
                best = found if best is None or found.distance < best.distance else best
            if best.distance <= 0.5 or best.distance > _NEARLY or setting is None:
                break
        assert best is not None
        if self.shrunk > _FAR and self.noise > _COARSE and not best.again:
            return best._replace(distance=max(best.distance, 1.2))
        return best

    def noisy(self, shown: np.ndarray) -> CopyProof:
        """Without compressing again: what is left, in the noise of the edges."""
        left = self.wanted - shown
        luma = left @ LUMA
        energy = box_mean(luma * luma, 3)
        same_size = self.shrunk < 1.15
        noise = float(np.sqrt(np.median(energy[self.active])))
        most = 6.0 if self.small else 26.0 if same_size else 12.0
        allowed = min(most, 2.5 + (5 if self.shrunk > _FAR or (same_size and noise > 2.5) else 8) * noise)
        colour = float(np.abs(box_mean(left - luma[..., None], 5)).max())
        distance = max(
            float(np.sqrt(energy.max())) / allowed, colour / (2 + allowed), self._bias(luma), self._light(shown, luma)
        )
        if same_size and noise > _GRAIN + self.noise:
            distance = max(distance, 1.2)
        return CopyProof(distance, sure=self.shrunk <= _FAR and allowed <= _SURE_LEVELS)

    def _bias(self, luma: np.ndarray) -> float:
        """How far the mean of a larger place is off, as a share of what is allowed."""
        off = float(np.abs(box_mean(luma, _BIAS_SIDE)).max())
        return off / (_BIAS + _BIAS_NOISE * self.noise)

    def _light(self, shown: np.ndarray, luma: np.ndarray) -> float:
        """How far all of it is brighter, darker or of another contrast, as a share of what is allowed."""
        if self.codec.kind == "PALETTE":
            return 0.0  # the few colours of a file, and how they were mixed, make it lighter or darker as well
        return light_change(shown @ LUMA, luma) / (_LIGHT + _LIGHT_NOISE * self.noise)

    def _is_exact(self, energy: np.ndarray) -> bool:
        most = float(np.quantile(energy[self.active], _AGAIN))
        return most <= _AGAIN_LEVELS**2


def _one_way(source: DecodedPicture, copy: DecodedPicture) -> CopyProof:
    compared = _Copy(source, copy)
    if compared.contrast < 1:
        return NO_COPY  # of one colour, there is nothing to be the same
    best, closest = NO_COPY, None
    shown_by = explanations(source.pixels, copy.pixels)
    for number, shown in enumerate(shown_by):
        mixed = 0 < number == len(shown_by) - 1  # which was fitted to the copy, changes and all
        unexplained = float(np.sqrt(np.square((compared.wanted - shown) @ LUMA).mean())) / compared.contrast
        if unexplained > _UNEXPLAINED:
            continue
        for proof in _attempts(compared, shown):
            if proof.again and (proof.distance <= 1 or not mixed):
                return proof
            if proof.distance < best.distance:
                best, closest = proof, shown
        if unexplained <= _NOISY_UNEXPLAINED and (copy.codec.kind == "EXACT" or source.codec.kind != "EXACT"):
            best = min(best, compared.noisy(shown), key=lambda proof: proof.distance)
        if best.distance <= 0.5:
            return best
        if number and best.distance > 2 * _NEARLY:
            break  # the next fit worse
    if closest is not None and 1 < best.distance < _NEARLY:
        for setting in copy.codec.settings[_USUAL:]:
            best = _better(best, compared.tried(closest, setting))
    return best


def _attempts(compared: _Copy, shown: np.ndarray) -> Iterator[CopyProof]:
    for setting in compared.codec.settings[:_USUAL] or (None,):
        yield compared.tried(shown, setting)


def light_change(grey: np.ndarray, left: np.ndarray) -> float:
    """Root mean square, in levels, of what the brightness of a place says about how far it differs: `[h, w]` each.

    Over all of a picture, compression makes as much brighter as darker, so that 3 % more light are seen in any.
    """
    step = max(1, grey.size // 100_000)
    level = grey.reshape(-1)[::step] / 255
    terms = np.stack([np.ones_like(level), level, level * level], axis=1).astype(np.float64)
    weights = np.linalg.lstsq(terms, left.reshape(-1)[::step].astype(np.float64), rcond=None)[0]
    return float(np.sqrt(np.square(terms @ weights).mean()))


def worst_energy(values: np.ndarray, side: int) -> float:
    """The largest root mean square over any square of `side` pixels of `[h, w]`."""
    return float(np.sqrt(box_mean(values * values, side).max()))
