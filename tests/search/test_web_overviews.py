"""What the page asks for before anything is searched: what is allowed, the folders, and how values are spread."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from semblant_search.web.bins import date_edges, number_edges
from support.service import problem

if TYPE_CHECKING:
    from support.service import Served


def test_the_service_says_what_its_caller_may_do(served: Served) -> None:
    told = served.http.get("/v1/about").json()
    assert (told["collection"], told["scope"], told["limited"]) == ("images", "admin", False)
    assert told["originals"] is served.app.state.service.settings.originals
    assert told["max_limit"] == served.app.state.service.settings.max_limit


def test_folders_lead_down_to_pictures_and_their_counts_add_up(served: Served) -> None:
    top = served.http.get("/v1/folders").json()
    assert top["uri"].endswith("/")
    assert sum(one["count"] for one in top["folders"]) + top["pictures"] == served.client.count() > 0
    assert len(top["folders"]) > 1
    for one in top["folders"]:
        assert served.client.count(f'startswith(_uri, "{one["uri"]}")') == one["count"]
        inner = served.http.get("/v1/folders", params={"uri": one["uri"].rstrip("/")}).json()
        assert inner["uri"] == one["uri"]
        assert sum(each["count"] for each in inner["folders"]) + inner["pictures"] == one["count"]


def test_folders_are_counted_under_a_filter(served: Served) -> None:
    label = served.client.scroll(1).pictures[0].metadata["label"]
    told = served.http.get("/v1/folders", params={"where": f'label == "{label}"'}).json()
    assert sum(one["count"] for one in told["folders"]) + told["pictures"] == served.client.count(f'label == "{label}"')
    none = served.http.get("/v1/folders", params={"where": 'label == "none"'}).json()
    assert none == {"uri": "", "folders": [], "pictures": 0}


def test_a_histogram_holds_every_picture_once(served: Served) -> None:
    told = served.http.get("/v1/histogram", params={"field": "price", "bins": 10}).json()
    assert told["kind"] == "float"
    assert 1 < len(told["bins"]) <= 10
    assert sum(one["count"] for one in told["bins"]) == served.client.count("exists(price)") > 0
    for one in told["bins"][:-1]:
        assert one["count"] == served.client.count(f"{one['low']} <= price < {one['high']}")
    below = served.http.get("/v1/histogram", params={"field": "price", "where": "price < 7"}).json()
    assert sum(one["count"] for one in below["bins"]) == served.client.count("price < 7")


def test_dates_are_counted_by_a_unit_of_time(served: Served) -> None:
    told = served.http.get("/v1/histogram", params={"field": "_indexed_at"}).json()
    assert (told["kind"], told["unit"]) == ("datetime", "hour")
    assert sum(one["count"] for one in told["bins"]) == served.client.count()


def test_a_field_without_an_order_has_no_histogram(served: Served) -> None:
    for field in ("label", "none", "_uri"):
        assert (
            "expected one of numbers or dates"
            in problem(served.http.get("/v1/histogram", params={"field": field}), 422, "invalid-input")["detail"]
        )
    problem(served.http.get("/v1/histogram", params={"field": "price", "where": "prize < 3"}), 422, "invalid-filter")
    none = served.http.get("/v1/histogram", params={"field": "price", "where": "price < -1"}).json()
    assert none["bins"] == []


@pytest.mark.parametrize(
    ("low", "high"),
    [
        *[(3, 97), (0, 1), (-5, -4.999), (0.1, 0.9), (1e-12, 3e-12), (-3e200, 8e200), (7, 7), (1e15, 1e15 + 1)],
        *[(-1.7e308, 1.7e308), (0, 1.79e308), (-1.79e308, -1), (5e-324, 1.5e-323), (2e-310, 3e-310)],
    ],
)
@pytest.mark.parametrize("bins", [1, 2, 24, 100])
def test_bins_of_numbers_cover_all_of_them(low: float, high: float, bins: int) -> None:
    edges = number_edges(low, high, bins)
    assert 2 <= len(edges) <= bins + 1
    assert edges[0] <= low
    assert edges[-1] >= high
    assert edges == sorted(edges)
    assert all(map(math.isfinite, edges))


@pytest.mark.parametrize(("low", "high", "bins"), [(0, 3, 24), (1, 1000, 7), (28, 29, 24), (-4, 90, 10)])
def test_bins_of_whole_numbers_are_whole(low: int, high: int, bins: int) -> None:
    edges = number_edges(low, high, bins, whole=True)
    assert all(edge == int(edge) for edge in edges)
    assert len(edges) <= bins + 1
    assert edges[0] <= low <= high <= edges[-1]


@pytest.mark.parametrize(("days", "unit"), [(0.5, "hour"), (20, "day"), (400, "month"), (5000, "year"), (400_000, "year")])
def test_bins_of_dates_are_the_finest_unit_that_fits(days: float, unit: str) -> None:
    low = datetime(1901, 3, 5, 7, 30, tzinfo=timezone.utc)
    high = low + timedelta(days=days)
    found, edges = date_edges(low.isoformat(), high.isoformat(), 24)
    assert found == unit
    assert len(edges) <= 25
    assert edges == sorted(edges)
    assert datetime.fromisoformat(edges[0].replace("Z", "+00:00")) <= low
    assert datetime.fromisoformat(edges[-1].replace("Z", "+00:00")) > high


@pytest.mark.parametrize(
    "low", ["0001-01-01T00:00:00Z", "2024-05-31T12:00:00Z", "9998-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]
)
@pytest.mark.parametrize("high", ["9999-12-31T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize("bins", [1, 3, 24, 100])
def test_bins_of_dates_hold_the_end_of_time(low: str, high: str, bins: int) -> None:
    low, high = sorted((low, high))
    _, edges = date_edges(low, high, bins)
    assert 2 <= len(edges) <= bins + 1
    moments = [datetime.fromisoformat(edge.replace("Z", "+00:00")) for edge in edges]
    assert moments == sorted(set(moments))
    assert moments[0] <= datetime.fromisoformat(low.replace("Z", "+00:00"))
    assert moments[-1] >= datetime.fromisoformat(high.replace("Z", "+00:00"))
