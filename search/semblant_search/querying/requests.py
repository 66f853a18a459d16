"""From a caller's arguments to a checked request, and from the store's answer to hits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import InvalidInput
from semblant_search.results import Hit, split_payload
from semblant_search.store import Nearest, SearchRequest
from semblant_search.where import as_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from semblant_search.collection import Manifest
    from semblant_search.store import ScoredRecord
    from semblant_search.where import Where

__all__ = ["check_confidence", "check_limit", "check_parts", "check_several", "check_vector", "hits_of", "request_of"]

_NO_QUERY = Nearest(np.empty(0, dtype=np.float32))


def request_of(
    limit: int, where: str | Where | None, offset: int = 0, *, exact: bool = False, min_score: float | None = None
) -> SearchRequest:
    """A checked request that still lacks its query. Raises `InvalidInput`."""
    check_limit(limit)
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise InvalidInput(f"offset {offset!r}: expected a whole number of hits to skip, 0 or more")
    if min_score is not None and not -1 <= min_score <= 1:
        raise InvalidInput(f"min_score {min_score!r}: expected a cosine, -1 to 1")
    return SearchRequest(_NO_QUERY, limit, offset, as_where(where), exact=exact, score_threshold=min_score)


def check_limit(limit: int) -> None:
    """Raise `InvalidInput` unless it is a whole number from 1 up."""
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidInput(f"limit {limit!r}: expected a whole number of hits, at least 1")


def check_several(pictures: object, call: str) -> None:
    """Raise `InvalidInput` for one picture where a list of them is expected: text would be gone through letter by letter."""
    if isinstance(pictures, (str, bytes)) or not hasattr(pictures, "__iter__"):
        raise InvalidInput(f"{call}: expected a list of pictures, not one ({type(pictures).__name__})")


def check_confidence(confidence: float | None) -> None:
    """Raise `InvalidInput` unless it is a probability, or None."""
    if confidence is not None and not 0 <= confidence <= 1:
        raise InvalidInput(f"min_confidence {confidence!r}: expected a probability, 0 to 1")


def check_parts(shared_parts: bool, *, compared: bool = True) -> None:
    """Raise `InvalidInput` unless it is True or False, and True only where candidates are compared by their details."""
    if not isinstance(shared_parts, bool):
        raise InvalidInput(f"shared_parts {shared_parts!r}: expected True or False")
    if shared_parts and not compared:
        raise InvalidInput("shared_parts with verify=False: parts are found by comparing details; leave one of the two out")


def check_vector(vector: np.ndarray | Sequence[float], manifest: Manifest) -> np.ndarray:
    """Its direction: float32 `[D]` of unit length. Raises `InvalidInput` for another size, and for numbers that have none.

    An engine takes a short vector for none at all and leaves it as it is, so that its scores would be as short.
    """
    try:
        array = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"vector: expected {manifest.dim} numbers ({error})") from error
    if array.shape != (manifest.dim,):
        raise InvalidInput(f"vector of shape {list(array.shape)}: collection {manifest.collection!r} holds [{manifest.dim}]")
    largest = float(np.abs(array).max())
    if not 0 < largest < float("inf"):
        raise InvalidInput("vector: expected finite numbers that are not all zero; cosine compares directions")
    array = array / largest  # lest squares overflow, or vanish
    return np.asarray(array / np.linalg.norm(array), dtype=np.float32)


def hits_of(records: Iterable[ScoredRecord]) -> list[Hit]:
    """The store's answer as hits."""
    hits = []
    for record in records:
        uri, metadata, facts = split_payload(record.payload)
        hits.append(Hit(record.id, uri, metadata, facts, record.score))
    return hits
