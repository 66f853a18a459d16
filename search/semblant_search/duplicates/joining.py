"""Which contents are copies of one another: candidates by small rasters, proofs by pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .clusters import Changed, Cluster, Copy, area_of, difference, signature_of_content
from .pixels import oriented
from .signatures import GRID, Signature, invariants, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .copies import CopyProof
    from .files import Content
    from .keeping import DecodedPictures

__all__ = ["join_copies"]

_CANDIDATES = 64
"""Nearest pictures that stand for themselves, which each is compared with."""
_LEVELS, _LEVELS_SMALL, _MOST_LEVELS = 9.0, 200.0, 26.0
"""Root mean square difference of two rasters, in levels, up to which they may be copies; more, divided by the shorter side in
pixels, where filters mix the cells of a small picture; and at most."""
_DOUBTFUL, _WITNESSES, _WITNESSED = 2.5, 4, 0.7
"""Distance up to which copies of a group are asked as well, how many of them, and the distance that they may have."""
_APART = 0.5
"""A picture that is like two others is a copy of the first where its distance is at most this share of that of the second."""


class _Comparison(NamedTuple):
    proof: CopyProof
    cluster: Cluster
    orientation: int


def join_copies(
    contents: list[Content], decoded: DecodedPictures, clusters: list[Cluster], on_progress: Callable[[int, int], None]
) -> None:
    """Put contents, the one most worth keeping first, to those that they are copies of; the others stand for themselves.

    Args:
        contents: such as could be decoded.
        decoded: their pixels.
        clusters: what stands for itself is added to it, one by one: it holds what is known wherever this is broken off.
        on_progress: called with how many contents were gone through, and how many there are.
    """
    if not contents:
        return
    stands: dict[int, Cluster] = {}
    rasters = np.stack([signature_of_content(content).raster for content in contents])
    most = max(_most_levels(signature_of_content(content)) for content in contents)
    first = np.zeros(len(contents), bool)
    for number, near in enumerate(nearest(invariants(rasters), most * (3 * GRID * GRID) ** 0.5)):
        on_progress(number, len(contents))
        content = contents[number]
        candidates = [stands[other] for other in near[first[near]][:_CANDIDATES].tolist()]
        compared = _compared(content, candidates, decoded)
        copies = [one for one in compared if one.proof.distance <= 1]
        if not copies:
            copies = [one for one in compared if _is_copy_of_a_copy(one, content, decoded)][:1]
        if not copies:
            stands[number] = Cluster(content)
            first[number] = True
            clusters.append(stands[number])
            continue
        best = copies[0]
        why = difference(best.cluster.first, content, best.orientation)
        if len(copies) > 1 and best.proof.distance > _APART * copies[1].proof.distance:
            best.cluster.changed.append(Changed(content, (*why, "fits several pictures")))
        else:
            sure = best.proof.sure and len(copies) == 1 and _keeps_all(best.cluster.first, content, decoded)
            best.cluster.copies.append(Copy(content, why, sure))


def _compared(content: Content, candidates: list[Cluster], decoded: DecodedPictures) -> list[_Comparison]:
    """The nearest first, of each cluster its best orientation; nothing behind one whose pixels are equal."""
    found = []
    for cluster in candidates:
        ways = [
            _Comparison(decoded.proof(cluster.first, content, orientation), cluster, orientation)
            for orientation in _turns(signature_of_content(cluster.first), signature_of_content(content))
            if not decoded.differ(cluster.first, content, orientation)
        ]
        if ways:
            found.append(min(ways, key=lambda way: way.proof.distance))
            if found[-1].proof.distance == 0:
                return found[-1:]
    return sorted(found, key=lambda one: one.proof.distance)


def _is_copy_of_a_copy(nearly: _Comparison, content: Content, decoded: DecodedPictures) -> bool:
    """Whether a picture that is nearly proven against a group's first is wholly proven against one of its larger copies: the
    first may be an enlargement, which is a worse witness than what it was made of."""
    if nearly.proof.distance > _DOUBTFUL:
        return False
    for copy in nearly.cluster.copies[:_WITNESSES]:
        witness = copy.content
        if area_of(witness) >= 2 * area_of(content) or area_of(witness) == area_of(content):
            for orientation in _turns(signature_of_content(witness), signature_of_content(content)):
                if decoded.proof(witness, content, orientation).distance <= _WITNESSED:
                    return True
    return False


def _turns(larger: Signature, smaller: Signature) -> list[int]:
    """Orientations, mirror images left out, in which the sizes of two pictures fit and their rasters agree, the best first."""
    if larger.animated or smaller.animated:
        return []  # of more frames than the first nothing is known here
    away = []
    wanted = smaller.raster.astype(np.float32)
    for orientation in range(4):
        width, height = larger.size if orientation % 2 == 0 else larger.size[::-1]
        scale = (smaller.size[0] * smaller.size[1] / (width * height)) ** 0.5
        if abs(width * scale - smaller.size[0]) > 1.01 or abs(height * scale - smaller.size[1]) > 1.01:
            continue
        distance = float(np.sqrt(np.square(oriented(larger.raster, orientation) - wanted).mean()))
        if distance <= _most_levels(smaller):
            away.append((distance, orientation))
    away.sort()
    return [orientation for distance, orientation in away[:2] if distance <= away[0][0] + 2]


def _most_levels(smaller: Signature) -> float:
    return min(_MOST_LEVELS, _LEVELS + _LEVELS_SMALL / min(smaller.size))


def _keeps_all(first: Content, content: Content, decoded: DecodedPictures) -> bool:
    """Whether the one to keep has all that is in the copy: what is transparent or hidden by it, and bits beyond the eighth."""
    kept, copy = signature_of_content(first), signature_of_content(content)
    if kept.alpha < copy.alpha or kept.deep < copy.deep:
        return False
    if not copy.alpha:
        return True
    pictures = decoded.of(first), decoded.of(content)
    hidden = [None if picture is None else picture.hidden for picture in pictures]
    return hidden[1] is None or hidden[0] == hidden[1]
