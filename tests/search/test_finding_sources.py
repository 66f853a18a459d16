"""A source is found by its name, its id, or any way to write its root; of one that there is not the nearest is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from semblant_search import InvalidInput
from semblant_search.sources import SourceRecord, find_source

SHOP = SourceRecord("a1", "shop", "file:///data/shop/")
LIST = SourceRecord("b2", "list.csv", "file:///data/list%20of%20all.csv")
BUCKET = SourceRecord("c3", "bucket", "s3://bucket/pictures/")
CLIENT = SourceRecord("client", "client", "")
ALL = [SHOP, LIST, BUCKET, CLIENT]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        *((name, SHOP) for name in ("shop", "a1", "file:///data/shop/", "file:///data/shop", "/data/shop", "/data/shop/")),
        *((name, SHOP) for name in ("/data/./x/../shop", "file://localhost/data/shop", Path("/data/shop"))),
        *((name, LIST) for name in ("list.csv", "/data/list of all.csv", "file:///data/list%20of%20all.csv")),
        *((name, BUCKET) for name in ("s3://bucket/pictures", "s3://bucket/pictures/", "c3")),
        ("client", CLIENT),
    ],
)
def test_a_source_is_found(wanted: str, found: SourceRecord) -> None:
    assert find_source(ALL, wanted) == found


def test_relative_paths_and_links_lead_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "link").symlink_to("pictures")
    record = SourceRecord("d4", "mine", f"{(tmp_path / 'pictures').as_uri()}/")
    monkeypatch.chdir(tmp_path)
    for wanted in ("pictures", "pictures/", "./pictures", "link", str(tmp_path / "link")):
        assert find_source([*ALL, record], wanted) == record
    monkeypatch.chdir(tmp_path / "pictures")
    assert find_source([*ALL, record], ".") == record
    named = SourceRecord("e5", "pictures", "file:///elsewhere/")
    monkeypatch.chdir(tmp_path)
    assert find_source([record, named], "pictures") == named  # a name comes first


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("shpo", r"no such source; did you mean 'shop'\? There: 'shop', 'list.csv', 'bucket', 'client'$"),
        ("Shop", r"did you mean 'shop'\?"),
        ("zzz", r"no such source; there: 'shop', 'list.csv'"),
        ("/data/shops", r"did you mean 'file:///data/shop'\? There: 'shop' \(file:///data/shop/\)"),
        ("x\0y", "no such source"),
        ("", "expected its name, its id or its root"),
        (5, "expected its name, its id or its root"),
        (None, "expected its name, its id or its root"),
    ],
)
def test_of_one_that_there_is_not_the_nearest_is_named(wanted: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        find_source(ALL, wanted)


def test_a_long_list_is_cut() -> None:
    many = [SourceRecord(str(number), f"source {number}", f"file:///{number}/") for number in range(50)]
    with pytest.raises(InvalidInput, match="and 30 more"):
        find_source(many, "zzz")
    with pytest.raises(InvalidInput, match="there: none"):
        find_source([], "zzz")
