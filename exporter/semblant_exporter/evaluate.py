"""How good an encoder is at finding pictures of the same label, by exact search."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.encoder import Encoder
from semblant_search.errors import DataError

from semblant_exporter import maps, metrics, pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_exporter.listing import PictureSource
    from semblant_exporter.pictures import PictureArray

    Progress = Callable[[str, int, int | None], None]

__all__ = ["DEPTH", "Evaluation", "LabelMeasures", "embed", "evaluate", "measure_labels"]

DEPTH = 100
"""Neighbours looked at."""
_BATCH = 256
_VOTERS = 10
_PER_CATEGORY = ("P@10", "10-NN accuracy")


@dataclass(frozen=True)
class LabelMeasures:
    """What labels say about neighbours.

    Attributes:
        metrics: by name: `P@1`, `P@10`, `P@100`, `mAP@100`, `10-NN accuracy`, each a mean over the queries, from 0 to 1.
        categories: for each label `queries`, `P@10` and `10-NN accuracy`.
        notes: what could not be measured, and why.
    """

    metrics: dict[str, float]
    categories: dict[str, dict[str, float]]
    notes: list[str]


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        encoder: name, architecture, fingerprint, dimensions and size in bytes of the file.
        indexed, queried: pictures on each side that could be used.
        leave_one_out: each picture asked for all others, because no queries were given.
        failed: pictures that could not be used, on both sides together.
        metrics: see `LabelMeasures`; empty without labels.
        categories: see `LabelMeasures`.
        encode_ms: milliseconds a picture for the encoder alone, in batches of 256.
        notes: what could not be measured, and why.
    """

    encoder: dict[str, Any]
    indexed: int
    queried: int
    leave_one_out: bool
    failed: int
    metrics: dict[str, float]
    categories: dict[str, dict[str, float]]
    encode_ms: float
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """What `semblant evaluate --json` prints."""
        return {
            "encoder": self.encoder,
            "indexed": self.indexed,
            "queried": self.queried,
            "leave_one_out": self.leave_one_out,
            "failed": self.failed,
            "metrics": {name: round(value, 5) for name, value in self.metrics.items()},
            "categories": {
                label: {name: round(value, 5) for name, value in row.items()} for label, row in self.categories.items()
            },
            "encode_ms": round(self.encode_ms, 4),
            "notes": self.notes,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON. Raises `DataError` where that cannot be."""
        try:
            Path(path).write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{os.fspath(path)!r}: the evaluation cannot be written: {error.strerror or error}") from error


def evaluate(
    encoder: Encoder | str | os.PathLike[str],
    index: PictureSource,
    queries: PictureSource | None = None,
    *,
    label: str | None = None,
    figures: Path | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Encode two sets of pictures and measure how many neighbours have the query's label, by exact search.

    Args:
        encoder: an encoder or its file.
        index: the pictures to be found: a folder or paths.
        queries: those to ask with; None asks with each picture of `index` for the others. A query never finds itself.
        label: the metadata column that holds labels; by default `label`, else the names of folders.
        figures: a folder for pictures of the result: maps of the embeddings and what some queries find.
        on_progress: called with what is done, how far, and out of how many.

    Raises:
        EncoderError: not an encoder.
        InvalidInput, DataError, MetadataError: pictures that cannot be used.
    """
    known = encoder if isinstance(encoder, Encoder) else Encoder(encoder)
    there = pictures.load(index, known.card.fit, label=label, on_progress=on_progress)
    asked = there if queries is None else pictures.load(queries, known.card.fit, label=label, on_progress=on_progress)
    if queries is None and len(there) < 2:
        raise DataError("one picture has no neighbours to measure; give at least 2, or queries of their own")
    vectors, seconds = embed(known, there.pixels, on_progress)
    count = len(there)
    if queries is None:
        query_vectors = vectors
    else:
        query_vectors, more = embed(known, asked.pixels, on_progress)
        seconds, count = seconds + more, count + len(asked)
    measured = measure_labels(vectors, there, query_vectors, asked, on_progress)
    if figures is not None:
        if on_progress is not None:
            on_progress("drawing", 0, None)
        maps.draw_all(figures, known.card.name, (vectors, there), (query_vectors, asked))
    return Evaluation(
        encoder={
            "name": known.card.name,
            "architecture": known.card.architecture,
            "fingerprint": known.fingerprint,
            "dim": known.dim,
            "bytes": len(known.to_bytes()),
        },
        indexed=len(there),
        queried=len(asked),
        leave_one_out=queries is None,
        failed=len(there.failures) + (0 if queries is None else len(asked.failures)),
        metrics=measured.metrics,
        categories=measured.categories,
        encode_ms=1000 * seconds / count,
        notes=measured.notes,
    )


def embed(encoder: Encoder, pixels: np.ndarray, on_progress: Progress | None = None) -> tuple[np.ndarray, float]:
    """Embeddings float32 `[n, D]` of fitted pictures uint8 `[n, h, w, c]`, and the seconds that the encoder took for them."""
    result = np.empty((len(pixels), encoder.dim), dtype=np.float32)
    seconds = 0.0
    for begin in range(0, len(pixels), _BATCH):
        batch = np.ascontiguousarray(pixels[begin : begin + _BATCH])  # read from the file now, outside the clock
        started = time.perf_counter()
        result[begin : begin + _BATCH] = encoder.encode(batch)
        seconds += time.perf_counter() - started
        if on_progress is not None:
            on_progress("encoding pictures", min(begin + _BATCH, len(pixels)), len(pixels))
    return result, seconds


def measure_labels(
    vectors: np.ndarray,
    index: PictureArray,
    query_vectors: np.ndarray,
    queries: PictureArray,
    on_progress: Progress | None = None,
) -> LabelMeasures:
    """Measure neighbours by label; vectors are float32 `[n, D]` and `[q, D]`, unit length, one for each picture.

    Queries without a label are left out; a neighbour without one counts as another label. A query does not find the picture
    with its own URI. Equal scores rank as in the index; of labels with as many votes the first by name wins.
    """
    names = sorted({*index.categories, *queries.categories})
    place = {name: number for number, name in enumerate(names)}
    index_ids, query_ids = (
        np.array([-1 if label is None else place[label] for label in array.labels], dtype=np.int64)
        for array in (index, queries)
    )
    if (index_ids < 0).all() or (query_ids < 0).all():
        return LabelMeasures({}, {}, ["the pictures have no labels, so how many neighbours are of the right kind is not known"])
    notes = []
    chosen = np.flatnonzero(query_ids >= 0)
    if len(chosen) < len(query_ids):
        notes.append(f"{len(query_ids) - len(chosen)} queries without a label were left out")
    if len(names) == 1:
        notes.append(f"all pictures have the same label, {names[0]!r}: every measure is 1 and says nothing")
    rows = {uri: row for row, uri in enumerate(index.uris)}
    itself = np.array([rows.get(queries.uris[query], -1) for query in chosen], dtype=np.int64)
    overlap = bool((itself >= 0).any())
    reachable = len(index) - overlap
    if reachable == 0:
        return LabelMeasures({}, {}, ["the one query is the one picture that is indexed: there is nothing to find"])
    neighbours = metrics.nearest(
        vectors,
        query_vectors[chosen],
        min(DEPTH, reachable),
        exclude=itself if overlap else None,
        on_progress=None if on_progress is None else lambda done, total: on_progress("searching", done, total),
    )
    labels = query_ids[chosen]
    hits = metrics.matches(neighbours, index_ids, labels)
    relevant = np.bincount(index_ids[index_ids >= 0], minlength=len(names))[labels] - (itself >= 0)
    per_query: dict[str, np.ndarray] = {}
    for k in (1, 10, 100):
        if k <= reachable:
            per_query[f"P@{k}"] = metrics.precision_at(hits, k)
        else:
            notes.append(f"P@{k} needs {k} pictures to find; there are {reachable}")
    per_query["mAP@100"] = metrics.average_precision(hits, DEPTH, relevant)
    if reachable >= _VOTERS:
        per_query["10-NN accuracy"] = metrics.vote(neighbours, index_ids, _VOTERS) == labels
    alone = int((relevant == 0).sum())
    if alone:
        notes.append(f"{alone} queries have a label that nothing they could find has; they count as misses")
    found = {name: float(values.mean()) for name, values in per_query.items()}
    categories = {
        names[label]: {
            "queries": int((labels == label).sum()),
            **{name: float(values[labels == label].mean()) for name, values in per_query.items() if name in _PER_CATEGORY},
        }
        for label in np.unique(labels)
    }
    return LabelMeasures(found, categories, notes)
