"""What an analysis was, kept beside the vectors that it is of: a file of the generation for each kind, replaced whole."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from semblant_search import FieldType
from semblant_search.errors import StoreError
from semblant_search.json_models import parse_object, read_model, write_model
from semblant_search.querying.clusters import CENTRES_ASSET, read_centres

if TYPE_CHECKING:
    from semblant_search.store import Store

__all__ = [
    "CLUSTER_FIELDS",
    "MAP_FIELDS",
    "OUTLIER_FIELDS",
    "AnalysisRun",
    "Kind",
    "copy_run",
    "drop_run",
    "read_centres",
    "read_mapped",
    "read_run",
    "rewrite_run",
    "write_centres",
    "write_mapped",
    "write_run",
]

Kind = Literal["map", "clusters", "outliers"]

MAP_FIELDS = {"_x": FieldType.FLOAT, "_y": FieldType.FLOAT}
"""Where a picture lies on the map."""
CLUSTER_FIELDS = {"_cluster": FieldType.INTEGER, "_cluster_distance": FieldType.FLOAT}
"""A picture's cluster, 0 for the largest, and one minus the cosine to its centre."""
OUTLIER_FIELDS = {"_outlier": FieldType.FLOAT}
"""How far a picture lies from its neighbours beside what is usual, in robust standard deviations."""

_ADVICE = "run the analysis again"
_MAPPED_ASSET = "analysis-map-pictures.npy"


@dataclass(frozen=True)
class AnalysisRun:
    """One run of an analysis.

    Attributes:
        kind: `map`, `clusters` or `outliers`.
        version: 1 for the first run of its kind on this generation, one more for each after it.
        made_at: RFC 3339, UTC.
        pictures: that had vectors when it was made; those that came later were placed.
        settings: what it was asked for.
        results: what it found, for people: names and sizes of clusters, inertias by their number, and so on.
    """

    kind: Kind
    version: int
    made_at: str
    pictures: int
    settings: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)


def read_run(store: Store, kind: Kind) -> AnalysisRun | None:
    """The last run of a kind on this generation, or None. Raises `StoreError` where its file is damaged."""
    name = _name(kind)
    data = store.asset(name)
    if data is None:
        return None
    values = parse_object(data, what=name, error=StoreError, advice=_ADVICE)
    return read_model(AnalysisRun, values, what=name, error=StoreError, advice=_ADVICE)


def write_run(store: Store, kind: Kind, pictures: int, settings: dict[str, Any], results: dict[str, Any]) -> AnalysisRun:
    """Keep a run in place of the last one, and return it."""
    last = read_run(store, kind)
    made_at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = AnalysisRun(kind, 1 if last is None else last.version + 1, made_at, pictures, settings, results)
    store.put_asset(_name(kind), json.dumps(write_model(run)).encode())
    return run


def rewrite_run(store: Store, run: AnalysisRun) -> AnalysisRun:
    """Keep what was changed about the last run, and return it as the next version."""
    last = read_run(store, run.kind)
    changed = replace(run, version=1 if last is None else last.version + 1)
    store.put_asset(_name(run.kind), json.dumps(write_model(changed)).encode())
    return changed


def copy_run(old: Store, new: Store, kind: Kind) -> None:
    """Keep the last run of another generation with this one."""
    run = read_run(old, kind)
    if run is not None:
        new.put_asset(_name(kind), json.dumps(write_model(run)).encode())
    if kind == "map" and (mapped := old.asset(_MAPPED_ASSET)) is not None:
        new.put_asset(_MAPPED_ASSET, mapped)


def drop_run(store: Store, kind: Kind) -> None:
    """Forget that there was one."""
    store.drop_asset(_name(kind))
    if kind == "map":
        store.drop_asset(_MAPPED_ASSET)


def write_mapped(store: Store, marks: np.ndarray) -> None:
    """Keep which pictures a map is of: uint64 `[n]`, a mark of each one's id and vector; none while places are written."""
    buffer = io.BytesIO()
    np.save(buffer, np.sort(marks.astype(np.uint64)))
    store.put_asset(_MAPPED_ASSET, buffer.getvalue())


def read_mapped(store: Store) -> np.ndarray | None:
    """The marks of `write_mapped`, or None. Raises `StoreError` where their file is damaged."""
    data = store.asset(_MAPPED_ASSET)
    if data is None:
        return None
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), np.uint64).reshape(-1)
    except (ValueError, OSError, EOFError) as error:
        raise StoreError(f"{_MAPPED_ASSET} is damaged ({error}); make the map anew (semblant map --fresh)") from error


def write_centres(store: Store, centres: np.ndarray, owners: np.ndarray | None = None) -> None:
    """Keep the centres, float32 `[m, dim]`, for new pictures; `owners`, int32 `[m]`: their clusters, or their rows."""
    buffer = io.BytesIO()
    owned = np.arange(len(centres)) if owners is None else owners
    np.savez(buffer, centres=centres, owners=owned.astype(np.int32))
    store.put_asset(CENTRES_ASSET, buffer.getvalue())


def _name(kind: Kind) -> str:
    return f"analysis-{kind}.json"
