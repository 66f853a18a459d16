"""A collection's map as columns: where each picture lies, and from how far away it is shown."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.errors import NotIndexed
from semblant_search.where import And, F

from semblant_indexer.analysis.runs import MAP_FIELDS, read_run
from semblant_indexer.analysis.thinning import thinning_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from semblant_search.store import Store
    from semblant_search.where import Where

__all__ = ["MapPoints", "columns", "read_points"]

_STEPS = 65_535
_ID = 36
"""Characters of a picture's id."""
_FRESH = 20.0


@dataclass
class MapPoints:
    """The pictures of a map. A picture's row is its place in the columns, the same until the version is another one.

    Attributes:
        ids: `S36` `[n]`: of the pictures, those that are shown from farthest away first.
        x, y: uint16 `[n]`: from left to right and from top to bottom, in 65,535ths of `extent`.
        levels: uint8 `[n]`, ascending; see `thinning_levels`.
        left, top, extent: `_x` of the left edge, `_y` of the top edge, and the width and height of the square map.
        version: names exactly these columns.
        seconds: that it took to read them.
        made: `monotonic()` then.
        colours: of fields that were asked for: when they were read, and the answer.
    """

    ids: np.ndarray
    x: np.ndarray
    y: np.ndarray
    levels: np.ndarray
    left: float
    top: float
    extent: float
    version: str
    seconds: float
    made: float
    colours: dict[str, tuple[float, bytes]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.ids)
        return self.ids[order], order

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """int64 `[ids]`: the row of each picture, −1 of one that is not on the map."""
        names, order = self._sorted
        # Whatever is no id of a picture is longer, or has other characters, and must not become one by being cut.
        asked = np.array([id.encode() if len(id) <= _ID and id.isascii() else b"" for id in ids], dtype=f"S{_ID}")
        if not len(names):
            return np.full(len(asked), -1)
        found = np.minimum(np.searchsorted(names, asked), len(names) - 1)
        return np.where(names[found] == asked, order[found], -1)

    def is_fresh(self, read: float) -> bool:
        """Whether what was read at that moment need not be read again: what takes long is read less often."""
        return monotonic() - read < max(_FRESH, 20 * self.seconds)

    def columns(self) -> bytes:
        """What the page draws."""
        head = {"points": len(self), "left": self.left, "top": self.top, "extent": self.extent, "version": self.version}
        return columns(head, {"x": self.x, "y": self.y, "level": self.levels})


def read_points(store: Store, within: Where | None) -> MapPoints:
    """The map of a collection, or of some of its pictures.

    Raises:
        NotIndexed: there is no map.
    """
    if read_run(store, "map") is None:
        raise NotIndexed(f"collection {store.manifest.collection!r} has no map: make one (semblant map)")
    begun = monotonic()
    ids, places = [], []
    mapped = F("_x").exists()
    for record in store.scroll(where=mapped if within is None else And((within, mapped)), fields=list(MAP_FIELDS)):
        ids.append(record.id.encode())
        places.append((record.payload.get("_x", np.nan), record.payload.get("_y", np.nan)))
    positions = np.array(places, np.float64).reshape(-1, 2)
    names = np.array(ids, dtype=f"S{_ID}")
    whole = np.isfinite(positions).all(axis=1)
    positions, names = positions[whole], names[whole]
    low, high = (positions.min(axis=0), positions.max(axis=0)) if len(positions) else (np.zeros(2), np.ones(2))
    extent = float((high - low).max()) or 1.0
    left, bottom = ((low + high - extent) / 2).tolist()
    across = (positions[:, 0] - left) / extent
    down = 1 - (positions[:, 1] - bottom) / extent
    unit = np.stack([across, down], axis=1).clip(0, 1)
    levels = thinning_levels(unit)
    order = np.argsort(levels, kind="stable")
    x, y = (np.rint(unit[order] * _STEPS).astype(np.uint16)).T
    names, levels = names[order], levels[order]
    digest = hashlib.sha256(json.dumps([left, bottom, extent]).encode())
    for column in (names, x, y, levels):
        digest.update(np.ascontiguousarray(column).tobytes())
    return MapPoints(
        names, x, y, levels, left, bottom + extent, extent, digest.hexdigest()[:32], monotonic() - begun, monotonic()
    )


def columns(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One binary answer: the length of a JSON head (uint32), the head, and the columns that its `columns` names, in order.

    Each begins at a multiple of 4 bytes, counted from the beginning. Numbers are little-endian.
    """
    listed = [{"name": name, "type": str(array.dtype), "length": len(array)} for name, array in arrays.items()]
    text = json.dumps({**head, "columns": listed}).encode()
    told = bytearray(len(text).to_bytes(4, "little") + text)
    for array in arrays.values():
        told += b" " * (-len(told) % 4)
        told += np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return bytes(told)
