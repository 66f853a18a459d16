"""Which pictures show what another one shows, changed all over: candidates by small rasters, `changes` decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .changes import changes_between, in_light_of
from .clusters import Changed, difference, signature_of_content
from .copies import copy_proof
from .decoding import views
from .pixels import oriented
from .signatures import WHOLE, content_box, invariants, nearest, normalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clusters import Cluster
    from .decoding import DecodedPicture
    from .files import Content
    from .keeping import DecodedPictures
    from .signatures import Box

__all__ = ["attach_changed"]

_NEAREST = 64
_TRIED = 32
"""Ways to lay a picture over another one that are tried with pixels, the likeliest first."""
_CORRELATION = 0.9
"""Least correlation of two rasters that may show one picture, changed."""
_NEARLY_COPIES = 1.5
"""Pictures that nothing was seen to be done to, and that are no copies: up to this distance they are called changed."""


def attach_changed(clusters: list[Cluster], decoded: DecodedPictures, on_progress: Callable[[int, int], None]) -> None:
    """Compare what stands for itself with the others as changed pictures: the larger group is the main one, and has no main.

    `on_progress` is called with how many were gone through, and how many there are.
    """
    order = sorted(
        (cluster for cluster in clusters if cluster.first.signature is not None),
        key=lambda cluster: (-cluster.size, [-part for part in cluster.first.worth], cluster.first.first.uri),
    )
    owners, boxes, rows = [], [], []
    for number, cluster in enumerate(order):
        seen = signature_of_content(cluster.first)
        for raster, box in ((seen.raster, WHOLE), (seen.content, seen.box)):
            row = None if raster is None else normalized(raster)
            if row is not None:
                owners.append(number)
                boxes.append(box)
                rows.append(row)
    if not rows:
        return
    attached = set[int]()
    points = np.stack(rows)[..., None]
    tried: dict[int, list[tuple[float, int, int, int, int]]] = {}
    for place, near in enumerate(nearest(invariants(points), (2 - 2 * _CORRELATION) ** 0.5)):
        for other in near[:_NEAREST].tolist():
            if owners[other] != owners[place]:
                for turn in range(8):
                    likeness = float((oriented(rows[other], turn) * rows[place]).sum())
                    tried.setdefault(owners[place], []).append((likeness, owners[other], other, place, turn))
    for done, (number, ways) in enumerate(sorted(tried.items())):
        on_progress(done, len(tried))
        likely = [way for way in sorted(ways, reverse=True) if way[0] >= _CORRELATION and way[1] not in attached]
        for _, main, other, place, turn in likely[:_TRIED]:
            why = _changes(order[main].first, boxes[other], order[number].first, boxes[place], turn, decoded)
            if why is not None:
                attached.add(number)
                order[main].changed.append(Changed(order[number].first, why))
                break


def _changes(
    one: Content, one_box: Box, other: Content, other_box: Box, turn: int, decoded: DecodedPictures
) -> tuple[str, ...] | None:
    if decoded.differ(one, other, turn, one_box, other_box):
        return None
    first, second = decoded.of(one), decoded.of(other)
    if first is None or second is None:
        return None
    pairs = views(first, second)
    if pairs is None:
        return None
    first, second = pairs[-1]  # the one that shows most: what is transparent over black, all bits
    # Where a border was seen in a signature, it ends at a pixel of the picture itself.
    one_box, other_box = (
        box if box == WHOLE else content_box(picture.pixels) for picture, box in ((first, one_box), (second, other_box))
    )
    why = changes_between(first.pixels, one_box, second.pixels, other_box, turn)
    if why is not None and turn == 0 and {"framed", "recoloured"} & set(why):
        proof = decoded.proof(one, other, 0)
        if proof.again and proof.distance > 1:  # the same frame and colours nearly everywhere: something in it is another
            return None
    if why == ("recompressed",):
        distance = decoded.proof(one, other, 0).distance
        if _is_copy_in_other_light(first, second) or _is_copy_in_other_light(second, first):
            why = ("recoloured",)
        elif distance > _NEARLY_COPIES:
            return None
        else:
            why = difference(one, other, 0)
    if why is not None and (signature_of_content(one).animated or signature_of_content(other).animated):
        return (*(word for word in why if word not in ("recompressed", "another format")), "animated")
    return why


def _is_copy_in_other_light(one: DecodedPicture, other: DecodedPicture) -> bool:
    """Whether the first is all but a copy once it has the other's colours: what was cut off at white is lost one way only."""
    lit = in_light_of(one.pixels, other.pixels)
    if lit is None:
        return False
    larger, smaller = replace(one, pixels=lit), other
    if larger.area < smaller.area:
        larger, smaller = smaller, larger
    return copy_proof(larger, smaller).distance <= _NEARLY_COPIES
