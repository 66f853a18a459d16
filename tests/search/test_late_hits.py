"""Hits are read when they are looked at: nobody can tell them from hits that were read at once."""

from __future__ import annotations

import copy
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search import Hit, InvalidInput, SearchClient
from semblant_search.late import Late

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def client(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    copied = shutil.copytree(indexed, tmp_path_factory.mktemp("late") / "pictures.db")
    with SearchClient(copied) as client:
        yield client


@pytest.fixture
def expected(client: SearchClient) -> list[Hit]:
    """The hits, made as a caller makes them."""
    hits = client.search_vector(_vector(client), 5)
    return [Hit(hit.id, hit.uri, hit.metadata, hit.facts, hit.score, hit.probability) for hit in hits]


def _vector(client: SearchClient) -> list[float]:
    picture = next(client.pictures(with_vectors=True))
    assert picture.vector is not None
    found: list[float] = picture.vector.tolist()
    return found


LOOKS: dict[str, Callable[[Hit], object]] = {
    "equal": lambda hit: hit,
    "hashed": lambda hit: [hash(hit), hit],
    "printed": repr,
    "copied": copy.copy,
    "deeply copied": copy.deepcopy,
    "pickled": lambda hit: pickle.loads(pickle.dumps(hit)),
    "changed": lambda hit: replace(hit, copies=2),
    "as a dict": asdict,
    "as JSON": lambda hit: hit.to_json(),
    "by its id alone": lambda hit: hit.id,
    "by its id, then whole": lambda hit: [hit.id, hit.metadata, hit.facts, hit.uri, hit.path],
    "by its facts": lambda hit: hit.facts,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_a_hit_is_the_same_however_it_is_first_looked_at(
    client: SearchClient, expected: list[Hit], look: Callable[[Hit], object]
) -> None:
    hits = client.search_vector(_vector(client), 5)
    assert [look(hit) for hit in hits] == [look(hit) for hit in expected]
    assert hits == expected
    assert all(hit.metadata is hit.metadata for hit in hits)


def test_hits_stay_what_they_were(indexed: Path, tmp_path: Path) -> None:
    with SearchClient(shutil.copytree(indexed, tmp_path / "pictures.db")) as client:
        before, after = (client.search_vector(_vector(client), 5) for _ in range(2))
        said = [hit.to_json() for hit in before]
        client.update_metadata([before[0].id], {"label": "other"})
        client.delete([before[1].id])
    assert [hit.to_json() for hit in after] == said


def test_a_name_that_hits_do_not_have_is_an_attribute_error(client: SearchClient) -> None:
    (hit,) = client.search_vector(_vector(client), 1)
    for _ in range(2):
        with pytest.raises(AttributeError, match="'Hit' object has no attribute 'label'"):
            _ = getattr(hit, "label")  # noqa: B009
        assert hit.uri


def test_threads_that_look_at_one_hit_see_one_value(client: SearchClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            hits = client.search_vector(_vector(client), 5)
            seen = list(pool.map(lambda _, hits=hits: [(hit.metadata, hit.facts, hit.id) for hit in hits], range(8)))
            for one in seen:
                assert all(a[0] is b[0] and a[1] is b[1] for a, b in zip(one, seen[0], strict=True))


def test_what_was_looked_at_whole_holds_the_engine_s_hit_no_more(client: SearchClient) -> None:
    hits = client.search_vector(_vector(client), 2)
    assert all(isinstance(hit, Late) and hit.source is not hit for hit in hits)
    assert [hit.uri for hit in hits] == [hit.source.uri for hit in hits]
    assert all(hit.source is hit for hit in hits)


@pytest.mark.parametrize("length", [1e-38, 1e-3, 0.99999, 1.00001, 3.0, 3e38])
def test_a_vector_of_any_length_is_its_direction(client: SearchClient, length: float) -> None:
    """Also where the square of its length is beyond 32-bit floats."""
    vector = np.asarray(_vector(client), dtype=np.float32)
    plain, longer = client.search_vector(vector, 5), client.search_vector(vector * np.float32(length), 5)
    assert [hit.score for hit in longer] == pytest.approx([hit.score for hit in plain], abs=1e-6)
    assert max(hit.score for hit in longer) <= 1.000001


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_vector_that_has_no_direction_is_refused(client: SearchClient, wrong: float) -> None:
    vector = np.asarray(_vector(client), dtype=np.float32)
    for number in (0, slice(None)):
        vector[number] = wrong
        with pytest.raises(InvalidInput, match="expected finite numbers"):
            client.search_vector(vector)


def test_values_that_another_thread_has_read_meanwhile_stay() -> None:
    class Found:
        """An engine's hit; while its payload is read, another thread reads it, too, and is faster."""

        score, id = 0.5, "8d5f9c5e-0000-5000-8000-000000000001"
        reads = 0

        @property
        def payload(self) -> dict[str, object]:
            self.reads += 1
            if self.reads == 1:
                with ThreadPoolExecutor(1) as pool:
                    seen.append(pool.submit(lambda: hit.metadata).result(60))
            return {"_uri": "file:///a.png", "label": "bag"}

    seen: list[object] = []
    (hit,) = Hit.late_scored([Found()])
    assert hit.metadata == {"label": "bag"}
    assert hit.metadata is seen[0]
