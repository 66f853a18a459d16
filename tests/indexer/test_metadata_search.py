"""From a cell of a table to the answer of a filter, through the whole job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from semblant_search import FieldType, SearchClient, canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

ROWS = [
    ("1234567890123456701", "9.99", "2024-05-01T00:30:00+0200", "yes", '"47.5,8.5"', "1e999", "00123"),
    ("1234567890123456702", "100", "2024-05-01T12:00:00Z", "no", '"-90,180"', "1", "7"),
    ("1234567890123456703", "1e2", "2024-05-01", "Yes", "", "2", "8"),
    ("", "", "", "", "", "", ""),
]
COUNTS = {
    "tweet == 1234567890123456701": 1,
    "tweet in [1234567890123456701, 1234567890123456703]": 2,
    "tweet == 1234567890123456700": 0,
    "100 >= price": 3,
    "100 > price": 1,
    "price == 100": 2,
    'taken == "2024-04-30"': 1,
    'taken == "2024-05-01"': 2,
    'taken == "2024-04-30T22:30:00Z"': 1,
    'taken == "2024-05-01T00:30:00+0200"': 1,
    "sold": 2,
    "sold == false": 1,
    "not sold": 2,
    "exists(place)": 2,
    "place.lat == 47.5 and place.lon == 8.5": 1,
    'huge == "1e999"': 1,
    'code == "00123"': 1,
    "exists(tweet) or exists(price) or exists(taken) or exists(sold) or exists(huge)": 3,
}


@pytest.mark.parametrize("suffix", ["folder", "list"])
def test_what_a_table_says_can_be_asked_for(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, suffix: str
) -> None:
    paths = sorted(pictures.rglob("*.png"))[:4]
    for path in sorted(pictures.rglob("*.png"))[4:]:
        path.unlink()
    lines = ["file,tweet,price,taken,sold,place,huge,code"]
    lines += [f"{path.relative_to(pictures)},{','.join(row)}" for path, row in zip(paths, ROWS, strict=True)]
    table = pictures / ("metadata.csv" if suffix == "folder" else "list.csv")
    table.write_text("\n".join(lines))
    options: dict[str, Any] = {"fields": {"sold": FieldType.BOOL, "place": FieldType.GEO}}
    report = index(pictures if suffix == "folder" else table, **options)
    assert (report.indexed, report.failed) == (4, 0)
    with SearchClient(tmp_path / "db") as client:
        kinds = {name: kind.value for name, kind in client.manifest.fields.items() if not name.startswith("_")}
        assert {**kinds, "label": "keyword"} == {
            "label": "keyword",
            "tweet": "integer",
            "price": "float",
            "taken": "datetime",
            "sold": "bool",
            "place": "geo",
            "huge": "keyword",
            "code": "keyword",
        }
        assert {text: client.count(text) for text in COUNTS} == COUNTS
        first = client.get(canonical_uri(paths[0]))
        assert {name: value for name, value in first.metadata.items() if name != "label"} == {
            "tweet": 1234567890123456701,
            "price": 9.99,
            "taken": "2024-04-30T22:30:00Z",
            "sold": True,
            "place": {"lat": 47.5, "lon": 8.5},
            "huge": "1e999",
            "code": "00123",
        }
        assert {name for name in client.get(canonical_uri(paths[3])).metadata if name != "label"} == set()
