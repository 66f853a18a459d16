"""The filter tree itself: what is equal, how it prints, what it refuses, and where its limits are."""

from __future__ import annotations

import datetime as dt
import pickle
from dataclasses import FrozenInstanceError
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search.errors import WhereError
from semblant_search.where import (
    And,
    Contains,
    Equals,
    Exists,
    F,
    Not,
    OneOf,
    Or,
    Range,
    StartsWith,
    Where,
    as_where,
    parse_where,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UTC, EAST = dt.timezone.utc, dt.timezone(dt.timedelta(hours=2))
A, B, C = F("a") == 1, F("b") == 2, F("c") == 3

PRINTED: list[tuple[Where, str]] = [
    (F("label") == "x", 'label == "x"'),
    (F("label") == 'say "hi"', "label == 'say \"hi\"'"),
    (F("label") != "x", 'label != "x"'),
    (F("label") == True, "label == true"),  # noqa: E712
    (F("label") == False, "label == false"),  # noqa: E712
    (F("price") < 1, "price < 1"),
    (F("price") <= 1, "price <= 1"),
    (F("price") > 1.5, "price > 1.5"),
    (F("price") >= -1, "price >= -1"),
    (F("price").between(1, 2), "1 <= price <= 2"),
    (Range("price", gt=1, lt=2), "1 < price < 2"),
    (Range("price", gt=1, lte=2), "1 < price <= 2"),
    (Range("price", gte=1, lt=2), "1 <= price < 2"),
    (Range("price", gte=0, lte=0), "0 <= price <= 0"),
    (F("label").in_(["a", 1, 2.5, True]), 'label in ["a", 1, 2.5, true]'),
    (~F("label").in_(["a"]), 'label not in ["a"]'),
    (F("label").in_([]), "label in []"),
    (F("price").exists(), "exists(price)"),
    (F("price") == None, "not exists(price)"),  # noqa: E711
    (F("price") != None, "exists(price)"),  # noqa: E711
    (F("price").in_([1, None]), "price in [1] or not exists(price)"),
    (F("price").in_([None]), "not exists(price)"),
    (F("label").startswith("S"), 'startswith(label, "S")'),
    (~F("label").startswith("S"), 'not startswith(label, "S")'),
    (F("label").contains("e"), 'contains(label, "e")'),
    (F("taken") > dt.date(2024, 5, 1), 'taken > date("2024-05-01")'),
    (F("taken") > dt.datetime(2024, 5, 1, 12), 'taken > date("2024-05-01T12:00:00Z")'),
    (F("taken") > dt.datetime(2024, 5, 1, 12, tzinfo=EAST), 'taken > date("2024-05-01T10:00:00Z")'),
    (F("odd name") == 1, 'field("odd name") == 1'),
    (F("camera.class") == 1, 'field("camera.class") == 1'),
    (F("true") == 1, 'field("true") == 1'),
    (F("größe") == 1, 'field("größe") == 1'),
    (A & B | C, "a == 1 and b == 2 or c == 3"),
    (A & (B | C), "a == 1 and (b == 2 or c == 3)"),
    (~(A & B), "not (a == 1 and b == 2)"),
    (~(F("a") < 1), "not (a < 1)"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "text"), PRINTED, ids=[text for _, text in PRINTED])
def test_a_filter_prints_as_the_expression_that_it_is(where: Where, text: str) -> None:
    assert str(where) == text
    assert parse_where(text) == where
    assert hash(parse_where(text)) == hash(where)
    assert eval(repr(where), {**globals(), "datetime": dt}) == where
    assert pickle.loads(pickle.dumps(where)) == where


def test_filters_that_say_something_else_are_not_equal() -> None:
    different = [
        *(where for where, _ in PRINTED if str(where) not in ("not exists(price)", "exists(price)")),
        F("price").exists(), ~F("price").exists(),
        F("a") == 1, F("a") == 1.0, F("a") == "1", F("a") == True, F("b") == 1,  # noqa: E712
        F("a") < 1, F("a") < 1.0, F("a").in_([1]), F("a").in_([1.0]), F("a").in_([1, 2]), F("a").in_([2, 1]),
        F("a").startswith("1"), F("a").contains("1"), A & B, B & A, A | B, ~A,
    ]  # fmt: skip
    assert len(set(different)) == len({repr(where) + str(where) for where in different}) == len(different)
    for one in different:
        assert [other == one for other in different].count(True) == 1


def test_where_a_condition_stood_makes_no_difference() -> None:
    for text, spaced in [("a == 1", "   a  ==  1 "), ("a in [1]", "(a in (1,))"), ('"x" in a', 'contains( a , "x" )')]:
        assert parse_where(text) == parse_where(spaced)
        assert hash(parse_where(text)) == hash(parse_where(spaced))


def test_filters_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        A.value = 2  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        (A & B).terms = ()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        F("a").other = 1  # type: ignore[attr-defined]
    assert repr(F("a.b")) == "F('a.b')"
    with pytest.raises(TypeError, match="unhashable"):
        {F("a")}


def test_chains_of_one_kind_are_flat_and_the_same_however_they_are_grouped() -> None:
    assert (A & B) & C == A & (B & C) == And((A, B, C)) == parse_where("a == 1 and (b == 2 and c == 3)")
    assert (A | B) | C == A | (B | C) == Or((A, B, C))
    assert And((A, B, C)).terms == (A, B, C)
    assert (A & B | C).depth == 3
    assert (A.depth, (A & B).depth, (~(A & B)).depth, (~A).depth) == (1, 2, 3, 2)
    assert ~~A == A
    assert parse_where("not not a == 1") == A
    assert parse_where("not a != 1") == A


def test_sixty_four_levels_are_taken_and_one_more_is_not() -> None:
    def nested(levels: int) -> Where:
        return reduce(lambda where, _: ~(where & B), range((levels - 1) // 2), A)

    assert nested(63).depth == 63
    deepest = nested(63) & B
    assert deepest.depth == 64
    assert parse_where(str(deepest)) == deepest
    makers: list[Callable[[], Where]] = [lambda: ~deepest, lambda: deepest | A, lambda: Or((A, deepest)), lambda: Not(deepest)]
    for make in makers:
        with pytest.raises(WhereError, match="more than 64 levels"):
            make()
    with pytest.raises(WhereError, match="more than 64 levels") as caught:
        parse_where(f"a == 1 or ({deepest})")
    assert caught.value.column is not None


@pytest.mark.parametrize("write", [lambda name: F(name) == 1, lambda name: parse_where(f"{name} == 1")], ids=["python", "text"])
def test_thirty_two_keys_are_taken_and_one_more_is_not(write: Any) -> None:
    assert write(".".join("k" * 32)).name == ".".join("k" * 32)
    with pytest.raises(WhereError, match="more than 32 keys"):
        write(".".join("k" * 33))


def test_a_million_characters_are_taken_and_one_more_is_not() -> None:
    text = 'a == "' + "x" * (1_000_000 - 7) + '"'
    assert isinstance(parse_where(text), Equals)
    with pytest.raises(WhereError, match="1,000,001 characters; the limit is 1,000,000"):
        parse_where(text + " ")


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", 'a"b', "a[0]", "a]", "a\\b", "a\nb", "a\0", None, 3, b"a"])
def test_names_that_no_payload_has_are_refused(name: Any) -> None:
    for make in (F, lambda name: Equals(name, 1), lambda name: Exists(name), lambda name: OneOf(name, ())):
        with pytest.raises(WhereError, match="field name"):
            make(name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Range("a"), "expected one lower bound"),
        (lambda: Range("a", gt=1, gte=1), "expected one lower bound"),
        (lambda: Range("a", lt=0, lte=0), "expected one lower bound"),
        (lambda: F("a") < True, "no order"),
        (lambda: F("a").between(False, True), "no order"),
        (lambda: F("a") < float("nan"), "finite"),
        (lambda: F("a") == float("inf"), "finite"),
        (lambda: F("a") == 2**63, "64 bits"),
        (lambda: F("a") >= -(2**63) - 1, "64 bits"),
        (lambda: F("a").in_([1, 2**63]), "64 bits"),
        (lambda: F("a") == "\ud800", "not valid Unicode"),
        (lambda: F("a").contains("\ud800"), "not valid Unicode"),
        (lambda: F("a").startswith(3), "startswith: 3 is not text"),  # type: ignore[arg-type]
        (lambda: F("a").contains(None), "contains: None is not text"),  # type: ignore[arg-type]
        (lambda: F("a") == b"x", "not bytes"),
        (lambda: F("a").in_([[1]]), "not list"),  # type: ignore[list-item]
        (lambda: F("a").in_("abc"), "not one text"),
        (lambda: F("a").in_(b"abc"), "not one text"),
        (lambda: F("a") == dt.datetime(1, 1, 1, tzinfo=EAST), "years 1 to 9999"),
        (lambda: And((A,)), "And of 1 filters"),
        (lambda: Or(()), "Or of 0 filters"),
        (lambda: And((A, "b == 2")), "expected a filter"),  # type: ignore[arg-type]
        (lambda: Not(~A), "itself negated"),
        (lambda: Not("a"), "expected a filter"),  # type: ignore[arg-type]
        (lambda: bool(A), "truth value"),
        (lambda: bool(F("a")), "truth value"),
        (lambda: as_where(3), "filter 3: expected an expression"),  # type: ignore[arg-type]
        (lambda: as_where(F("a")), "compare the field"),  # type: ignore[arg-type]
        (lambda: as_where(b"a == 1"), "expected an expression"),  # type: ignore[arg-type]
        (lambda: parse_where(3), "expected an expression in a string"),  # type: ignore[arg-type]
        (lambda: parse_where(""), "the filter is empty"),
        (lambda: as_where(" \n\t"), "the filter is empty"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(make: Any, words: str) -> None:
    with pytest.raises(WhereError) as caught:
        make()
    assert words in str(caught.value)


def test_no_filter_is_none_and_a_filter_is_itself() -> None:
    assert as_where(None) is None
    assert as_where(A) is A
    assert as_where("a == 1") == A
    for other in ("a == 1", None, 1):
        with pytest.raises(TypeError):
            A & other  # type: ignore[operator]
        with pytest.raises(TypeError):
            A | other  # type: ignore[operator]


def test_subclasses_of_plain_values_are_taken_as_what_they_are() -> None:
    class Text(str):
        __slots__ = ()

    where = F("a") == Text("x")
    assert isinstance(where, Equals)
    assert type(where.value) is str
    assert where == (F("a") == "x")


def test_times_without_a_zone_are_utc_and_others_are_brought_there() -> None:
    noon = dt.datetime(2024, 5, 1, 12, tzinfo=UTC)
    for same in (noon.replace(tzinfo=None), noon.astimezone(dt.timezone(dt.timedelta(hours=-5, minutes=-30)))):
        where = F("taken") == same
        assert isinstance(where, Equals)
        assert where.value == noon
        assert where == (F("taken") == noon)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'a == "tab\there"', "tab\there"),
        (r"a == 'it\'s'", "it's"),
        (r'a == "\u00fc\x41"', "üA"),
        ('a == "x" "y"', "xy"),
        (r'a == r"\d"', r"\d"),
        ('a == """x"""', "x"),
        (r'a == "\d"', r"\d"),  # no warning, though Python would warn
        ('a == "# no comment"', "# no comment"),
        ("a == 1_000", 1000),
        ("a == 0x10", 16),
        ("a == -0.5e-3", -0.0005),
        ("a == True", True),
        ("a == +3", 3),
    ],
)
def test_values_are_written_as_in_python(text: str, value: object) -> None:
    where = parse_where(text)
    assert isinstance(where, Equals)
    assert where.value == value
    assert type(where.value) is type(value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a == 1\nand b == 2", A & B),
        ("a == 1 and # why\nb == 2", A & B),
        ("\n  a == 1\n", A),
        ("(a == 1\r\nor b == 2)", A | B),
        ("a == 1\rand b == 2", A & B),
        ("\ta == 1", A),
        ("a == 1 # end", A),
        ("startswith(a, '#')", StartsWith("a", "#")),
        ("'\\n' in a", Contains("a", "\n")),
        ("exists(a.b)", Exists("a.b")),
        ("a == 1 and b == 2 and c == 3", And((A, B, C))),
        ("a == 1 or b == 2 and c == 3", A | (B & C)),
        ("not a == 1 or b == 2", ~A | B),
        ("not (a == 1 or b == 2)", ~(A | B)),
        ("not a == 1 and b == 2", ~A & B),
    ],
)
def test_lines_comments_and_precedence_are_python_s(text: str, same: Where) -> None:
    assert parse_where(text) == same
