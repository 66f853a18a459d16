"""Where the places of a field lie: cells of the globe with their counts, finer where pictures are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from semblant_search.where import F

if TYPE_CHECKING:
    from semblant_search.async_client import AsyncSearchClient
    from semblant_search.where import Where

__all__ = ["PlaceCell", "place_cells"]

_FINEST = 16
"""Halvings: .003 degrees of latitude, a few hundred metres."""
_OFF = 1.234567e-7
"""Degrees that a dividing line is off the middle, where no round number lies on it, which both sides would count."""


@dataclass(frozen=True)
class PlaceCell:
    """A rectangle in degrees with the pictures in it."""

    south: float
    west: float
    north: float
    east: float
    count: int = 0


async def place_cells(client: AsyncSearchClient, field: str, where: Where | None, most: int) -> list[PlaceCell]:
    """Cells that hold pictures, divided in four again and again while there are fewer than `most`.

    Args:
        client: of the collection.
        field: a field of places.
        where: among which pictures.
        most: cells, about; a last division may leave up to four times as many.
    """
    whole = PlaceCell(-90.0, -180.0, 90.0, 180.0)
    cells = await _counted(client, field, where, [whole])
    for _ in range(_FINEST):
        if not cells or len(cells) >= most:
            break
        cells = await _counted(client, field, where, [part for cell in cells for part in _quarters(cell)])
    return cells


def _quarters(cell: PlaceCell) -> list[PlaceCell]:
    lat, lon = (cell.south + cell.north) / 2 + _OFF, (cell.west + cell.east) / 2 + _OFF
    return [
        PlaceCell(south, west, north, east)
        for south, north in ((cell.south, lat), (lat, cell.north))
        for west, east in ((cell.west, lon), (lon, cell.east))
    ]


async def _counted(client: AsyncSearchClient, field: str, where: Where | None, cells: list[PlaceCell]) -> list[PlaceCell]:
    """Those of the cells in which there are pictures."""
    filters = [F(field).within(cell.south, cell.west, cell.north, cell.east) for cell in cells]
    counts = await asyncio.gather(*(client.count(one if where is None else where & one) for one in filters))
    return [replace(cell, count=count) for cell, count in zip(cells, counts, strict=True) if count]
