"""Duplicates of a collection: its files are read, candidates are found by small rasters, and pixels decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from semblant_search.images import DEFAULT_MAX_PIXELS
from semblant_search.results import Picture, split_payload

from .attaching import attach_changed
from .clusters import Cluster, Copy
from .files import FilesRead, is_unchanged
from .joining import join_copies
from .keeping import DecodedPictures
from .pixels import ORIENTATIONS
from .results import Duplicate, DuplicateGroup, DuplicatesInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.feature_reader import FeatureReader
    from semblant_search.store import Store
    from semblant_search.where import Where

    from .files import Content, Name
    from .results import Stage

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

    Raises:
        DuplicatesInterrupted: Ctrl-C; it has the groups that were found by then.
    """
    known = _Known()
    try:
        known.read.read(store.scroll(where=where, fields=None, batch=_BATCH), _BATCH, max_pixels, on_progress)
        contents = known.read.contents()
        known.contents = contents
        decoded = DecodedPictures(max_pixels)
        known.enter("comparing")
        join_copies([content for content in contents if content.signature is not None], decoded, known.clusters, known.advance)
        known.clusters += [Cluster(content) for content in contents if content.signature is None]
        known.enter("changed")
        attach_changed(known.clusters, decoded, known.advance)
        if reader is not None and any(not content.at_hand for content in contents):
            from .details import attach_by_details

            features = reader()
            attach_by_details(store, features, known.clusters, where=where, min_score=min_score, min_confidence=min_confidence)
        known.enter("checking")
        return known.groups(again=True)
    except KeyboardInterrupt:
        raise known.interrupted() from None


class _Known:
    """What a search knows so far."""

    def __init__(self) -> None:
        self.read = FilesRead()
        self.contents: list[Content] | None = None
        self.clusters: list[Cluster] = []
        self._stage: Stage = "reading"
        self._done, self._total = 0, 0

    def enter(self, stage: Stage) -> None:
        """A stage begins."""
        self._stage, self._done, self._total = stage, 0, 0

    def advance(self, done: int, total: int) -> None:
        """How far a stage got."""
        self._done, self._total = done, total

    def groups(self, *, again: bool) -> list[DuplicateGroup]:
        """Groups of two and more files, largest first; only where files are read again, what may go."""
        found = []
        groups = [cluster for cluster in self.clusters if cluster.size > 1 or cluster.changed]
        for number, cluster in enumerate(groups):
            if again:
                self.advance(number, len(groups))
            found.append(_described(cluster, again=again))
        return sorted(found, key=lambda group: (-len(group.others), group.representative.uri))

    def interrupted(self) -> DuplicatesInterrupted:
        """What is known, where the search ends now. What was not compared yet has the copies of the same bytes."""
        placed = {content.sha256 for cluster in self.clusters for content in _contents_in(cluster)}
        contents = self.read.contents() if self.contents is None else self.contents
        self.clusters += [Cluster(content) for content in contents if content.sha256 not in placed]
        groups = self.groups(again=False)
        if self._stage == "reading":
            return DuplicatesInterrupted(groups, "reading", self.read.pictures)
        return DuplicatesInterrupted(groups, self._stage, self._done, self._total)


def _contents_in(cluster: Cluster) -> Iterator[Content]:
    yield cluster.first
    yield from (copy.content for copy in cluster.copies)
    yield from (other.content for other in cluster.changed)


def _described(cluster: Cluster, *, again: bool) -> DuplicateGroup:
    first = cluster.first.first
    kept = again and is_unchanged(first)
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
