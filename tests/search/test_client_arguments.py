"""Whatever a caller gives for whichever argument: a right answer, or an error of Semblant's of a few lines; no other error."""

from __future__ import annotations

import datetime as dt
import inspect
import io
import shutil
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import AsyncSearchClient, F, FieldType, NewPicture, SearchClient, SemblantError
from semblant_search.collection import SOURCES_FIELD
from semblant_search.sources import SourceRecord, note_added, write_source
from semblant_search.store import RetryPolicy, open_database
from support.service import listening, service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "s3cr3t"
LONGEST = 2000
"""Characters of a message."""
AHEAD, BEHIND = dt.timezone(dt.timedelta(hours=14)), dt.timezone(dt.timedelta(hours=-12))


class _Reads(io.BytesIO):
    """An open file whose `read` does what it likes."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def read(self, *_: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class _Bare:
    """Something with a `read` and nothing else."""

    def read(self, *_: Any) -> Any:
        return None


class _NamedInBytes:
    """A path as `os.scandir(b".")` yields them."""

    def __fspath__(self) -> bytes:
        return b"/pictures/\xff.png"


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


# Functions, for some are used up.
NASTY: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "five": lambda: 5,
    "negative": lambda: -1,
    "huge": lambda: 10**400,
    "int64": lambda: 2**63,
    "largest": lambda: 1e308,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "complex": lambda: 1j,
    "decimal": lambda: Decimal("sNaN"),
    "fraction": lambda: Fraction(1, 3),
    "empty": lambda: "",
    "blank": lambda: " ",
    "no": lambda: "no",
    "surrogate": lambda: "\ud800",
    "surrogate-uri": lambda: "shop://\ud800",
    "surrogate-file": lambda: "file:///\ud800.png",
    "null": lambda: "a\0b",
    "long": lambda: "a" * 100_000,
    "long-uri": lambda: "shop://" + "a" * 100_000,
    "brackets": lambda: "http://[",
    "password": lambda: f"http://user:{PASSWORD}@host/a.png",
    "password-file": lambda: f"file://user:{PASSWORD}@host/a.png",
    "filter-huge": lambda: "price == 1" + "0" * 400,
    "filter-dates": lambda: 'label > "0001-01-01T00:00:00+01:00"',
    "bytes": lambda: b"x",
    "bytearray": lambda: bytearray(),
    "object": lambda: object(),
    "unprintable": _Unprintable,
    "type": lambda: SearchClient,
    "function": lambda: lambda *_: None,
    "field": lambda: F("price"),
    "scandir": _NamedInBytes,
    "list": list,
    "tuple": tuple,
    "mapping": dict,
    "set": lambda: {1, "a"},
    "of-none": lambda: [None],
    "of-five": lambda: [5],
    "of-bytes": lambda: [b"x"],
    "of-surrogates": lambda: ["\ud800"],
    "of-long": lambda: ["a" * 100_000],
    "of-passwords": lambda: [f"http://user:{PASSWORD}@host/a.png"],
    "of-lists": lambda: [[None], []],
    "of-huge": lambda: [10**400] * 4,
    "of-largest": lambda: [1e308] * 4,
    "of-nan": lambda: [float("nan")] * 4,
    "of-complex": lambda: [1j] * 49,
    "of-49-huge": lambda: [10**400] * 49,
    "of-49-texts": lambda: ["x"] * 49,
    "nested": lambda: [[[1], [2, 3]]],
    "names": lambda: {"": 1},
    "names-long": lambda: {"a" * 100_000: 1},
    "names-surrogate": lambda: {"\ud800": 1},
    "value-surrogate": lambda: {"a": "\ud800"},
    "value-huge": lambda: {"b": 10**400},
    "value-first": lambda: {"c": dt.datetime.min.replace(tzinfo=AHEAD)},
    "value-last": lambda: {"c": dt.datetime.max.replace(tzinfo=BEHIND)},
    "value-early": lambda: {"e": "0001-01-01T00:00:00+01:00"},
    "value-decimal": lambda: {"d": Decimal("sNaN")},
    "value-decimal-huge": lambda: {"d": Decimal("1e999")},
    "value-complex": lambda: {"d": np.array([1j])},
    "value-place": lambda: {"p": {"lat": 10**400, "lon": 0}},
    "value-deep": lambda: {"q": _deep()},
    "value-nat": lambda: {"n": np.datetime64("NaT")},
    "value-far": lambda: {"n": np.datetime64("9999999-01-01")},
    "first": lambda: dt.datetime.min.replace(tzinfo=AHEAD),
    "last": lambda: dt.datetime.max.replace(tzinfo=BEHIND),
    "array": lambda: np.zeros(0),
    "array-0": lambda: np.array(5),
    "array-complex": lambda: np.full(49, 1j),
    "array-objects": lambda: np.array([None] * 49),
    "array-times": lambda: np.full(49, np.datetime64("NaT")),
    "array-nan": lambda: np.full((28, 28), np.nan),
    "array-texts": lambda: np.full((28, 28), "x"),
    "array-4": lambda: np.zeros((2, 2, 2, 2), np.uint8),
    "image": lambda: Image.new("P", (1, 1)),
    "image-empty": lambda: Image.new("L", (0, 0)),
    "reads-text": lambda: _Reads("text"),
    "reads-none": lambda: _Reads(None),
    "reads-number": lambda: _Reads(5),
    "reads-list": lambda: _Reads([1]),
    "reads-error": lambda: _Reads(RuntimeError("no")),
    "reads-bare": _Bare,
    "closed": lambda: _closed(),
    "text-file": lambda: io.StringIO("text"),
    "pair": lambda: ("\ud800", 10**400),
    "of-pairs": lambda: [("file:///none.png", 10**400)],
    "of-largest-weights": lambda: [(np.ones(49), 1e308), (np.ones(49), 1e308)],
    "of-smallest-weights": lambda: [(np.ones(49), 5e-324), (np.ones(49), 5e-324)],
    "new": lambda: [NewPicture(None, None, None), NewPicture(b"x", 5, 5), (b"x", {}, "\ud800"), ()],  # type: ignore[arg-type]
}


def _deep() -> Any:
    value: Any = 1
    for _ in range(2000):
        value = [value]
    return value


def _closed() -> Any:
    file = io.BytesIO(b"x")
    file.close()
    return file


BASE: dict[str, dict[str, Any]] = {
    "add": {"picture": "NEW"},
    "add_many": {"items": []},
    "cancel_job": {"job": "0123456789abcdef"},
    "close": {},
    "collections": {},
    "count": {},
    "delete": {"pictures": []},
    "discover": {"target": "ONE", "context": [("ONE", "OTHER")]},
    "duplicates": {},
    "embed": {"pictures": ["ONE"]},
    "facet": {"field": "label"},
    "follow_job": {"job": "0123456789abcdef"},
    "get": {"picture": "ONE"},
    "get_job": {"job": "0123456789abcdef"},
    "get_many": {"pictures": ["ONE"]},
    "jobs": {},
    "pictures": {},
    "relocate_source": {"name": "shop", "root": "/elsewhere"},
    "remove_source": {"name": "none"},
    "rename_source": {"name": "shop", "new": "store"},
    "scroll": {},
    "search": {"picture": "ONE"},
    "search_batch": {"pictures": ["ONE"]},
    "search_features": {"picture": "ONE"},
    "search_fused": {"picture": "ONE"},
    "search_groups": {"picture": "ONE", "group_by": "label"},
    "search_like": {"like": ["ONE"]},
    "sources": {},
    "start_job": {"source": "shop"},
    "search_vector": {"vector": np.ones(49)},
    "thumbnail": {"picture": "ONE"},
    "update_metadata": {"pictures": ["ONE"], "metadata": {}},
}
"""A call of each method that is answered."""
ALSO: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("update_metadata", "where"): [{"pictures": None}],
    ("delete", "where"): [{"pictures": None}],
    ("search", "descending"): [{"min_score": 0.5, "order_by": "price"}],
    ("scroll", "descending"): [{"order_by": "price"}],
    ("pictures", "descending"): [{"order_by": "price"}],
    ("search_like", "like"): [{"strategy": "best_score"}, {"unlike": ["OTHER"]}],
}
"""Calls in which an argument has another meaning."""


def _methods(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


ARGUMENTS = [
    (name, argument) for name, signature in _methods(SearchClient).items() for argument in list(signature.parameters)[1:]
]


@pytest.fixture(scope="module")
def db(pictures: list[Path], write: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arguments") / "db"
    with closing(open_database(path, create=True)) as database:
        write(database, pictures[:20])
        with closing(database.open("images")) as store:
            store.add_fields({SOURCES_FIELD: FieldType.KEYWORD})
            write_source(store, SourceRecord("0123", "shop", "file:///shop/"))
            note_added(store)
    return path


@pytest.fixture(scope="module", params=["directory", "service"])
def client(request: pytest.FixtureRequest, db: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    copy = shutil.copytree(db, tmp_path_factory.mktemp("copy") / "db")
    with SearchClient(copy) as client:
        if request.param == "directory":
            yield client
            return
        with listening(service_of(client)) as address, SearchClient(address) as remote:
            yield remote


def _filled(value: Any, pictures: list[Path]) -> Any:
    if isinstance(value, str):
        return {"ONE": pictures[0], "OTHER": pictures[1], "NEW": pictures[25]}.get(value, value)
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(one, pictures) for one in value)
    return value


def _failure(call: Callable[[], Any]) -> str:
    """What is wrong with how a call ends, if anything."""
    try:
        answer = call()
        errors = [one for one in answer if isinstance(one, Exception)] if isinstance(answer, list) else []
    except SemblantError as error:
        errors = [error]
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    for one in errors:
        text = str(one)
        if not isinstance(one, SemblantError):
            return f"answered with {type(one).__name__}"
        if len(text) > LONGEST:
            return f"says {len(text)} characters: {text[:100]}"
        if PASSWORD in text:
            return f"shows a password: {text[:200]}"
        if "\ud800" in text:
            return f"cannot be printed: {text[:200]!r}"
    return ""


def test_every_method_has_a_call_here() -> None:
    assert BASE.keys() == _methods(SearchClient).keys()
    assert _methods(SearchClient).keys() - {"close"} <= _methods(AsyncSearchClient).keys()


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS, ids=[f"{name}-{argument}" for name, argument in ARGUMENTS])
def test_whatever_is_given_ends_in_an_answer_or_an_error_of_semblants(
    client: SearchClient, pictures: list[Path], name: str, argument: str
) -> None:
    wrong = {}
    for also in ({}, *ALSO.get((name, argument), [])):
        for kind, make in NASTY.items():
            arguments = {key: _filled(value, pictures) for key, value in (BASE[name] | also).items()}
            arguments[argument] = make()

            def call(arguments: dict[str, Any] = arguments) -> Any:
                answer = getattr(client, name)(**arguments)
                return list(answer) if name == "pictures" else answer

            if failure := _failure(call):
                wrong[kind] = failure
    assert not wrong, "\n".join(f"{kind}: {failure}" for kind, failure in wrong.items())


OPENING = [name for name in inspect.signature(SearchClient).parameters if name != "db"]


@pytest.mark.parametrize("argument", ["db", *OPENING, "capacity"])
def test_whatever_a_client_is_opened_with_it_opens_or_ends_in_an_error_of_semblants(db: Path, argument: str) -> None:
    wrong = {}
    for kind, make in NASTY.items():

        def call(make: Callable[[], Any] = make) -> None:
            arguments: dict[str, Any] = {"db": db, argument: make()}
            if argument == "capacity":
                AsyncSearchClient(**arguments)
                return
            with SearchClient(**arguments) as client:
                client.embed([])

        if failure := _failure(call):
            wrong[kind] = failure
    assert not wrong, "\n".join(f"{kind}: {failure}" for kind, failure in wrong.items())


@pytest.mark.parametrize("argument", OPENING)
def test_settings_beside_an_open_client_are_refused_whatever_they_are(client: SearchClient, argument: str) -> None:
    defaults = inspect.signature(SearchClient).parameters
    for make in (make for kind, make in NASTY.items() if kind != "none" or defaults[argument].default is not None):
        with pytest.raises(SemblantError, match="give it alone"):
            AsyncSearchClient(client, **{argument: make()})


@pytest.mark.parametrize("argument", list(inspect.signature(RetryPolicy).parameters))
def test_a_retry_policy_of_whatever_is_a_policy_or_an_error_of_semblants(argument: str) -> None:
    wrong = {
        kind: failure
        for kind, make in NASTY.items()
        if (failure := _failure(lambda make=make: RetryPolicy(**{argument: make()}).wait(1, None)))  # type: ignore[misc]
    }
    assert not wrong, "\n".join(f"{kind}: {failure}" for kind, failure in wrong.items())
