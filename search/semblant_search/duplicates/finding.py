"""Duplicates of a collection: its files are read, candidates are found by small rasters, and pixels decide."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import ImageError
from semblant_search.images import open_image, read_file
from semblant_search.results import Picture, split_payload

from .changes import changes_between
from .codecs import codec_of
from .copies import Seen, copy_distance
from .files import Content, contents_of, is_unchanged
from .pixels import ORIENTATIONS, flat_pixels, oriented
from .results import Duplicate, DuplicateGroup
from .signatures import GRID, Box, Signature, content_box, invariants, nearest, normalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.feature_reader import FeatureReader
    from semblant_search.store.base import Store
    from semblant_search.where import Where

    from .files import Name

__all__ = ["find_duplicates"]

_BATCH = 256
_COPIES, _CHANGED = 64, 16
"""Nearest pictures of each that are looked at, for copies and for changed pictures."""
_LEVELS = 9.0
"""Root mean square difference of two rasters, in levels, up to which they may be copies."""
_CORRELATION = 0.9
"""Least correlation of two rasters that may show one picture, changed."""
_DOUBTFUL, _WITNESSES = 2.5, 4
"""Distance up to which copies of a group are asked as well, and how many of them."""
_NEARLY_COPIES = 1.5
"""Pictures that nothing was seen to be done to, and that are no copies: up to this distance they are called changed."""
_KEPT_BYTES = 200_000_000
_ALL: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass
class _Cluster:
    """Contents that were proven to be copies of the first."""

    first: Content
    copies: list[tuple[Content, tuple[str, ...]]] = field(default_factory=list)
    changed: list[tuple[Content, tuple[str, ...], str, float]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.first.files) + sum(len(content.files) for content, _ in self.copies)


def find_duplicates(
    store: Store,
    reader: Callable[[], FeatureReader] | None,
    *,
    where: Where | None,
    min_score: float,
    min_confidence: float,
    on_progress: Callable[[int], None] | None = None,
) -> list[DuplicateGroup]:
    """Groups of two and more files, largest first.

    Every file is read once in this run. Files of the same bytes are one content, however many they are. Contents are gone
    through from the one most worth keeping on; each is compared, pixel by pixel, with those before it that are nearest by a
    raster of 16 × 16 in the best of eight orientations, and joins the first of which it is a copy, or stands for itself. So all
    copies of a group were compared with its representative, and nothing is joined by way of others. What stands for itself is
    then compared with others as a changed picture: mirrored, framed, recoloured, watermarked.

    Pictures whose files are not at hand are joined by the hash of their bytes; where the collection has details, also as
    changed pictures by embedding and details.
    """
    contents = contents_of(store.scroll(where=where, fields=None, batch=_BATCH), _BATCH, on_progress)
    contents.sort(key=lambda content: content.first.uri)
    contents.sort(key=lambda content: content.worth, reverse=True)
    looks = _Looks()
    clusters = _joined_by_pixels([content for content in contents if content.signature is not None], looks)
    clusters += [_Cluster(content) for content in contents if content.signature is None]
    _attach_changed(clusters, looks)
    if reader is not None and any(not content.at_hand for content in contents):
        from .details import attach_by_details

        attach_by_details(store, reader(), clusters, where=where, min_score=min_score, min_confidence=min_confidence)
    groups = [_described(cluster) for cluster in clusters if cluster.size > 1 or cluster.changed]
    return sorted(groups, key=lambda group: (-len(group.others), group.representative.uri))


class _Looks:
    """The pixels of the pictures that were compared last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Seen] = OrderedDict()
        self._bytes = 0

    def of(self, content: Content) -> Seen | None:
        """None where the file changed since it was read first, or went."""
        kept = self._kept.get(content.sha256)
        if kept is None:
            path = content.first.path
            try:
                if path is None:
                    return None
                data, facts = read_file(path)
                if content.first.file is None or (facts.st_size, facts.st_mtime_ns) != content.first.file[2:]:
                    return None
                kept = Seen(flat_pixels(open_image(data)), codec_of(data))
            except ImageError:
                return None
            self._kept[content.sha256] = kept
            self._bytes += kept.pixels.nbytes
        self._kept.move_to_end(content.sha256)
        while self._bytes > _KEPT_BYTES and len(self._kept) > 2:
            self._bytes -= self._kept.popitem(last=False)[1].pixels.nbytes
        return kept


def _joined_by_pixels(contents: list[Content], looks: _Looks) -> list[_Cluster]:
    clusters: list[_Cluster] = []
    of_content: list[_Cluster] = []
    if not contents:
        return clusters
    rasters = np.stack([_signature(content).raster for content in contents])
    limit = _LEVELS * (3 * GRID * GRID) ** 0.5
    for number, near in enumerate(nearest(invariants(rasters), _COPIES, limit)):
        content = contents[number]
        others = {id(of_content[other]): of_content[other] for other in near.tolist()}
        best: tuple[float, _Cluster, int] | None = None
        doubtful: list[tuple[float, _Cluster, int]] = []
        for cluster in others.values():
            for orientation in _turns(_signature(cluster.first), _signature(content)):
                distance = _distance(cluster.first, content, orientation, looks)
                if distance > 1:
                    doubtful.append((distance, cluster, orientation))
                elif best is None or distance < best[0]:
                    best = distance, cluster, orientation
            if best is not None and best[0] <= 0.2:
                break
        if best is None:
            likely = sorted((one for one in doubtful if one[0] <= _DOUBTFUL), key=lambda one: one[0])
            best = next((one for one in likely if _is_copy_of_a_copy(one[1], content, looks)), None)
        if best is None:
            clusters.append(_Cluster(content))
            of_content.append(clusters[-1])
        else:
            best[1].copies.append((content, _difference(best[1].first, content, best[2])))
            of_content.append(best[1])
    return clusters


def _is_copy_of_a_copy(cluster: _Cluster, content: Content, looks: _Looks) -> bool:
    """Whether a picture that is nearly proven against a group's first is wholly proven against one of its larger copies: the
    first may be an enlargement, which is a worse witness than what it was made of."""
    for copy, _ in cluster.copies[:_WITNESSES]:
        if _pixels(copy) >= 2 * _pixels(content) or _pixels(copy) == _pixels(content):
            for orientation in _turns(_signature(copy), _signature(content)):
                if _distance(copy, content, orientation, looks) <= 0.7:
                    return True
    return False


def _pixels(content: Content) -> int:
    width, height = _signature(content).size
    return width * height


def _signature(content: Content) -> Signature:
    assert content.signature is not None
    return content.signature


def _turns(larger: Signature, smaller: Signature) -> list[int]:
    """Orientations, mirror images left out, in which the sizes of two pictures fit and their rasters agree, the best first."""
    if larger.animated != smaller.animated or larger.animated:
        return []  # of more frames than the first nothing is known here
    away = []
    wanted = smaller.raster.astype(np.float32)
    for orientation in range(4):
        width, height = larger.size if orientation % 2 == 0 else larger.size[::-1]
        scale = (smaller.size[0] * smaller.size[1] / (width * height)) ** 0.5
        if abs(width * scale - smaller.size[0]) > 1.01 or abs(height * scale - smaller.size[1]) > 1.01:
            continue
        distance = float(np.sqrt(np.square(oriented(larger.raster, orientation) - wanted).mean()))
        if distance <= _LEVELS:
            away.append((distance, orientation))
    away.sort()
    return [orientation for distance, orientation in away[:2] if distance <= away[0][0] + 2]


def _distance(larger: Content, smaller: Content, orientation: int, looks: _Looks) -> float:
    one, other = looks.of(larger), looks.of(smaller)
    if one is None or other is None:
        return float("inf")
    turned = Seen(np.ascontiguousarray(oriented(one.pixels, orientation)), one.codec.turned(orientation))
    if turned.pixels.shape[0] * turned.pixels.shape[1] < other.pixels.shape[0] * other.pixels.shape[1]:
        turned, other = other, turned
    return copy_distance(turned, other)


def _difference(first: Content, content: Content, orientation: int) -> tuple[str, ...]:
    one, other = _signature(first), _signature(content)
    size = one.size if orientation % 2 == 0 else one.size[::-1]
    why = [ORIENTATIONS[orientation]] if orientation else []
    if size != other.size:
        why.append("resized")
    formats = [str(each.first.payload.get("_format")) for each in (first, content)]
    if formats[0] != formats[1]:
        why.append("another format")
    return tuple(why) or ("recompressed",)


def _attach_changed(clusters: list[_Cluster], looks: _Looks) -> None:
    """Compare what stands for itself with the others as changed pictures: the larger group is the main one, and has no main."""
    order = sorted(
        (cluster for cluster in clusters if cluster.first.signature is not None),
        key=lambda cluster: (-cluster.size, [-part for part in cluster.first.worth], cluster.first.first.uri),
    )
    owners, boxes, rows = [], [], []
    for number, cluster in enumerate(order):
        seen = _signature(cluster.first)
        for raster, box in ((seen.raster, _ALL), (seen.content, seen.box)):
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
    for place, near in enumerate(nearest(invariants(points), 4 * _CHANGED, (2 - 2 * _CORRELATION) ** 0.5)):
        for other in near.tolist():
            if owners[other] != owners[place]:
                for turn in range(8):
                    likeness = float((oriented(rows[other], turn) * rows[place]).sum())
                    tried.setdefault(owners[place], []).append((likeness, owners[other], other, place, turn))
    for number, ways in sorted(tried.items()):
        likely = [way for way in sorted(ways, reverse=True) if way[0] >= _CORRELATION and way[1] not in attached]
        for _, main, other, place, turn in likely[: 2 * _CHANGED]:
            why = _changes(order[main].first, boxes[other], order[number].first, boxes[place], turn, looks)
            if why is None:
                continue
            attached.add(number)
            order[main].changed.append((order[number].first, why, "none", 1.0))
            break


def _changes(one: Content, one_box: Box, other: Content, other_box: Box, turn: int, looks: _Looks) -> tuple[str, ...] | None:
    first, second = looks.of(one), looks.of(other)
    if first is None or second is None:
        return None
    # Where a border was seen in a signature, it ends at a pixel of the picture itself.
    one_box, other_box = (
        box if box == _ALL else content_box(seen.pixels) for seen, box in ((first, one_box), (second, other_box))
    )
    why = changes_between(first.pixels, one_box, second.pixels, other_box, turn)
    if why == ("recompressed",) and _distance(one, other, 0, looks) > _NEARLY_COPIES:
        return None
    if why is not None and (_signature(one).animated or _signature(other).animated):
        return (*(word for word in why if word != "recompressed"), "animated")
    return why


def _described(cluster: _Cluster) -> DuplicateGroup:
    first = cluster.first.first
    facts = first.payload
    kept = is_unchanged(first)
    others, names = [], {}
    copies = [(cluster.first, ("same bytes",)), *cluster.copies]
    for content, why in copies:
        for file in content.files:
            if len(file) > 1:
                names[file[0].uri] = tuple(name.uri for name in file[1:])
            if file[0] is first:
                continue
            exact = content is cluster.first
            same = exact or not {"resized", *ORIENTATIONS[1:]} & set(why)
            may_go = kept and not any(name.link for name in file) and _is_another_file(first, file[0])
            verdict = "copy" if same else "rotated/scaled"
            others.append(_duplicate(file[0], exact=exact, verdict=verdict, probability=1.0, tier="copy", why=why, goes=may_go))
    others.sort(key=lambda other: other.uri)
    changed = []
    for content, why, verdict, probability in cluster.changed:
        for file in content.files:
            if len(file) > 1:
                names[file[0].uri] = tuple(name.uri for name in file[1:])
            changed.append(
                _duplicate(file[0], exact=False, verdict=verdict, probability=probability, tier="changed", why=why, goes=False)
            )
    changed.sort(key=lambda other: other.uri)
    uri, metadata, own = split_payload(facts)
    return DuplicateGroup(Picture(first.id, uri, metadata, own), (*others, *changed), names)


def _is_another_file(first: Name, other: Name) -> bool:
    """Whether the other is a file of its own, and still the one that was compared."""
    return other.file is not None and first.file is not None and other.file[:2] != first.file[:2] and is_unchanged(other)


def _duplicate(
    name: Name, *, exact: bool, verdict: str, probability: float, tier: str, why: tuple[str, ...], goes: bool
) -> Duplicate:
    uri, metadata, facts = split_payload(name.payload)
    kind = "copy" if tier == "copy" else "changed"
    return Duplicate(name.id, uri, metadata, facts, exact, verdict, probability, kind, why, goes)  # type: ignore[arg-type]
