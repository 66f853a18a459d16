"""By several examples, by pairs, diverse, without copies, in order, in groups: on a directory and a server, beside NumPy."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import Encoder, InvalidInput, PointNotFound, SearchClient
from semblant_search.collection import RESERVED_FIELDS, FieldType, point_id
from semblant_search.errors import ImageError
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.querying import selection
from semblant_search.store import Database, Point, open_database
from support.servers import REAL, database_of, own_name, url_of
from support.small_stores import manifest, uris

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search import Hit

COUNT, DIM = 150, 49
FIELDS = {"number": FieldType.INTEGER, "album": FieldType.KEYWORD, "taken": FieldType.DATETIME}
URIS = uris(COUNT)
IDS = [point_id(uri) for uri in URIS]
ROW = {uri: row for row, uri in enumerate(URIS)}
_RNG = np.random.default_rng(11)
PICTURES = _RNG.integers(0, 256, (4, 28, 28), np.uint8)


def _vectors() -> np.ndarray:
    """Ten bunches; 60 to 79 are copies of 0 to 3, five of each, and 80 is nearly one of 0."""
    centres = _RNG.normal(size=(10, DIM))
    vectors = centres[np.arange(COUNT) % 10] + 0.5 * _RNG.normal(size=(COUNT, DIM))
    vectors[60:80] = np.repeat(vectors[:4], 5, axis=0) + 1e-4 * _RNG.normal(size=(20, DIM))
    vectors[80] = vectors[0] + 0.02 * np.linalg.norm(vectors[0]) * np.eye(DIM)[0]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


VECTORS = _vectors()


def payload(row: int) -> dict[str, Any]:
    """With ties, lists and missing values."""
    values: dict[str, Any] = {"_uri": URIS[row], "_sha256": f"{row:064x}"}
    if row % 7:
        album = ["sea", "hills", "home"][row % 3]
        values |= {"number": row % 4, "album": [album, "all"] if row % 5 == 0 else album}
        values["taken"] = f"2024-05-{1 + row % 9:02d}T10:00:00Z" if row % 2 else f"2024-05-{1 + row % 9:02d}"
    if row == 61:
        values["_uris"] = [URIS[61], "file:///other/1.png", "file:///other/2.png"]  # merged of three files
    return values


PAYLOADS = [payload(row) for row in range(COUNT)]


def add(db: Database, collection: str, encoder: Encoder) -> None:
    facts = replace(
        manifest(), collection=collection, encoder=encoder.card, encoder_fingerprint=encoder.fingerprint, fields=RESERVED_FIELDS
    )
    with closing(db.create(facts)) as store:
        store.add_fields(FIELDS)
        store.put_asset(ENCODER_ASSET, encoder.to_bytes())
        store.upsert([Point(IDS[row], VECTORS[row], PAYLOADS[row]) for row in range(COUNT)])
    db.publish(collection, "g0001")


@pytest.fixture(scope="module", params=["directory", "stand-in", REAL])
def client(
    request: pytest.FixtureRequest, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SearchClient]:
    if request.param == "directory":
        with closing(open_database(tmp_path_factory.mktemp("examples") / "db", create=True)) as db:
            add(db, "images", encoder)
            with SearchClient(db) as client:
                yield client
        return
    url = url_of(request.param)
    with own_name(url) as name, database_of(url) as db:
        add(db, name, encoder)
        with SearchClient(db, collection=name) as client:
            yield client


def bunch(row: int) -> int:
    return (row - 60) // 5 if 60 <= row < 80 else 0 if row == 80 else row % 10


def unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def best(scores: np.ndarray, left_out: Sequence[int] = (), rows: Sequence[int] = range(COUNT)) -> list[int]:
    return sorted((row for row in rows if row not in left_out), key=lambda row: -scores[row])


def rows_of(hits: Sequence[Hit]) -> list[int]:
    return [ROW[hit.uri] for hit in hits]


def assert_alike(hits: Sequence[Hit], rows: Sequence[int], scores: np.ndarray) -> None:
    """The same pictures, but for the order of what differs by less than 32-bit floats can say."""
    assert len(hits) == len(rows)
    np.testing.assert_allclose([hit.score for hit in hits], scores[list(rows)], atol=2e-6)
    np.testing.assert_allclose([hit.score for hit in hits], scores[rows_of(hits)], atol=2e-6)


def assert_same(hits: Sequence[Hit], others: Sequence[Hit]) -> None:
    """The same hits; of scores the last bit may differ, which depends on where a server's numbers lie in memory."""
    bare = [[replace(hit, score=0.0, probability=None) for hit in some] for some in (hits, others)]
    assert bare[0] == bare[1]
    np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in others], atol=1e-6)


def pages_begin_alike(ask: Callable[..., Sequence[Hit]], limits: Sequence[int] = (1, 9), most: int = COUNT) -> None:
    """Fewer hits are the beginning of more, and pages are its parts."""
    whole = ask(limit=most)
    for limit in limits:
        assert_same(ask(limit=limit), whole[:limit])
    assert_same([hit for offset in range(0, 12, 4) for hit in ask(limit=4, offset=offset)], whole[:12])
    if most == COUNT:
        assert list(ask(limit=5, offset=COUNT)) == []


def centre(like: dict[int, float], unlike: dict[int, float]) -> np.ndarray:
    mean = sum(weight * VECTORS[row] for row, weight in like.items()) / sum(like.values())
    pushes = [weight * (mean - VECTORS[row]) for row, weight in unlike.items()]
    return unit(mean + (np.mean(pushes, axis=0) if pushes else 0))


@pytest.mark.parametrize("like", [{5: 1.0}, {5: 1.0, 16: 1.0}, {5: 3.0, 16: 0.5, 27: 1.0}])
@pytest.mark.parametrize("unlike", [{}, {7: 1.0}, {7: 0.5, 18: 2.0}])
def test_examples_are_averaged_by_their_weights_and_are_no_hits(
    client: SearchClient, like: dict[int, float], unlike: dict[int, float]
) -> None:
    liked: list[Any] = [(URIS[row], weight) for row, weight in like.items()]
    unliked = [(VECTORS[row], weight) if row == 18 else (IDS[row], weight) for row, weight in unlike.items()]
    scores = VECTORS @ centre(like, unlike)
    hits = client.search_like(iter(liked), unliked, 20, exact=True)
    assert_alike(hits, best(scores, [*like, *(set(unlike) - {18})])[:20], scores)  # a vector is no picture
    everyone = client.search_like(liked, unliked, 20, exact=True, include_self=True)
    assert_alike(everyone, best(scores)[:20], scores)
    pages_begin_alike(lambda **options: client.search_like(liked, unliked, exact=True, **options))
    filtered = client.search_like(liked, unliked, where="album == 'sea'", min_score=0.1, exact=True, limit=COUNT)
    rows = [row for row in range(COUNT) if "sea" in str(PAYLOADS[row].get("album")) and scores[row] >= 0.1]
    assert_alike(filtered, best(scores, [*like, *(set(unlike) - {18})], rows), scores)


def test_weights_may_be_as_large_as_floats_are(client: SearchClient) -> None:
    def pushed(weight: float) -> list[str]:
        unlike: list[Any] = [(URIS[row], weight) for row in (1, 2, 3)]
        return [hit.id for hit in client.search_like([URIS[0]], unlike, 20, exact=True)]

    assert pushed(1e308) == pushed(1e12) != pushed(1.0)


def test_pictures_vectors_and_names_are_examples_alike(client: SearchClient) -> None:
    embedded = client.embed([PICTURES[0], PICTURES[1]])
    for like in ([PICTURES[0], (PICTURES[1], 2.0)], [list(map(float, embedded[0])), (5 * embedded[1], 2)]):
        hits = client.search_like(like, [URIS[3]], 8, exact=True)
        mean = (embedded[0] + 2 * embedded[1]) / 3
        scores = VECTORS @ unit(2 * mean - VECTORS[3])
        assert_alike(hits, best(scores, [3])[:8], scores)
    (one,) = client.search_like([URIS[5]], limit=1, exact=True)
    (same,) = client.search(URIS[5], 1, exact=True)  # of one example it is the search
    assert one.id == same.id
    assert one.score == pytest.approx(same.score, abs=1e-6)


def test_examples_of_several_kinds_are_kept_apart(client: SearchClient) -> None:
    hits = client.search_like([URIS[1], URIS[2]], [URIS[3]], 30, strategy="best_score", exact=True)
    positive, negative = VECTORS @ VECTORS[[1, 2]].T, VECTORS @ VECTORS[3]
    nearest = positive.max(axis=1)
    liked = nearest > negative
    chosen = np.where(liked, nearest, negative)
    scores = (1 + chosen / (1 + abs(chosen))) / 2 * np.where(liked, 1, -1)
    assert_alike(hits, best(scores, [1, 2, 3])[:30], scores)
    assert {bunch(row) for row in rows_of(hits)[:12]} == {1, 2}
    pages_begin_alike(
        lambda **options: client.search_like([URIS[1], URIS[2]], strategy="best_score", exact=True, **options), [2, 9]
    )


def test_discovery_keeps_to_the_side_of_the_pairs(client: SearchClient) -> None:
    context = [(URIS[12], URIS[23]), (VECTORS[34], IDS[45])]
    hits = client.discover(URIS[2], context, 25, exact=True)
    cosine = VECTORS @ VECTORS[2]
    sides = sum(np.sign(VECTORS @ VECTORS[a] - VECTORS @ VECTORS[b]) for a, b in ((12, 23), (34, 45)))
    scores = sides + (1 + cosine / (1 + abs(cosine))) / 2
    assert_alike(hits, best(scores, [2, 12, 23, 45])[:25], scores)
    pages_begin_alike(lambda **options: client.discover(URIS[2], context, exact=True, **options))
    assert 2 in rows_of(client.discover(URIS[2], context, COUNT, exact=True, include_self=True))
    filtered = client.discover(PICTURES[0], context, 5, where="album == 'sea'")
    assert all("sea" in hit.metadata["album"] for hit in filtered)


def mmr(query: np.ndarray, diversity: float, pool: list[int], count: int) -> list[int]:
    chosen: list[int] = []
    cosine = VECTORS @ query
    while len(chosen) < min(count, len(pool)):
        near = (VECTORS @ VECTORS[chosen].T).max(axis=1) if chosen else np.zeros(COUNT)
        left = [row for row in pool if row not in chosen]
        chosen.append(max(left, key=lambda row: (1 - diversity) * cosine[row] - diversity * near[row]))
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.7])
def test_diverse_hits_are_chosen_one_by_one(client: SearchClient, diversity: float, monkeypatch: pytest.MonkeyPatch) -> None:
    row = 5
    everything = best(VECTORS @ VECTORS[row], [row])
    for pool in (60, 500):
        monkeypatch.setattr(selection, "DIVERSE_CANDIDATES", pool)
        hits = client.search(URIS[row], 15, diversity=diversity, exact=True)
        expected = mmr(VECTORS[row], diversity, everything[:pool], 15)
        np.testing.assert_allclose([hit.score for hit in hits], VECTORS[expected] @ VECTORS[row], atol=2e-5)
        pages_begin_alike(lambda **options: client.search(URIS[row], diversity=diversity, exact=True, **options))
        assert len(client.search(URIS[row], COUNT, diversity=diversity)) == min(pool, COUNT - 1)
    by_vector = client.search_vector(VECTORS[row], 16, diversity=diversity, exact=True)
    assert rows_of(by_vector)[0] == row  # a vector is no picture to be left out
    assert all(hit.score >= 0.3 for hit in client.search(URIS[row], 20, diversity=diversity, min_score=0.3))
    liked = client.search_like([URIS[row]], limit=15, diversity=diversity, exact=True)
    assert [hit.uri for hit in liked] == [hit.uri for hit in hits]


def distinct(order: Sequence[int], matching: Sequence[int]) -> dict[int, int]:
    """The first of each group of copies, and how many pictures it stands for, by a walk through all."""
    cosines = VECTORS.astype(np.float64) @ VECTORS.T
    found: dict[int, int] = {}
    for row in order:
        if not any(cosines[row, other] >= 0.9999 for other in found):
            found[row] = 0
    taken = set(found)
    for row in found:
        same = [other for other in matching if other not in taken and cosines[row, other] >= 0.9999]
        taken |= set(same)
        found[row] = sum(3 if other == 61 else 1 for other in same) + (2 if row == 61 else 0)
    return found


@pytest.mark.parametrize(("asked", "where"), [(0, None), (2, None), (5, None), (66, None), (0, "number <= 2")])
def test_of_copies_one_is_a_hit_and_the_others_are_counted(client: SearchClient, asked: int, where: str | None) -> None:
    rows = [row for row in range(COUNT) if row != asked and (where is None or PAYLOADS[row].get("number", 9) <= 2)]
    scores = VECTORS @ VECTORS[asked]
    most = COUNT if asked == 0 and where is None else 25  # one request for each hit
    expected = distinct(best(scores, [asked], rows), rows)
    hits = client.search(URIS[asked], most, where=where, unique=True, exact=True)
    assert len(hits) == min(most, len(expected))
    # Copies score alike to the last bit or two: which of them is the hit is told by the engine's rounding.
    np.testing.assert_allclose([hit.score for hit in hits], [scores[row] for row in expected][:most], atol=1e-4)
    assert sorted(hit.copies or 0 for hit in hits) == sorted(list(expected.values())[:most])
    if most == COUNT:
        assert sum((hit.copies or 0) + 1 for hit in hits) == len(rows) + 2  # one was merged of three
    pages_begin_alike(lambda **options: client.search(URIS[asked], where=where, unique=True, exact=True, **options), most=25)


def test_nearly_copies_are_hits_and_nothing_is_counted_unless_asked(client: SearchClient) -> None:
    plain = client.search(URIS[0], 8, exact=True)
    assert {hit.copies for hit in plain} == {None}
    assert "copies" not in plain[0].to_json()
    assert set(rows_of(plain)[:5]) == set(range(60, 65))
    first, second = client.search(URIS[0], 2, unique=True, exact=True)
    assert (first.copies, first.to_json()["copies"]) == (6, 6)  # four, one of them merged of three files
    assert ROW[second.uri] == 80
    with_itself = client.search(URIS[0], 1, unique=True, exact=True, include_self=True)
    assert [hit.copies for hit in with_itself] == [7]
    diverse = client.search(URIS[0], 6, unique=True, diversity=0.7, exact=True)
    assert diverse[0].copies == 6
    assert len({bunch(row) for row in rows_of(diverse)}) > 1
    liked = client.search_like([URIS[0]], limit=2, unique=True, exact=True)
    assert [hit.copies for hit in liked] == [first.copies, second.copies]
    assert client.discover(URIS[0], [(URIS[1], URIS[2])], 3, unique=True)[0].copies is not None


def test_more_copies_than_are_read_at_once_are_counted(client: SearchClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_COPIES_AT_FIRST", 2)
    monkeypatch.setattr(selection, "_AT_ONCE", 3)
    monkeypatch.setattr(selection, "BLOCK", 1)
    assert [hit.copies for hit in client.search(URIS[0], 2, unique=True, exact=True)] == [6, 0]


@pytest.mark.parametrize("field", ["number", "taken"])
@pytest.mark.parametrize("descending", [False, True])
def test_what_is_alike_enough_comes_in_the_order_of_a_field(client: SearchClient, field: str, descending: bool) -> None:
    scores = VECTORS @ VECTORS[4]
    rows = [row for row in range(COUNT) if row != 4 and scores[row] >= 0.2 and field in PAYLOADS[row]]
    assert 10 < len(rows) < COUNT / 2
    rows.sort(key=lambda row: IDS[row])
    rows.sort(key=lambda row: PAYLOADS[row][field] if field == "number" else day(PAYLOADS[row][field]), reverse=descending)
    options: dict[str, Any] = {"order_by": field, "descending": descending, "min_score": 0.2}
    assert rows_of(client.search(URIS[4], COUNT, **options)) == rows
    pages_begin_alike(lambda **more: client.search(URIS[4], **options, **more))
    unique = client.search(URIS[0], COUNT, order_by=field, min_score=0.999, unique=True)
    assert len(unique) == 2
    assert sum((hit.copies or 0) + 1 for hit in unique) == 6 + 2
    assert client.search(URIS[4], order_by=field, min_score=1, unique=True) == []


def day(text: str) -> tuple[str, bool]:
    """A date without a time is its first moment."""
    return text[:10], len(text) > 10


@pytest.mark.parametrize("field", ["album", "number"])
@pytest.mark.parametrize("size", [1, 3])
def test_groups_are_those_of_the_best_hits(client: SearchClient, field: str, size: int) -> None:
    order = rows_of(client.search(URIS[4], COUNT, exact=True))
    groups: dict[Any, list[int]] = {}
    for row in order:
        values = PAYLOADS[row].get(field, [])
        for value in sorted(values) if isinstance(values, list) else [values]:
            groups.setdefault(value, []).append(row)
    found = client.search_groups(URIS[4], field, group_size=size, exact=True)
    assert [(group.value, rows_of(group.hits)) for group in found] == [(value, rows[:size]) for value, rows in groups.items()]
    assert found[0].to_json()["value"] == found[0].value
    assert found[0].hits[0].metadata == {name: value for name, value in PAYLOADS[order[0]].items() if name[0] != "_"} or size
    options: dict[str, Any] = {"group_size": size, "exact": True}
    assert client.search_groups(URIS[4], field, 2, offset=1, **options) == found[1:3]
    (own,) = client.search_groups(URIS[4], field, 1, include_self=True, where="number == 0", **options)
    assert ROW[own.hits[0].uri] == 4
    assert len(client.search_groups(PICTURES[0], field, 2)) == 2


def test_a_batch_takes_what_one_search_takes(client: SearchClient) -> None:
    asked: list[Any] = [URIS[0], PICTURES[0], IDS[66], PICTURES[1]]
    several: list[dict[str, Any]] = [
        {"diversity": 0.4},
        {"unique": True, "limit": 4, "offset": 1},
        {"unique": True, "diversity": 0.4, "include_self": True},
        {"order_by": "number", "descending": True, "min_score": 0.1},
    ]
    for options in several:
        found = client.search_batch(asked, exact=True, **options)
        alone = [client.search(picture, exact=True, **options) for picture in asked]
        assert [rows_of(hits) for hits in found] == [rows_of(hits) for hits in alone]
        assert [[hit.copies for hit in hits] for hits in found] == [[hit.copies for hit in hits] for hits in alone]


def test_bad_arguments_say_what_was_expected(client: SearchClient) -> None:
    ask, like, vector = client.search, client.search_like, [0.5] * DIM
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: like([]), "like: expected at least one example"),
        (lambda: like(URIS[0]), "like: expected a list of examples, not one"),
        (lambda: like([URIS[0]], URIS[1]), "unlike: expected a list of examples, not one"),
        (lambda: like(VECTORS[0]), r"like\[0\]: .*: expected a picture, its URI or a vector"),
        (lambda: like((URIS[0], 2.0)), r"like\[1\]: 2.0: expected a picture"),  # type: ignore[arg-type]
        (lambda: like([(URIS[0], 0)]), r"like\[0\]: weight 0: expected a number above 0"),
        (lambda: like([URIS[0]], [(URIS[1], float("nan"))]), r"unlike\[0\]: weight nan: expected a number above 0"),
        (lambda: like([(URIS[0], "2")]), r"like\[0\]: weight '2': expected a number above 0"),  # type: ignore[list-item]
        (lambda: like([vector[1:]]), r"like\[0\]: vector of shape \[48\]"),
        (lambda: like([URIS[0]], strategy="best"), "strategy 'best': expected one of 'average_vector', 'best_score'"),  # type: ignore[arg-type]
        (lambda: like([(URIS[0], 2.0)], strategy="best_score"), r"like\[0\]: the strategy 'best_score' has no weights"),
        (lambda: like([URIS[0]], strategy="best_score", diversity=0.1), "diversity with the strategy"),
        (lambda: like([vector, [-0.5] * DIM]), "cancel each other out"),
        (lambda: ask(URIS[0], diversity=1.1), "diversity 1.1: expected a number from 0"),
        (lambda: ask(URIS[0], diversity=0.5, region=(0, 0, 5, 5)), "diversity with region"),
        (lambda: ask(URIS[0], unique=1), "unique 1: expected True or False"),  # type: ignore[arg-type]
        (lambda: ask(URIS[0], order_by="number"), "say by min_score or fpr what is alike enough"),
        (lambda: ask(URIS[0], order_by="album", min_score=0.5), "order by 'album': it is keyword"),
        (lambda: ask(URIS[0], order_by="number", min_score=0.5, diversity=0.1), "order_by with diversity"),
        (lambda: ask(URIS[0], descending=True), "descending: by which field"),
        (lambda: client.discover(URIS[0], []), "context: expected at least one pair"),
        (lambda: client.discover(URIS[0], [URIS[1]]), r"context\[0\]: expected a pair"),  # type: ignore[list-item]
        (lambda: client.discover(URIS[0], [((URIS[1], 2.0), URIS[2])]), r"context\[0\]: pairs have no weights"),
        (lambda: client.discover((URIS[0], 2.0), [(URIS[1], URIS[2])]), "target: has no weight"),
        (lambda: client.search_groups(URIS[0], "taken"), "group by 'taken': it is datetime"),
        (lambda: client.search_groups(URIS[0], "album", group_size=0), "group_size 0: expected a whole number"),
        (lambda: client.search_groups(URIS[0], 3), "group_by 3: expected the name of a field"),  # type: ignore[arg-type]
    ]
    for call, message in wrong:
        with pytest.raises(InvalidInput, match=message):
            call()
    with pytest.raises(ImageError, match=r"^unlike\[1\]: ") as caught:
        like([URIS[0]], [URIS[1], b"junk"])
    assert caught.value.index == 1
    with pytest.raises(PointNotFound, match=r"^context\[0\]: 'file:///pictures/none.png'"):
        client.discover(URIS[0], [(URIS[1], "file:///pictures/none.png")])
