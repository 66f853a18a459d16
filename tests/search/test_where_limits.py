"""Long filters: what is taken, what is refused, and that the time grows as the length. The time-outs are minutes of work."""

from __future__ import annotations

import gc
import pickle
import warnings
import weakref
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search.collection import FieldType
from semblant_search.errors import WhereError
from semblant_search.store.engines.edge.translation import dialect, load_engine
from semblant_search.where import F, Or, Where, parse_where
from semblant_search.where.compiler import Dialect, compile_where
from support.filters import chosen_by, open_shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.store import Store

FIELDS = {"n": FieldType.INTEGER, "x": FieldType.FLOAT, "label": FieldType.KEYWORD}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from open_shop(tmp_path_factory.mktemp("shop") / "db")


@pytest.fixture(scope="module")
def edge() -> Dialect:
    return dialect(load_engine())


@pytest.mark.timeout(60)
def test_a_filter_of_many_short_lines_is_read_in_the_time_of_its_length() -> None:
    text = ("\n" * 80).join(f"n == {number} or" for number in range(9_999)) + "\nn == -1"
    where = parse_where(text)
    assert isinstance(where, Or)
    assert len(where.terms) == 10_000
    last = where.terms[-1]
    assert getattr(last, "origin").column == text.rindex("n ==")  # noqa: B009 - not a part of every filter


@pytest.mark.timeout(60)
def test_one_long_line_is_read_in_the_time_of_its_length() -> None:
    text = " or ".join(f'label == "{"é" * 80}{number}"' for number in range(9_999)) + " or x == y"
    with pytest.raises(WhereError, match="text needs quotes") as caught:
        parse_where(text)
    assert caught.value.column == len(text) - 1


@pytest.mark.timeout(60)
def test_text_full_of_escapes_is_read_in_the_time_of_its_length() -> None:
    for text in ('x == "' + "\\d" * 400_000 + '"', '"' + '\\"' * 400_000, "x == '''" + "'" * 900_000, "'" * 900_001):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if text.startswith('x == "'):
                assert parse_where(text) == (F("x") == "\\d" * 400_000)
            else:
                with pytest.raises(WhereError):
                    parse_where(text)


@pytest.mark.timeout(60)
def test_long_lists_are_made_ready_in_the_time_of_their_length(shop: Store) -> None:
    uris = [f"file:///{number}.png" for number in range(100_000)]
    assert shop.count(F("label").in_(uris)) == 0
    assert shop.count(F("label").in_([*uris[1:], "Bag"])) == len(chosen_by(lambda p: "Bag" in (p.get("label") or [])))
    assert shop.count(F("stock").in_(range(2, 100_002))) > 0


@pytest.mark.timeout(60)
def test_as_many_conditions_as_there_may_be_are_answered(shop: Store) -> None:
    one_of = parse_where(" or ".join(f"stock == {number}" for number in range(10_000)))
    assert shop.count(one_of) == shop.count(F("stock").in_(range(10_000))) > 0
    none_of = reduce(lambda where, number: where & (F("stock") != number), range(1, 10_000), F("stock") != 0)
    assert shop.count(none_of) == shop.count(~F("stock").in_(range(10_000)))
    mixed = 'label == "Bag" or stock == 1 or label == "sneaker" or not stock == 2 or price == 10 or stock == 3'
    assert shop.count(parse_where(mixed)) == len(
        chosen_by(
            lambda p: (
                p.get("label") in ("Bag", "sneaker", ["Bag", "Sneaker"])
                or p.get("stock") in (1, 3)
                or 2 not in (p["stock"] if isinstance(p.get("stock"), list) else [p.get("stock")])
                or p.get("price") == 10
            )
        )
    )


def test_one_condition_or_value_more_is_refused(edge: Dialect) -> None:
    many = " or ".join(["a == 1"] * 10_000)
    assert parse_where(many).size == 10_000
    makers: list[Callable[[], Where]] = [
        lambda: parse_where(f"{many} or a == 1"),
        lambda: parse_where(f"({many}) and b == 2"),
        lambda: parse_where(many) | (F("b") == 2),
        lambda: ~parse_where(many) & (F("b") == 2),
    ]
    for make in makers:
        with pytest.raises(WhereError, match=r"10,001 conditions; the limit is 10,000.*as a list"):
            make()
    for values in (range(100_001), count()):
        with pytest.raises(WhereError, match="more than 100,000 values for 'n'"):
            F("n").in_(values)
    with pytest.raises(WhereError, match="more than 100,000 values") as caught:
        parse_where(f"n in [{'1,' * 100_001}]")
    assert caught.value.column == 5
    compile_where(F("x").in_(range(10_000)), edge, FIELDS)
    with pytest.raises(WhereError, match="10,001 values for x; the limit is 10,000 for decimals and dates"):
        compile_where(F("x").in_(range(10_001)), edge, FIELDS)


def test_a_filter_is_compiled_once_for_an_engine_and_its_fields(edge: Dialect) -> None:
    where = parse_where('n == 3 and label == "a"')
    compiled = compile_where(where, edge, FIELDS)
    assert compile_where(where, edge, dict(FIELDS)) is compiled
    assert compile_where(where, edge, {**FIELDS, "n": FieldType.FLOAT}) is not compiled
    with pytest.raises(WhereError, match="unknown field 'n'"):
        compile_where(where, edge, {"label": FieldType.KEYWORD})
    again = pickle.loads(pickle.dumps(where))
    assert again == where
    assert hash(again) == hash(where)


def test_what_a_filter_keeps_for_an_engine_goes_with_the_engine() -> None:
    where, module = F("n") == 3, load_engine()
    gone, kept = dialect(module), dialect(module)
    for engine in (gone, kept):
        compile_where(where, engine, FIELDS)
    del engine
    reference = weakref.ref(gone)
    del gone
    gc.collect()
    assert reference() is None


def test_reading_a_filter_warns_of_nothing_and_hides_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: Any, **__: Any) -> None:
        raise AssertionError("filters of warnings belong to the whole process")

    monkeypatch.setattr(warnings, "catch_warnings", changed)
    monkeypatch.setattr(warnings, "simplefilter", changed)
    cases: list[tuple[str, Where]] = [
        (r'a == "\d" and b == 1', (F("a") == r"\d") & (F("b") == 1)),
        (r"a == r'\d' or a == '\'\\\d'", (F("a") == r"\d") | (F("a") == "'\\\\d")),
        (r'a == """\d"\"" \q"""', F("a") == '\\d""" \\q'),
        ("a == 1or b == 1.5and c == 2e3or d == 0", ((F("a") == 1) | ((F("b") == 1.5) & (F("c") == 2e3))) | (F("d") == 0)),
        ('a == "1or 2\\w" # it\'s \\d', F("a") == "1or 2\\w"),
    ]
    for text, where in cases:
        assert parse_where(text) == where


@pytest.mark.parametrize(
    "text", [r'a == "\d\w" and x == y', "a == 1or x == y", '# \\d\na == "\\d" and\nx == y', r'a == r"\d" and x == y']
)
def test_places_are_those_of_the_text_as_given(text: str) -> None:
    with pytest.raises(WhereError, match="text needs quotes") as caught:
        parse_where(text)
    assert caught.value.column == text.rindex("y")
