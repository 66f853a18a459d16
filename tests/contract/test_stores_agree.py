"""Both stores, and what the documentation of filters says, give the same answers.

The embedded engine is compared with qdrant-client's local mode, always, and with a real server where QDRANT_URL names one.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import random
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient
from semblant_search.collection import RESERVED_FIELDS, FieldType, Manifest, StorageOptions, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.errors import CollectionNotFound, InvalidInput, MetadataError, PointNotFound, StoreError, WhereError
from semblant_search.images import Fit
from semblant_search.orb import FEATURE_BYTES, Features, pack, unpack, unpack_thumbnail
from semblant_search.store import OrderBy, Point, SparseVector, Store, open_database
from semblant_search.store.engines.qdrant.server import QdrantDatabase
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
    Within,
    parse_where,
)
from semblant_search.where.values import parse_time
from support.asking import request_for
from support.examples import examples
from support.servers import REAL, knows, own_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Database

# Local mode has no index, so that `exact` and `ef_search` mean nothing to it.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")

DIM, WIDTH, COUNT = 16, 12, 160
FIELDS = {
    **RESERVED_FIELDS,
    "label": FieldType.KEYWORD,
    "price": FieldType.FLOAT,
    "stock": FieldType.INTEGER,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "camera.model": FieldType.KEYWORD,
    "tags": FieldType.KEYWORD,
    "odd name": FieldType.INTEGER,
    "größe": FieldType.KEYWORD,
    "gps": FieldType.GEO,
}
SERVERS = ["local", REAL]


def manifest(collection: str = "images", generation: str = "g0001", **changes: Any) -> Manifest:
    card = EncoderCard("test", "test", Fit(4, 4, 1), DIM, "none", training={"loss": 0.25}, cells=(2, 3))
    facts = {"fields": FIELDS, "orb": {"feature_bytes": WIDTH, "vocabulary": "x"}, "created_at": "2024-01-01T00:00:00Z"}
    return Manifest(collection, generation, "f" * 64, card, **{**facts, **changes})


def small(collection: str, generation: str = "g0001", **changes: Any) -> Manifest:
    """With few payload indexes: making one takes a tenth of a second."""
    return manifest(collection, generation, **{"fields": {"label": FieldType.KEYWORD, "price": FieldType.FLOAT}, **changes})


def make_payload(number: int, rng: random.Random) -> dict[str, Any]:
    """Every field is sometimes missing, null, empty or a list."""
    values: dict[str, list[Any]] = {
        "label": ["Sneaker", "Sandal", "sneaker", "", "Ankle boot", "T-shirt/top", "été", ["Bag", "Sneaker"], [], None],
        "price": [3, 3.0, 3.5, -2, 1e9, 99.99, [1, 50.5], None, []],
        "stock": [0, 1, 2, 3, 2**53 + 1, -7, [2, 9], None],
        "on_sale": [True, False, None, [True, False]],
        "taken": [
            "2024-05-01",
            "2024-05-01T23:59:59Z",
            "2024-05-02T00:00:00Z",
            "2024-05-01T23:30:00-01:00",
            "2023-12-31T12:00:00.250Z",
            ["2020-01-01", "2024-05-01T10:00:00"],
            None,
        ],
        "tags": [["red", "blue"], ["dark red"], [], "red", None],
        "odd name": [1, 2],
        "größe": ["XL", "M"],
    }
    payload = {name: rng.choice(options) for name, options in values.items() if rng.random() < 0.85}
    if rng.random() < 0.7:
        payload["camera"] = rng.choice([{"model": "X100"}, {"model": "Z 5", "iso": 100}, {"iso": 3200, "model": None}, {}])
    if rng.random() < 0.5:
        # Edge reads a double of 17 digits back with its last bit changed; GPS devices know six decimals.
        payload["gps"] = {"lon": round(rng.uniform(-180, 180), 6), "lat": round(rng.uniform(-90, 90), 6)}
    uri = f"file:///{number}.png"
    return {**payload, "_uri": uri, "_width": 10 + number % 7, "_indexed_at": f"2024-01-{1 + number % 28:02d}T00:00:00Z"}


def make_points() -> list[Point]:
    rng, dice = np.random.default_rng(7), random.Random(7)
    points = []
    for number in range(COUNT):
        image = rng.normal(size=DIM).astype(np.float32)
        words = np.sort(rng.choice(40, size=6, replace=False)).astype(np.uint32)
        featured = number % 5 != 0
        points.append(
            Point(
                id=point_id(f"file:///{number}.png"),
                image=image / np.linalg.norm(image),
                payload=make_payload(number, dice),
                orb=SparseVector(words, rng.uniform(0.1, 2, size=6).astype(np.float32)) if featured else None,
                features=rng.normal(size=(1 + number % 4, WIDTH // 4)).astype(np.float32).view(np.uint8) if featured else None,
                cells=rng.normal(size=(2, 3)).astype(np.float32) if number % 2 else None,
            )
        )
    return points


POINTS = make_points()
PAYLOADS = {point.id: point.payload for point in POINTS}


def open_server(kind: str) -> QdrantDatabase:
    if kind == "local":
        return QdrantDatabase(client=QdrantClient(":memory:"))
    return QdrantDatabase(os.environ["QDRANT_URL"], api_key=os.environ.get("QDRANT_API_KEY"))


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    database = open_database(tmp_path_factory.mktemp("edge") / "db", create=True)
    store = database.create(manifest())
    store.upsert(POINTS)
    store.optimize()
    yield store
    store.close()


@pytest.fixture(scope="module", params=SERVERS)
def other(request: pytest.FixtureRequest) -> Iterator[Store]:
    with closing(open_server(request.param)) as database, own_name(database.location) as name:
        store = database.create(manifest(name))
        store.upsert(POINTS)
        store.optimize()
        yield store


@pytest.fixture(params=["edge", *SERVERS])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    opened: Database = open_database(tmp_path / "db", create=True) if request.param == "edge" else open_server(request.param)
    yield opened
    opened.close()


@pytest.fixture
def name(database: Database) -> Iterator[str]:
    """A collection name that is free, also on a server that is shared; what was made under it goes away again."""
    with own_name(database.location) as name:
        yield name


# What the documentation says, word for word, as plain Python over one payload.


def values_of(payload: dict[str, Any], name: str) -> list[Any]:
    value: Any = payload
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return [item for item in (value if isinstance(value, list) else [value]) if item is not None]


def instant(value: Any) -> dt.datetime | None:
    time = parse_time(value) if isinstance(value, str) else None
    return time if isinstance(time, dt.datetime) or time is None else dt.datetime.combine(time, dt.time(), dt.timezone.utc)


def equal(item: Any, value: Any, kind: FieldType) -> bool:
    if kind is FieldType.DATETIME:
        wanted = parse_time(value) if isinstance(value, str) else value
        moment = instant(item)
        return moment is not None and (moment.date() if not isinstance(wanted, dt.datetime) else moment) == wanted
    return isinstance(item, bool) == isinstance(value, bool) and item == value


def within(item: Any, where: Range, kind: FieldType) -> bool:
    def holds(bound: str, value: Any) -> bool:
        if value is None:
            return True
        if kind is FieldType.DATETIME:
            wanted = parse_time(value) if isinstance(value, str) else value
            moment = instant(item)
            if moment is None:
                return False
            left: Any = moment if isinstance(wanted, dt.datetime) else moment.date()
            right: Any = wanted
        elif isinstance(item, bool) or not isinstance(item, (int, float)):
            return False
        else:
            left, right = item, value
        return bool({"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[bound])

    return all(holds(bound, getattr(where, bound)) for bound in ("gt", "gte", "lt", "lte"))


def inside(item: Any, where: Within) -> bool:
    lat, lon = item["lat"], item["lon"]
    along = where.west <= lon <= where.east if where.west <= where.east else lon >= where.west or lon <= where.east
    return bool(where.south <= lat <= where.north and along)


def matches(where: Where, payload: dict[str, Any]) -> bool:
    if isinstance(where, And):
        return all(matches(term, payload) for term in where.terms)
    if isinstance(where, Or):
        return any(matches(term, payload) for term in where.terms)
    if isinstance(where, Not):
        return not matches(where.term, payload)
    assert isinstance(where, (Equals, Range, OneOf, Exists, StartsWith, Contains, Within))
    items, kind = values_of(payload, where.name), FIELDS.get(where.name, FieldType.KEYWORD)
    if isinstance(where, Within):
        return any(inside(item, where) for item in items)
    if isinstance(where, Equals):
        return any(equal(item, where.value, kind) for item in items)
    if isinstance(where, OneOf):
        return any(equal(item, value, kind) for item in items for value in where.values)
    if isinstance(where, Range):
        return any(within(item, where, kind) for item in items)
    if isinstance(where, Exists):
        return bool(items)
    texts = [item for item in items if isinstance(item, str)]
    return any(text.startswith(where.text) if isinstance(where, StartsWith) else where.text in text for text in texts)


DAYS = st.one_of(
    st.sampled_from(
        ["2024-05-01", "2024-05-02", "2020-01-01", "2024-05-01T23:59:59Z", "2024-05-02T00:30:00Z", "2024-05-01 10:00:00"]
    ),
    st.dates(dt.date(2023, 12, 30), dt.date(2024, 5, 3)),
    st.sampled_from([dt.date.min, dt.date.max]),
    st.datetimes(dt.datetime(2024, 4, 30), dt.datetime(2024, 5, 3), timezones=st.just(dt.timezone.utc)),
)
FLOATS = st.one_of(st.sampled_from([3, 3.0, 3.5, -2, 1e9, 99.99, 50.5]), st.floats(-10, 100), st.integers(-10, 100))
WORDS = ["Sneaker", "sneaker", "Sandal", "Bag", "", "S", "a", "red", "X100", "Z 5", "été", "XL", "T-shirt/top"]
TYPED: dict[str, st.SearchStrategy[Any]] = {
    "price": FLOATS,
    "stock": st.one_of(st.integers(-8, 10), st.sampled_from([2.0, 2.5])),
    "odd name": st.integers(0, 3),
    "_width": st.integers(9, 17),
    "taken": DAYS,
    "_indexed_at": DAYS,
    "on_sale": st.booleans(),
    **dict.fromkeys(("label", "tags", "camera.model", "größe"), st.sampled_from(WORDS)),
}
SUBSTRINGS = knows((1, 20))
"""Older servers refuse to filter by a part of a text."""
TEXTS = ["label", "tags", "camera.model", "größe"]
ORDERED = ["price", "stock", "odd name", "_width", "taken", "_indexed_at"]


def leaf(name: str) -> st.SearchStrategy[Where]:
    values = TYPED[name]
    kinds: list[st.SearchStrategy[Where]] = [
        values.map(lambda value: Equals(name, value)),
        st.lists(values, max_size=3).map(lambda chosen: OneOf(name, tuple(chosen))),
        st.just(Exists(name)),
    ]
    if name in TEXTS:
        kinds.append(values.map(lambda text: StartsWith(name, text)))
        if SUBSTRINGS:
            kinds.append(values.map(lambda text: Contains(name, text)))
    if name in ORDERED:
        kinds.append(
            st.builds(lambda bound, value: Range(name, **{bound: value}), st.sampled_from(["gt", "gte", "lt", "lte"]), values)
        )
        bounds = st.tuples(st.sampled_from(["gt", "gte"]), st.sampled_from(["lt", "lte"]))
        kinds.append(st.builds(lambda ends, low, high: Range(name, **{ends[0]: low, ends[1]: high}), bounds, values, values))
    return st.one_of(kinds)


PLACES = [payload["gps"] for payload in PAYLOADS.values() if "gps" in payload]
RECTANGLES = st.builds(
    lambda lats, west, east: Within("gps", min(lats), west, max(lats), east),
    st.tuples(*[st.one_of(st.sampled_from([place["lat"] for place in PLACES]), st.integers(-90, 90))] * 2),
    *[st.one_of(st.sampled_from([place["lon"] for place in PLACES]), st.integers(-180, 180))] * 2,
)
FILTERS = st.recursive(
    st.one_of(st.sampled_from(sorted(TYPED)).flatmap(leaf), RECTANGLES),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: And(tuple(terms))),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: Or(tuple(terms))),
        inner.map(lambda term: ~term),
    ),
    max_leaves=6,
)


@settings(max_examples=examples(200))
@given(where=FILTERS)
def test_filters_choose_what_the_documentation_says_on_every_store(edge: Store, other: Store, where: Where) -> None:
    expected = sorted(id for id, payload in PAYLOADS.items() if matches(where, dict(payload)))
    assert [record.id for record in edge.scroll(where=where, fields=[])] == expected
    assert [record.id for record in other.scroll(where=where, fields=[], batch=50)] == expected
    assert edge.count(where) == other.count(where) == len(expected)


def kilometres(one: dict[str, float], lat: float, lon: float) -> float:
    """Along a globe, by the haversine formula."""
    low, high = math.radians(one["lat"]), math.radians(lat)
    across, up = math.radians(lon - one["lon"]) / 2, (high - low) / 2
    return 2 * 6371.0 * math.asin(math.sqrt(math.sin(up) ** 2 + math.cos(low) * math.cos(high) * math.sin(across) ** 2))


@pytest.mark.parametrize(
    ("lat", "lon", "km"), [(52.5, 13.4, 2500), (0, 179, 3000), (-80, 0, 4000), (10, 10, 20_000), (60, -30, 100)]
)
def test_what_is_near_is_told_along_the_globe(edge: Store, other: Store, lat: float, lon: float, km: float) -> None:
    away = {id: kilometres(payload["gps"], lat, lon) for id, payload in PAYLOADS.items() if "gps" in payload}
    assert all(abs(far / km - 1) > 1e-3 for far in away.values()), "nothing lies where globes of other radii differ"
    expected = sorted(id for id, far in away.items() if far < km)
    for store in (edge, other):
        assert [record.id for record in store.scroll(where=F("gps").near(lat, lon, km), fields=[])] == expected


@pytest.mark.parametrize(
    ("west", "east", "expected"),
    [(-180, 180, "abcd"), (170, 180, "b"), (-180, -170, "a"), (170, -170, "ab"), (180, -180, "ab"), (0, 0, "c"), (12, 13, "d")],
)
def test_the_meridian_where_degrees_begin_is_no_edge(
    database: Database, name: str, west: float, east: float, expected: str
) -> None:
    places = {"a": -180, "b": 180, "c": 0, "d": 12.25}
    payloads = [{"_uri": one, "gps": {"lat": 5.0, "lon": lon}} for one, lon in places.items()]
    with closing(database.create(small(name, fields={"gps": FieldType.GEO}))) as store:
        store.upsert([Point(point_id(f"file:///{payload['_uri']}"), POINTS[0].image, payload) for payload in payloads])
        found = store.scroll(where=F("gps").within(5, west, 5, east))
        assert "".join(sorted(record.payload["_uri"] for record in found)) == expected
        assert store.count(F("gps").within(-90, west, 90, east)) == len(expected)


@settings(max_examples=examples(60))
@given(
    where=st.one_of(st.none(), FILTERS),
    seed=st.integers(0, 1000),
    limit=st.integers(1, 200),
    offset=st.integers(0, 20),
    threshold=st.sampled_from([None, 0.0, 0.2]),
    fields=st.sampled_from([None, [], ["label", "camera.model", "odd name"]]),
)
def test_nearest_neighbours_are_the_same_on_every_store(
    edge: Store,
    other: Store,
    where: Where | None,
    seed: int,
    limit: int,
    offset: int,
    threshold: float | None,
    fields: list[str] | None,
) -> None:
    vector = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    query = request_for(vector, limit, offset, where, fields, exact=True, score_threshold=threshold)
    hits, others = edge.query(query), other.query(query)
    assert [hit.id for hit in hits] == [hit.id for hit in others]
    np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in others], atol=1e-5)
    assert [hit.payload for hit in hits] == [hit.payload for hit in others]
    stored = {point.id: point.image for point in POINTS}
    cosines = [float(stored[hit.id] @ vector / np.linalg.norm(vector)) for hit in hits]
    np.testing.assert_allclose([hit.score for hit in hits], cosines, atol=1e-5)
    assert all(where is None or matches(where, dict(PAYLOADS[hit.id])) for hit in hits)


@settings(max_examples=examples(40))
@given(where=st.one_of(st.none(), FILTERS), seed=st.integers(0, 1000), limit=st.integers(1, 200))
def test_visual_words_score_the_same_on_every_store(
    edge: Store, other: Store, where: Where | None, seed: int, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    words = np.sort(rng.choice(50, size=5, replace=False)).astype(np.uint32)
    query = request_for(SparseVector(words, rng.uniform(0.1, 2, size=5).astype(np.float32)), limit, where=where, fields=[])
    hits, others = edge.query(query), other.query(query)
    assert len(hits) == len(others)
    np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in others], rtol=1e-4)
    # Equal scores may come in any order.
    scores, other_scores = ({hit.id: round(hit.score, 3) for hit in answer} for answer in (hits, others))
    last = min(scores.values(), default=0.0)
    assert {id for id, score in scores.items() if score > last} == {id for id, score in other_scores.items() if score > last}


@settings(max_examples=examples(40))
@given(
    where=st.one_of(st.none(), FILTERS),
    seed=st.integers(0, 1000),
    limit=st.integers(1, 200),
    threshold=st.sampled_from([None, 0.0, 0.6]),
)
def test_cells_score_by_the_mean_of_their_best_cosines_on_every_store(
    edge: Store, other: Store, where: Where | None, seed: int, limit: int, threshold: float | None
) -> None:
    rng = np.random.default_rng(seed)
    asked = rng.normal(size=(1 + seed % 3, 3)).astype(np.float32)
    expected = {}
    for point in POINTS:
        if point.cells is not None and (where is None or matches(where, dict(PAYLOADS[point.id]))):
            cosines = (asked @ point.cells.T) / np.linalg.norm(asked, axis=1)[:, None] / np.linalg.norm(point.cells, axis=1)
            expected[point.id] = float(cosines.max(axis=1).mean())
    ranked = sorted((score for score in expected.values() if threshold is None or score >= threshold), reverse=True)[:limit]
    for store in (edge, other):
        query = request_for(asked, limit, where=where, fields=[], score_threshold=threshold)
        for hits in (store.query(query), store.query_batch([query])[0]):
            np.testing.assert_allclose([hit.score for hit in hits], ranked, atol=1e-5)
            np.testing.assert_allclose([expected[hit.id] for hit in hits], ranked, atol=1e-5)


def test_a_batch_of_queries_answers_as_the_single_ones_do(edge: Store, other: Store) -> None:
    rng = np.random.default_rng(3)
    queries = [
        request_for(rng.normal(size=DIM).astype(np.float32), 5, exact=True, where=F("stock") >= 0, fields=["label"]),
        request_for(SparseVector(np.array([1, 2, 3], np.uint32), np.ones(3, np.float32)), 3),
        request_for(rng.normal(size=DIM).astype(np.float32), 7, ef_search=64),
    ]
    for store in (edge, other):
        assert [[hit.id for hit in hits] for hits in store.query_batch(queries)] == [
            [hit.id for hit in store.query(query)] for query in queries
        ]
        assert store.query_batch([]) == []


@pytest.mark.parametrize("field", ["label", "stock", "on_sale", "price", "tags", "camera.model", "odd name", "größe", "_uri"])
@pytest.mark.parametrize("where", [None, F("price") < 50, F("label") == "no such label"])
def test_facets_count_the_same_in_the_same_order(edge: Store, other: Store, field: str, where: Where | None) -> None:
    expected: dict[Any, int] = {}
    for payload in PAYLOADS.values():
        if where is None or matches(where, dict(payload)):
            for value in set(values_of(dict(payload), field)):
                expected[value] = expected.get(value, 0) + 1
    ordered = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    for limit in (1, 3, 1000):
        assert list(edge.facet(field, where=where, limit=limit).items()) == ordered[:limit]
        assert list(other.facet(field, where=where, limit=limit).items()) == ordered[:limit]


def test_a_value_that_no_picture_has_any_more_is_no_facet(database: Database, name: str) -> None:
    store = database.create(small(name))
    labels = ["gone", "changed", "kept", "kept"]
    store.upsert([Point(point.id, point.image, {"label": label}) for point, label in zip(POINTS, labels, strict=False)])
    store.delete([POINTS[0].id])
    store.set_payloads({POINTS[1].id: {"label": "kept"}})
    assert store.facet("label") == {"kept": 3}
    store.optimize()
    assert store.facet("label") == {"kept": 3}
    assert store.facet("label", where=F("label") == "gone") == {}
    store.close()


@pytest.mark.parametrize("level", [0, 127, 128, 254, 255, None])
def test_thumbnails_behind_features_are_numbers_to_every_engine(database: Database, name: str, level: int | None) -> None:
    """Each four bytes are kept as one float32, of which none may be NaN or infinite."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (43, 64), dtype=np.uint8) if level is None else np.full((43, 64), level, np.uint8)
    features = Features(rng.uniform(4, 480, (9, 4)).astype(np.float32), rng.integers(0, 256, (9, 32), dtype=np.uint8))
    packed = pack(features, pixels)
    facts = manifest(name, orb={"feature_bytes": FEATURE_BYTES, "vocabulary": "x"}, fields={"label": FieldType.KEYWORD})
    with closing(database.create(facts)) as store:
        store.upsert(
            [Point(POINTS[0].id, POINTS[0].image, {}, SparseVector(np.array([1], np.uint32), np.ones(1, np.float32)), packed)]
        )
        (record,) = store.retrieve([POINTS[0].id], with_features=True)
    assert record.features is not None
    assert record.features.tobytes() == packed.tobytes()
    np.testing.assert_array_equal(unpack_thumbnail(record.features), pixels | 1)
    assert unpack(record.features).descriptors.tobytes() == unpack(pack(features)).descriptors.tobytes()


def test_records_come_back_as_they_were_written(edge: Store, other: Store) -> None:
    ids = [point.id for point in POINTS]
    for store in (edge, other):
        found = {
            record.id: record
            for record in store.retrieve(
                [*ids, point_id("no such picture")], with_image=True, with_features=True, with_cells=True
            )
        }
        assert found.keys() == set(ids)
        for point in POINTS:
            record = found[point.id]
            assert record.payload == point.payload
            assert record.image is not None
            np.testing.assert_allclose(record.image, point.image, atol=1e-6)
            if point.features is None:
                assert record.features is None
            else:
                assert record.features is not None
                assert record.features.dtype == np.uint8
                assert record.features.tobytes() == point.features.tobytes()
            if point.cells is None:
                assert record.cells is None
            else:
                unit = point.cells / np.linalg.norm(point.cells, axis=1, keepdims=True)
                np.testing.assert_allclose(record.cells, unit, atol=1e-6)  # type: ignore[arg-type]
        plain = store.retrieve(ids[:1])[0]
        assert plain.image is None
        assert plain.features is None
        assert plain.cells is None
        assert store.retrieve([]) == []


def test_scrolling_goes_through_everything_once_in_the_order_of_ids(edge: Store, other: Store) -> None:
    for store in (edge, other):
        records = list(store.scroll(batch=37, with_image=True, fields=["_uri"]))
        assert [record.id for record in records] == sorted(PAYLOADS)
        assert all(record.image is not None and list(record.payload) == ["_uri"] for record in records)


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ("lable == 'x'", 0, "did you mean label"),
        ("Price < 3", 0, "did you mean price"),
        ("on_sale and camera.modell == 'x'", 12, "camera.model"),
        ("label < 'x'", 8, "no order"),
        ("label == 3", 9, "quotes"),
        ("label", 0, "quotes"),
        ("price == 'cheap'", 9, "without quotes"),
        ("price < '3'", 8, "without quotes"),
        ("price in [1, 'x']", 9, "without quotes"),
        ("stock == true", 9, "without quotes"),
        ("on_sale == 1", 11, "true"),
        ("taken < 2024", 8, "2024-05-01"),
        ("taken == 'yesterday'", 9, "ISO 8601"),
        ("1 < taken < '2024-01-01'", 0, "one bound is a number"),
        ("startswith(price, '3')", 11, "text"),
        ("contains(taken, '2024')", 9, "text"),
        ("gps == 'here'", 7, "within(gps"),
    ],
)
def test_filters_that_do_not_fit_the_fields_point_at_the_problem(
    edge: Store, other: Store, expression: str, column: int, words: str
) -> None:
    asks: list[Callable[[Store, Where], object]] = [
        lambda store, where: store.count(where),
        lambda store, where: store.scroll(where=where),
        lambda store, where: store.query(request_for(POINTS[0].image, 1, where=where)),
    ]
    for store in (edge, other):
        for ask in asks:
            with pytest.raises(WhereError) as caught:
                ask(store, parse_where(expression))
            assert words in str(caught.value)
            assert caught.value.column == column


def test_keys_below_a_known_field_may_hold_anything(edge: Store, other: Store) -> None:
    cases: list[tuple[Where, int]] = [
        (F("gps.lat") > 0, sum(payload.get("gps", {}).get("lat", -1) > 0 for payload in PAYLOADS.values())),
        (F("gps.lat").exists(), sum("gps" in payload for payload in PAYLOADS.values())),
        (F("gps.note") == "x", 0),
        (F("gps.note").in_(["x", 1, 2.5, True]), 0),
    ]
    for where, expected in cases:
        assert edge.count(where) == other.count(where) == expected


def test_bad_arguments_are_refused_alike(edge: Store, other: Store) -> None:
    image = POINTS[0].image
    sparse = SparseVector(np.array([1, 1], np.uint32), np.ones(2, np.float32))
    for store in (edge, other):
        before = store.count()
        for query in (
            request_for(image, 0),
            request_for(image, 1, offset=-1),
            request_for(image, 1, ef_search=0),
            request_for(image[:5], 1),
            request_for(image[None], 1),
            request_for(np.empty((0, 3), np.float32), 1),
            request_for(np.full((2, 3), np.nan, np.float32), 1),
            request_for(image * np.nan, 1),
            request_for(sparse, 1),
        ):
            with pytest.raises(InvalidInput):
                store.query(query)
        for point in (
            Point("not-a-uuid", image, {}),
            Point(POINTS[0].id, image[:3], {}),
            Point(POINTS[0].id, image * np.inf, {}),
            Point(POINTS[0].id, image, {"a": float("nan")}),
            Point(POINTS[0].id, image, {"a": object()}),
            Point(POINTS[0].id, image, {}, features=np.zeros((2, WIDTH + 1), np.uint8)),
            Point(POINTS[0].id, image, {}, features=np.full((2, WIDTH), 255, np.uint8)),
            Point(POINTS[0].id, image, {}, orb=sparse),
        ):
            with pytest.raises(InvalidInput):
                store.upsert([POINTS[1], point])
        for field, limit in (("lable", 10), ("label", 0), ("gps", 10)):
            with pytest.raises(InvalidInput):
                store.facet(field, limit=limit)
        with pytest.raises(InvalidInput):
            store.retrieve(["17"])
        with pytest.raises(InvalidInput):
            store.put_asset("../escape", b"")
        with pytest.raises(PointNotFound):
            store.set_payloads({point_id("no such picture"): {}})
        assert store.count() == before
        assert len(store.query(request_for(image, 10**12, fields=[], exact=True))) == COUNT


def test_writing_replaces_deletes_and_keeps_vectors(database: Database, name: str) -> None:
    store = database.create(small(name))
    first, second = POINTS[1], POINTS[2]
    store.upsert([])
    store.upsert([first, second])
    store.upsert([Point(first.id, second.image, {"label": "new"})])
    record = store.retrieve([first.id], with_image=True, with_features=True)[0]
    assert record.payload == {"label": "new"}
    assert record.features is None
    assert record.image is not None
    np.testing.assert_allclose(record.image, second.image, atol=1e-6)

    store.set_payloads({})
    store.set_payloads({second.id: {"price": 5}, first.id: {"label": "newer"}})
    assert store.retrieve([first.id])[0].payload == {"label": "newer"}
    record = store.retrieve([second.id], with_features=True)[0]
    assert record.payload == {"price": 5}
    assert record.features is not None
    assert second.features is not None
    assert record.features.tobytes() == second.features.tobytes()
    assert store.count(F("price") == 5) == 1
    assert store.count(F("label").exists()) == 1

    store.delete([first.id, point_id("no such picture")])
    store.delete([])
    assert [record.id for record in store.scroll()] == [second.id]
    assert store.query(request_for(second.image, 10, exact=True))[0].id == second.id
    store.close()


def test_a_field_of_whole_numbers_becomes_one_of_floats_in_place(database: Database, name: str) -> None:
    store = database.create(small(name, fields={"stock": FieldType.INTEGER}))
    one, other, third = (replace(point, payload={}) for point in POINTS[:3])
    store.upsert([replace(one, payload={"stock": 60}), replace(other, payload={"stock": 7})])
    assert store.count(F("stock") == 60) == 1
    store.add_fields({"stock": FieldType.FLOAT})
    store.upsert([replace(third, payload={"stock": 59.9})])
    assert store.manifest.fields["stock"] is FieldType.FLOAT
    store.close()
    again = database.open(name, "g0001")
    assert again.manifest.fields["stock"] is FieldType.FLOAT
    assert [again.count(F("stock") == value) for value in (60, 59.9, 7, 8)] == [1, 1, 1, 0]
    assert [again.count(F("stock") > value) for value in (59.8, 59.95, 6.5)] == [2, 1, 3]
    assert [record.payload["stock"] for record in again.scroll(order_by=OrderBy("stock"))] == [7, 59.9, 60]
    assert again.facet("stock") == {7: 1, 59.9: 1, 60: 1}
    again.add_fields({"stock": FieldType.INTEGER})
    assert again.manifest.fields["stock"] is FieldType.FLOAT
    again.optimize()
    assert again.count(F("stock") < 59.95) == 2
    again.close()


def test_a_field_of_any_type_becomes_one_of_text_in_place(database: Database, name: str) -> None:
    fields = {"stock": FieldType.FLOAT, "camera.iso": FieldType.INTEGER, "sold": FieldType.BOOL, "rest": FieldType.INTEGER}
    store = database.create(small(name, fields=fields))
    one, other, third = (replace(point, payload={}) for point in POINTS[:3])
    said = {"stock": [60.0, 59.9], "camera": {"iso": 100, "model": "X"}, "sold": True, "rest": 3}
    store.upsert([replace(one, payload=said), replace(other, payload={"rest": 4}), third])
    store.add_fields(dict.fromkeys(("stock", "camera.iso", "sold"), FieldType.KEYWORD))
    store.upsert([replace(third, payload={"stock": "sold out"})])
    store.close()
    again = database.open(name, "g0001")
    assert again.manifest.fields == {**dict.fromkeys(fields, FieldType.KEYWORD), "rest": FieldType.INTEGER}
    (record,) = again.retrieve([one.id], with_image=True)
    assert record.payload == {"stock": ["60.0", "59.9"], "camera": {"iso": "100", "model": "X"}, "sold": "true", "rest": 3}
    assert record.image is not None
    asked = [F("stock") == "59.9", F("stock") == "sold out", F("camera.iso") == "100", F("sold") == "true", F("rest") > 2]
    assert [again.count(where) for where in asked] == [1, 1, 1, 1, 2]
    assert again.facet("stock") == {"59.9": 1, "60.0": 1, "sold out": 1}
    again.optimize()
    assert again.count(F("stock") == "59.9") == 1
    again.close()


def test_fields_can_be_added_and_keep_their_type(database: Database, name: str) -> None:
    store = database.create(small(name, fields={}))
    store.upsert(POINTS)
    with pytest.raises(WhereError, match="unknown field"):
        store.count(F("price") < 3)
    store.add_fields({"price": FieldType.FLOAT})
    assert store.count(F("price") < 3) == sum(matches(F("price") < 3, dict(payload)) for payload in PAYLOADS.values())
    store.add_fields({"price": FieldType.FLOAT})
    with pytest.raises(MetadataError, match="price"):
        store.add_fields({"price": FieldType.BOOL})
    fields = store.manifest.fields
    store.close()
    again = database.open(name, "g0001")
    assert again.manifest.fields == fields
    assert again.manifest == small(name, fields={"price": FieldType.FLOAT})
    assert again.count(F("price") < 3) > 0
    again.close()


def test_assets_are_kept_whole(database: Database, name: str) -> None:
    store = database.create(small(name))
    assert store.asset("encoder.onnx") is None
    large = np.random.default_rng(0).bytes(9_000_001)
    for data in (b"first", large, b"", b"second"):
        store.put_asset("encoder.onnx", data)
        store.put_asset("vocabulary.npz", data[::-1])
        assert store.asset("encoder.onnx") == data
        assert store.asset("vocabulary.npz") == data[::-1]
    assert store.count() == 0
    store.close()
    again = database.open(name, "g0001")
    assert again.asset("encoder.onnx") == b"second"
    again.close()


def test_generations_are_built_beside_each_other_and_switched(database: Database, name: str) -> None:
    with pytest.raises(CollectionNotFound, match=name):
        database.open(name)
    assert database.generations(name) == []
    first = database.create(small(name))
    with pytest.raises(StoreError, match="already"):
        database.create(small(name))
    assert name not in database.collections()
    first.upsert(POINTS[:3])
    first.close()
    database.publish(name, "g0001")
    second = database.create(small(name, "g0002", orb=None))
    second.upsert([Point(point.id, point.image, point.payload) for point in POINTS[:7]])
    serving = database.open(name)
    assert (serving.manifest.generation, serving.count()) == ("g0001", 3)
    with pytest.raises(InvalidInput, match="ORB"):
        second.query(request_for(SparseVector(np.array([1], np.uint32), np.ones(1, np.float32)), 1))
    second.close()

    database.publish(name, "g0002")
    assert database.collections()[name] == "g0002"
    assert serving.count() == 3  # whoever has the old one open keeps it
    serving.close()
    serving = database.open(name)
    assert serving.count() == 7
    serving.close()
    database.publish(name, "g0001")
    assert database.collections()[name] == "g0001"
    assert database.generations(name) == ["g0001", "g0002"]
    with pytest.raises(StoreError, match="serving"):
        database.drop(name, "g0001")
    with pytest.raises(CollectionNotFound, match="g0009"):
        database.publish(name, "g0009")
    with pytest.raises(CollectionNotFound, match="g0001"):
        database.open(name, "g0009")
    database.drop(name, "g0002")
    database.drop(name, "g0002")
    assert database.generations(name) == ["g0001"]
    again = database.create(small(name, "g0002"))
    assert again.count() == 0
    again.close()


def test_a_closed_store_says_so(database: Database, name: str) -> None:
    store = database.create(small(name))
    store.upsert(POINTS[:2])
    pages = store.scroll(batch=1)
    next(pages)
    store.close()
    store.close()
    for use in (
        store.count,
        lambda: store.query(request_for(POINTS[0].image, 1)),
        lambda: store.upsert(POINTS[:1]),
        lambda: store.asset("encoder.onnx"),
        lambda: next(pages),
        store.optimize,
    ):
        with pytest.raises(StoreError, match="closed"):
            use()


@pytest.mark.parametrize("bad", ["", "a/b", "../x", "ä", "x" * 101])
def test_collection_names_that_could_escape_are_refused(database: Database, bad: str) -> None:
    for use in (database.open, database.generations, lambda name: database.create(small(name))):
        with pytest.raises(InvalidInput, match="collection name"):
            use(bad)
    with pytest.raises(InvalidInput, match="generation"):
        database.create(small("images", "../../x"))


@pytest.mark.parametrize(
    "storage", [StorageOptions("scalar", on_disk=True), StorageOptions("turbo"), StorageOptions("binary", on_disk=True)]
)
def test_quantized_collections_answer_with_true_cosines(database: Database, name: str, storage: StorageOptions) -> None:
    store = database.create(small(name, storage=storage))
    rng = np.random.default_rng(11)
    vectors = rng.normal(size=(3000, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [point_id(str(number)) for number in range(len(vectors))]
    store.upsert([Point(id, vector, {"price": float(n)}) for n, (id, vector) in enumerate(zip(ids, vectors, strict=True))])
    store.optimize()
    found = 0
    for vector in vectors[:20]:
        cosines = vectors @ vector
        nearest = {ids[n] for n in np.argsort(-cosines)[:10]}
        exact = store.query(request_for(vector, 10, exact=True))
        assert {hit.id for hit in exact} == nearest
        hits = store.query(request_for(vector, 10))
        np.testing.assert_allclose([hit.score for hit in hits], [cosines[int(hit.payload["price"])] for hit in hits], atol=1e-5)
        found += len(nearest & {hit.id for hit in hits})
    assert found / 200 > (0.4 if storage.quantize == "binary" else 0.95)
    store.close()
    again = database.open(name, "g0001")
    assert again.manifest.storage == storage
    assert again.count(F("price") < 7) == 7
    again.close()


def test_manifests_from_before_storage_options_still_open() -> None:
    plain = small("images").to_json()
    del plain["storage"]
    assert Manifest.from_json(plain) == small("images")
    with pytest.raises(InvalidInput, match="scalar, binary, turbo"):
        StorageOptions("octal")
