"""Duplicates of a collection: its files are read, candidates are found by small rasters, and pixels decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from semblant_search.images import DEFAULT_MAX_PIXELS
from semblant_search.results import Picture, split_payload

from .attaching import attach_changed
from .clusters import Cluster, Copy
from .files import contents_of, is_unchanged
from .joining import join_copies
from .keeping import DecodedPictures
from .pixels import ORIENTATIONS
from .results import Duplicate, DuplicateGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.feature_reader import FeatureReader
    from semblant_search.store import Store
    from semblant_search.where import Where

    from .files import Name

__all__ = ["find_duplicates"]

_BATCH = 256


def find_duplicates(
    store: Store,
    reader: Callable[[], FeatureReader] | None,
    *,
    where: Where | None,
    min_score: float,
    min_confidence: float,
    max_pixels: int = DEFAULT_MAX_PIXELS,
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
    contents = contents_of(store.scroll(where=where, fields=None, batch=_BATCH), _BATCH, max_pixels, on_progress)
    contents.sort(key=lambda content: content.first.uri)
    contents.sort(key=lambda content: content.worth, reverse=True)
    decoded = DecodedPictures(max_pixels)
    clusters = join_copies([content for content in contents if content.signature is not None], decoded)
    clusters += [Cluster(content) for content in contents if content.signature is None]
    attach_changed(clusters, decoded)
    if reader is not None and any(not content.at_hand for content in contents):
        from .details import attach_by_details

        attach_by_details(store, reader(), clusters, where=where, min_score=min_score, min_confidence=min_confidence)
    groups = [_described(cluster) for cluster in clusters if cluster.size > 1 or cluster.changed]
    return sorted(groups, key=lambda group: (-len(group.others), group.representative.uri))


def _described(cluster: Cluster) -> DuplicateGroup:
    first = cluster.first.first
    kept = is_unchanged(first)
    names: dict[str, tuple[str, ...]] = {}
    copies = []
    for copy in (Copy(cluster.first, ("same bytes",), sure=True), *cluster.copies):
        exact = copy.content is cluster.first
        turned = not exact and {"resized", *ORIENTATIONS[1:]} & set(copy.why)
        for file in copy.content.files:
            _note_names(names, file)
            if file[0] is not first:
                goes = kept and copy.sure and not any(name.link for name in file) and _is_another_file(first, file[0])
                copies.append(_duplicate(file[0], "rotated/scaled" if turned else "copy", 1.0, "copy", copy.why, exact, goes))
    changed = []
    for other in cluster.changed:
        for file in other.content.files:
            _note_names(names, file)
            changed.append(_duplicate(file[0], other.verdict, other.probability, "changed", other.why))
    others = (*sorted(copies, key=lambda one: one.uri), *sorted(changed, key=lambda one: one.uri))
    uri, metadata, facts = split_payload(first.payload)
    return DuplicateGroup(Picture(first.id, uri, metadata, facts), others, names)


def _note_names(names: dict[str, tuple[str, ...]], file: list[Name]) -> None:
    if len(file) > 1:
        names[file[0].uri] = tuple(name.uri for name in file[1:])


def _is_another_file(first: Name, other: Name) -> bool:
    """Whether the other is a file of its own, and still the one that was compared."""
    return other.file is not None and first.file is not None and other.file[:2] != first.file[:2] and is_unchanged(other)


def _duplicate(
    name: Name,
    verdict: str,
    probability: float,
    tier: Literal["copy", "changed"],
    why: tuple[str, ...],
    exact: bool = False,
    goes: bool = False,
) -> Duplicate:
    uri, metadata, facts = split_payload(name.payload)
    return Duplicate(name.id, uri, metadata, facts, exact, verdict, probability, tier, why, goes)
