"""Which of the pictures are learned from, and which are only asked with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import DataError
from semblant_search.shown import counted

from semblant_exporter import metrics, pictures

from .guide import neighbours_looked_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.images import Fit

    from semblant_exporter.decoding import Failure
    from semblant_exporter.listing import Listing
    from semblant_exporter.pictures import PictureArray

    Progress = Callable[[str, int, int | None], None]

__all__ = ["FEWEST", "Sample", "take"]

FEWEST = 4
"""Pictures that something can be learned of and asked with."""
_MOST_LOOKED_AT = 4000
_MOST_ASKED = 400


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures that can be used.

    Attributes:
        listing: of them alone.
        others: all of the collection but those that are asked, for ways that learn from more than a sample.
        labels: int64 `[n]`, -1 where there is none.
        learned, asked: rows, disjoint.
        failures: what could not be used.
    """

    listing: Listing
    others: Listing
    labels: np.ndarray
    learned: np.ndarray
    asked: np.ndarray
    failures: list[Failure]

    def __len__(self) -> int:
        return len(self.labels)

    def load(self, fit: Fit, on_progress: Progress | None = None) -> np.ndarray:
        """The pictures, fitted: uint8 `[n, h, w, c]`, memory-mapped."""
        return pictures.load(self.listing, fit, on_progress=on_progress).pixels

    @cached_property
    def _labelled(self) -> bool:
        return len(np.unique(self.labels[self.labels >= 0])) > 1

    def precision(self, index: np.ndarray, asked: np.ndarray) -> float | None:
        """P@k of the asked ones among those learned from, by labels; None where there are none."""
        known = np.flatnonzero(self.labels[self.asked] >= 0)
        if not self._labelled or not len(known):
            return None
        k = neighbours_looked_at(len(index))
        hits = metrics.matches(
            metrics.nearest(index, asked[known], k), self.labels[self.learned], self.labels[self.asked][known]
        )
        return float(metrics.precision_at(hits, k).mean())


def take(listing: Listing, fit: Fit, *, label: str | None = None, seed: int = 0, on_progress: Progress | None = None) -> Sample:
    """A seeded sample of a listing, decoded once by `fit`, so that pictures which cannot be are known.

    Raises:
        DataError: fewer than four pictures can be used, or all are the same.
    """
    order = np.random.default_rng(seed).permutation(len(listing.paths))[:_MOST_LOOKED_AT]
    some = listing.take(sorted(order.tolist()))
    array = pictures.load(some, fit, label=label, on_progress=on_progress)
    _check(array)
    failed = {failure.row for failure in array.failures}
    good = some.take(row for row in range(len(some.paths)) if row not in failed)
    count = len(array)
    asked = np.random.default_rng([seed, 1]).permutation(count)[: max(1, min(count // 5, _MOST_ASKED))]
    held_out = {good.paths[row] for row in asked}
    return Sample(
        listing=good,
        others=listing.take(row for row, path in enumerate(listing.paths) if path not in held_out),
        labels=array.label_ids,
        learned=np.setdiff1d(np.arange(count), asked),
        asked=np.sort(asked),
        failures=array.failures,
    )


def _check(array: PictureArray) -> None:
    if len(array) < FEWEST:
        raise DataError(
            f"{counted(len(array), 'usable picture')}: learning needs at least {FEWEST}, and is worth it from "
            "some dozens on; `semblant extract efficientnet-lite0` with --dim 0 makes an encoder that learns nothing"
        )
    first = array.pixels[0]
    if all(np.array_equal(first, picture) for picture in array.pixels):
        raise DataError(f"all {len(array)} pictures look the same: nothing can be learned of them; give others")
