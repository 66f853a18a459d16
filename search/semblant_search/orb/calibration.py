"""From strength to a probability: how strong is the best of a query's lookalikes where its picture is not in the collection?"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from math import exp, inf, isfinite, log
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.errors import StoreError
from semblant_search.json_models import parse_object, read_model, write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CALIBRATION_ASSET", "Calibration", "Tail"]

CALIBRATION_ASSET = "calibration.json"
"""The name under which a generation of a collection keeps its calibration."""

_FORMAT = 3
_OF_PAIRS = 1
"""Format that told of random pairs, which say nothing about a query's likeliest lookalikes."""
_OF_BOTH = 2
"""Format that had one tail of pixels, for what lies over each other and what was moved; in general it began at `_STARTED`."""
_STARTED = -7.0
_RATE = 0.1
"""Share of the queries that the tail is fitted to."""
_DIRECT, _MIRRORED = 1.25, 5.0
"""A query in which nothing is proven is compared a second time, mirrored. That is rarely what was meant, so a fifth of the
queries that chance may prove is left to it, and four fifths to the first time (Bonferroni's correction, with weights)."""
_WAYS = 2.0
"""Where pixels are compared, a lookalike may lie over the query or be moved, and each has half of what chance may prove."""
_PRIOR_QUERIES = 40
"""The general tail counts as much as this many measured queries."""


@dataclass(frozen=True)
class Tail:
    """How strong the strongest candidate of a query is by chance: at least s with probability 0.1·exp(−(s−start)/scale).

    Attributes:
        start: what one query in ten reaches.
        scale: by how much strength has to grow for chance to become e times rarer.
    """

    start: float
    scale: float

    def chance(self, strength: float) -> float:
        """0–1: the share of queries whose picture is not in the collection that have a candidate as strong."""
        exponent = -(strength - self.start) / self.scale
        return 1.0 if exponent > 50 else min(1.0, _RATE * exp(exponent))

    def measured(self, strongest: Sequence[float]) -> Tail:
        """The tail of measured queries, the strongest candidate of each, and of as many of this one as its word is worth.

        Some pictures of any collection do have something in common with another one (a series, a family of icons), which draws
        the tail out. So the scale comes from the median, and is at most this tail's. Less than half of it would be luck, or one
        template: queries bring more details and pixels than the store has to measure with, and spread more. So would a start
        below this one's.
        """
        if not strongest:
            return self
        rare = (np.arange(_PRIOR_QUERIES) + 0.5) / _PRIOR_QUERIES
        values = np.concatenate([np.asarray(strongest, np.float64), self.start - self.scale * np.log(rare / _RATE)])
        start = float(np.quantile(values, 1 - _RATE))
        beyond = values[values > start]
        scale = float(np.median(beyond) - start) / log(2) if len(beyond) else 0.0
        least = self.scale / 2
        return Tail(max(start + max(0.0, least - scale), self.start), min(max(scale, least), self.scale))


@dataclass(frozen=True)
class Calibration:
    """What chance does in a collection.

    Attributes:
        laid_over: the tail of candidates that lie exactly over the query, pixels compared. Members of a series, icons of one
            family and forms of one template do, so that they make no crop and no turned copy less sure.
        pixels: the tail of the others, pixels compared as well: the one is a part of the other, or turned, tilted, pasted.
        details: the tail of details alone.
        queries: pictures of the collection that were asked for, themselves and their copies left out; 0 for the general one.
    """

    laid_over: Tail
    pixels: Tail
    details: Tail
    queries: int

    @classmethod
    def general(cls) -> Calibration:
        """Of photographs and clip art (`bench/details.py`); for collections too small to measure themselves."""
        return cls(Tail(-4.5, 3.0), Tail(-4.5, 1.9), Tail(-3.0, 2.2), 0)

    def probability(self, strength: float, *, pixels: bool, laid_over: bool = False, mirrored: bool = False) -> float:
        """0–1: one minus the probability that a query whose picture is not in the collection has a candidate as strong.

        Args:
            strength: of the agreement (`weighing.strength`).
            pixels: whether it was weighed with pixels.
            laid_over: whether the one lies exactly over the other.
            mirrored: whether the query was mirrored before.
        """
        tail = self.details if not pixels else self.laid_over if laid_over else self.pixels
        chances = (_MIRRORED if mirrored else _DIRECT) * (_WAYS if pixels else 1.0)
        return max(0.0, 1.0 - chances * tail.chance(strength))

    def to_bytes(self) -> bytes:
        """The content of a store's asset `calibration.json`."""
        return json.dumps({"format": _FORMAT, **write_model(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Calibration:
        """The inverse of `to_bytes`; raises `StoreError` on anything else.

        Of format 1 only the general one is left. Of format 2 is left by how much lookalikes of the collection were stronger
        than in general: as much is added to what is general today.
        """
        said: dict[str, Any] = {"what": CALIBRATION_ASSET, "error": StoreError, "advice": "run `semblant vocabulary` again"}
        facts = parse_object(data, **said)
        if facts.get("format") == _OF_PAIRS:
            return cls.general()
        if facts.get("format") == _OF_BOTH:
            before = read_model(_OfBoth, facts, **said)
            _check(before, said["advice"])
            general, above = cls.general(), max(0.0, before.pixels.start - _STARTED)
            laid_over, pixels = (replace(tail, start=tail.start + above) for tail in (general.laid_over, general.pixels))
            return cls(laid_over, pixels, before.details, before.queries)
        if facts.get("format") != _FORMAT:
            raise StoreError(f"{CALIBRATION_ASSET} of version {facts.get('format')!r}: expected {_FORMAT}; {said['advice']}")
        read = read_model(cls, facts, **said)
        _check(read, said["advice"])
        return read


@dataclass(frozen=True)
class _OfBoth:
    """What format 2 holds."""

    pixels: Tail
    details: Tail
    queries: int


def _check(read: Calibration | _OfBoth, advice: str) -> None:
    for item in fields(read):
        tail = getattr(read, item.name)
        if isinstance(tail, Tail) and not (isfinite(tail.start) and 0 < tail.scale < inf):
            message = f"{CALIBRATION_ASSET}: {item.name} of start {tail.start} and scale {tail.scale} is no tail"
            raise StoreError(f"{message}; {advice}")
