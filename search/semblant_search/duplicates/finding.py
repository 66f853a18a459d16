"""Near-duplicates of a collection: candidates by embedding, verified by details, joined into groups."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from semblant_search.collection import uri_path
from semblant_search.errors import ImageError
from semblant_search.orb import Verifier
from semblant_search.results import Picture, split_payload
from semblant_search.store.base import VectorQuery

from .alignment import pixel_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from semblant_search.feature_reader import FeatureReader, Seen
    from semblant_search.orb import Match
    from semblant_search.store.base import Record, Store
    from semblant_search.where import Where

__all__ = ["Duplicate", "DuplicateGroup", "find_duplicates"]

NEIGHBOURS = 8
"""Nearest pictures of each that are candidates; chains of pairs still make groups of any size."""
_BATCH = 256
_CACHED = 4096
"""Pictures whose features are kept for the next comparison: 32 MB at most."""
_SAME = ("copy", "rotated/scaled")
_DIFFERENCE = 12.5
"""Grey levels by which two copies may differ where they differ most (`pixel_difference`). Measured on clip-art: JPEG at
quality 40, half size and quarter turns stay below it in 5 of 6 cases; one drawing in two colours, with two faces or words, or
with another burger in the bun (13.1) is above."""
_AGREEING = 0.45
"""Without the files, the share of all details that have to agree instead."""


@dataclass(frozen=True)
class Duplicate(Picture):
    """A picture that is the same as its group's representative, but for size, direction, compression or small changes.

    Attributes:
        exact: the files have the same bytes.
        verdict: how the representative lies in it, as in `FeatureHit`; `none` where only others of the group link the two.
        probability: 0–1, that this is no chance agreement.
    """

    exact: bool = False
    verdict: str = "none"
    probability: float = 0.0

    def to_json(self) -> dict[str, object]:
        """JSON values, as `--json` prints them."""
        return {**super().to_json(), "exact": self.exact, "verdict": self.verdict, "probability": self.probability}


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that are one and the same.

    Attributes:
        representative: the one to keep: most pixels, then most bytes.
        others: the rest, by URI.
    """

    representative: Picture
    others: tuple[Duplicate, ...]

    def to_json(self) -> dict[str, object]:
        """JSON values, as `--json` prints them."""
        return {"representative": self.representative.to_json(), "others": [other.to_json() for other in self.others]}


def find_duplicates(
    store: Store,
    reader: FeatureReader,
    *,
    where: Where | None,
    min_score: float,
    min_confidence: float,
    on_progress: Callable[[int], None] | None = None,
) -> list[DuplicateGroup]:
    """Groups of two and more, largest first. One pass over the collection, one kNN of a few neighbours for each picture.

    Precision comes before recall: pictures that are not the same bytes are joined only where their details prove that each is
    the whole of the other, and, the files being at hand, their pixels agree everywhere once they are laid over each other: a
    series of drawings on one template shares most of its details. Flat pictures are joined only by their bytes.
    """
    groups = _Groups()
    features = _FeatureCache(store, reader)
    first_of: dict[str, str] = {}  # by SHA-256
    tried: dict[str, set[str]] = {}  # for pictures still to come, those that they were compared with
    done = 0
    for batch in _batches(store.scroll(where=where, fields=["_sha256"], with_image=True, batch=_BATCH)):
        queries, asked = [], []
        for record in batch:
            first = first_of.setdefault(str(record.payload.get("_sha256", record.id)), record.id)
            if first != record.id:
                groups.join(first, record.id)
            elif record.image is not None:
                asked.append(record.id)
                queries.append(
                    VectorQuery(record.image, NEIGHBOURS + 1, where=where, fields=["_sha256"], score_threshold=min_score)
                )
        found = store.query_batch(queries) if queries else []
        for id, near in zip(asked, found, strict=True):
            before = tried.pop(id, set())
            others = [hit.id for hit in near if hit.id != id and hit.id not in before and not groups.joined(id, hit.id)]
            for other in others:
                if other > id:  # scrolled in the order of ids
                    tried.setdefault(other, set()).add(id)
            for other, match in features.compare(id, others):
                if match is not None and match.probability >= min_confidence and features.is_same(id, other, match):
                    groups.join(id, other)
        done += len(batch)
        if on_progress is not None:
            on_progress(done)
    described = [_describe(store, features, ids) for ids in groups.all()]
    return sorted(described, key=lambda group: (-len(group.others), group.representative.uri))


class _Groups:
    """Connected components (union-find with path halving)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, id: str) -> str:
        parent = self._parent
        while (up := parent.get(id, id)) != id:
            parent[id] = parent.get(up, up)
            id = parent[id]
        return id

    def join(self, a: str, b: str) -> None:
        a, b = sorted((self.root(a), self.root(b)))
        self._parent.setdefault(a, a)
        self._parent[b] = a

    def joined(self, a: str, b: str) -> bool:
        return self.root(a) == self.root(b)

    def all(self) -> list[list[str]]:
        members: dict[str, list[str]] = {}
        for id in self._parent:
            members.setdefault(self.root(id), []).append(id)
        return [ids for ids in members.values() if len(ids) > 1]


class _Kept(NamedTuple):
    seen: Seen
    path: Path | None


class _FeatureCache:
    """Stored features of the pictures that were compared last."""

    def __init__(self, store: Store, reader: FeatureReader) -> None:
        self._store = store
        self._reader = reader
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def compare(self, id: str, others: Sequence[str]) -> list[tuple[str, Match | None]]:
        """Verify one picture against others; those that vanished meanwhile are left out."""
        if not others:
            return []
        seen = self._get([id, *others])
        if id not in seen:
            return []
        there = [other for other in others if other in seen]
        verifier = Verifier(seen[id].features, seen[id].grey, self._reader.calibration)
        matches = verifier.verify_many([seen[other].features for other in there], [seen[other].grey for other in there])
        return list(zip(there, matches, strict=True))

    def is_same(self, id: str, other: str, match: Match) -> bool:
        """Whether two compared pictures are one and the same."""
        if match.verdict not in _SAME or match.mirrored:
            return False
        here, there = self._kept[id], self._kept[other]
        transform = there.seen.to_picture @ match.transform @ np.linalg.inv(here.seen.to_picture)
        try:
            if here.path is not None and there.path is not None:
                return pixel_difference(here.path, there.path, transform) <= _DIFFERENCE
        except ImageError:
            pass  # moved or damaged since it was indexed
        return match.inliers >= _AGREEING * min(len(here.seen.features), len(there.seen.features))

    def _get(self, ids: Sequence[str]) -> dict[str, Seen]:
        missing = [id for id in ids if id not in self._kept]
        if missing:
            for record in self._store.retrieve(missing, with_features=True):
                self._kept[record.id] = _Kept(self._reader.of_record(record), uri_path(str(record.payload["_uri"])))
        out = {id: self._kept[id].seen for id in ids if id in self._kept}
        for id in out:
            self._kept.move_to_end(id)
        while len(self._kept) > _CACHED:
            self._kept.popitem(last=False)
        return out


def _describe(store: Store, features: _FeatureCache, ids: Sequence[str]) -> DuplicateGroup:
    records = sorted(store.retrieve(ids), key=_worth)
    first, rest = records[0], sorted(records[1:], key=lambda record: str(record.payload["_uri"]))
    matches = dict(features.compare(first.id, [record.id for record in rest]))
    others = []
    for record in rest:
        uri, metadata, facts = split_payload(record.payload)
        exact = facts.get("_sha256") == first.payload.get("_sha256")
        match = matches.get(record.id)
        verdict, probability = (
            ("copy", 1.0) if exact else ("none", 0.0) if match is None else (match.verdict, match.probability)
        )
        others.append(Duplicate(record.id, uri, metadata, facts, exact, verdict, probability))
    uri, metadata, facts = split_payload(first.payload)
    return DuplicateGroup(Picture(first.id, uri, metadata, facts), tuple(others))


def _worth(record: Record) -> tuple[int, int, str]:
    facts = record.payload
    return -int(facts["_width"]) * int(facts["_height"]), -int(facts["_bytes"]), str(facts["_uri"])


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
