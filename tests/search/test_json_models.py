"""Files of JSON that are cut short, made up, or another program's: each is an error of Semblant's that names file and field."""

from __future__ import annotations

import copy
import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import semblant_search
from hypothesis import given, settings
from hypothesis import strategies as st
from semblant_search import EncoderCard, Fit, Manifest
from semblant_search.collection import StorageOptions
from semblant_search.errors import EncoderError, InvalidInput, NotADatabase, SemblantError, StoreError
from semblant_search.json_models import write_model
from semblant_search.orb import Calibration, OrbSettings
from support.examples import examples
from support.golden import GOLDEN
from support.interpreters import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALIBRATION = json.loads((GOLDEN / "calibration-3.json").read_bytes())
CARD = json.loads((GOLDEN / "card.json").read_bytes())
MANIFEST = json.loads((GOLDEN / "manifest.json").read_bytes())
READERS: dict[str, tuple[Any, Callable[[Any], object], tuple[type[SemblantError], ...]]] = {
    "manifest": (MANIFEST, Manifest.from_json, (NotADatabase, EncoderError)),
    "card": (CARD, EncoderCard.from_json, (EncoderError,)),
    "fit": (CARD["fit"], Fit.from_json, (InvalidInput,)),
    "storage": (MANIFEST["storage"], StorageOptions.from_json, (InvalidInput,)),
    "settings": (MANIFEST["orb"]["settings"], OrbSettings.from_json, (InvalidInput,)),
    "calibration": (CALIBRATION, lambda data: Calibration.from_bytes(json.dumps(data).encode()), (StoreError,)),
}
MAY_BE_MISSING = {"training", "quality", "cells", "storage", "orb", "settings", "vocabulary", "thumbnail", "least_side"}
MAY_BE_MISSING |= {"shards", "replicas", "write_consistency"}
FREE = {"training", "quality", "settings"}
"""Facts for people, or read apart."""
NONSENSE: list[Any] = [None, True, -1, 0, 3.5, 1e308, 10**400, "", "x", [], [1], {}, {"a": {}}, [[[]]], float("nan")]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*path, key)
            if key not in FREE:
                yield from places(value, (*path, key))


def changed(data: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    whole = copy.deepcopy(data)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return whole


@pytest.mark.parametrize("name", READERS)
def test_what_was_written_is_read(name: str) -> None:
    data, read, _ = READERS[name]
    value: Any = read(data)
    written = json.loads(value.to_bytes()) if name == "calibration" else value.to_json()
    assert json.dumps(written) == json.dumps(data)
    if name != "settings":
        assert read({**data, "unknown": 1}) == value


@pytest.mark.parametrize("name", READERS)
def test_a_fact_that_is_missing_is_named(name: str) -> None:
    data, read, errors = READERS[name]
    for path in places(data):
        if name == "manifest" and path[0] == "fields" and len(path) > 1:
            continue  # any fields
        without = changed(data, path, lambda inner, key: inner.pop(key))
        if path[-1] in MAY_BE_MISSING:
            read(without)
            continue
        with pytest.raises(errors) as caught:
            read(without)
        said = str(caught.value)
        assert path[-1] in said or path[-1] in ("format", "format_version"), (path, said)
        assert "KeyError" not in said


@pytest.mark.parametrize("name", READERS)
def test_a_fact_of_another_kind_is_an_error_or_none_that_matters(name: str) -> None:
    data, read, errors = READERS[name]
    refused = 0
    for path in places(data):
        for nonsense in NONSENSE:
            try:
                read(changed(data, path, lambda inner, key: inner.__setitem__(key, nonsense)))  # noqa: B023
            except errors:
                refused += 1
    assert refused > 2 * len(list(places(data)))
    for nonsense in NONSENSE:
        if not (name == "settings" and nonsense == {}):
            with pytest.raises(errors):
                read(nonsense)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(300))
@given(st.data())
def test_whatever_stands_in_place_of_a_fact_no_other_exception_comes_out(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(READERS)))
    facts, read, errors = READERS[name]
    path = data.draw(st.sampled_from(list(places(facts))))
    value = data.draw(JSON)
    with suppress(*errors):
        read(changed(facts, path, lambda inner, key: inner.__setitem__(key, value)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged (not JSON"),
        (b"\xff\xfe{}", "damaged (not JSON"),
        (b"{", "damaged (not JSON"),
        (b'{"format_version": ' + b"1" * 5000 + b"}", "damaged (not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"[]", "not a JSON object, but list"),
        (b"null", "not a JSON object, but NoneType"),
        (b"3", "not a JSON object, but int"),
        (b"{}", "format version None"),
    ],
    ids=range(10),
)
def test_a_file_that_is_no_manifest_is_named(content: bytes, words: str) -> None:
    with pytest.raises(NotADatabase) as caught:
        Manifest.from_bytes(content, "'db/manifest.json'")
    assert words in str(caught.value)
    assert "'db/manifest.json'" in str(caught.value)
    if content != b"{}":
        with pytest.raises(StoreError, match=r"calibration\.json"):
            Calibration.from_bytes(content)


def test_facts_nested_beyond_reason_are_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    for facts in ({**MANIFEST, "orb": deep}, {**MANIFEST, "fields": deep}, {**MANIFEST, "storage": deep}):
        with pytest.raises(NotADatabase):
            Manifest.from_json(facts)


def test_a_manifest_s_bytes_are_its_json() -> None:
    manifest = Manifest.from_json(MANIFEST)
    assert Manifest.from_bytes(manifest.to_bytes(), "x") == manifest
    assert "größe" in manifest.to_bytes().decode()
    card = replace(manifest.encoder, training={"losses": [float("nan"), float("inf")], "size": (1, 2)})
    again = Manifest.from_bytes(replace(manifest, encoder=card).to_bytes(), "x")
    assert str(again.encoder.training) == "{'losses': [nan, inf], 'size': [1, 2]}"
    assert write_model(card)["training"]["size"] == [1, 2]


def test_sizes_that_no_vector_has_are_refused() -> None:
    for key, value in [("dim", 0), ("dim", 10**9), ("cells", [0, 16]), ("cells", [49, 10**9])]:
        with pytest.raises(EncoderError, match=f"{key}.*expected 1 to 65,536"):
            EncoderCard.from_json({**CARD, key: value})
    for size in (0, 37, 10**9):
        with pytest.raises(NotADatabase, match="expected a multiple of 4"):
            Manifest.from_json({**MANIFEST, "orb": {**MANIFEST["orb"], "feature_bytes": size}})


def test_importing_the_package_loads_next_to_nothing() -> None:
    package = Path(semblant_search.__file__).parents[1]
    loaded = f"import sys; sys.path.append({str(package)!r}); before = set(sys.modules); import semblant_search; "
    new = call(sys.executable, "-I", "-S", "-c", loaded + "print(*sorted(set(sys.modules) - before))").split()
    assert set(new) <= {
        "__future__",
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "semblant_search",
        "warnings",
    }
    assert (
        call(sys.executable, "-c", "import sys, semblant_search.collection; print('msgspec' in sys.modules)").strip() == "False"
    )
