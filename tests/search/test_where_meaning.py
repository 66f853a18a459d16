"""What a filter chooses, judged by plain Python on the payloads: as text, in the Python form, and through the engine."""

from __future__ import annotations

import datetime as dt
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from semblant_search.where import F, Where, parse_where
from support.examples import examples
from support.filters import CONDITIONS, Condition, chosen_by, combined, open_shop, values_of
from support.zones import far_from_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Store

RISING, FALLING = ("<", "<="), (">", ">=")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from open_shop(tmp_path_factory.mktemp("shop") / "db")


def chosen(shop: Store, where: str | Where) -> list[str]:
    tree = parse_where(where) if isinstance(where, str) else where
    ids = [record.id for record in shop.scroll(where=tree, fields=[])]
    assert shop.count(tree) == len(ids)
    return ids


@pytest.mark.parametrize(
    "expression",
    [
        *(f"price {sign} 100" for sign in (*RISING, *FALLING, "==")),
        *(f"100 {sign} price" for sign in (*RISING, *FALLING, "==")),
        *(f"10 {first} price {second} 100" for first, second in product(RISING, RISING)),
        *(f"100 {first} price {second} 10" for first, second in product(FALLING, FALLING)),
        "100 < price < 10",
        "10 <= price <= 10",
        "10 < price < 10",
        "price > -1.5",
        "-1.5 <= price",
        "price < +10",
        "price <= 1e2",
    ],
)
def test_a_comparison_holds_where_it_holds_in_python(shop: Store, expression: str) -> None:
    assert chosen(shop, expression) == chosen_by(
        lambda payload: any(eval(expression, {"price": price}) for price in values_of(payload, "price"))
    )


@pytest.mark.parametrize(
    ("sign", "first", "last"),
    [("==", 1, 3), ("<", 0, 0), ("<=", 0, 3), (">", 4, 5), (">=", 1, 5)],
)
@pytest.mark.parametrize("day", ['"2024-05-01"', 'date("2024-05-01")'])
def test_a_day_is_all_of_it_in_utc(shop: Store, sign: str, first: int, last: int, day: str) -> None:
    """Moments in order: the last of the day before, first, middle and last of the day, the first two of the day after."""
    moments = [
        "2024-04-30T23:59:59.999999Z",
        "2024-05-01T00:00:00Z",
        "2024-05-01T12:00:00Z",
        "2024-05-01T23:59:59.999999Z",
        "2024-05-02T00:00:00Z",
        "2024-05-02T00:00:00.000001Z",
    ]
    expected = chosen_by(lambda payload: payload.get("taken") in moments[first : last + 1])
    assert chosen(shop, f"taken {sign} {day}") == expected
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
    assert chosen(shop, f"{day} {mirrored} taken") == expected


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00z",
        "2024-05-01T12:00:00",
        "2024-05-01 12:00:00",
        "2024-05-01T12:00",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01T14:00:00+0200",
        "2024-05-01T06:30:00-0530",
        "2024-05-01T12:00:00.000000000Z",
        "2024-05-01T12:00:00.0Z",
    ],
)
def test_an_instant_is_the_same_however_it_is_written(shop: Store, text: str) -> None:
    noon = chosen_by(lambda payload: payload.get("taken") == "2024-05-01T12:00:00Z")
    assert noon
    for expression in (f'taken == "{text}"', f'taken == date("{text}")', f'taken in ["{text}"]'):
        assert chosen(shop, expression) == noon
    before = chosen_by(lambda payload: bool(payload.get("taken")) and payload["taken"] < "2024-05-01T12:00:00Z")
    assert chosen(shop, f'taken < "{text}"') == before
    assert chosen(shop, f'taken <= "{text}"') == sorted(before + noon)


@pytest.mark.parametrize("decimals", [".5", ".50", ".500", ".500000", ".5000009"])
@pytest.mark.parametrize("zone", ["Z", "", "+0000"])
def test_decimals_are_fractions_of_a_second_however_many(decimals: str, zone: str) -> None:
    half = F("taken") > dt.datetime(2024, 5, 1, 12, 0, 0, 500_000)
    assert str(parse_where(f'taken > date("2024-05-01T12:00:00{decimals}{zone}")')) == str(half)


def test_an_instant_without_a_zone_is_utc_wherever_the_machine_stands(shop: Store) -> None:
    noon = chosen_by(lambda payload: payload.get("taken") == "2024-05-01T12:00:00Z")
    with far_from_utc():
        for where in (
            F("taken") == "2024-05-01T12:00:00",
            F("taken") == dt.datetime(2024, 5, 1, 12),
            F("taken") == dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc),
            parse_where('taken == date("2024-05-01 12:00")'),
        ):
            assert chosen(shop, where) == noon


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "=="])
def test_the_first_and_the_last_day_there_is_are_days_like_others(shop: Store, sign: str) -> None:
    there = chosen_by(lambda payload: bool(payload.get("taken")))
    assert chosen(shop, f'taken {sign} "9999-12-31"') == (there if sign in ("<", "<=") else [])
    assert chosen(shop, f'taken {sign} "0001-01-01"') == (there if sign in (">", ">=") else [])


@pytest.mark.parametrize("number", [2**53 + 1, 1234567890123456701])
def test_large_whole_numbers_are_compared_exactly(shop: Store, number: int) -> None:
    expected = chosen_by(lambda payload: payload.get("stock") == number)
    assert expected
    for expression in (f"stock == {number}", f"{number} == stock", f"stock in [{number}]", f"stock in [{number}, 4]"):
        assert chosen(shop, expression) == expected
        assert chosen(shop, f"not ({expression})") == chosen_by(lambda payload: payload.get("stock") != number)
    for near in (number - 1, number + 1):
        assert chosen(shop, f"stock == {near}") == chosen(shop, f"stock in [{near}, 4]") == []


@settings(max_examples=examples(250))
@given(CONDITIONS)
def test_a_condition_chooses_what_it_says(shop: Store, condition: Condition) -> None:
    expected = chosen_by(condition.judge)
    assert chosen(shop, condition.text) == expected
    assert chosen(shop, condition.where) == expected


@settings(max_examples=examples(150))
@given(combined())
def test_conditions_join_as_they_do_in_python(shop: Store, condition: Condition) -> None:
    expected = chosen_by(condition.judge)
    assert chosen(shop, condition.text) == expected
    assert chosen(shop, condition.where) == expected
    assert chosen(shop, ~condition.where) == chosen_by(lambda payload: not condition.judge(payload))


def test_keys_below_a_known_field_can_be_asked_for(shop: Store) -> None:
    north = chosen_by(lambda payload: payload.get("place", {}).get("lat", -1) >= 10)
    assert north
    assert chosen(shop, "place.lat >= 10") == chosen(shop, F("place.lat") >= 10) == north
    assert chosen(shop, "place.lon == 8.5") == chosen_by(lambda payload: "place" in payload)
