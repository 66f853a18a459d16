"""The fields that a collection declares: their names and types are part of its format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from semblant_search import FieldType, Manifest, MetadataError, NotADatabase
from semblant_search.collection import RESERVED_FIELDS, check_field_name, wider
from semblant_search.encoder import EncoderCard
from semblant_search.images import Fit

CARD = EncoderCard("test", "test", Fit(4, 4, 1), 4, "none")


def manifest(**fields: FieldType) -> Manifest:
    return Manifest("images", "g0001", "f" * 64, CARD, fields=fields)


def test_types_have_the_names_of_qdrant_s_payload_indexes() -> None:
    assert {kind.name: kind.value for kind in FieldType} == {
        "KEYWORD": "keyword",
        "INTEGER": "integer",
        "FLOAT": "float",
        "BOOL": "bool",
        "DATETIME": "datetime",
        "GEO": "geo",
    }


def test_semblant_s_own_fields_have_these_names_and_types() -> None:
    assert {name: kind.value for name, kind in RESERVED_FIELDS.items()} == {
        "_uri": "keyword",
        "_sha256": "keyword",
        "_width": "integer",
        "_height": "integer",
        "_format": "keyword",
        "_bytes": "integer",
        "_indexed_at": "datetime",
    }


@pytest.mark.parametrize("name", ["price", "odd name", "größe", "a-b", "a/b", "x_", "1", "label:de", "😀", "a'b", "a\\b"])
def test_names_of_columns_that_can_be_fields(name: str) -> None:
    assert check_field_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "has no name"),
        ("_x", "begin with an underscore are Semblant's own"),
        ("_", "begin with an underscore"),
        ("a.b", "dots, brackets, quotes and control characters"),
        ("a[0", "brackets"),
        ("a]", "brackets"),
        ('a"b', "quotes"),
        ("a\nb", "control characters"),
        ("a\0", "control characters"),
        ("a\u200b", "control characters"),
    ],
)
def test_names_of_columns_that_cannot_be_fields(name: str, words: str) -> None:
    with pytest.raises(MetadataError) as caught:
        check_field_name(name)
    assert words in str(caught.value)
    assert not name or repr(name) in str(caught.value)


def test_fields_are_added_and_keep_their_type_or_become_wider() -> None:
    before = manifest(label=FieldType.KEYWORD)
    after = before.with_fields({"price": FieldType.FLOAT, "label": FieldType.KEYWORD})
    assert after.fields == {"label": FieldType.KEYWORD, "price": FieldType.FLOAT}
    assert before.fields == {"label": FieldType.KEYWORD}
    assert after.with_fields({}) == after
    assert after.with_fields({"price": FieldType.INTEGER}) == after  # floats hold whole numbers, too
    whole = before.with_fields({"stock": FieldType.INTEGER})
    assert whole.with_fields({"stock": FieldType.FLOAT}).fields["stock"] is FieldType.FLOAT
    assert after.with_fields({"price": FieldType.KEYWORD}).fields["price"] is FieldType.KEYWORD
    with pytest.raises(MetadataError, match="'price' is bool, but collection 'images' holds it as float; convert"):
        after.with_fields({"new": FieldType.BOOL, "price": FieldType.BOOL})
    with pytest.raises(MetadataError, match="'label' is integer, but collection 'images' holds it as keyword; convert"):
        after.with_fields({"label": FieldType.INTEGER})


@pytest.mark.parametrize("one", FieldType)
@pytest.mark.parametrize("other", FieldType)
def test_numbers_are_floats_together_and_all_others_text(one: FieldType, other: FieldType) -> None:
    numbers = {FieldType.INTEGER, FieldType.FLOAT}
    assert wider(one, other) is (one if one is other else FieldType.FLOAT if {one, other} == numbers else FieldType.KEYWORD)


def test_fields_survive_the_manifest_s_json() -> None:
    full = manifest(**{kind.value: kind for kind in FieldType}, **{"camera.iso": FieldType.INTEGER})
    data = json.loads(json.dumps(full.to_json()))
    assert data["fields"] == {**{kind.value: kind.value for kind in FieldType}, "camera.iso": "integer"}
    again = Manifest.from_json(data)
    assert again == full
    assert all(isinstance(kind, FieldType) for kind in again.fields.values())


@pytest.mark.parametrize("fields", [{"price": "number"}, {"price": None}, ["price"], None, "price"])
def test_a_manifest_with_fields_of_another_kind_is_refused(fields: Any) -> None:
    with pytest.raises(NotADatabase, match="manifest is incomplete"):
        Manifest.from_json({**manifest().to_json(), "fields": fields})
