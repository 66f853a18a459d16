"""Times without a zone are UTC wherever the machine stands."""

from __future__ import annotations

import datetime as dt

import pytest
from semblant_indexer.sources.behind_urls import changed_at
from semblant_search.writing.metadata import parse_date
from support.zones import far_from_utc

MOMENT = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
NANOSECONDS = int(MOMENT.timestamp()) * 10**9


def test_in_metadata() -> None:
    with far_from_utc():
        for text in ("2024-05-01T12:00:00", "2024-05-01 12:00", "2024-05-01T14:00:00+0200"):
            assert parse_date(text) == "2024-05-01T12:00:00Z"
        assert parse_date("2024-05-01") == "2024-05-01T00:00:00Z"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"mtime": 1.5}, 1_500_000_000),
        ({"mtime": 7}, 7_000_000_000),
        ({"LastModified": "2024-05-01T12:00:00Z"}, NANOSECONDS),
        ({"last_modified": "2024-05-01T14:00:00+02:00"}, NANOSECONDS),
        ({"updated": "2024-05-01T12:00:00"}, NANOSECONDS),
        ({"created": MOMENT}, NANOSECONDS),
        ({"LastModified": MOMENT.replace(tzinfo=None)}, NANOSECONDS),
        ({"LastModified": "Wed, 01 May 2024", "mtime": 2}, 2_000_000_000),
        ({"created": 9, "mtime": 2}, 2_000_000_000),
        ({"mtime": None, "updated": 3}, 3_000_000_000),
        ({"size": 5}, -1),
        ({}, -1),
    ],
)
def test_in_what_file_systems_tell(facts: dict[str, object], expected: int) -> None:
    with far_from_utc():
        assert changed_at(facts) == expected
