"""From a cosine to a probability: how like a picture is the likest of a collection that holds nothing like it?

Each of a sample of the collection's pictures asks it, and neither itself, nor a copy, nor its series counts. That is the score
that a stranger's best hit reaches by chance. Unrelated *pairs* would answer another question: a query is compared with all
pictures, and what counts is the best.

The distance to the nearest of many points in m dimensions is at most t with a probability that grows as tᵐ. A cosine s is
1 − t²/2, so that −ln(1 − s) has an exponential tail, of scale 2/m; where there are limits to how near a stranger comes, a
shorter one. Both are generalized Pareto distributions (Hosking and Wallis, 1987), fitted here to the queries' highest tenth.
"""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from dataclasses import dataclass
from math import exp, inf, isfinite, log
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.errors import StoreError
from semblant_search.json_models import parse_object, read_model, write_model
from semblant_search.store import Nearest, SearchRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.store import Store

__all__ = ["BACKGROUND_ASSET", "LEAST_QUERIES", "Background", "measure_background"]

BACKGROUND_ASSET = "background.json"
"""The name under which a generation of a collection keeps its background."""
LEAST_QUERIES = 50
"""Fewer pictures say nothing about one query in a hundred."""

_FORMAT = 1
_SAMPLE = 2000
_AT_ONCE = 64
_NEIGHBOURS = 9
"""A picture's copies and series may be so many, less one."""
_TAIL = 0.1
"""Share of the queries that the tail is fitted to."""
_SHARES = tuple(1 - step / 10 for step in range(10))
_SAME = 1e-6
"""Below this 1 − cosine is the rounding of 32-bit floats."""
_RELATED = 12.0
"""A step between two neighbours as large as chance makes one in e¹²: before it are pictures of one series, after it others."""
_QUARTILE = 0.744
"""Lower quartile of the mean of eight exponential steps, of scale 1."""
_SHAPE_PRIOR = 200
"""Queries in the tail that are worth as much as the prior, that it is exponential."""
_MOST_BOUNDED = -0.3


@dataclass(frozen=True)
class Background:
    """What chance does in a collection, to a query that it has nothing like.

    Attributes:
        queries: pictures of the collection that asked.
        scores: the cosine that the best hit of 100 %, 90 %, … 10 % of them reached; none of fewer than `LEAST_QUERIES`.
        scale: of the tail above the last of these, in −ln(1 − cosine).
        shape: of the tail: 0 is exponential, a negative one ends at −scale/shape.
    """

    queries: int
    scores: tuple[float, ...]
    scale: float
    shape: float

    def probability(self, score: float) -> float:
        """0–1: one minus the share of strangers of which the best hit has this cosine or more."""
        return 1.0 - self._chance(score)

    def min_score(self, fpr: float) -> float:
        """The cosine that the best hit of this share of strangers reaches; infinite where even equal vectors are no rarer."""
        if fpr >= 1:
            return -1.0
        if fpr >= _TAIL:
            return float(np.interp(-fpr, [-share for share in _SHARES], self.scores))
        rarer = _TAIL / fpr
        beyond = self.scale * (log(rarer) if self.shape == 0 else (rarer**self.shape - 1) / self.shape)
        nearness = _nearness(self.scores[-1]) + beyond
        return inf if nearness > _nearness(1.0) else 1.0 - exp(-nearness)

    def _chance(self, score: float) -> float:
        if score < self.scores[-1]:
            return _between(score, self.scores, _SHARES)
        beyond = (_nearness(score) - _nearness(self.scores[-1])) / self.scale
        if self.shape == 0:
            return _TAIL * exp(-beyond)
        left = 1 + self.shape * beyond
        return 0.0 if left <= 0 else float(_TAIL * left ** (-1 / self.shape))

    def to_bytes(self) -> bytes:
        """The content of a store's asset `background.json`."""
        return json.dumps({"format": _FORMAT, **write_model(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Background:
        """The inverse of `to_bytes`; raises `StoreError` on anything else."""
        said: dict[str, Any] = {"what": BACKGROUND_ASSET, "error": StoreError, "advice": "run `semblant index` again"}
        facts = parse_object(data, **said)
        if facts.get("format") != _FORMAT:
            raise StoreError(f"{BACKGROUND_ASSET} of version {facts.get('format')!r}: expected {_FORMAT}; {said['advice']}")
        read = read_model(cls, facts, **said)
        rising = len(read.scores) == len(_SHARES) and list(read.scores) == sorted(read.scores) and isfinite(sum(read.scores))
        if read.queries >= LEAST_QUERIES and not (rising and 0 < read.scale < inf and _MOST_BOUNDED <= read.shape <= 0):
            raise StoreError(f"{BACKGROUND_ASSET} holds no distribution of scores; {said['advice']}")
        return read


def measure_background(store: Store, *, sample: int = _SAMPLE) -> Background:
    """How like a picture its likest neighbour is, where neither it nor its copies and series count; a second at most.

    Ids are hashes, so the first ones in order are a random sample, and the same one each time.

    Args:
        store: the collection; its own vectors ask, so that no encoder is needed.
        sample: pictures that ask.
    """
    rows: list[list[float]] = []
    records = itertools.islice(store.scroll(fields=["_sha256"], with_image=True), sample)
    while batch := [record for record in itertools.islice(records, _AT_ONCE) if record.image is not None]:
        asked = [
            SearchRequest(Nearest(record.image), limit=_NEIGHBOURS + 1, fields=["_sha256"])
            for record in batch
            if record.image is not None
        ]
        for record, hits in zip(batch, store.query_batch(asked), strict=True):
            content = record.payload.get("_sha256")
            others = [
                hit.score for hit in hits if hit.id != record.id and (content is None or hit.payload.get("_sha256") != content)
            ]
            if others:
                rows.append(others[:_NEIGHBOURS])
    if len(rows) < LEAST_QUERIES:
        return Background(len(rows), (), 0.0, 0.0)
    # A missing neighbour is as far as the last one, so that it makes no step.
    nearness = np.array([[_nearness(score) for score in row + row[-1:] * (_NEIGHBOURS - len(row))] for row in rows])
    return _fitted(_unrelated(nearness))


def _between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """`np.interp`, which takes ten times as long for one number."""
    place = bisect_right(xs, x)
    if place == 0:
        return ys[0]
    if place == len(xs):
        return ys[-1]
    slope = (ys[place] - ys[place - 1]) / (xs[place] - xs[place - 1])
    return slope * (x - xs[place - 1]) + ys[place - 1]


def _nearness(score: float) -> float:
    """−ln(1 − cosine): what chance makes rarer by the same factor at each step."""
    return -log(max(1.0 - score, _SAME))


def _unrelated(nearness: np.ndarray) -> np.ndarray:
    """The nearest neighbour of each that is none of its series: float64 `[N]` of `[N, K]`, nearest first.

    By chance the i-th step, times i, is exponential of one scale for all i (Rényi's representation of order statistics).
    """
    steps = np.arange(1, nearness.shape[1]) * (nearness[:, :-1] - nearness[:, 1:])
    usual = float(np.quantile(steps.mean(1), 0.25)) / _QUARTILE  # Hill's estimates: half of all may have a series
    if usual == 0:  # they are one picture
        return np.asarray(nearness[:, 0])
    large = steps > _RELATED * usual
    last = np.where(large.any(1), steps.shape[1] - np.argmax(large[:, ::-1], axis=1), 0)
    return np.asarray(nearness[np.arange(len(nearness)), last])


def _fitted(nearness: np.ndarray) -> Background:
    """The quantiles of the best hits, and the tail by probability-weighted moments, drawn towards an exponential one."""
    levels = np.quantile(nearness, [1 - share for share in _SHARES])
    beyond = np.sort(nearness[nearness > levels[-1]] - levels[-1])
    scores = tuple(float(1 - exp(-level)) for level in levels)
    if not len(beyond):
        return Background(len(nearness), scores, _SAME, 0.0)
    mean = float(beyond.mean())
    ranks = (np.arange(len(beyond)) + 0.65) / len(beyond)
    weighted = float((beyond * (1 - ranks)).mean())
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else _MOST_BOUNDED
    shape = min(0.0, max(_MOST_BOUNDED, shape)) * len(beyond) / (len(beyond) + _SHAPE_PRIOR)
    return Background(len(nearness), scores, mean * (1 - shape), shape)
