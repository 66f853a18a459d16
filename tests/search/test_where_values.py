"""Values at the edges of what engines hold: large numbers, times, NumPy's scalars, and what is no value at all."""

from __future__ import annotations

import datetime as dt
import keyword
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from semblant_search.errors import WhereError
from semblant_search.where import F, Where, parse_where
from semblant_search.where.numbers import Numbers, float_bounds, whole_numbers
from support.examples import examples
from support.filters import chosen_by, open_shop, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.store import Store

LARGE = 2**53
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
LEAST, MOST = -(2**63), 2**63 - 1


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from open_shop(tmp_path_factory.mktemp("shop") / "db")


def chosen(shop: Store, where: str | Where) -> list[str]:
    tree = parse_where(where) if isinstance(where, str) else where
    return [record.id for record in shop.scroll(where=tree, fields=[])]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    "bound",
    [
        *(LARGE + d for d in (-2, -1, 0, 1, 2)),
        *(1234567890123456701 + d for d in (-1, 0, 1)),
        *(-LARGE - 1, LEAST, LEAST + 1, MOST, MOST - 1),
        *(2.5, -7.5, 0.0, -0.0, 1e300, -1e300, 1.7976931348623157e308, 9007199254740992.0, 9.3e18, -9.3e18),
    ],
)
def test_whole_numbers_are_compared_exactly_however_large(shop: Store, sign: str, bound: float) -> None:
    expected = chosen_by(lambda payload: any(SIGNS[sign](stock, bound) for stock in values_of(payload, "stock")))
    assert chosen(shop, f"stock {sign} {bound!r}") == expected
    assert chosen(shop, f"not (stock {sign} {bound!r})") == chosen(shop, ~parse_where(f"stock {sign} {bound!r}"))
    assert len(chosen(shop, ~parse_where(f"stock {sign} {bound!r}"))) == shop.count() - len(expected)


def test_a_range_of_whole_numbers_has_two_ends(shop: Store) -> None:
    for low, high in [(LARGE, LARGE + 2), (LARGE + 1, LARGE + 1), (LARGE + 2, LARGE), (2.5, 3.5), (2.1, 2.9), (-1e300, 1e300)]:
        expected = chosen_by(lambda payload: any(low <= stock <= high for stock in values_of(payload, "stock")))  # noqa: B023
        assert chosen(shop, F("stock").between(low, high)) == expected
    assert chosen(shop, F("stock").in_([1e300, LARGE + 1])) == chosen(shop, F("stock") == LARGE + 1) != []


INT64 = st.integers(LEAST, MOST) | st.builds(
    lambda power, near, sign: max(LEAST, min(MOST, sign * (2**power) + near)),
    st.integers(0, 63),
    st.integers(-2000, 2000),
    st.sampled_from((-1, 1)),
)


def _holds(numbers: Numbers, value: int, seen: Callable[[float], float]) -> bool:
    """As an engine does: bounds as 64-bit floats, or as the whole numbers that they are."""
    between = bool(numbers.bounds) and all(
        (seen(value) >= seen(bound)) if name == "gte" else (seen(value) <= seen(bound))
        for name, bound in numbers.bounds.items()
    )
    return value in numbers.listed or between


@settings(max_examples=examples(500))
@given(INT64, INT64, INT64)
@example(LARGE + 1, LARGE + 1, LARGE)
@example(MOST, MOST, MOST - 1)
@example(LEAST, LEAST, LEAST + 1)
def test_a_set_of_whole_numbers_is_the_same_by_floats_and_by_whole_numbers(low: int, high: int, value: int) -> None:
    numbers = whole_numbers(gte=low, lte=high)
    assert len(numbers.listed) < 5000
    for candidate in (value, low, high, low - 1, high + 1, low + 1, high - 1):
        if not LEAST <= candidate <= MOST:
            continue
        for seen in (float, lambda number: max(LEAST, min(MOST, int(number)))):
            assert _holds(numbers, candidate, seen) == (low <= candidate <= high), (candidate, numbers)


@settings(max_examples=examples(300))
@given(st.sampled_from(("gt", "gte", "lt", "lte")), INT64, st.floats(allow_nan=False, allow_infinity=False))
def test_decimals_are_compared_with_large_whole_numbers_exactly(name: str, bound: int, value: float) -> None:
    compare = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    for candidate in (
        value,
        float(bound),
        float(np.nextafter(float(bound), -np.inf)),
        float(np.nextafter(float(bound), np.inf)),
    ):
        rounded = float_bounds({name: bound})
        assert rounded is not None
        assert all(compare[n](candidate, float(b)) for n, b in rounded.items()) == compare[name](candidate, bound)


def test_a_decimal_is_no_whole_number_that_no_float_holds(shop: Store) -> None:
    assert float_bounds({"gte": LARGE + 1, "lte": LARGE + 1}) is None
    assert float_bounds({"gte": LARGE, "lte": LARGE}) == {"gte": LARGE, "lte": LARGE}
    assert chosen(shop, f"price == {LARGE + 1}") == []


@pytest.mark.parametrize(
    "expression", ["place.x > 9007199254740993", "9007199254740994 >= place.x", "0 < place.x < -9007199254740993"]
)
def test_keys_without_a_type_have_no_exact_order_beyond_2_53(shop: Store, expression: str) -> None:
    with pytest.raises(WhereError, match=r"place\.x has no type of its own"):
        shop.count(parse_where(expression))
    assert shop.count(parse_where("place.lat < 1e300")) == shop.count(parse_where("place.lat > -1e300")) > 0
    assert shop.count(parse_where("place.lat == 9007199254740993")) == 0


@pytest.mark.parametrize("number", [10**5000, -(10**5000), 10**100], ids=["5001", "-5001", "101"])
def test_a_number_of_thousands_of_digits_is_a_short_error(number: int) -> None:
    makers: list[Callable[[], Any]] = [
        lambda: F("n") == number,
        lambda: F("n") < number,
        lambda: F("n").between(number, 3),
        lambda: F("n").in_([1, number]),
    ]
    for make in makers:
        with pytest.raises(WhereError, match=r"a number of about [\d,]+ digits: whole numbers must fit in 64 bits"):
            make()
    for call in (lambda: F("n").in_(number), lambda: F(number), lambda: parse_where(number)):  # type: ignore[arg-type]
        with pytest.raises(WhereError, match="digits"):
            call()


def test_a_number_of_thousands_of_digits_is_an_error_in_a_text() -> None:
    for digits in (20, 4301, 100_000):
        with pytest.raises(WhereError, match="whole numbers must fit in 64 bits") as caught:
            parse_where(f"n == {'1' * digits}")
        assert caught.value.column == 5


@pytest.mark.parametrize(
    "value",
    [
        *(float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float64("inf"), np.complex64(1), 1j),
        *(np.datetime64("NaT"), np.timedelta64(3, "ns"), np.datetime64(10**6, "Y")),
        *(np.array(3), np.array([1, 2]), np.bytes_(b"a"), b"a", object, {}),
    ],
    ids=repr,
)
def test_what_is_no_value_is_refused_in_every_comparison(value: Any) -> None:
    field = F("x")
    makers: list[Callable[[], Any]] = [
        lambda: field == value,
        lambda: value == field,
        lambda: field != value,
        lambda: field < value,
        lambda: value < field,
        lambda: field.between(value, value),
        lambda: field.in_([value]),
        lambda: field.startswith(value),
    ]
    for make in makers:
        with pytest.raises(WhereError):
            make()


def test_an_array_is_refused_with_the_way_to_ask_for_its_values() -> None:
    with pytest.raises(WhereError, match=r"not ndarray; a filter compares with one value.*in_"):
        _ = F("x") == np.array([1, 2])
    with pytest.raises(WhereError, match=r"not ndarray"):
        _ = np.array([1, 2]) == F("x")
    with pytest.raises(WhereError, match="not ndarray"):
        F("x").in_(np.array([[1, 2], [3, 4]]))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2024-05-01"), dt.date(2024, 5, 1)),
        (np.datetime64("2024-05-01T12:00:00"), dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)),
        (np.datetime64("2024-05-01T12:00:00.123456789"), dt.datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=dt.timezone.utc)),
    ],
    ids=repr,
)
def test_numpy_s_scalars_are_the_values_that_they_are(value: Any, plain: Any) -> None:
    field = F("x")
    assert (field == value) == (field == plain)
    assert (value == field) == (field == plain)
    assert str(field != value) == str(field != plain)
    assert field.in_([value]) == field.in_([plain])
    if not isinstance(plain, bool):
        assert (field < value) == (field < plain)
        assert (value < field) == (field > plain)
    else:
        with pytest.raises(WhereError, match="no order"):
            _ = field < value


def test_an_array_is_a_list_of_its_values() -> None:
    assert F("x").in_(np.array([1, 2])) == F("x").in_([1, 2])
    assert F("x").in_(np.array(["a", "b"])) == F("x").in_(["a", "b"])
    with pytest.raises(WhereError, match="expected a list of values, not one value"):
        F("x").in_(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("time", [dt.datetime.min, dt.datetime.max, dt.date.min, dt.date.max])
def test_the_first_and_last_times_are_taken_and_those_beyond_are_refused(shop: Store, time: dt.date) -> None:
    for where in (F("taken") < time, F("taken") >= time, F("taken") == time, F("taken").between(time, time)):
        assert shop.count(where) in (0, shop.count(F("taken").exists()))
    if isinstance(time, dt.datetime):
        ahead = dt.timezone(dt.timedelta(hours=23 if time.year == 1 else -23))
        with pytest.raises(WhereError, match="beyond the years 1 to 9999"):
            _ = F("taken") < time.replace(tzinfo=ahead)


@pytest.mark.parametrize("word", [*keyword.kwlist, "true", "false", "null"])
def test_a_word_of_python_s_as_a_field_name_is_told_how_it_is_written(word: str) -> None:
    texts = [
        f'{word} == "c"',
        f"{word} < 3",
        f"{word} != 3",
        f"a == 1 and {word} == 2",
        f"exists({word})",
        f'startswith({word}, "a")',
    ]
    operators = {"and", "or", "not", "in", "is"}
    if word not in operators:
        texts += [f'"c" == {word}', f'{word} in ["a"]', f'"x" in {word}', word, f"1 < {word} < 3", f"a == 1 or\n{word} >= 2"]
    for text in texts:
        if text == f'"c" == {word}' and word in ("True", "False", "None", "true", "false", "null"):
            continue  # a value on both sides, which the first text has, too
        with pytest.raises(WhereError) as caught:
            parse_where(text)
        assert f'field("{word}")' in str(caught.value), text
    assert parse_where(f'field("{word}") == "c"') == (F(word) == "c")
    if word in keyword.kwlist:
        with pytest.raises(WhereError):
            parse_where(f"camera.{word} == 1")
    assert parse_where(str(F(f"camera.{word}") == 1)) == (F(f"camera.{word}") == 1)


def test_the_hint_names_the_whole_field_and_its_place() -> None:
    with pytest.raises(WhereError, match=r'field\("camera.class"\)') as caught:
        parse_where('a == "class" and camera.class == 1')
    assert caught.value.column == 17
    for text in ('a == "class" and', "(a == 1 and) or b", "not"):
        with pytest.raises(WhereError) as caught:
            parse_where(text)
        assert "field(" not in str(caught.value)
