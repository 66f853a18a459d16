"""Scores of encoders on someone's own pictures, without labels and with them, and what each encoder costs."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.collection import uri_path
from semblant_search.errors import DataError, InvalidInput
from semblant_search.shown import counted

from semblant_exporter import metrics, pictures
from semblant_exporter.evaluate import embed, measure_labels
from semblant_exporter.listing import list_pictures

from .copies import ALTERATIONS, make_copies

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from semblant_search.encoder import Encoder

    from semblant_exporter.listing import Listing
    from semblant_exporter.pictures import PictureArray

    from .copies import Copies

    Progress = Callable[[str, int, int | None], None]

__all__ = ["CompareSettings", "Comparison", "Score", "measure"]

_TIMED_BATCH = 32
_TIMED_RUNS = 15
_FEWEST = 10


@dataclass(frozen=True)
class CompareSettings:
    """How much to look at.

    Attributes:
        pictures: at most so many are searched; a seeded sample of larger sets.
        queries: of so many of them altered copies are made.
        label: the metadata column with labels; None: `label`, else folder names, else none.
        seed: fixes the sample and the alterations.
    """

    pictures: int = 5000
    queries: int = 300
    label: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pictures < _FEWEST or self.queries < 1:
            raise InvalidInput(f"{self.pictures} pictures, {self.queries} queries: expected at least {_FEWEST} and at least 1")


@dataclass(frozen=True)
class Score:
    """One encoder's result.

    Attributes:
        name: of the encoder, made unique in this comparison.
        architecture, fingerprint: of the encoder.
        recall_at_1, recall_at_10, mrr: means over all altered copies of finding the original: first, among ten, and the
            reciprocal of its place.
        alterations: for each kind the same three, by name.
        labels: `P@1`, `P@10`, … where there are labels; each picture asks for the others.
        ms: milliseconds a picture in batches of 32, the median.
        megabytes: of the file.
        dim: numbers in an embedding.
    """

    name: str
    architecture: str
    fingerprint: str
    recall_at_1: float
    recall_at_10: float
    mrr: float
    alterations: Mapping[str, Mapping[str, float]]
    labels: Mapping[str, float]
    ms: float
    megabytes: float
    dim: int

    @property
    def quality(self) -> float:
        """What encoders are ranked by: MRR of altered copies; with labels, the mean of that and P@10."""
        return (self.mrr + self.labels["P@10"]) / 2 if "P@10" in self.labels else self.mrr

    def to_json(self) -> dict[str, Any]:
        """What is kept in `comparison.json` and in the encoder's card."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "fingerprint": self.fingerprint,
            "copies": {
                "recall@1": round(self.recall_at_1, 4),
                "recall@10": round(self.recall_at_10, 4),
                "MRR": round(self.mrr, 4),
            },
            "alterations": {
                kind: {name: round(value, 4) for name, value in row.items()} for kind, row in self.alterations.items()
            },
            "labels": {name: round(value, 4) for name, value in self.labels.items()},
            "ms": round(self.ms, 4),
            "megabytes": round(self.megabytes, 3),
            "dim": self.dim,
        }


@dataclass(frozen=True)
class Comparison:
    """Scores in the order of the encoders, and what they were measured on."""

    scores: list[Score]
    pictures: int
    queries: int
    failed: int
    same: int
    notes: list[str]


def measure(
    source: str | os.PathLike[str],
    encoders: Sequence[Encoder],
    settings: CompareSettings | None = None,
    on_progress: Progress | None = None,
) -> Comparison:
    """Have each encoder find the originals of altered copies among the pictures of a folder.

    Identical files are searched once. Raises `DataError` with fewer than ten usable pictures, `InvalidInput` without encoders.
    """
    settings = settings or CompareSettings()
    if not encoders:
        raise InvalidInput("no encoders to compare: name at least one")
    listing, same = _sample(list_pictures(source), settings)
    fits = list(dict.fromkeys(encoder.card.fit for encoder in encoders))
    arrays = {fit: pictures.load(listing, fit, label=settings.label, on_progress=on_progress) for fit in fits}
    first = arrays[fits[0]]
    if len(first) < _FEWEST:
        raise DataError(f"{counted(len(first), 'usable picture')}: comparing needs at least {_FEWEST}")
    paths = [path for path in map(uri_path, first.uris) if path is not None]
    count = min(settings.queries, len(paths))
    rows = np.sort(np.random.default_rng([settings.seed, 1]).permutation(len(paths))[:count])
    copies = dict(zip(fits, make_copies(paths, rows, fits, settings.seed, on_progress), strict=True))
    scores = []
    notes: list[str] = []
    for encoder, name in zip(encoders, _names(encoders), strict=True):
        array, asked = arrays[encoder.card.fit], copies[encoder.card.fit]
        score, notes = _score(encoder, name, array, asked, on_progress)
        scores.append(score)
    return Comparison(scores, len(first), len(copies[fits[0]].rows), len(first.failures), same, notes)


def _score(
    encoder: Encoder, name: str, array: PictureArray, copies: Copies, on_progress: Progress | None
) -> tuple[Score, list[str]]:
    vectors, _ = embed(encoder, array.pixels, on_progress)
    altered, _ = embed(encoder, copies.pixels.reshape(-1, *array.fit.shape), on_progress)
    ranks = metrics.target_ranks(vectors, altered, np.repeat(copies.rows, len(ALTERATIONS)))
    by_kind = ranks.reshape(-1, len(ALTERATIONS))
    labelled = measure_labels(vectors, array, vectors, array)
    one_label = len(array.categories) < 2
    found = _found(ranks)
    score = Score(
        name=name,
        architecture=encoder.card.architecture,
        fingerprint=encoder.fingerprint,
        recall_at_1=found["recall@1"],
        recall_at_10=found["recall@10"],
        mrr=found["MRR"],
        alterations={kind: _found(by_kind[:, column]) for column, kind in enumerate(ALTERATIONS)},
        labels={} if one_label else labelled.metrics,
        ms=_milliseconds(encoder, array.pixels),
        megabytes=len(encoder.to_bytes()) / 1e6,
        dim=encoder.dim,
    )
    return score, labelled.notes


def _sample(listing: Listing, settings: CompareSettings) -> tuple[Listing, int]:
    """A seeded sample without identical files, in the order of the listing, and how many identical ones were left out."""
    order = np.random.default_rng([settings.seed, 0]).permutation(len(listing.paths))
    seen: set[bytes] = set()
    rows: list[int] = []
    looked = 0
    for row in order.tolist():
        if len(rows) == settings.pictures:
            break
        looked += 1
        try:
            content = hashlib.sha256(listing.paths[row].read_bytes()).digest()
        except OSError:
            content = str(listing.paths[row]).encode(errors="surrogateescape")  # loading will say what is wrong with it
        if content not in seen:
            seen.add(content)
            rows.append(row)
    return listing.take(sorted(rows)), looked - len(rows)


def _found(ranks: np.ndarray) -> dict[str, float]:
    return {
        "recall@1": float((ranks == 1).mean()),
        "recall@10": float((ranks <= 10).mean()),
        "MRR": float((1 / ranks).mean()),
    }


def _milliseconds(encoder: Encoder, pixels: np.ndarray) -> float:
    batch = np.ascontiguousarray(pixels[:_TIMED_BATCH])
    encoder.encode(batch)  # the first call plans the memory
    times = []
    for _ in range(_TIMED_RUNS):
        begin = time.perf_counter()
        encoder.encode(batch)
        times.append(time.perf_counter() - begin)
    return 1000 * float(np.median(times)) / len(batch)


def _names(encoders: Sequence[Encoder]) -> list[str]:
    """Names of the cards; those that repeat get the beginning of their fingerprint."""
    names = [encoder.card.name for encoder in encoders]
    return [
        f"{name} {encoder.fingerprint[:6]}" if names.count(name) > 1 else name
        for name, encoder in zip(names, encoders, strict=True)
    ]
