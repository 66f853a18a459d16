"""What a filter on a collection cannot ask for: the message names the field, what it is, what to write, and the column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from semblant_search import FieldType
from semblant_search.errors import WhereError
from semblant_search.where import F, Where, parse_where
from semblant_search.where.compiler import unknown_field
from support.filters import open_shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Store


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from open_shop(tmp_path_factory.mktemp("shop") / "db")


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        # The value does not have the field's type.
        ("label == 3", 9, '3: label is text; write label == "…" with quotes'),
        ("3 == label", 0, "label is text"),
        ("label == true", 9, "label is text"),
        ('label in ["a", 3]', 9, "label is text"),
        ('label == date("2024-05-01")', 9, "label is text"),
        ('label < "b"', 8, "label holds text, which has no order here"),
        ("label < 3", 8, "3: label is text"),
        ("label", 0, "label is text"),
        ('price == "3"', 9, "price is a number; write price == 3.5 without quotes"),
        ("price == true", 9, "true: price is a number"),
        ('price in [1, "a"]', 9, "price is a number"),
        ('price < "2024-05-01"', 8, "price is a number"),
        ("price", 0, "price is a number"),
        ('stock == "3"', 9, "stock is a whole number; write stock == 3 without quotes"),
        ("on_sale == 1", 11, "on_sale is true or false; write on_sale == true or on_sale == false"),
        ('on_sale == "yes"', 11, "on_sale is true or false"),
        ("on_sale < 1", 10, "on_sale is true or false"),
        ("taken == 2024", 9, '2024: taken is a date; write taken == "2024-05-01"'),
        ('taken == "May"', 9, "taken is a date; expected ISO 8601"),
        ('taken == "2024-13-01"', 9, "taken is a date; expected ISO 8601"),
        ('taken == "2024-05-01T25:00:00Z"', 9, "taken is a date; expected ISO 8601"),
        ("taken > 5", 8, "taken is a date"),
        ("taken == true", 9, "taken is a date"),
        ('taken in ["2024-05-01", "May"]', 9, '"May": taken is a date'),
        ('2 < taken < "2024-05-01"', 0, "2: one bound is a number and the other is not"),
        ('"2024-05-01" < taken < 2', 0, "2: one bound is a number and the other is not"),
        (
            "place == 3",
            9,
            "place is a place; write within(place, south, west, north, east) or near(place, latitude, longitude, ",
        ),
        ("within(place, 1, 2, 3)", 0, "within: expected the form within(place, south, west, north, east)"),
        ("within(place, 1, 2, 3, east)", 23, 'east: expected a value; text needs quotes: "east"'),
        ('within(place, 1, 2, "3", 4)', 20, "within: expected a number, as in within(place, south, west, north, east)"),
        ("within(place, 1, 2, true, 4)", 20, "within: expected a number, as in within(place, south, west, north, east)"),
        ("within(place, 10, 2, 3, 4)", 14, "within: south 10 is north of 3"),
        ("within(place, 1, 200, 3, 4)", 14, "within: west 200: expected degrees from -180 to 180"),
        ("within(place, -91, 0, 3, 4)", 14, "within: south -91: expected degrees from -90 to 90"),
        ("near(place, 1, 2, 0)", 12, "near: 0 kilometres; expected more than 0"),
        ("near(place, 1, 2, -5)", 12, "near: -5 kilometres; expected more than 0"),
        ("near(place, 1, 2, 30000)", 12, "near: 30000 kilometres"),
        ("near(label, 1, 2, 3)", 5, "near looks at places, but label is text"),
        ("within(price, 1, 2, 3, 4)", 7, "within looks at places, but price is a number"),
        ('place == "47,8"', 9, "place is a place"),
        ("place < 3", 8, "place is a place"),
        # Functions that look at text.
        ('startswith(price, "1")', 11, "startswith looks at text, but price is a number"),
        ('contains(stock, "1")', 9, "contains looks at text, but stock is a whole number"),
        ('"1" in on_sale', 7, "contains looks at text, but on_sale is true or false"),
        ('contains(taken, "2024")', 9, "contains looks at text, but taken is a date"),
        ('contains(place, "a")', 9, "contains looks at text, but place is a place"),
        # Fields that are not there, wherever they are asked for.
        (
            "colour == 1",
            0,
            "unknown field 'colour'; there are camera.model, label, odd name, on_sale, place, price, stock, taken",
        ),
        ("price < 3 and colour < 1", 14, "unknown field 'colour'"),
        ("1 < colour < 2", 4, "unknown field 'colour'"),
        ("exists(colour)", 7, "unknown field 'colour'"),
        ("colour is null", 0, "unknown field 'colour'"),
        ("colour in []", 0, "unknown field 'colour'"),
        ('startswith(colour, "r")', 11, "unknown field 'colour'"),
        ("not colour", 4, "unknown field 'colour'"),
        ('price < 3 or not (price > 1 and lable == "x")', 32, "unknown field 'lable'; did you mean label or place?"),
        ("prices < 3", 0, "did you mean price?"),
        ('LABEL == "x"', 0, "did you mean label?"),
        ("camera == 3", 0, "unknown field 'camera'"),
        ('camera.modle == "x"', 0, "did you mean camera.model?"),
        ("labels.x == 1", 0, "unknown field 'labels.x'"),
    ],
)
def test_a_filter_that_the_fields_do_not_have_points_at_its_column(
    shop: Store, expression: str, column: int, words: str
) -> None:
    for ask in (shop.count, lambda where: list(shop.scroll(where=where))):
        with pytest.raises(WhereError) as caught:
            ask(parse_where(expression))
        assert words in str(caught.value)
        assert (caught.value.column, caught.value.expression) == (column, expression)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "where",
    [F("label") == 3, F("price") < "x", F("colour") > 1, F("label").between("a", "b"), F("price").contains("a")],
    ids=str,
)
def test_a_filter_built_in_python_is_refused_without_a_column(shop: Store, where: Where) -> None:
    with pytest.raises(WhereError) as caught:
        shop.count(where)
    assert (caught.value.column, caught.value.expression) == (None, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], "this collection has no metadata to filter on"),
        (["_width"], "there are _width"),
        (["_width", "size"], "there are size"),
        (["b", "a", "_width"], "there are a, b"),
        ([f"f{number:02}" for number in range(12)], "there are f00, f01, f02, f03, f04, f05, f06, f07, f08, f09, f10, f11"),
        (
            [f"f{number:02}" for number in range(13)],
            "there are f00, f01, f02, f03, f04, f05, f06, f07, f08, f09, f10, f11 and more",
        ),
        (["zz", "zzy", "price"], "did you mean zz or zzy?"),
        (["ZZZ", "price"], "did you mean ZZZ?"),
    ],
)
def test_the_names_that_there_are_are_listed(fields: list[str], words: str) -> None:
    assert unknown_field("zzz", dict.fromkeys(fields, FieldType.INTEGER)) == f"unknown field 'zzz'; {words}"


@pytest.mark.parametrize(
    ("expression", "value", "column"),
    [
        ("x == 9223372036854775808", "9223372036854775808", 5),
        ("x == -9223372036854775809", "-9223372036854775809", 5),
        ("9223372036854775808 >= x", "9223372036854775808", 0),
        ("1 <= x <= 9223372036854775808", "9223372036854775808", None),
        ("x in [1, 9223372036854775808]", "9223372036854775808", None),
        ("x == 1e999", "inf", 5),
        ("x == -1e999", "-inf", 5),
        ("x < 1e999", "inf", 4),
        ("x in [1e999]", "inf", 5),
    ],
)
def test_numbers_that_no_engine_holds_are_refused(expression: str, value: str, column: int | None) -> None:
    with pytest.raises(WhereError) as caught:
        parse_where(expression)
    assert str(caught.value).startswith(f"{value}: ")
    if column is not None:
        assert caught.value.column == column


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ("null < x < 3", 0, "null has no order"),
        ("1 < x < null", 0, "null has no order"),
        ("1 < 2 < x", 0, "low <= field < high"),
        ("1 < x < 3 < 4", 0, "low <= field < high"),
        ("1 == x < 3", 0, "low <= field < high"),
        ("label in title", 0, 'label: text needs quotes, such as "red" in title'),
        ("3 in [1]", 0, "expected a field name before `in`"),
        ('"a" in "b"', 7, "expected a list of values or a field name after `in`"),
        ("x in 3", 5, "expected a list of values or a field name after `in`"),
        ("null in x", 0, "only text can be `in` a field"),
        ("x in [y]", 6, "text needs quotes"),
        ("x is true", 5, "`is` asks for null only"),
        ("x is not 3", 9, "`is` asks for null only"),
        ("contains(a, 3)", 12, "contains: expected text in quotes"),
        ("contains(a, b)", 12, "text needs quotes"),
        ('startswith("a", "b")', 11, "startswith: expected a field name first, not a value"),
        ("exists()", 0, "exists: expected the form exists(price)"),
        ("exists(name=1)", 0, "exists: expected the form exists(price)"),
        ("contains(a)", 0, 'contains: expected the form contains(label, "text")'),
        ("sum(a, 1)", 0, "sum: unknown function; there are exists, startswith, contains, within, near, date and field"),
        ('x == date("2024-05-01", "x")', 5, "date: expected the form"),
        ('x == date(text="2024-05-01")', 5, "date: expected the form"),
        ('x == date("2024-05-01", tz="UTC")', 5, "date: expected the form"),
        ('x == date("2024-5-1")', 5, "date: expected the form"),
        ("x == -true", 5, "expected text in quotes, a number, true, false, null or date(…)"),
        ("x == not_quoted", 5, 'not_quoted: expected a value; text needs quotes'),
        ("x == 1 + 1", 5, "not arithmetic"),
        ("a.b.c() == 1", 0, "field name"),
        ("x[0] == 1", 0, "field name"),
        ("f().x == 1", 0, "expected a field name, not a function call with a dot behind it"),
        ("field(x) == 1", 0, 'field: expected the form field("odd name")'),
        ('field("x", a=1) == 1', 0, 'field: expected the form field("odd name")'),
        ("null", 0, "expected a condition"),
        ("a == 1 | b == 2", 5, "combined with `or`"),
        ("(a == 1) | (b == 2)", 0, "combined with `or`"),
        ("not ~a", 4, "turned round with `not`"),
        ("a == 1 and b = 2", 13, "one = is no comparison; write =="),
        ("a OR b", 2, "and, or, not are written in lower case"),
        ("a || b", 3, "write and, or, not"),
        ("  x == y", 7, "text needs quotes"),
        ("# why\nx == y", 11, "text needs quotes"),
        ('"é" in t and x == y', 18, "text needs quotes"),
        ("a == 1\n  and x == y", 18, "text needs quotes"),
    ],
)  # fmt: skip
def test_an_expression_that_cannot_be_read_says_why_and_where(expression: str, column: int, words: str) -> None:
    with pytest.raises(WhereError) as caught:
        parse_where(expression)
    assert words in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 1.7976931348623157e308, 5e-324, 0, -0.0])
def test_the_largest_and_smallest_numbers_are_taken(shop: Store, number: float) -> None:
    field = "stock" if isinstance(number, int) else "price"
    assert shop.count(parse_where(f"{field} == {number!r}")) == shop.count(F(field) == number)
    assert shop.count(parse_where(f"{field} <= {number!r}")) + shop.count(F(field) > number) == shop.count(F(field).exists())


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ('"on sale?" == "yes"', 'a field of this name is written field("on sale?")'),
        ('"größe" < 3', 'a field of this name is written field("größe")'),
    ],
)
def test_the_name_of_a_field_in_quotes_is_told_how_to_be_written(expression: str, hint: str) -> None:
    with pytest.raises(WhereError) as caught:
        parse_where(expression)
    assert hint in str(caught.value)
