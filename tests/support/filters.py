"""A small collection whose payloads lie at every boundary, and what a filter means on them, in plain Python.

The judge knows nothing of the reader, the tree or the engine: it holds what the table in `semblant_search.where` says.
"""

from __future__ import annotations

import datetime as dt
import json
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from semblant_search.collection import FieldType, Manifest, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.images import Fit
from semblant_search.store import Point, open_database
from semblant_search.where import F, Range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Store
    from semblant_search.where import Where

FIELDS = {
    "label": FieldType.KEYWORD,
    "price": FieldType.FLOAT,
    "stock": FieldType.INTEGER,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "camera.model": FieldType.KEYWORD,
    "odd name": FieldType.INTEGER,
    "place": FieldType.GEO,
}
_VALUES: dict[str, list[Any]] = {
    "label": ["Sneaker", "sneaker", "Sneakers", "", "it's", 'say "hi"', "back\\slash", "tab\tü", ["Bag", "Sneaker"], [], None],
    "price": [9.99, 10, 10.0, 10.01, 99.99, 100, 100.0, 100.01, -1.5, [5, 200], None],
    "stock": [0, 1, 2, 3, -7, 2**53 + 1, 1234567890123456701, [2, 9], None],
    "on_sale": [True, False, [True, False], None],
    "taken": [
        "2024-04-30T23:59:59.999999Z",
        "2024-05-01T00:00:00Z",
        "2024-05-01T12:00:00Z",
        "2024-05-01T23:59:59.999999Z",
        "2024-05-02T00:00:00Z",
        "2024-05-02T00:00:00.000001Z",
        None,
    ],
    "odd name": [1, 2],
}
_CAMERAS: list[Any] = [{"model": "X100"}, {"model": "Z 5", "iso": 100}, {"iso": 3200}, {}]


def _payloads() -> list[dict[str, Any]]:
    """Each field runs through its values at a pace of its own; every value meets a missing one."""
    payloads: list[dict[str, Any]] = []
    for number in range(72):
        payload = {
            name: values[(number * (place + 1) + number // 7) % len(values)]
            for place, (name, values) in enumerate(_VALUES.items())
            if (number + place) % 6
        }
        if number % 5:
            payload["camera"] = _CAMERAS[number % len(_CAMERAS)]
        if number % 3 == 0:
            payload["place"] = {"lat": float(number - 36), "lon": 8.5}
        payloads.append(payload)
    return payloads


PAYLOADS = {point_id(f"file:///{number}.png"): payload for number, payload in enumerate(_payloads())}


def open_shop(path: Path) -> Iterator[Store]:
    """The payloads in a directory."""
    card = EncoderCard("test", "test", Fit(4, 4, 1), 4, "none")
    database = open_database(path, create=True)
    store = database.create(Manifest("images", "g0001", "f" * 64, card, fields=FIELDS))
    vectors = np.random.default_rng(1).normal(size=(len(PAYLOADS), 4)).astype(np.float32)
    store.upsert([Point(id, vector, payload) for (id, payload), vector in zip(PAYLOADS.items(), vectors, strict=True)])
    yield store
    store.close()


def chosen_by(judge: Callable[[dict[str, Any]], bool]) -> list[str]:
    """The ids of the payloads that a judge takes, in their order."""
    return sorted(id for id, payload in PAYLOADS.items() if judge(payload))


def values_of(payload: dict[str, Any], name: str) -> list[Any]:
    """What a field holds: nothing, one value, or several."""
    value: Any = payload
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return [item for item in (value if isinstance(value, list) else [value]) if item is not None]


class Condition(NamedTuple):
    """One condition three times: as text, in the Python form, and as its meaning."""

    text: str
    where: Where
    judge: Callable[[dict[str, Any]], bool]


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_DAYS = ["2024-04-30", "2024-05-01", "2024-05-02"]
_INSTANTS = ["2024-05-01T00:00:00Z", "2024-05-01T14:00:00+02:00", "2024-05-01T23:59:59.999999Z", "2024-05-02 00:00:00"]


def _name(name: str) -> str:
    return f'field("{name}")' if " " in name else name


def _text(value: Any, draw: st.DrawFn) -> str:
    """A value as one may write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if draw(st.booleans()) else repr(value)
    return repr(value)


def _moment(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.timezone.utc)


def _holds(sign: str, item: Any, value: Any) -> bool:
    """One value of a payload against one written down. A day stands for all of it."""
    if isinstance(item, str) and isinstance(value, str) and value[:3] == "202":
        left: Any = _moment(item).astimezone(dt.timezone.utc)
        if len(value) == 10:
            return bool(_COMPARE[sign](left.date(), dt.date.fromisoformat(value)))
        return bool(_COMPARE[sign](left, _moment(value)))
    return bool(_COMPARE[sign](item, value))


_KNOWN: dict[str, list[Any]] = {
    "label": ["Sneaker", "sneaker", "Bag", "", "it's", 'say "hi"', "back\\slash", "tab\tü", "no such"],
    "camera.model": ["X100", "Z 5", "z 5"],
    "price": [10, 10.0, 100, 1e2, 100.01, 9.99, -1.5, 5, 150],
    "stock": [0, 1, 2.0, 2.5, -7, 2**53 + 1, 1234567890123456701],
    "odd name": [1, 2],
    "taken": [*_DAYS, *_INSTANTS],
    "on_sale": [True, False],
}
_ORDERED = ["price", "stock", "odd name", "taken"]
_TEXTS = ["label", "camera.model"]


@st.composite
def _compared(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(sorted(_KNOWN)))
    value = draw(st.sampled_from(_KNOWN[name]))
    if isinstance(value, int) and abs(value) > 2**53:
        sign = draw(st.sampled_from(["==", "!="]))  # ranges are compared as floats
    else:
        sign = draw(st.sampled_from(sorted(_MIRRORED) if name in _ORDERED else ["==", "!="]))
    written = _text(value, draw)
    text = f"{_name(name)} {sign} {written}" if draw(st.booleans()) else f"{written} {_MIRRORED[sign]} {_name(name)}"
    where = _COMPARE[sign](F(name), value)
    if sign == "!=":
        return Condition(text, where, lambda payload: not any(_holds("==", item, value) for item in values_of(payload, name)))
    return Condition(text, where, lambda payload: any(_holds(sign, item, value) for item in values_of(payload, name)))


@st.composite
def _between(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(_ORDERED))
    values = [value for value in _KNOWN[name] if not (isinstance(value, int) and abs(value) > 2**53)]
    low, high = draw(st.sampled_from(values)), draw(st.sampled_from(values))
    first, second = draw(st.sampled_from(["<", "<="])), draw(st.sampled_from(["<", "<="]))
    text = f"{_text(low, draw)} {first} {_name(name)} {second} {_text(high, draw)}"
    if draw(st.booleans()):
        text = f"{_text(high, draw)} {_MIRRORED[second]} {_name(name)} {_MIRRORED[first]} {_text(low, draw)}"

    def judge(payload: dict[str, Any]) -> bool:
        """Both bounds hold of one and the same value."""
        items = values_of(payload, name)
        return any(_holds(_MIRRORED[first], item, low) and _holds(second, item, high) for item in items)

    if (first, second) == ("<=", "<="):
        return Condition(text, F(name).between(low, high), judge)
    low_end, high_end = "gt" if first == "<" else "gte", "lt" if second == "<" else "lte"
    return Condition(text, Range(name, **{low_end: low, high_end: high}), judge)


@st.composite
def _listed(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(sorted(_KNOWN)))
    values = draw(st.lists(st.sampled_from(_KNOWN[name]), max_size=4))
    missing, negated = draw(st.booleans()), draw(st.booleans())
    written = [_text(value, draw) for value in values] + ["null"] * missing
    # One element between parentheses is no list in Python, and none between braces is no set.
    marks = draw(st.sampled_from(["[]", "()", "{}"])) if len(written) > 1 else "[]"
    text = f"{_name(name)} {'not in' if negated else 'in'} {marks[0]}{', '.join(written)}{marks[1]}"
    where = F(name).in_([*values, *[None] * missing])

    def judge(payload: dict[str, Any]) -> bool:
        items = values_of(payload, name)
        found = any(_holds("==", item, value) for item in items for value in values) or (missing and not items)
        return found is not negated

    return Condition(text, ~where if negated else where, judge)


@st.composite
def _present(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from([*sorted(_KNOWN), "place"]))
    texts = {
        True: ["exists({})", "{} is not null", "{} != null", "{} is not None", "null != {}"],
        False: ["not exists({})", "{} is null", "{} == null", "null == {}", "{} in [null]"],
    }
    there = draw(st.booleans())
    where = F(name).exists() if there else F(name) == None  # noqa: E711
    text = draw(st.sampled_from(texts[there])).format(_name(name))
    return Condition(text, where, lambda payload: bool(values_of(payload, name)) is there)


@st.composite
def _of_text(draw: st.DrawFn) -> Condition:
    name, part = draw(st.sampled_from(_TEXTS)), draw(st.sampled_from(["S", "Sneaker", "neak", "hi", "\\", "'", "5", "", "ü"]))
    written = _text(part, draw)
    if draw(st.booleans()):
        where = F(name).startswith(part)
        return Condition(
            f"startswith({name}, {written})", where, lambda payload: any(v.startswith(part) for v in values_of(payload, name))
        )
    form = draw(st.sampled_from(["contains({0}, {1})", "{1} in {0}", "{1} not in {0}"]))
    negated = "not in" in form
    where = F(name).contains(part)
    return Condition(
        form.format(name, written),
        ~where if negated else where,
        lambda payload: any(part in value for value in values_of(payload, name)) is not negated,
    )


@st.composite
def _of_truth(draw: st.DrawFn) -> Condition:
    text, wanted = draw(st.sampled_from([("on_sale", True), ("true == on_sale", True), ("on_sale == false", False)]))
    return Condition(text, F("on_sale") == wanted, lambda payload: wanted in values_of(payload, "on_sale"))


CONDITIONS = st.one_of(_compared(), _between(), _listed(), _present(), _of_text(), _of_truth())


@st.composite
def combined(draw: st.DrawFn) -> Condition:
    """Conditions joined as Python joins them, so that Python itself is the judge of what binds tighter."""
    conditions = draw(st.lists(CONDITIONS, min_size=1, max_size=5))
    words: list[str] = []
    opened = 0
    for number in range(len(conditions)):
        if number:
            words.append(draw(st.sampled_from(["and", "or"])))
        if draw(st.integers(0, 3)) == 0:
            words.append("not")
        if draw(st.integers(0, 3)) == 0:
            words.append("(")
            opened += 1
        words.append(f"c{number}")
        if opened and draw(st.booleans()):
            words.append(")")
            opened -= 1
    form = " ".join([*words, *[")"] * opened])
    # `~`, `&` and `|` bind in the order of `not`, `and` and `or`.
    symbols = form.replace("and", "&").replace("or", "|").replace("not", "~")
    where: Where = eval(symbols, {f"c{number}": one.where for number, one in enumerate(conditions)})
    return Condition(
        _filled(words, opened, conditions),
        where,
        lambda payload: bool(eval(form, {f"c{number}": one.judge(payload) for number, one in enumerate(conditions)})),
    )


def _filled(words: list[str], opened: int, conditions: list[Condition]) -> str:
    texts = {f"c{number}": one.text for number, one in enumerate(conditions)}
    return " ".join([*(texts.get(word, word) for word in words), *[")"] * opened])
