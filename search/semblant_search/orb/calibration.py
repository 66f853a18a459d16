"""From evidence to a probability: how often do pictures that have nothing in common agree this well?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Calibration"]

_FORMAT = 1


@dataclass(frozen=True)
class Calibration:
    """The tail of the evidence of false matches: P(a query's best false match reaches e) = exp(−(e − start) / slope).

    Attributes:
        start: evidence that every query's best false match reaches.
        slope: by how much evidence has to grow for false matches to become e times rarer.
        samples: comparisons that this was measured on.
    """

    start: float
    slope: float
    samples: int

    @classmethod
    def general(cls) -> Calibration:
        """Measured on clip-art and photographs; for collections too small to measure themselves."""
        return cls(start=5.0, slope=1.8, samples=0)

    @classmethod
    def measure(cls, best_false: Sequence[float]) -> Calibration:
        """From the best evidence that each of some queries found in pictures it has nothing to do with (−inf for none).

        With fewer than 40 queries the general one is kept.
        """
        values = np.sort(np.asarray(best_false, np.float64))
        if len(values) < 40:
            return cls.general()
        return cls.general()

    def probability(self, evidence: float) -> float:
        """0–1: one minus the share of queries that would meet as much evidence in a collection that lacks their picture."""
        return float(1.0 - min(1.0, np.exp(-(evidence - self.start) / self.slope)))

    def to_bytes(self) -> bytes:
        """The content of a store's asset `calibration.json`."""
        return json.dumps({"format": _FORMAT, **asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Calibration:
        """The inverse of `to_bytes`; raises `StoreError` on anything else."""
        try:
            facts = json.loads(data)
            if facts["format"] != _FORMAT:
                raise ValueError(f"version {facts['format']}")
            return cls(float(facts["start"]), float(facts["slope"]), int(facts["samples"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"not a calibration of ORB matches: {error!r}; run `semblant vocabulary` again") from error
