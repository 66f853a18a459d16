"""From evidence to a probability: how often do pictures of this collection that have nothing in common agree this well?"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from math import exp, expm1
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import StoreError

from .packing import unpack
from .settings import OrbSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.store.base import Store

    from .features import Features

__all__ = ["CALIBRATION_ASSET", "Calibration"]

CALIBRATION_ASSET = "calibration.json"
"""The name under which a generation of a collection keeps its calibration."""

_FORMAT = 1
_CEILING = 5.0
"""Random pairs that agree better than this do have something in common (a series of pictures): they are left out."""
_PRIOR_PAIRS = 1000
_PRIOR_FOUND = 100
"""The general calibration counts as much as this many pairs, or found agreements: false matches are few and far between."""
_COMPARED = 60
"""How many random pairs a query is worth: two dozen candidates on average, and as many again for its mirror image, each a
little likelier to agree than a random one, being picked for its words."""


@dataclass(frozen=True)
class Calibration:
    """The false matches of a collection: two random pictures agree with evidence ≥ e with probability `share`·exp(−e/`slope`).

    Attributes:
        share: of random pairs, how many agree at all (evidence above 0).
        slope: by how much evidence has to grow for false matches to become e times rarer.
        pairs: random pairs that were compared; 0 for the general calibration.
    """

    share: float
    slope: float
    pairs: int

    @classmethod
    def general(cls) -> Calibration:
        """Measured on clip-art against photographs (`bench/features.py`); for collections too small to measure themselves."""
        return cls(share=0.02, slope=1.3, pairs=0)

    @classmethod
    def measure(
        cls, features: Sequence[Features], sizes: Sequence[tuple[int, int]], *, pairs: int = 3000, seed: int = 0
    ) -> Calibration:
        """Compare random pairs of a sample of a collection (some hundreds of its pictures), about 0.3 ms each.

        Args:
            features: of each picture, as stored.
            sizes: `(width, height)` of the grey pictures that they were extracted from.
            pairs: how many pairs to compare at most; the same arguments and seed give the same calibration.
            seed: of the pairs' choice.
        """
        from .verify import Verifier

        count = len(features)
        if count < 2:
            return cls.general()
        rng = np.random.default_rng(seed)
        first = rng.integers(count, size=min(pairs, count * (count - 1)))
        second = (first + rng.integers(1, count, size=len(first))) % count
        found: list[float] = []
        for one in np.unique(first):
            verifier = Verifier(features[one], sizes[one], cls.general())
            others = second[first == one]
            matches = verifier.verify_many([features[i] for i in others], [sizes[i] for i in others])
            found += [match.evidence for match in matches if match is not None and 0 < match.evidence < _CEILING]
        prior = cls.general()
        # A query may come from elsewhere and agree by chance more often than the collection's own pictures do with each other:
        # drawings asked of photographs met twice the false hits before the general share became the least.
        share = max(prior.share, (len(found) + _PRIOR_PAIRS * prior.share) / (len(first) + _PRIOR_PAIRS))
        mean = (sum(found) + _PRIOR_FOUND * _truncated_mean(prior.slope)) / (len(found) + _PRIOR_FOUND)
        return cls(share=share, slope=_slope(mean), pairs=len(first))

    @classmethod
    def of_store(cls, store: Store, *, sample: int = 400, pairs: int = 3000) -> Calibration:
        """Compare pictures of a collection, which has ORB features; about a second.

        Ids are hashes, so the first ones in order are a random sample, and the same one each time.
        """
        facts = (store.manifest.orb or {}).get("settings")
        if facts is None:
            raise StoreError(f"collection {store.manifest.collection!r} was indexed without ORB features")
        settings = OrbSettings.from_json(facts)
        first = [record.id for record in itertools.islice(store.scroll(fields=["_uri"], batch=sample), sample)]
        records = [record for record in store.retrieve(sorted(first), with_features=True) if record.features is not None]
        records.sort(key=lambda record: record.id)
        features = [unpack(record.features) for record in records if record.features is not None]
        sizes = [settings.grey_size(int(record.payload["_width"]), int(record.payload["_height"])) for record in records]
        return cls.measure(features, sizes, pairs=pairs)

    def probability(self, evidence: float) -> float:
        """0–1: one minus the expected number of chance matches this good when a query's picture is not in the collection."""
        by_chance = self.share * exp(-max(evidence, 0.0) / self.slope)
        return max(0.0, 1.0 - _COMPARED * by_chance)

    def to_bytes(self) -> bytes:
        """The content of a store's asset `calibration.json`."""
        return json.dumps({"format": _FORMAT, **asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Calibration:
        """The inverse of `to_bytes`; raises `StoreError` on anything else."""
        try:
            facts = json.loads(data)
            if facts["format"] != _FORMAT:
                raise ValueError(f"version {facts['format']!r}")
            found = cls(float(facts["share"]), float(facts["slope"]), int(facts["pairs"]))
            if not (0 <= found.share <= 1 and found.slope > 0):
                raise ValueError(f"share {found.share}, slope {found.slope}")
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"not a calibration of ORB matches: {error!r}; run `semblant vocabulary` again") from error
        return found


def _truncated_mean(slope: float) -> float:
    """Mean of an exponential of this slope below `_CEILING`."""
    return slope - _CEILING / expm1(_CEILING / slope)


def _slope(mean: float) -> float:
    """The slope whose `_truncated_mean` this is, from 0.2 to 5, by bisection."""
    low, high = 0.2, 5.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _truncated_mean(middle) < mean else (low, middle)
    return (low + high) / 2
