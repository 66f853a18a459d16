"""The centres of a collection's clusters, which an analysis keeps with it, and the clusters nearest to a query."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from semblant_search.errors import NotIndexed, StoreError
from semblant_search.where import And, OneOf

if TYPE_CHECKING:
    from semblant_search.serving import Generation
    from semblant_search.store import Store
    from semblant_search.where import Where

__all__ = ["CENTRES_ASSET", "ClusterCentres", "read_centres", "within_clusters"]

CENTRES_ASSET = "analysis-centres.npz"


class ClusterCentres(NamedTuple):
    """Where clusters lie.

    Attributes:
        centres: float32 `[m, dim]`, of unit length.
        owners: int32 `[m]`: the cluster of each; one that was made of several has several.
    """

    centres: np.ndarray
    owners: np.ndarray

    def nearest(self, vector: np.ndarray, probes: int) -> list[int]:
        """The clusters nearest to a vector, `[dim]`, nearest first: at most `probes`."""
        found: list[int] = []
        for row in np.argsort(-(self.centres @ vector), kind="stable"):
            if (cluster := int(self.owners[row])) not in found:
                found.append(cluster)
            if len(found) == probes:
                break
        return found

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int32 `[n]`, the cluster of the nearest centre to each of `[n, dim]`; float32 `[n]`, one minus the cosine to it."""
        cosines = vectors @ self.centres.T
        rows = cosines.argmax(axis=1)
        nearest = np.take_along_axis(cosines, rows[:, None], axis=1)[:, 0]
        return self.owners[rows].astype(np.int32), np.clip(1 - nearest, 0, 2).astype(np.float32)


def read_centres(store: Store) -> ClusterCentres | None:
    """The centres of a generation's clusters, or None. Raises `StoreError` where their file is damaged."""
    data = store.asset(CENTRES_ASSET)
    if data is None:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            centres = np.asarray(arrays["centres"], np.float32)
            owners = np.asarray(arrays["owners"], np.int32) if "owners" in arrays else np.arange(len(centres), dtype=np.int32)
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise StoreError(f"{CENTRES_ASSET} is damaged ({error}); make the clusters again (semblant cluster)") from error
    if centres.ndim != 2 or owners.shape != centres.shape[:1] or not len(centres):
        raise StoreError(f"{CENTRES_ASSET}: {centres.shape} centres and {owners.shape} owners; make the clusters again")
    return ClusterCentres(centres, owners)


def within_clusters(generation: Generation, vector: np.ndarray, where: Where | None, probes: int) -> Where:
    """A filter that leaves the pictures of the clusters nearest to a vector. Raises `NotIndexed` where there are none."""
    centres = generation.centres
    if centres is None:
        raise NotIndexed(
            f"within_cluster: collection {generation.manifest.collection!r} has no clusters: make them (semblant cluster)"
        )
    if "_cluster" not in generation.manifest.fields:
        generation.store.refresh()  # another process made them since
    inside = OneOf("_cluster", tuple(centres.nearest(vector, probes)))
    return inside if where is None else And((where, inside))
