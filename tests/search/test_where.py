"""Filters: what an expression means, where an error points, and that nothing typed by a user can break the reader."""

from __future__ import annotations

import datetime as dt
import string
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semblant_search.errors import InvalidInput, WhereError
from semblant_search.where import (
    And,
    Contains,
    Equals,
    Exists,
    F,
    Near,
    Not,
    OneOf,
    Or,
    Range,
    StartsWith,
    Where,
    Within,
    as_where,
    parse_where,
)
from support.examples import examples

UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("expression", "python_form"),
    [
        ('label == "Sneaker"', F("label") == "Sneaker"),
        ("label == 'it''s'", F("label") == "its"),
        ('label != "Sneaker"', ~(F("label") == "Sneaker")),
        ('"Sneaker" == label', F("label") == "Sneaker"),
        ("price < 100", F("price") < 100),
        ("100 > price", F("price") < 100),
        ("price >= -1.5", F("price") >= -1.5),
        ("10 <= price <= 20", F("price").between(10, 20)),
        ("20 > price >= 10", Range("price", gte=10, lt=20)),
        ('label in ["a", "b"]', F("label").in_(["a", "b"])),
        ('label not in ("a", 1)', ~F("label").in_(["a", 1])),
        ('label in ["a", null]', F("label").in_(["a", None])),
        ("exists(price)", F("price").exists()),
        ("price is null", ~F("price").exists()),
        ("price == null", F("price") == None),  # noqa: E711
        ("price is not None", F("price").exists()),
        ('startswith(label, "Sn")', F("label").startswith("Sn")),
        ('contains(title, "red")', F("title").contains("red")),
        ('"red" in title', F("title").contains("red")),
        ("on_sale", F("on_sale") == True),  # noqa: E712
        ("not on_sale", ~(F("on_sale") == True)),  # noqa: E712
        ("on_sale == false", F("on_sale") == False),  # noqa: E712
        ('camera.model == "X"', F("camera.model") == "X"),
        ('field("odd name") == 1', F("odd name") == 1),
        ('field("größe.x") == 1', F("größe.x") == 1),
        ('taken > date("2024-05-01")', F("taken") > dt.date(2024, 5, 1)),
        ('taken > date("2024-05-01T12:00:00+02:00")', F("taken") > dt.datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ('taken == date("2024-05-01T12:00:00Z")', F("taken") == dt.datetime(2024, 5, 1, 12)),
        ("a == 1 or b == 2 and not c == 3", (F("a") == 1) | ((F("b") == 2) & ~(F("c") == 3))),
        ("(a == 1 or b == 2) and c == 3", ((F("a") == 1) | (F("b") == 2)) & (F("c") == 3)),
        ("a == 1 # the first\n  and b == 2", (F("a") == 1) & (F("b") == 2)),
    ],
)
def test_an_expression_and_its_python_form_are_the_same_filter(expression: str, python_form: Where) -> None:
    assert parse_where(expression) == python_form
    assert as_where(expression) == as_where(python_form)


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ('label = "x"', 6, "write =="),
        ("label == Sneaker", 9, "quotes"),
        ("price <", 7, "invalid syntax"),
        ("price < 100 and", 15, "invalid syntax"),
        ("a) or (b", 1, "unmatched"),
        ("a == 1\n) or (b == 2", 7, "parentheses"),
        ("(price < 3", 0, "never closed"),
        ("a == 1 & b == 2", 5, "`and`"),
        ("(a == 1) & (b == 2)", 0, "`and`"),
        ("~a", 0, "`not`"),
        ("a AND b", 2, "lower case"),
        ("a && b", 3, "and, or, not"),
        ("1 < 2", 0, "field name"),
        ("a == b", 5, "quotes"),
        ("a == 1 == 2", 0, "chain"),
        ("1 < a > 2", 0, "chain"),
        ("x == 1e999", 5, "finite"),
        ("x == 99999999999999999999", 5, "64 bits"),
        ("x < true", 4, "no order"),
        ("x < null", 4, "no order"),
        ("x is 3", 5, "null only"),
        ('x in "abc"', 5, "list"),
        ("3 in x", 0, "text"),
        ("exists(3)", 7, "field name"),
        ("exists(a, b)", 0, "exists(price)"),
        ('startswith(a, text="b")', 0, "startswith(label"),
        ("beside(a, 3)", 0, "unknown function"),
        ('date("yesterday") < x', 0, "2024-05-01"),
        ("x == date(3)", 5, "2024-05-01"),
        ('field("a[0]") == 1', 6, "brackets"),
        ('field("a", "b") == 1', 0, "odd name"),
        ("true", 0, "condition"),
        ('"x"', 0, "condition"),
        ("price + 1 < 3", 0, "field name"),
        ("a.b() == 1", 0, "field name"),
        ('"x".upper == 1', 0, "dot"),
        ("a == [1]", 5, "a list"),
        ("a == b'x'", 5, "text in quotes"),
        ("a == 1j", 5, "number"),
        ('f"{a}" == b', 0, "formatted"),
        ("lambda: 1", 0, "lambda"),
        ("a if b else c", 0, "conditional"),
        ("[x for x in y]", 0, "condition"),
        ("(x := 3)", 1, "condition"),
        ('__import__("os").system("true")', 0, "condition"),
        ("a\0b", 1, "null"),
        ('"größer" in title and lable.x < y', 32, "quotes"),
        ("π < 3 and y == zwölf", 15, "zwölf"),
        ("a == 1 and\n  b = 2", 15, "=="),
    ],
)
def test_an_error_says_what_is_wrong_and_points_at_the_column(expression: str, column: int, words: str) -> None:
    with pytest.raises(WhereError) as caught:
        parse_where(expression)
    assert words in str(caught.value)
    assert caught.value.column == column
    assert caught.value.expression == expression


def test_the_message_shows_the_place_also_in_a_long_expression() -> None:
    with pytest.raises(WhereError) as caught:
        parse_where("x in [" + "1, " * 5000 + "] and label = 3")
    message, line, pointer = str(caught.value).splitlines()
    assert "==" in message
    assert line[pointer.index("^")] == "="
    assert len(line) < 140


@pytest.mark.parametrize(
    "expression",
    [
        "not " * 100_000 + "a",
        "(" * 300 + "a" + ")" * 300,
        "(" * 100_000,
        "-" * 100_000 + "1 < a",
        "a" + ".a" * 50_000 + " == 1",
        "a" + "[0]" * 50_000,
        "a" + "()" * 50_000,
        "not (a and (b or " * 60 + "c" + "))" * 60,
        "1" * 5000 + " < a",
        "a == 1" + "0" * 2_000_000,
        "x == \ud800",
        "a" + ".a" * 40 + " == 1",
    ],
    ids=range(12),
)
def test_hostile_expressions_are_errors_like_any_other(expression: str) -> None:
    with pytest.raises(WhereError):
        parse_where(expression)


def test_many_conditions_and_long_lists_are_fine() -> None:
    conditions = parse_where(" or ".join(f"x == {number}" for number in range(5000)))
    assert isinstance(conditions, Or)
    assert len(conditions.terms) == 5000
    assert parse_where(f"x in {list(range(20_000))}") == F("x").in_(range(20_000))


def test_deep_nesting_in_the_python_form_is_an_error_not_a_recursion() -> None:
    with pytest.raises(WhereError, match="levels"):
        reduce(lambda where, _: ~(where & (F("b") == 2)), range(10_000), F("a") == 1)
    negated: Where = F("a") == 1
    for _ in range(10_000):
        negated = ~negated
    assert negated == (F("a") == 1)


def test_python_pitfalls_are_caught() -> None:
    with pytest.raises(WhereError, match=r"&, \|"):
        (F("a") == 1) and (F("b") == 2)
    with pytest.raises(WhereError, match="between"):
        _ = 1 < F("a") < 2
    with pytest.raises(WhereError, match="truth value"):
        not F("a")
    with pytest.raises(WhereError, match="compare the field"):
        as_where(F("a"))  # type: ignore[arg-type]
    with pytest.raises(WhereError, match="list of values"):
        F("a").in_("abc")
    with pytest.raises(WhereError, match="not list"):
        _ = F("a") == [1]
    with pytest.raises(InvalidInput, match="field name"):
        F("a..b")


def test_numbers_and_truth_values_are_different_filters() -> None:
    filters = {F("a") == 1, F("a") == 1.0, F("a") == True}  # noqa: E712
    assert len(filters) == 3


_NAMES = st.one_of(
    st.text(string.ascii_lowercase + "_", min_size=1, max_size=6),
    st.sampled_from(["camera.model", "odd name", "größe", "true", "null", "in", "not", "date", "field", "a.class", "ﬁ"]),
    st.text(st.characters(blacklist_categories=["C", "Z"], blacklist_characters='."[]\\'), min_size=1, max_size=5),
)
_NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
_TIMES = st.one_of(
    st.dates(),
    st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30), timezones=st.just(UTC)),
)
_TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
_VALUES = st.one_of(_TEXTS, st.booleans(), _NUMBERS, _TIMES)
_ORDERED = st.one_of(_TEXTS, _NUMBERS, _TIMES)
_LEAVES = st.one_of(
    st.builds(Equals, _NAMES, _VALUES),
    st.builds(OneOf, _NAMES, st.lists(_VALUES, max_size=4).map(tuple)),
    st.builds(Exists, _NAMES),
    st.builds(StartsWith, _NAMES, _TEXTS),
    st.builds(Contains, _NAMES, _TEXTS),
    st.builds(
        lambda name, lats, west, east: Within(name, min(lats), west, max(lats), east),
        _NAMES,
        st.tuples(st.floats(-90, 90), st.floats(-90, 90)),
        st.floats(-180, 180),
        st.floats(-180, 180),
    ),
    st.builds(Near, _NAMES, st.floats(-90, 90), st.floats(-180, 180), st.floats(0.001, 20_000)),
    st.builds(
        lambda name, bound, value: Range(name, **{bound: value}), _NAMES, st.sampled_from(["gt", "gte", "lt", "lte"]), _ORDERED
    ),
    st.builds(
        lambda name, low, high, a, b: Range(name, **{low: a, high: b}),
        _NAMES,
        st.sampled_from(["gt", "gte"]),
        st.sampled_from(["lt", "lte"]),
        _ORDERED,
        _ORDERED,
    ),
)
_FILTERS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda terms: And(tuple(terms))),
        st.lists(inner, min_size=2, max_size=4).map(lambda terms: Or(tuple(terms))),
        inner.map(lambda term: ~term),
    ),
    max_leaves=12,
)


@settings(max_examples=examples(400))
@given(_FILTERS)
def test_a_printed_filter_reads_back_as_the_same_filter(where: Where) -> None:
    read = parse_where(str(where))
    assert read == where
    assert str(read) == str(where)
    assert ~~where == where
    assert isinstance(where, Not) != isinstance(~where, Not)


@settings(max_examples=examples(400))
@given(st.one_of(st.text(max_size=40), st.text("ab_.<>=!()[]{}\"'\\,#&|~+-*/ \n\t01: \u00e4\ud800", max_size=40)))
def test_any_text_is_a_filter_or_a_where_error(text: str) -> None:
    try:
        where = parse_where(text)
    except WhereError as error:
        assert error.column is None or 0 <= error.column <= len(text)  # noqa: PT017
    else:
        assert parse_where(str(where)) == where
