"""Every option of every call changes the answer as it says: a plain model over all cosines is the judge."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from semblant_search import F, FieldType, Hit, Manifest, SearchClient, canonical_uri, point_id
from semblant_search.collection import RESERVED_FIELDS, StorageOptions
from semblant_search.encoder import EncoderCard
from semblant_search.images import Fit
from semblant_search.store import Point, open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search import Encoder
    from semblant_search.images import ImageSource


class Model(NamedTuple):
    """The whole collection as a matrix and a list of payloads."""

    uris: list[str]
    vectors: np.ndarray
    payloads: list[dict[str, Any]]

    def nearest(
        self,
        vector: np.ndarray,
        limit: int = 10,
        *,
        where: Callable[[dict[str, Any]], bool] = lambda payload: True,
        offset: int = 0,
        min_score: float = -1.0,
        leave_out: str | None = None,
    ) -> list[tuple[str, float]]:
        cosines = self.vectors @ (vector / np.linalg.norm(vector))
        ranked = [
            (self.uris[place], float(cosines[place]))
            for place in np.argsort(-cosines, kind="stable")
            if where(self.payloads[place]) and self.uris[place] != leave_out and cosines[place] >= min_score
        ]
        return ranked[offset : offset + limit]


@pytest.fixture(scope="module")
def client(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    copy = shutil.copytree(indexed, tmp_path_factory.mktemp("options") / "pictures.db")
    with SearchClient(copy) as client:
        yield client


@pytest.fixture(scope="module")
def model(encoder: Encoder, pictures: list[Path]) -> Model:
    payloads = [{"label": path.parent.name, "price": float(number)} for number, path in enumerate(pictures)]
    return Model([canonical_uri(path) for path in pictures], encoder.encode_pictures(pictures), payloads)


@pytest.fixture(scope="module")
def stranger(fashion_small: Path) -> Path:
    """A picture that is not in the collection."""
    return sorted((fashion_small / "test" / "pullover").glob("*.png"))[3]


def answered(hits: Any) -> list[tuple[str, Any]]:
    return [(hit.uri, pytest.approx(hit.score, abs=1e-5)) for hit in hits]


PAGED: list[dict[str, Any]] = [
    {},
    {"limit": 1},
    {"limit": 3},
    {"limit": 300},
    {"offset": 1},
    {"limit": 4, "offset": 7},
    {"limit": 10, "offset": 295},
    {"min_score": 0.9},
    {"min_score": 0.9, "limit": 300},
    {"min_score": 0.9, "limit": 300, "offset": 3},
    {"where": "price < 50", "limit": 300},
    {"where": "label == 'shirt'", "limit": 4, "offset": 2},
    {"where": "label in ['shirt', 'coat'] and price >= 100", "limit": 5, "min_score": 0.8, "offset": 1},
]
JUDGES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "price < 50": lambda payload: payload["price"] < 50,
    "label == 'shirt'": lambda payload: payload["label"] == "shirt",
    "label in ['shirt', 'coat'] and price >= 100": lambda p: p["label"] in ("shirt", "coat") and p["price"] >= 100,
}


def judged(options: dict[str, Any]) -> dict[str, Any]:
    return {name: JUDGES[value] if name == "where" else value for name, value in options.items()}


@pytest.mark.parametrize("options", PAGED, ids=str)
def test_search_heeds_each_option(client: SearchClient, model: Model, stranger: Path, options: dict[str, Any]) -> None:
    vector = client.embed([stranger])[0]
    assert answered(client.search(stranger, **options)) == model.nearest(vector, **judged(options))
    place = 140  # a picture of the collection
    own, vector = model.uris[place], model.vectors[place]
    expected = model.nearest(vector, leave_out=own, **judged(options))
    assert answered(client.search(own, **options)) == expected
    with_self = model.nearest(vector, **judged(options))
    assert answered(client.search(own, include_self=True, **options)) == with_self


@pytest.mark.parametrize("options", PAGED, ids=str)
def test_search_vector_heeds_each_option(client: SearchClient, model: Model, options: dict[str, Any]) -> None:
    noise = np.random.default_rng(5).normal(size=model.vectors.shape[1])
    vector = noise + 3 * model.vectors[200] * np.linalg.norm(noise)
    assert answered(client.search_vector(vector, **options)) == model.nearest(vector, **judged(options))


@pytest.mark.parametrize("options", [options for options in PAGED if not {"offset", "min_score"} & options.keys()], ids=str)
@pytest.mark.parametrize("include_self", [False, True])
def test_search_batch_heeds_each_option(
    client: SearchClient, model: Model, pictures: list[Path], stranger: Path, options: dict[str, Any], include_self: bool
) -> None:
    asked: list[ImageSource] = [model.uris[5], stranger, pictures[140], point_id(model.uris[299]), stranger.read_bytes()]
    found = client.search_batch(asked, include_self=include_self, **options)
    assert [answered(hits) for hits in found] == [
        answered(client.search(picture, include_self=include_self, **options)) for picture in asked
    ]
    for hits, place in zip((found[0], found[2], found[3]), (5, 140, 299), strict=True):
        leave_out = None if include_self else model.uris[place]
        assert answered(hits) == model.nearest(model.vectors[place], leave_out=leave_out, **judged(options))


def test_the_defaults_are_ten_hits_without_the_picture_itself(client: SearchClient, model: Model, pictures: list[Path]) -> None:
    own = model.uris[3]
    vector = model.vectors[3]
    for hits in (client.search(own), client.search_batch([own])[0]):
        assert len(hits) == 10
        assert own not in [hit.uri for hit in hits]
    assert len(client.search_vector(vector)) == 10
    assert client.search_vector(vector)[0].uri == own
    assert len(client.search_features(own, verify=False)) == 10


def test_visual_words_heed_each_option(client: SearchClient, model: Model, pictures: list[Path]) -> None:
    place = next(number for number, path in enumerate(pictures) if path.parent.name == "bag")
    own = model.uris[place]
    whole = [hit.uri for hit in client.search_features(own, 300, verify=False, include_self=True)]
    assert whole[0] == own
    assert len(whole) > 60
    others = whole[1:]

    def found(**options: Any) -> list[str]:
        return [hit.uri for hit in client.search_features(own, verify=False, **options)]

    assert found() == others[:10]
    assert found(limit=3) == others[:3]
    assert found(limit=3, offset=2) == others[2:5]
    assert found(limit=3, offset=2, include_self=True) == whole[2:5]
    assert found(limit=3, offset=50) == others[50:53]  # beyond the candidates that are compared by default
    bags = [uri for uri in others if "/bag/" in uri]
    assert found(where='label == "bag"', limit=300) == bags
    assert found(where=F("label") == "bag", limit=4, offset=1) == bags[1:5]


def test_proven_hits_heed_each_option(client: SearchClient, model: Model, pictures: list[Path]) -> None:
    place = next(number for number, path in enumerate(pictures) if path.parent.name == "bag")
    own = model.uris[place]
    every = client.search_features(own, 300, min_confidence=0, include_self=True)
    assert (every[0].uri, every[0].verdict) == (own, "copy")
    order = [hit.uri for hit in every]
    assert [hit.uri for hit in client.search_features(own, 300, min_confidence=0)] == order[1:]
    assert [hit.uri for hit in client.search_features(own, 2, include_self=True, offset=0)] == [own]
    assert client.search_features(own, include_self=True, offset=1) == []
    sure = [hit for hit in every if hit.probability >= 0.3]
    assert [hit.uri for hit in client.search_features(own, 300, min_confidence=0.3, include_self=True)][:1] == [sure[0].uri]
    assert client.search_features(own, include_self=True, where="label == 'coat'") == []
    words_only = client.search_features(own, include_self=True, verify=False)
    assert {(hit.verdict, hit.inliers, hit.transform) for hit in words_only} == {("none", 0, None)}


def test_both_answers_together_heed_each_option(client: SearchClient, model: Model) -> None:
    own = model.uris[47]

    def found(**options: Any) -> list[str]:
        return [hit.uri for hit in client.search_fused(own, **options)]

    whole = found(limit=40)  # of the same candidates as fewer hits
    assert own not in whole
    assert found() == whole[:10]
    assert found(limit=4, offset=5) == whole[5:9]
    assert len(found(limit=100, offset=150)) == 100
    assert found(include_self=True, limit=1) == [own]
    cheap = {uri for uri, payload in zip(model.uris, model.payloads, strict=True) if payload["price"] < 50}
    assert set(found(limit=300, where="price < 50")) == cheap - {own}
    looks_alike = {uri for uri, _ in model.nearest(model.vectors[47], 300, min_score=0.97, leave_out=own)}
    assert set(found(limit=300, min_score=0.97)) == looks_alike


def test_counts_and_facets_heed_the_filter_and_the_limit(client: SearchClient, model: Model) -> None:
    for text, judge in JUDGES.items():
        chosen = [payload for payload in model.payloads if judge(payload)]
        assert client.count(text) == len(chosen)
        labels = [payload["label"] for payload in chosen]
        assert client.facet("label", where=text) == {label: labels.count(label) for label in labels}
    assert len(client.facet("label")) == 10
    assert len(client.facet("price")) == 100  # the default limit
    assert len(client.facet("price", limit=300)) == 300
    assert list(client.facet("label", limit=2, where="price >= 29")) == ["bag", "coat"]
    assert client.facet("label", where=F("label") == "bag") == {"bag": 30}


# What the engine must be told, shown where it makes a difference.


class Large(NamedTuple):
    client: SearchClient
    uris: list[str]
    vectors: np.ndarray


def large(path: Path, count: int, dim: int, storage: StorageOptions) -> Iterator[Large]:
    """Random vectors, which no approximation finds as easily as those of pictures."""
    database = open_database(path, create=True)
    card = EncoderCard("random", "random", Fit(4, 4, 1), dim, "none")
    fields = {**RESERVED_FIELDS, "half": FieldType.INTEGER}
    store = database.create(Manifest("images", "g0001", "f" * 64, card, fields=fields, storage=storage))
    vectors = np.random.default_rng(3).normal(size=(count, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    uris = [f"https://example.org/{number}.png" for number in range(count)]
    points = [
        Point(point_id(uri), vector, {"_uri": uri, "half": number % 2})
        for number, (uri, vector) in enumerate(zip(uris, vectors, strict=True))
    ]
    for start in range(0, count, 350):
        store.upsert(points[start : start + 350])
    store.optimize()
    store.close()
    database.publish("images", "g0001")
    database.close()
    with SearchClient(path) as client:
        yield Large(client, uris, vectors)


def missed(hits: list[list[Hit]], expected: list[list[str]]) -> int:
    return sum(len(set(right) - {hit.uri for hit in found}) for found, right in zip(hits, expected, strict=True))


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    """One bit a number: what is not compared exactly misses about a third."""
    yield from large(tmp_path_factory.mktemp("rough") / "db", 300, 48, StorageOptions("binary"))


def test_exact_compares_with_every_picture(rough: Large) -> None:
    client, asked = rough.client, rough.uris[:20]
    similarities = rough.vectors[:20] @ rough.vectors.T
    for options in ({}, {"where": "half == 1"}):
        allowed = np.array([not options or number % 2 == 1 for number in range(len(rough.uris))])
        expected = []
        for number, row in enumerate(similarities):
            row = np.where(allowed, row, -2)
            row[number] = -2
            expected.append([rough.uris[place] for place in np.argsort(-row)[:5]])
        ways: dict[str, Callable[..., list[list[Hit]]]] = {
            "search": lambda **more: [list(client.search(uri, 5, **more)) for uri in asked],
            "batch": lambda **more: client.search_batch(asked, 5, **more),
            "vector": lambda **more: [
                [hit for hit in client.search_vector(vector, 6, **more) if hit.uri != uri][:5]
                for uri, vector in zip(asked, rough.vectors, strict=False)
            ],
        }
        for ask in ways.values():
            assert missed(ask(exact=True, **options), expected) == 0
            assert missed(ask(exact=False, **options), expected) > 4
            assert missed(ask(**options), expected) > 4


def test_a_wider_walk_through_the_graph_finds_more(tmp_path: Path) -> None:
    for graph in large(tmp_path / "db", 700, 4096, StorageOptions()):
        queries = np.random.default_rng(4).normal(size=(10, 4096)).astype(np.float32)
        expected = [[graph.uris[place] for place in np.argsort(-row)[:5]] for row in queries @ graph.vectors.T]

        def ask(graph: Large = graph, queries: np.ndarray = queries, **options: Any) -> list[list[Hit]]:
            return [graph.client.search_vector(query, 5, **options) for query in queries]

        assert missed(ask(ef_search=700), expected) == missed(ask(exact=True, ef_search=1), expected) == 0
        assert missed(ask(ef_search=1), expected) > 15
