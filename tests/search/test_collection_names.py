"""Names of collections and of metadata columns: what may become a folder, and what may become a field."""

from __future__ import annotations

import pytest
from semblant_search import InvalidInput, MetadataError
from semblant_search.collection import check_collection_name, check_field_name


@pytest.mark.parametrize("name", ["images", "a", "A-1_b", "x" * 100, "0", "-"])
def test_plain_names_are_collections(name: str) -> None:
    assert check_collection_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 101, "a b", "a/b", "..", "a.b", "ä", "٣", "a\n"])
def test_other_names_are_none(name: str) -> None:
    with pytest.raises(InvalidInput, match="expected 1 to 100 letters, digits, '-' or '_'"):
        check_collection_name(name)


@pytest.mark.parametrize("name", ["label", "größe", "odd name", "a-b", "a/b", "x_", "100", "日本"])
def test_most_columns_are_fields(name: str) -> None:
    assert check_field_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "give every column a header"),
        ("_uri", "begin with an underscore are Semblant's own"),
        ("_x", "rename the column"),
        *[(name, "address nested keys; rename it") for name in ("a.b", 'a"b', "a[0", "a]", "a\nb", "a\0")],
    ],
)
def test_columns_that_could_not_be_asked_for_are_refused(name: str, words: str) -> None:
    with pytest.raises(MetadataError, match=words):
        check_field_name(name)
