"""Whether two generations hold the same: every picture with its vectors, and the answers to a few queries."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from semblant_search.errors import StoreError
from semblant_search.store import Nearest, SearchRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.store import Record, Store

__all__ = ["Contents", "compare", "equal", "records_of"]

_BATCH = 256
"""Pictures that are read at once: with features and cells, some megabytes."""
_QUERIES, _HITS = 16, 10
_CLOSE = 1e-5
"""Engines make vectors of length 1 again, which moves their last digits."""


class Contents(NamedTuple):
    """What both generations hold.

    Attributes:
        points: pictures.
        sha256: over ids, metadata and features, in the order of the ids.
        queries: of pictures of the collection, that both answered alike; none where a server forbids exact searches.
    """

    points: int
    sha256: str
    queries: int


def compare(old: Store, new: Store, tell: Callable[[int, int], None]) -> Contents:
    """Read both as a whole. Raises `StoreError` with the first difference."""
    total = old.count()
    if new.count() != total:
        raise StoreError(
            f"{old.manifest.collection!r} was written to while it was copied: it has {total:,} pictures, the copy "
            f"{new.count():,}; run it again, it goes on from there"
        )
    digests = hashlib.sha256(), hashlib.sha256()
    done = 0
    asked: list[np.ndarray] = []
    for batch in records_of(old):
        ids = [record.id for record in batch]
        there = {record.id: record for record in new.retrieve(ids, with_image=True, with_features=True, with_cells=True)}
        for record in batch:
            copy = there.get(record.id)
            if copy is None or not equal(record, copy):
                raise StoreError(
                    f"{record.payload.get('_uri', record.id)!r} differs in the copy, or was changed while it was made; run it "
                    "again, it goes on from there"
                )
            for digest, one in zip(digests, (record, copy), strict=True):
                digest.update(_bytes(one))
        asked += [record.image for record in batch if record.image is not None][: _QUERIES - len(asked)]
        done += len(batch)
        tell(done, total)
    if digests[0].digest() != digests[1].digest():
        raise StoreError(f"{old.manifest.collection!r}: the copy has other contents (SHA-256); run it again")
    if not (old.allows_exact() and new.allows_exact()):
        asked = []  # two graphs may miss different pictures
    for vector in asked:
        request = SearchRequest(Nearest(vector), _HITS, fields=(), exact=True)
        expected, found = ([hit.score for hit in store.query(request)] for store in (old, new))
        if not (len(expected) == len(found) and np.allclose(expected, found, atol=_CLOSE)):
            raise StoreError(
                f"{old.manifest.collection!r}: the copy answers otherwise than the original: {found}, not {expected}"
            )
    return Contents(total, digests[0].hexdigest(), len(asked))


def records_of(store: Store) -> Iterator[list[Record]]:
    """All records with all of their vectors, in batches, in the order of their ids."""
    ids = (record.id for record in store.scroll(fields=()))
    while batch := list(islice(ids, _BATCH)):
        found = store.retrieve(batch, with_image=True, with_features=True, with_cells=True)
        yield sorted(found, key=lambda record: record.id)


def equal(one: Record, other: Record) -> bool:
    """The same metadata and features, and the same vectors but for their last digits."""
    return (
        one.payload == other.payload
        and _alike(one.image, other.image, _CLOSE)
        and _alike(one.features, other.features, 0)
        and _alike(one.cells, other.cells, _CLOSE)
    )


def _alike(one: np.ndarray | None, other: np.ndarray | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=tolerance))


def _bytes(record: Record) -> bytes:
    payload = json.dumps(record.payload, sort_keys=True, ensure_ascii=False)
    return b"\n".join([record.id.encode(), payload.encode(), b"" if record.features is None else record.features.tobytes()])
