"""Scores of visual words and of fused lists, by hand; and how many hits come, in which order."""

from __future__ import annotations

from contextlib import closing
from math import log
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import FeatureHit, SearchClient, canonical_uri, point_id
from semblant_search.feature_reader import FeatureReader
from semblant_search.images import open_image, to_grey
from semblant_search.orb import Features, Vocabulary, extract, pack, unpack
from semblant_search.querying.fusion import fuse
from semblant_search.querying.verification import prove
from semblant_search.store import open_database
from semblant_search.store.base import ScoredRecord, VectorQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def library(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eighteen crops of one photograph, each of another place, and four other photographs."""
    folder = tmp_path_factory.mktemp("crops")
    with Image.open(photos / "motorcycle_left.png") as picture:
        for number in range(18):
            x, y = 15 * (number % 6), 30 * (number // 6)
            picture.crop((x, y, x + 600, y + 400)).save(folder / f"{number:02}.png")
    return [*sorted(folder.iterdir()), *(photos / name for name in ("astronaut.png", "camera.png", "coffee.png", "rocket.jpg"))]


@pytest.fixture(scope="module")
def client(library: list[Path], index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    db = tmp_path_factory.mktemp("fusion") / "db"
    index(db, library)
    with SearchClient(db) as client:
        yield client


def record(name: str, score: float = 0) -> ScoredRecord:
    return ScoredRecord(name, score, {"_uri": f"file:///{name}", "label": name})


def test_ranks_are_fused_by_their_reciprocals_and_the_proven_come_first() -> None:
    look, words = [record(name) for name in "abcd"], [record(name) for name in "cea"]
    proven = [FeatureHit("e", "file:///e", verdict="crop"), FeatureHit("d", "file:///d", verdict="copy")]
    hits = fuse([look, words], proven)
    assert [hit.id for hit in hits] == ["e", "d", "a", "c", "b"]  # of equals, the one of the first list
    expected = [1 / 62, 1 / 64, 1 / 61 + 1 / 63, 1 / 63 + 1 / 61, 1 / 62]
    assert [hit.score for hit in hits] == pytest.approx(expected, abs=1e-12)
    assert [hit.verdict for hit in hits] == ["crop", "copy", "none", "none", "none"]
    assert [(hit.uri, hit.metadata) for hit in hits[2:]] == [(f"file:///{name}", {"label": name}) for name in "acb"]
    assert [hit.id for hit in fuse([look], [])] == list("abcd")
    assert fuse([[], []], []) == []


def words_of(features: Features) -> set[int]:
    return set(Vocabulary.general().sparse(features).indices.tolist())


def test_a_score_by_words_is_the_information_that_two_pictures_share(client: SearchClient, library: list[Path]) -> None:
    """The sum of the inverse document frequencies of the words that both have, however often each occurs."""
    features = {path: extract(to_grey(open_image(path), longest_side=480)) for path in library}
    words = {path: words_of(found) for path, found in features.items()}
    for asked in (library[0], library[-1]):
        hits = client.search_features(asked, verify=False, limit=100)
        for hit in hits[:3] + hits[-3:]:
            assert hit.path is not None
            expected = 0.0
            for word in words_of(unpack(pack(features[asked]))) & words[hit.path]:
                having = sum(word in others for others in words.values())
                expected += log(1 + (len(library) - having + 0.5) / (having + 0.5))
            assert hit.score == pytest.approx(expected, rel=1e-4)


def test_a_fused_score_counts_both_ranks(client: SearchClient, library: list[Path]) -> None:
    query = library[-2]  # a photograph that nothing else resembles
    look = [hit.id for hit in client.search(query, limit=30)]
    words = [hit.id for hit in client.search_features(query, limit=30, verify=False)]
    hits = client.search(query, limit=30, mode="fused")
    assert len(hits) == len(library) - 1
    assert {hit.id for hit in hits} == set(look) | set(words)
    for hit in hits:
        ranks = [names.index(hit.id) + 1 for names in (look, words) if hit.id in names]
        assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks), abs=1e-9)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_proven_hits_lead_the_fused_list_in_the_order_of_their_strength(client: SearchClient, library: list[Path]) -> None:
    hits = client.search(library[0], limit=30, mode="fused")
    verdicts = [isinstance(hit, FeatureHit) and hit.verdict != "none" for hit in hits]
    proven = [hit.strength for hit in hits if isinstance(hit, FeatureHit) and hit.verdict != "none"]
    assert verdicts == sorted(verdicts, reverse=True)
    assert len(proven) == 17
    assert proven == sorted(proven, reverse=True)
    assert all(hit.probability >= 0.99 for hit in hits[:17] if isinstance(hit, FeatureHit))


def test_a_fused_search_heeds_the_least_score_of_the_look_alone(client: SearchClient, library: list[Path]) -> None:
    query = library[-1]
    look = client.search(query, limit=30)
    words = {hit.id for hit in client.search_features(query, limit=30, verify=False)}
    least = look[3].score - 1e-6
    hits = client.search(query, limit=30, mode="fused", min_score=least)
    assert {hit.id for hit in hits} == words | {hit.id for hit in look[:4]}
    few = client.search(query, limit=30, mode="fused", min_score=least, where="price < 3")
    assert {hit.metadata["price"] for hit in few} == {0, 1, 2}


@pytest.mark.parametrize("limit", [1, 4, 9, 17, 30])
def test_as_many_proven_hits_come_as_asked_for(client: SearchClient, library: list[Path], limit: int) -> None:
    hits = client.search_features(library[5], limit=limit)
    assert len(hits) == min(limit, 17)
    assert len({hit.id for hit in hits}) == len(hits)
    assert all(hit.path in library[:18] and hit.path != library[5] for hit in hits)
    assert [hit.strength for hit in hits] == sorted((hit.strength for hit in hits), reverse=True)
    assert len(client.search_features(library[5], limit=limit, offset=5)) == min(limit, 12)
    assert client.search_features(library[5], limit=limit, offset=17) == []


def test_the_picture_itself_is_left_out_unless_it_is_asked_for(client: SearchClient, library: list[Path]) -> None:
    own = point_id(canonical_uri(library[5]))
    for verify in (True, False):
        kept = client.search_features(library[5], limit=6, include_self=True, verify=verify)
        assert kept[0].id == own
        assert len(kept) == 6
        without = client.search_features(library[5], limit=6, verify=verify)
        assert own not in {hit.id for hit in without}
        assert len(without) == 6
    assert client.search_features(library[5], include_self=True)[0].verdict == "copy"
    fused = client.search(library[5], limit=30, mode="fused", include_self=True)
    assert fused[0].id == own
    assert len(fused) == len(library)


def test_confidence_decides_what_is_a_hit(client: SearchClient, library: list[Path]) -> None:
    query = np.asarray(Image.open(library[-3]).convert("L"))[100:200, 100:200]
    everything = client.search_features(query, min_confidence=0, limit=30)
    for least in (1e-6, 0.5, 0.9, 0.99, 1.0):
        expected = {hit.id for hit in everything if hit.probability >= least}
        assert {hit.id for hit in client.search_features(query, min_confidence=least, limit=30)} <= expected
    surest = [hit for hit in everything if hit.probability >= 0.99]
    assert client.search_features(query, limit=30) == client.search_features(query, limit=30, min_confidence=0.99) == surest


def test_a_filter_holds_for_candidates_and_leaves_room_for_others(client: SearchClient, library: list[Path]) -> None:
    hits = client.search_features(library[0], limit=30, where="price >= 10")
    assert {hit.path for hit in hits} == set(library[10:18])
    assert client.search_features(library[0], where="price > 17") == []
    names = {hit.metadata["price"] for hit in client.search_features(library[0], limit=30, verify=False, where="price < 4")}
    assert names == {1, 2, 3}


def test_a_candidate_that_was_deleted_meanwhile_is_no_hit(
    library: list[Path], index: Callable[..., None], tmp_path: Path
) -> None:
    """On a server, between the shortlist and the proof."""
    index(tmp_path / "db", library[:3])
    with closing(open_database(tmp_path / "db")) as database, closing(database.open("images")) as store:
        reader = FeatureReader(store)
        asked = reader.of_picture(library[1])
        (kept,) = store.retrieve([point_id(canonical_uri(library[1]))], with_features=True)
        assert len(reader.of_record(kept).features) == 224
        assert len(asked.features) == 400  # a query is asked with more details than are stored of it
        shortlist = store.query(VectorQuery(reader.vocabulary.sparse(asked.features), limit=3))
        assert len(shortlist) == 3
        store.delete([shortlist[1].id])
        hits = prove(store, reader, asked, shortlist, 0.99, 10)
        assert {hit.id for hit in hits} == {shortlist[0].id, shortlist[2].id}
        (first,) = prove(store, reader, asked, shortlist, 0.99, 1)
        assert first.id == shortlist[0].id  # once enough are proven, no more are looked at
