"""Scores of visual words and of fused lists, by hand; and how many hits come, in which order."""

from __future__ import annotations

from contextlib import closing
from functools import partial
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
from semblant_search.querying.shortlist import Shortlist
from semblant_search.querying.verification import Proof, verify_candidates
from semblant_search.store import ScoredRecord, open_database
from support.asking import request_for

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
    hits = fused([look, words], proven)
    assert [hit.id for hit in hits] == ["e", "d", "a", "c", "b"]  # of equals, the one of the first list
    assert [hit.verdict for hit in hits] == ["crop", "copy", "none", "none", "none"]
    assert [(hit.uri, hit.metadata) for hit in hits[2:]] == [(f"file:///{name}", {"label": name}) for name in "acb"]
    assert [hit.id for hit in fused([look], [])] == list("abcd")
    assert fused([[], []], []) == []


def test_what_is_ranked_behind_a_block_changes_nothing_in_it() -> None:
    look = [record(f"{number:03}") for number in range(120)]
    words = [record(f"{119 - number:03}") for number in range(120)]
    hits = fused([look, words], [])
    assert len({hit.id for hit in hits}) == len(hits) == 120
    first = {hit.id for hit in hits[:96]}
    assert first == {f"{number:03}" for number in (*range(48), *range(72, 120))}
    assert [hit.id for hit in hits[:4]] == ["000", "119", "001", "118"]
    assert {hit.id for hit in hits[96:]} == {f"{number:03}" for number in range(48, 72)}


def fused(found: list[list[ScoredRecord]], proven: list[FeatureHit]) -> list[FeatureHit]:
    return [hit for hits in fuse([lambda count, rest=rest: rest[:count] for rest in found], proven) for hit in hits]  # type: ignore[misc]


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


def test_a_fused_order_counts_both_ranks_and_a_score_is_a_cosine(client: SearchClient, library: list[Path]) -> None:
    query = library[-2]  # a photograph that nothing else resembles
    look = client.search(query, limit=30)
    words = [hit.id for hit in client.search_features(query, limit=30, verify=False)]
    hits = client.search_fused(query, limit=30)
    assert len(hits) == len(library) - 1
    cosines = {hit.id: hit.score for hit in look}
    rankings = list(cosines), words
    assert {hit.id for hit in hits} == set(rankings[0]) | set(words)
    fused = [sum(1 / (61 + names.index(hit.id)) for names in rankings if hit.id in names) for hit in hits]
    assert fused == sorted(fused, reverse=True)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(cosines, abs=1e-6)


def test_proven_hits_lead_the_fused_list_in_the_order_of_their_strength(client: SearchClient, library: list[Path]) -> None:
    hits = client.search_fused(library[0], limit=30)
    verdicts = [isinstance(hit, FeatureHit) and hit.verdict != "none" for hit in hits]
    proven = [hit.strength for hit in hits if isinstance(hit, FeatureHit) and hit.verdict != "none"]
    assert verdicts == sorted(verdicts, reverse=True)
    assert len(proven) == 17
    assert proven == sorted(proven, reverse=True)
    assert all(hit.probability >= 0.99 for hit in hits[:17] if isinstance(hit, FeatureHit))


def test_a_fused_search_heeds_the_least_score_of_all_hits(client: SearchClient, library: list[Path]) -> None:
    query = library[-1]
    look = client.search(query, limit=30)
    least = look[3].score - 1e-6
    hits = client.search_fused(query, limit=30, min_score=least)
    assert {hit.id for hit in hits} == {hit.id for hit in look[:4]}
    assert client.search_fused(query, limit=2, offset=1, min_score=least) == hits[1:3]
    few = client.search_fused(query, limit=30, min_score=look[-1].score - 1e-6, where="price < 3")
    assert {hit.metadata["price"] for hit in few} == {0, 1, 2}


@pytest.mark.parametrize(("confidence", "shared_parts"), [(None, False), (0.5, True), (0, False)])
def test_fewer_hits_are_the_beginning_of_more(
    client: SearchClient, library: list[Path], confidence: float | None, shared_parts: bool
) -> None:
    for query in (library[5], open_image(library[9]).crop((100, 60, 420, 330)), open_image(library[3]).rotate(20)):
        ask = partial(client.search_features, query, min_confidence=confidence, shared_parts=shared_parts)
        everything = ask(limit=100)
        assert len({hit.id for hit in everything}) == len(everything)
        for limit in (1, 3, 17):
            assert ask(limit=limit) == everything[:limit]
        pages = [ask(limit=5, offset=offset) for offset in range(0, len(library), 5)]
        assert [hit for page in pages for hit in page] == everything
        fused = partial(client.search_fused, query, shared_parts=shared_parts)
        whole = fused(limit=100)
        assert [hit for offset in range(0, len(library), 8) for hit in fused(limit=8, offset=offset)] == whole
        assert fused(limit=1) == whole[:1]


def test_copies_beyond_the_first_block_are_found_where_they_are_asked_for(
    library: list[Path], index: Callable[..., None], tmp_path: Path
) -> None:
    """Sixty copies score the same by their words: which of them come first must not depend on how many are asked for."""
    asked = open_image(library[0]).crop((100, 50, 340, 230))
    for number in range(60):
        asked.save(tmp_path / f"{number:02}.png")
    copies = sorted(tmp_path.glob("*.png"))
    index(tmp_path / "db", [*copies, *library[-4:]])
    with SearchClient(tmp_path / "db") as client:
        everything = client.search_features(asked, limit=100)
        assert {hit.path for hit in everything} == set(copies)
        for size in (25, 48):
            pages = [client.search_features(asked, limit=size, offset=offset) for offset in range(0, 60, size)]
            assert [hit for page in pages for hit in page] == everything
        words = client.search_features(asked, verify=False, limit=64)
        halves = [client.search_features(asked, verify=False, limit=32, offset=offset) for offset in (0, 32)]
        assert [*halves[0], *halves[1]] == words
        alike = client.search_fused(asked, limit=64, min_score=0.9)
        assert client.search_fused(asked, limit=5, min_score=0.9) == alike[:5]
        assert client.search_fused(asked, limit=5, offset=50, min_score=0.9) == alike[50:55]
        fused = client.search_fused(asked, limit=64)
        assert {hit.path for hit in fused[:60]} == set(copies)
        halves = [client.search_fused(asked, limit=32, offset=offset) for offset in (0, 32)]
        assert [*halves[0], *halves[1]] == fused


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
    fused = client.search_fused(library[5], limit=30, include_self=True)
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
        shortlist = Shortlist(store, request_for(reader.vocabulary.sparse(asked.features), limit=1))
        found = [record.id for record in shortlist.first(10)]
        assert len(found) == 3
        store.delete([found[1]])
        hits = verify_candidates(store, reader, asked, shortlist, Proof(0.99), 10)
        assert {hit.id for hit in hits} == {found[0], found[2]}
