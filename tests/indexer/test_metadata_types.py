"""What type a column gets, and what its values become: one table for text, one for JSON, one for declared types."""

from __future__ import annotations

from typing import Any

import pytest
from semblant_search import FieldType
from semblant_search.errors import MetadataError
from semblant_search.writing.metadata import TypeInference, clean_text, convert_record, parse_date, parse_declaration

KEYWORD, INTEGER, FLOAT = FieldType.KEYWORD, FieldType.INTEGER, FieldType.FLOAT
BOOL, DATETIME, GEO = FieldType.BOOL, FieldType.DATETIME, FieldType.GEO


def inferred(values: list[Any], *, text: bool) -> TypeInference:
    inference = TypeInference(text=text)
    for line, value in enumerate(values, start=2):
        inference.add({"x": value}, line)
    return inference


def payload(values: list[Any], *, text: bool) -> tuple[FieldType, list[Any]]:
    """The type of a column and its values as payload; None for a value that is left out."""
    inference = inferred(values, text=text)
    return inference.fields["x"], [inference.convert({"x": value}).get("x") for value in values]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "+3", "0"], INTEGER, [1, -2, 3, 0]),
        (["9007199254740993"], INTEGER, [2**53 + 1]),
        (["999999999999999999", "123456789012345678"], INTEGER, [10**18 - 1, 123456789012345678]),
        (["1234567890123456701", "9223372036854775807"], INTEGER, [1234567890123456701, 2**63 - 1]),
        (["-9223372036854775808"], INTEGER, [-(2**63)]),
        (["1", "2.5"], FLOAT, [1.0, 2.5]),
        (["2.5", "1"], FLOAT, [2.5, 1.0]),
        ([".5", "5.", "-0.25", "+1.5", "1e3", "2E-2", "1.5e+300"], FLOAT, [0.5, 5.0, -0.25, 1.5, 1000.0, 0.02, 1.5e300]),
        (["1e999"], KEYWORD, ["1e999"]),
        (["-1e999", "1"], KEYWORD, ["-1e999", "1"]),
        (["nan", "inf", "Infinity"], KEYWORD, ["nan", "inf", "Infinity"]),
        (["00123", "7"], KEYWORD, ["00123", "7"]),
        (["01.5"], KEYWORD, ["01.5"]),
        (["1,5"], FLOAT, [1.5]),
        (["1,50", "2", "-0,25", "1,234"], FLOAT, [1.5, 2.0, -0.25, 1.234]),
        (["1,234", "5"], KEYWORD, ["1,234", "5"]),
        (["1,5", "2.5"], KEYWORD, ["1,5", "2.5"]),
        (["1,234.50", "1.234,50", "1 234"], KEYWORD, ["1,234.50", "1.234,50", "1 234"]),
        (["N/A", "1.5", "3"], FLOAT, [None, 1.5, 3.0]),
        (["NA", "-", "1", "null", "#N/A", " "], INTEGER, [None, None, 1, None, None, None]),
        (["2024-05-01", "0000-00-00"], DATETIME, ["2024-05-01T00:00:00Z", None]),
        (["n/a", "true"], BOOL, [None, True]),
        (["2024-05-01", "?"], DATETIME, ["2024-05-01T00:00:00Z", None]),
        (["NA", "Bern", "-"], KEYWORD, ["NA", "Bern", "-"]),  # Namibia, for one
        (["1,5", "N/A"], FLOAT, [1.5, None]),
        (["1234567890123456701", "N/A"], INTEGER, [1234567890123456701, None]),
        (["1234567890123456701", "2.5"], KEYWORD, ["1234567890123456701", "2.5"]),
        (["1e20", "2"], FLOAT, [1e20, 2.0]),
        (["100000000000000000000", "2"], KEYWORD, ["100000000000000000000", "2"]),
        (["9" * 5000], KEYWORD, ["9" * 5000]),
        (["1 000"], KEYWORD, ["1 000"]),
        (["1 000", "1 234,50"], FLOAT, [1000.0, 1234.5]),
        (["1\u00a0000", "1\u202f234\u202f567", "12"], INTEGER, [1000, 1234567, 12]),
        (["1'000", "12.5"], FLOAT, [1000.0, 12.5]),
        (["1.234,56", "3", "-1.000.000,5", "0,25"], FLOAT, [1234.56, 3.0, -1000000.5, 0.25]),
        (["1,234.56", "3.5", "1,000"], FLOAT, [1234.56, 3.5, 1000.0]),
        (["1.234.567", "1.234", "12"], INTEGER, [1234567, 1234, 12]),
        (["1,234,567", "1,234", "12"], INTEGER, [1234567, 1234, 12]),
        (["1.234,5", "1.5"], KEYWORD, ["1.234,5", "1.5"]),
        (["1.234", "2.5"], FLOAT, [1.234, 2.5]),
        (["1.234", "12"], FLOAT, [1.234, 12.0]),
        (["1.234", "1,234"], KEYWORD, ["1.234", "1,234"]),
        (["555 123 456", "912 345 678"], KEYWORD, ["555 123 456", "912 345 678"]),
        (["9.007.199.254.740.993"], KEYWORD, ["9.007.199.254.740.993"]),
        (["1.23.456", "12.34,5"], KEYWORD, ["1.23.456", "12.34,5"]),
        (["31.12.2024", "1.2.2024 9:05", "01.05.2024, 13:05:09"], DATETIME,
         ["2024-12-31T00:00:00Z", "2024-02-01T09:05:00Z", "2024-05-01T13:05:09Z"]),
        (["05/04/2024", "31/12/2024"], DATETIME, ["2024-04-05T00:00:00Z", "2024-12-31T00:00:00Z"]),
        (["05/04/2024", "12/31/2024 12:05 AM", "12/31/2024 1:05 pm"], DATETIME,
         ["2024-05-04T00:00:00Z", "2024-12-31T00:05:00Z", "2024-12-31T13:05:00Z"]),
        (["05/04/2024", "06/04/2024"], KEYWORD, ["05/04/2024", "06/04/2024"]),
        (["31/12/2024", "12/31/2024"], KEYWORD, ["31/12/2024", "12/31/2024"]),
        (["31.12.2024", "2024-12-31"], DATETIME, ["2024-12-31T00:00:00Z"] * 2),
        (["12.31.2024"], KEYWORD, ["12.31.2024"]),
        (["31.02.2024", "01.02.2024"], DATETIME, [None, "2024-02-01T00:00:00Z"]),
        (["31.12.24"], KEYWORD, ["31.12.24"]),
        (["2024:05:31 12:30:00", "2024:06:01 00:00:00+02:00"], DATETIME, ["2024-05-31T12:30:00Z", "2024-05-31T22:00:00Z"]),
        (["2024/5/31", "2024.05.01"], DATETIME, ["2024-05-31T00:00:00Z", "2024-05-01T00:00:00Z"]),
        (["2024.10.1"], KEYWORD, ["2024.10.1"]),
        (["2024:13:01"], KEYWORD, ["2024:13:01"]),
        (["1_000"], KEYWORD, ["1_000"]),
        (["0x10"], KEYWORD, ["0x10"]),
        (["١"], KEYWORD, ["١"]),
        (["true", "False", "TRUE"], BOOL, [True, False, True]),
        (["yes", "no"], KEYWORD, ["yes", "no"]),
        (["true", "1"], KEYWORD, ["true", "1"]),
        (["2024-05-01", "2024-05-01T10:00:00Z"], DATETIME, ["2024-05-01T00:00:00Z", "2024-05-01T10:00:00Z"]),
        (["2024-13-01"], KEYWORD, ["2024-13-01"]),
        (["2024-02-30"], KEYWORD, ["2024-02-30"]),
        (["2024-05-01", "soon"], KEYWORD, ["2024-05-01", "soon"]),
        (["2024", "2025"], INTEGER, [2024, 2025]),
        (["01.05.2024"], DATETIME, ["2024-05-01T00:00:00Z"]),
        (["1", "", "2"], INTEGER, [1, None, 2]),
        (["", "a", ""], KEYWORD, [None, "a", None]),
        (["a", "1"], KEYWORD, ["a", "1"]),
        (["1", "a", "2.5"], KEYWORD, ["1", "a", "2.5"]),
        (["47.1,8.5"], KEYWORD, ["47.1,8.5"]),  # only a declaration makes it a place
        (["null", "None"], KEYWORD, ["null", "None"]),
        ([" 1", "2 "], INTEGER, [1, 2]),
        ([" a"], KEYWORD, [" a"]),
    ],
)  # fmt: skip
def test_a_column_of_a_table_gets_the_type_of_all_its_cells(cells: list[str], kind: FieldType, values: list[Any]) -> None:
    found, converted = payload(cells, text=True)
    assert (found, converted) == (kind, values)
    assert [type(value) for value in converted] == [type(value) for value in values]
    assert payload(cells[::-1], text=True)[0] is kind  # whatever comes first


@pytest.mark.parametrize("cells", [["9223372036854775808"], ["-9223372036854775809"], ["1", "12345678901234567890"]])
def test_whole_numbers_beyond_64_bits_are_no_integers_and_do_no_harm(cells: list[str]) -> None:
    kind, values = payload(cells, text=True)
    assert kind is not INTEGER
    assert None not in values
    assert all(not isinstance(value, int) for value in values)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ([1, -2], INTEGER, [1, -2]),
        ([2**63 - 1, -(2**63)], INTEGER, [2**63 - 1, -(2**63)]),
        ([2**63], KEYWORD, ["9223372036854775808"]),
        ([-(2**63) - 1], KEYWORD, ["-9223372036854775809"]),
        ([1, 2.5], FLOAT, [1.0, 2.5]),
        ([2.0], FLOAT, [2.0]),
        ([True, False], BOOL, [True, False]),
        ([True, 1], KEYWORD, ["true", "1"]),
        (["1", "true"], KEYWORD, ["1", "true"]),
        (["2024-05-01", "2024-05-01T10:00:00+0200"], DATETIME, ["2024-05-01T00:00:00Z", "2024-05-01T08:00:00Z"]),
        (["2024-05-01", 5], KEYWORD, ["2024-05-01", "5"]),
        (["a", 1.5, None, ""], KEYWORD, ["a", "1.5", None, None]),
        ([["a", "b"], "c", []], KEYWORD, [["a", "b"], "c", None]),
        ([[1, 2.5, None, ""], [None]], FLOAT, [[1.0, 2.5], None]),
        ([["2024-05-01"]], DATETIME, [["2024-05-01T00:00:00Z"]]),
        ([{"lat": 47.1, "lon": 8}], GEO, [{"lat": 47.1, "lon": 8}]),
        ([[{"lat": 1, "lon": 2}, {"lat": 3.5, "lon": 4}]], GEO, [[{"lat": 1, "lon": 2}, {"lat": 3.5, "lon": 4}]]),
        ([{"lat": 90, "lon": -180}], GEO, [{"lat": 90, "lon": -180}]),
        (["\ud800"], KEYWORD, ["\ufffd\ufffd\ufffd"]),
        ([1.5, float("nan"), 2], FLOAT, [1.5, None, 2.0]),
        ([float("nan")], FLOAT, [None]),
        ([3, float("nan")], INTEGER, [3, None]),
        (["N/A", 1.5, "null"], FLOAT, [None, 1.5, None]),
        (["N/A", "a"], KEYWORD, ["N/A", "a"]),
        ([1.5, float("inf")], FLOAT, [1.5, None]),
        ([2**53 + 1, 0.5], KEYWORD, ["9007199254740993", "0.5"]),
        ([10**400, 0.5], KEYWORD, ["1" + "0" * 400, "0.5"]),
        ([{"lat": 1, "lon": 2}, "here"], KEYWORD, ['{"lat": 1, "lon": 2}', "here"]),
    ],
)  # fmt: skip
def test_json_values_keep_their_types(cells: list[Any], kind: FieldType, values: list[Any]) -> None:
    found, converted = payload(cells, text=False)
    assert (found, converted) == (kind, values)
    assert [type(value) for value in converted] == [type(value) for value in values]


def test_keys_inside_each_other_are_fields_with_dots() -> None:
    record = {
        "camera": {"model": "X100", "iso": 100, "lens": {"mm": 23.5}, "none": None},
        "place": {"lat": 1, "lon": 2},
        "e": {},
    }
    inference = TypeInference(text=False)
    inference.add(record, 1)
    assert inference.fields == {"camera.model": KEYWORD, "camera.iso": INTEGER, "camera.lens.mm": FLOAT, "place": GEO}
    assert convert_record(record, inference.fields) == {
        "camera": {"model": "X100", "iso": 100, "lens": {"mm": 23.5}},
        "place": {"lat": 1, "lon": 2},
    }
    # What has other keys, or no numbers, is no place.
    others = TypeInference(text=False)
    others.add(
        {"a": {"lat": 1, "lon": 2, "alt": 3}, "b": {"lat": "1", "lon": "2"}, "c": {"lat": True, "lon": 2}, "d": {"lat": 1}}, 1
    )
    assert set(others.fields) == {"a.lat", "a.lon", "a.alt", "b.lat", "b.lon", "c.lat", "c.lon", "d.lat"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2008:06:25 14:55:38", DATETIME), ("2008:06:25", DATETIME), ("2024-05-31", DATETIME), ("2024/05/31", KEYWORD),
        ("31.12.2024", KEYWORD), ("2024.05.31", KEYWORD), ("1.234,56", KEYWORD), ("12", KEYWORD), ("2024:13:25", KEYWORD),
    ],
)  # fmt: skip
def test_text_of_json_is_text_but_for_dates_that_are_sure(value: str, kind: FieldType) -> None:
    assert inferred([value], text=False).fields == {"x": kind}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (BOOL, "yes", True), (BOOL, "No", False), (BOOL, "TRUE", True), (BOOL, "false", False), (BOOL, "1", True),
        (BOOL, "0", False), (BOOL, " yes ", True), (BOOL, True, True), (BOOL, False, False),
        (BOOL, "2", None), (BOOL, "y", True), (BOOL, "nein", False), (BOOL, "maybe", None), (BOOL, 1, None),
        (INTEGER, "12", 12), (INTEGER, " -12 ", -12), (INTEGER, "1234567890123456701", 1234567890123456701),
        (INTEGER, "9223372036854775807", 2**63 - 1), (INTEGER, "9223372036854775808", None),
        (INTEGER, "-9223372036854775808", -(2**63)), (INTEGER, "-9223372036854775809", None),
        (INTEGER, "12345678901234567890", None), (INTEGER, "1.0", None), (INTEGER, "012", None), (INTEGER, "x", None),
        (INTEGER, 7, 7), (INTEGER, 2**63, None), (INTEGER, 7.0, None), (INTEGER, True, None),
        (FLOAT, "1.5", 1.5), (FLOAT, " 1 ", 1.0), (FLOAT, "1e999", None), (FLOAT, "-1e999", None), (FLOAT, "nan", None),
        (FLOAT, "1,5", None), (FLOAT, 1, 1.0), (FLOAT, float("nan"), None), (FLOAT, float("inf"), None), (FLOAT, True, None),
        (DATETIME, "2024-05-01", "2024-05-01T00:00:00Z"), (DATETIME, " 2024-05-01 ", "2024-05-01T00:00:00Z"),
        (DATETIME, "May", None), (DATETIME, 2024, None), (DATETIME, "1714521600", None),
        (GEO, "47.1,8.5", {"lat": 47.1, "lon": 8.5}), (GEO, " -47.1 , -8.5 ", {"lat": -47.1, "lon": -8.5}),
        (GEO, "90,180", {"lat": 90.0, "lon": 180.0}), (GEO, "-90,-180", {"lat": -90.0, "lon": -180.0}),
        (GEO, "90.01,0", None), (GEO, "0,180.01", None), (GEO, "-90.01,0", None), (GEO, "0,-180.01", None),
        (GEO, "nan,0", None), (GEO, "0,nan", None), (GEO, "47.1", None), (GEO, "a,b", None), (GEO, "1,2,3", None),
        (GEO, {"lat": 1, "lon": 2}, {"lat": 1, "lon": 2}), (GEO, {"lat": 90.5, "lon": 0}, None),
        (GEO, {"lat": 0, "lon": -180.5}, None), (GEO, {"lat": float("nan"), "lon": 0}, None),
        (GEO, 5, None),
        (KEYWORD, {"lat": 1, "lon": 2}, '{"lat": 1, "lon": 2}'), (FLOAT, {"lat": 1, "lon": 2}, None),
        (KEYWORD, "12", "12"), (KEYWORD, " a ", " a "), (KEYWORD, 12, "12"), (KEYWORD, 1.5, "1.5"), (KEYWORD, True, "true"),
    ],
)  # fmt: skip
def test_declared_types_take_what_fits_and_name_what_does_not(kind: FieldType, value: Any, expected: Any) -> None:
    inference = TypeInference(text=isinstance(value, str), declared={"x": kind})
    inference.add({"x": value}, 2)
    assert inference.fields == {"x": kind}
    assert inference.notes == [] or value == "nan"
    if expected is None:
        with pytest.raises(MetadataError) as caught:
            convert_record({"x": value}, inference.fields)
        assert str(caught.value) == f"metadata field 'x': {value!r} is not a value of type {kind.value}"
    else:
        converted = convert_record({"x": value}, inference.fields)["x"]
        assert converted == expected
        assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01", "2024-05-01T00:00:00Z"),
        ("2024-05-01T12:30", "2024-05-01T12:30:00Z"),
        ("2024-05-01 12:30:15", "2024-05-01T12:30:15Z"),
        ("2024-05-01T12:30:15Z", "2024-05-01T12:30:15Z"),
        ("2024-05-01 12:30:15 Z", "2024-05-01T12:30:15Z"),
        ("2024-05-01 12:30:15 UTC", "2024-05-01T12:30:15Z"), ("2024-05-01 12:30:15.25 GMT", "2024-05-01T12:30:15.250000Z"),
        ("2024-05-01T12:00:00+0200", "2024-05-01T10:00:00Z"),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z"),
        ("2024-05-01 12:00:00 +0200", "2024-05-01T10:00:00Z"),
        ("2024-05-01T12:00:00-0530", "2024-05-01T17:30:00Z"),
        ("2024-05-01T12:00+0200", "2024-05-01T10:00:00Z"),
        ("2024-01-01T01:00:00+0200", "2023-12-31T23:00:00Z"),
        ("2024-05-01T12:00:00.5Z", "2024-05-01T12:00:00.500000Z"),
        ("2024-05-01T12:00:00.1234", "2024-05-01T12:00:00.123400Z"),
        ("2024-05-01T12:00:00.123456789+0200", "2024-05-01T10:00:00.123456Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        (" 2024-05-01 ", "2024-05-01T00:00:00Z"),
        *((text, None) for text in (
            "", "2024", "2024-05", "2024-5-1", "2023-02-29", "2024-05-01T24:30", "2024-05-01T12",
            "2024-05-01T12:00:00.1234567890", "2024-05-01+0200", "2024-05-01T12:00:00+02", "2024-05-01T12:00:00 CET",
            "05/01/2024", "2024/13/01",
        )),
    ],
)  # fmt: skip
def test_dates_and_times_become_instants_in_utc(text: str, moment: str | None) -> None:
    assert parse_date(text) == moment
    if text and text == text.strip():
        kind = DATETIME if moment is not None else None
        assert (inferred([text], text=True).fields["x"] is DATETIME) is (kind is DATETIME)


def test_times_before_the_first_year_in_utc_are_text() -> None:
    for text in ("0001-01-01T00:30:00+0200", "9999-12-31T23:30:00-0200"):
        assert parse_date(text) is None
        assert inferred([text], text=True).fields == {"x": KEYWORD}


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("order", [1, -1])
def test_a_time_beyond_the_calendar_is_the_error_of_its_picture_and_leaves_the_dates_dates(text: bool, order: int) -> None:
    beyond = "0001-01-01T00:00:00+01:00"
    found = inferred(["2024-05-01", beyond][::order], text=text)
    assert (found.fields, found.notes) == ({"x": DATETIME}, [])
    with pytest.raises(MetadataError, match=f"'x': '{beyond[:10]}.*' is not a value of type datetime"):
        convert_record({"x": beyond}, found.fields)
    mixed = inferred([beyond, "5" if text else 5, "2024-05-01"][::order], text=text)
    assert mixed.fields == {"x": KEYWORD}
    assert len(mixed.notes) == 1
    assert convert_record({"x": beyond}, mixed.fields) == {"x": beyond}


@pytest.mark.parametrize(
    ("cells", "known", "kind"),
    [
        (["1", "2"], FLOAT, FLOAT), (["1", "2"], KEYWORD, KEYWORD), (["1.5"], KEYWORD, KEYWORD), (["true"], KEYWORD, KEYWORD),
        (["1.5"], INTEGER, FLOAT), (["a"], FLOAT, KEYWORD), (["1", "sold"], INTEGER, INTEGER), (["sold", "1.5"], FLOAT, FLOAT),
        (["1", "sold"], FLOAT, FLOAT), (["1.5", "sold"], INTEGER, FLOAT), (["N/A"], FLOAT, FLOAT), (["N/A"], BOOL, BOOL),
        (["true"], FLOAT, KEYWORD), (["2024-05-01"], KEYWORD, KEYWORD),
        (["2024-05-01"], INTEGER, KEYWORD), (["2024-05-01", "soon"], DATETIME, DATETIME),
    ],
)  # fmt: skip
def test_a_shorter_table_takes_the_wider_types_of_its_collection(cells: list[str], known: FieldType, kind: FieldType) -> None:
    found = inferred(cells, text=True)
    found.adopt({"x": known, "y": GEO})
    assert found.fields == {"x": kind}


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["1", "x"], "metadata field 'x' mixes types: '1' (line 2) and 'x' (line 3); kept as text"),
        (["1", "2.5", "x"], "'1' (line 2) and 'x' (line 4)"),
        (["true", "1", "z"], "'true' (line 2) and '1' (line 3)"),
        (["2024-05-01", "later"], "'2024-05-01' (line 2) and 'later' (line 3)"),
    ],
)
def test_a_column_that_mixes_types_is_noted_once_with_its_lines(cells: list[str], note: str) -> None:
    notes = inferred(cells, text=True).notes
    assert len(notes) == 1
    assert note in notes[0]


@pytest.mark.parametrize(
    "cells",
    [["1", "2"], ["1", "2.5"], ["a", "b"], ["", "1", ""], ["1,5", "2"], ["00123", "00456"], ["a", "N/A"], ["00123", "A7"]],
)
def test_a_column_of_one_type_is_not_noted(cells: list[str]) -> None:
    assert inferred(cells, text=True).notes == []


@pytest.mark.parametrize("order", [1, -1])
def test_a_place_among_other_things_is_text_and_noted_with_both_lines(order: int) -> None:
    for other in ("here", 3, "2024-05-01"):
        found = inferred([{"lat": 1, "lon": 2}, other][::order], text=False)
        assert found.fields == {"x": KEYWORD}
        (note,) = found.notes
        assert "mixes types" in note
        assert "(line 2)" in note
        assert "(line 3)" in note


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["N/A", "1.5", "3"], "'N/A' (line 2) and the like are taken as no value"),
        (["1.5", "3", "N/A"], "'N/A' (line 4) and the like are taken as no value"),
        (["1,234", "5"], "may part thousands or decimals"),
        (["1,234.50"], "read with separated thousands, a point before decimals, as '1,234.50' (line 2)"),
        (["5", "1.234,50"], "read with separated thousands, a comma before decimals, as '1.234,50' (line 3)"),
        (["1\u00a0234", "n/a"], "read with separated thousands, as '1\\xa0234' (line 2); 'n/a' (line 3) and the like"),
        (["555 123"], "number with spaces between threes in some rows, such as '555 123' (line 2): it may be none"),
        (["00123", "7"], "'00123' (line 2): leading zeros would be lost"),
        (["7", "00123"], "'00123' (line 3): leading zeros would be lost"),
        (["1", "12345678901234567890"], "'12345678901234567890' (line 3): whole numbers beyond 64 bits are kept as text"),
        (["12345678901234567890", "1"], "'12345678901234567890' (line 2): whole numbers beyond 64 bits are kept as text"),
        (["01.05.2024", "31.12.2024"], "read with the day first, as '01.05.2024' (line 2)"),
        (["5/1/2024", "5/31/2024"], "read with the month first, as '5/1/2024' (line 2)"),
        (["5/1/2024 10:30"], "either may be meant; kept as text (write dates"),
        (["31.12.24"], "a date with a short year in some rows, such as '31.12.24' (line 2): kept as text (write dates"),
        (["x", "1"], "mixes types: 'x' (line 2) and '1' (line 3)"),
        (["1,5", "2.5"], "mixes types: '1,5' (line 2) and '2.5' (line 3)"),
        (["1234567890123456701", "2.5"], "mixes types: '1234567890123456701' (line 2) and '2.5' (line 3)"),
    ],
)  # fmt: skip
def test_a_column_that_did_not_become_what_it_looks_like_is_noted(cells: list[str], words: str) -> None:
    (note,) = inferred(cells, text=True).notes
    assert words in note
    assert note.startswith("metadata field 'x'")


def test_columns_that_do_not_tell_are_written_as_the_others() -> None:
    """`2.155` beside `19,47` is more than two thousand, and `05/04` beside `31/12` is in April."""
    rows = [
        {"cases": "2.155", "rate": "19,47", "sales": "1,234", "from": "05/04/2024", "to": "31/12/2024"},
        {"cases": "6", "rate": "3", "sales": "7", "from": "01/04/2024", "to": "01/05/2024"},
    ]
    found = TypeInference(text=True)
    for line, row in enumerate(rows, start=2):
        found.add(row, line)
    assert found.convert(rows[0]) == {
        "cases": 2155, "rate": 19.47, "sales": 1.234, "from": "2024-04-05T00:00:00Z", "to": "2024-12-31T00:00:00Z",
    }  # fmt: skip
    assert "metadata field 'cases': read with separated thousands, a comma before decimals, as '2.155' (line 2)" in found.notes
    found.add({"score": "0.5"}, 4)  # now one column has points
    assert [found.fields[name] for name in ("cases", "rate", "sales", "score")] == [FLOAT, FLOAT, KEYWORD, FLOAT]
    assert found.convert({"cases": "2.155", "rate": "19,47"}) == {"cases": 2.155, "rate": 19.47}


def test_decimal_commas_are_read_among_what_does_not_fit() -> None:
    for declared, adopted in (({"x": FLOAT}, {}), ({}, {"x": FLOAT})):
        inference = TypeInference(text=True, declared=declared)
        for line, cell in enumerate(["1,50", "sold"], start=2):
            inference.add({"x": cell}, line)
        inference.adopt(adopted)
        assert [inference.convert({"x": cell}) for cell in ("1,50", "sold")] == [{"x": 1.5}, {}]


def test_a_value_that_does_not_fit_is_told_and_left_out() -> None:
    inference = TypeInference(text=True, declared={"x": INTEGER, "y": FLOAT})
    row = {"x": "many", "y": "1,5", "z": "free"}
    inference.add(row, 2)
    told: list[tuple[str, str]] = []
    assert inference.convert(row, lambda name, problem: told.append((name, problem))) == {"y": 1.5, "z": "free"}
    assert told == [("x", "metadata field 'x': 'many' is not a value of type integer")]
    assert inference.convert(row) == {"y": 1.5, "z": "free"}


@pytest.mark.parametrize("record", [{"x": [[1]]}, {"x": [{"a": 1}]}, {"x": [1, {"lat": 1}]}])
def test_lists_of_anything_but_values_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match="lists may hold plain values only"):
        TypeInference(text=False).add(record, 1)


@pytest.mark.parametrize("name", ["_x", "a.b", "a[0]", 'a"b', "", "a\nb"])
def test_names_inside_each_other_are_checked_too(name: str) -> None:
    with pytest.raises(MetadataError, match="metadata column"):
        TypeInference(text=False).add({"x": {name: 1}}, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price:float", ("price", FLOAT)), ("n:INTEGER", ("n", INTEGER)), (" a b : keyword ", ("a b", KEYWORD)),
        ("x:bool", ("x", BOOL)), ("t:datetime", ("t", DATETIME)), ("p:geo", ("p", GEO)),
        ("camera.iso:integer", ("camera.iso", INTEGER)), ("a:b:float", ("a:b", FLOAT)),
    ],
)  # fmt: skip
def test_declarations_are_read(text: str, expected: tuple[str, FieldType]) -> None:
    assert parse_declaration(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("price", "expected NAME:TYPE with a type out of keyword, integer, float, bool, datetime, geo"),
        ("price:", "expected NAME:TYPE"),
        ("price:number", "expected NAME:TYPE"),
        (":float", "has no name"),
        ("_x:float", "underscore"),
        ("a..b:float", "has no name"),
        ("a.[0]:float", "brackets"),
    ],
)
def test_declarations_that_cannot_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(MetadataError) as caught:
        parse_declaration(text)
    assert words in str(caught.value)


def test_text_that_is_no_unicode_is_cleaned() -> None:
    assert clean_text("abc") == "abc"
    assert clean_text("größe 写") == "größe 写"
    assert clean_text("ü\udcff") == "ü\ufffd\ufffd\ufffd"
    clean_text("ü\udcff").encode()
