"""Where the places of a field lie, as cells with counts."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search import FieldType, Fit
from semblant_search.collection import Manifest, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.store import Point, open_database
from support.service import problem, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.service import Served

TOWNS = {"Berlin": (52.52, 13.4), "Fiji": (-16.6, 179.9), "Null Island": (0.0, 0.0)}


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Thirty pictures of three places, and one of none."""
    dice = random.Random(5)
    with closing(open_database(tmp_path_factory.mktemp("travelled") / "db", create=True)) as database:
        card = EncoderCard("test", "test", Fit(4, 4, 1), 4, "none")
        fields = {"gps": FieldType.GEO, "town": FieldType.KEYWORD}
        with closing(database.create(Manifest("images", "g0001", "f" * 64, card, fields=fields))) as store:
            payloads = [
                {"town": town, "gps": {"lat": lat + dice.uniform(0, 0.1), "lon": lon + dice.uniform(0, 0.1)}}
                for town, (lat, lon) in TOWNS.items()
                for _ in range(10)
            ]
            payloads[-1]["gps"] = {"lat": 0.0, "lon": 0.0}  # where cells are divided
            payloads.append({"town": "nowhere"})
            store.upsert(
                [
                    Point(point_id(f"file:///{at}"), np.full(4, 0.5, np.float32), {"_uri": f"file:///{at}", **payload})
                    for at, payload in enumerate(payloads)
                ]
            )
        database.publish("images", "g0001")
        with serving(database) as served:
            yield served


@pytest.mark.parametrize(("most", "least"), [(1, 1), (3, 3), (20, 12)])
def test_every_place_is_in_one_cell(travelled: Served, most: int, least: int) -> None:
    told = travelled.http.get("/v1/places", params={"field": "gps", "cells": most}).json()
    assert told["field"] == "gps"
    assert least <= len(told["cells"]) <= 4 * most
    assert sum(cell["count"] for cell in told["cells"]) == 30
    for cell in told["cells"]:
        sides = ", ".join(str(cell[side]) for side in ("south", "west", "north", "east"))
        assert travelled.client.count(f"within(gps, {sides})") == cell["count"] > 0


def test_cells_are_finer_where_pictures_are_and_end_somewhere(travelled: Served) -> None:
    told = travelled.http.get("/v1/places", params={"field": "gps", "cells": 200, "where": 'town == "Berlin"'}).json()
    assert sum(cell["count"] for cell in told["cells"]) == 10
    for cell in told["cells"]:
        assert 52.5 < cell["south"] < cell["north"] < 52.65
        assert 13.3 < cell["west"] < cell["east"] < 13.6


def test_where_there_is_no_place_there_are_no_cells(travelled: Served) -> None:
    told = travelled.http.get("/v1/places", params={"field": "gps", "where": 'town == "nowhere"'}).json()
    assert told == {"field": "gps", "cells": []}


@pytest.mark.parametrize("field", ["town", "place", "_uri"])
def test_a_field_of_no_places_has_no_map(travelled: Served, field: str) -> None:
    told = problem(travelled.http.get("/v1/places", params={"field": field}), 422, "invalid-input")
    assert "expected one of places" in told["detail"]
