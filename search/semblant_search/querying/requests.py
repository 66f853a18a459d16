"""From a caller's arguments to a checked request, and from the store's answer to hits."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import InvalidInput
from semblant_search.images.sources import is_single
from semblant_search.results import Hit
from semblant_search.shown import shown, shown_error
from semblant_search.store import Nearest, SearchRequest
from semblant_search.where import as_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from semblant_search.collection import Manifest
    from semblant_search.store import ScoredRecord
    from semblant_search.where import Where

    from .background import Background

__all__ = [
    "check_capacity",
    "check_confidence",
    "check_diversity",
    "check_field",
    "check_fpr",
    "check_group_size",
    "check_limit",
    "check_max_pixels",
    "check_parts",
    "check_probes",
    "check_refresh",
    "check_several",
    "check_switch",
    "check_switches",
    "check_timeout",
    "check_vector",
    "check_weight",
    "hits_of",
    "request_of",
    "score_threshold",
]

_UNIT = 1e-6
"""Squares of lengths that differ from 1 by less are those of unit vectors, in 32-bit floats; to engines, too."""
_NO_QUERY = Nearest(np.empty(0, dtype=np.float32))


SCORE_TOLERANCE = 1e-6
"""Below `min_score` a hit may still lie: an embedding's cosine with itself is not always 1 in 32-bit floats, but .99999994."""

_SHARE = "the share of queries without their like in the collection that may get a hit all the same, above 0, at most 1"
_MOST = 2**31 - 1
"""Hits to ask for or to skip: more than a collection holds, and within what every engine's numbers hold."""


def request_of(
    limit: int,
    where: str | Where | None,
    offset: int = 0,
    *,
    exact: bool = False,
    min_score: float | None = None,
    ef_search: int | None = None,
) -> SearchRequest:
    """A checked request that still lacks its query. Raises `InvalidInput`."""
    return SearchRequest(
        _NO_QUERY,
        limit=check_limit(limit),
        offset=_whole("offset", offset, 0, "a whole number of hits to skip, 0 or more"),
        where=as_where(where),
        exact=check_switch("exact", exact),
        ef_search=None if ef_search is None else _whole("ef_search", ef_search, 1, "a whole number of candidates, at least 1"),
        score_threshold=None if min_score is None else score_threshold(min_score),
    )


def check_limit(limit: int) -> int:
    """The limit as an int; raises `InvalidInput` unless it is a whole number from 1 up."""
    return _whole("limit", limit, 1, "a whole number of hits, at least 1")


def check_fpr(fpr: float | None) -> float | None:
    """The same as a float; raises `InvalidInput` unless it is a share above 0, or None."""
    if fpr is None:
        return None
    share = _real("fpr", fpr, 0, _SHARE)
    if share == 0:
        raise InvalidInput(f"fpr {shown(fpr)}: expected {_SHARE}", argument="fpr")
    return share


def score_threshold(min_score: float) -> float:
    """What an engine is told for a least cosine, so that rounding leaves out nothing; raises `InvalidInput` beyond -1 to 1."""
    return _real("min_score", min_score, -1, "a cosine, -1 to 1") - SCORE_TOLERANCE


def check_diversity(diversity: float | None) -> float | None:
    """The same as a float; raises `InvalidInput` unless it is a number from 0 to 1, or None."""
    return None if diversity is None else _real("diversity", diversity, 0, "a number from 0 (as without it) to 1")


def check_weight(weight: object, name: str) -> float:
    """The weight of an example as a float; raises `InvalidInput` unless it is a finite number above 0."""
    number = _number(weight)
    if number is None or number <= 0:
        raise InvalidInput(f"{name}: weight {shown(weight)}: expected a number above 0")
    return number


def check_probes(within_cluster: bool | int) -> int:
    """How many clusters are looked into, 0 for all pictures; raises `InvalidInput` unless it is a switch or a number from 1."""
    if isinstance(within_cluster, (bool, np.bool_)):
        return int(within_cluster)
    return _whole("within_cluster", within_cluster, 1, "True, False, or how many clusters, at least 1")


def check_switch(name: str, value: bool) -> bool:
    """The same; raises `InvalidInput` unless it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidInput(f"{name} {shown(value)}: expected True or False")
    return bool(value)


def check_switches(**switches: bool) -> None:
    """Raise `InvalidInput` unless all are True or False: `"no"` would count as True."""
    for name, value in switches.items():
        check_switch(name, value)


def check_group_size(size: int) -> int:
    """The same as an int; raises `InvalidInput` unless it is a whole number from 1 up."""
    return _whole("group_size", size, 1, "a whole number of hits, at least 1")


def _whole(name: str, value: object, least: int, expected: str) -> int:
    """A whole number of any kind, NumPy's too, as an int."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < least:
        raise InvalidInput(f"{name} {shown(value)}: expected {expected}", argument=name)
    return min(number, _MOST)


def _real(name: str, value: object, least: float, expected: str) -> float:
    """A real number of any kind from `least` to 1, NumPy's too, as a float."""
    number = _number(value)
    if number is None or not least <= number <= 1:
        raise InvalidInput(f"{name} {shown(value)}: expected {expected}", argument=name)
    return number


def _number(value: object) -> float | None:
    """A real number of any kind, NumPy's too, as a finite float; None for anything else, and beyond floats."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def check_capacity(capacity: int) -> int:
    """The same as an int; raises `InvalidInput` unless it is a whole number from 1 up."""
    return _whole("capacity", capacity, 1, "a whole number of calls at once, at least 1")


def check_max_pixels(max_pixels: int) -> int:
    """The same as an int; raises `InvalidInput` unless it is a whole number from 1 up."""
    return _whole("max_pixels", max_pixels, 1, "a whole number of pixels, at least 1")


def check_timeout(timeout: float) -> float:
    """The same as a float; raises `InvalidInput` unless it is a number of seconds above 0, a day at most."""
    number = _number(timeout)
    if number is None or not 0 < number <= 86_400:
        raise InvalidInput(f"timeout {shown(timeout)}: expected seconds, more than 0, a day at most")
    return number


def check_refresh(refresh: float) -> float:
    """The same as a float; raises `InvalidInput` unless it is a number of seconds from 0 up."""
    number = _number(refresh)
    if number is None or number < 0:
        raise InvalidInput(f"refresh {shown(refresh)}: expected seconds, 0 or more")
    return number


def check_several(pictures: object, call: str) -> None:
    """Raise `InvalidInput` for one picture where a list of them is expected: text would be gone through letter by letter."""
    if is_single(pictures):
        raise InvalidInput(f"{call}: expected a list of pictures, not one ({type(pictures).__name__})")


def check_field(name: str, field: str) -> str:
    """The same; raises `InvalidInput` unless it is text."""
    if not isinstance(field, str):
        raise InvalidInput(f"{name} {shown(field)}: expected the name of a field")
    return field


def check_confidence(confidence: float | None) -> float | None:
    """The same as a float; raises `InvalidInput` unless it is a probability, or None."""
    return None if confidence is None else _real("min_confidence", confidence, 0, "a probability, 0 to 1")


def check_parts(shared_parts: bool, *, compared: bool = True) -> None:
    """Raise `InvalidInput` unless it is True or False, and True only where candidates are compared by their details."""
    if check_switch("shared_parts", shared_parts) and not compared:
        raise InvalidInput("shared_parts with verify=False: parts are found by comparing details; leave one of the two out")


def check_vector(vector: np.ndarray | Sequence[float], manifest: Manifest) -> np.ndarray:
    """Its direction: float32 `[D]` of unit length. Raises `InvalidInput` for another size, and for numbers that have none.

    An engine takes a short vector for none at all and leaves it as it is, so that its scores would be as short.
    """
    if type(vector) is np.ndarray and vector.dtype == np.float32 and vector.shape == (manifest.dim,):
        double = vector.astype(np.float64)  # the square of a length may be beyond 32-bit floats
        if abs(double.dot(double) - 1) < _UNIT:
            return vector  # as encoders make them
    try:
        given = np.asarray(vector)
        if given.dtype.kind not in "iufO":  # NumPy reads numbers out of text and dates, and drops what is imaginary
            raise InvalidInput(f"vector of {given.dtype}: expected {manifest.dim} numbers", argument="vector")
        array = given.astype(np.float64)
    except InvalidInput:
        raise
    except Exception as error:  # a sequence of a stranger's may raise anything
        raise InvalidInput(
            f"vector {shown(vector)}: expected {manifest.dim} numbers ({shown_error(error)})", argument="vector"
        ) from error
    if array.shape != (manifest.dim,):
        raise InvalidInput(
            f"vector of shape {list(array.shape)}: collection {manifest.collection!r} holds [{manifest.dim}]", argument="vector"
        )
    largest = float(np.abs(array).max())
    if not 0 < largest < float("inf"):
        raise InvalidInput(
            "vector: expected finite numbers that are not all zero; cosine compares directions", argument="vector"
        )
    array = array / largest  # lest squares overflow, or vanish
    return np.asarray(array / np.linalg.norm(array), dtype=np.float32)


def hits_of(records: Iterable[ScoredRecord], background: Background | None = None) -> list[Hit]:
    """The store's answer as hits; with their probabilities where the scores are cosines and the background of them is known."""
    hits = Hit.late_scored(records)
    if background is not None:
        chance = background.probability
        for hit in hits:
            hit.__dict__["probability"] = chance(hit.score)
    return hits
