"""One generation in a directory: what it keeps and how it answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import F, FieldType, InvalidInput, MetadataError, PointNotFound, point_id
from semblant_search.store import Point, SparseVector, open_database
from support.asking import request_for
from support.points import CARD, COUNT, FIELDS, IDS, MANIFEST, VECTORS, point

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Store


def fill(path: Path) -> Store:
    store = open_database(path, create=True).create(MANIFEST)
    store.upsert([point(number) for number in range(COUNT)])
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """To be changed."""
    opened = fill(tmp_path / "db")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """To be read."""
    opened = fill(tmp_path_factory.mktemp("kept") / "db")
    yield opened
    opened.close()


@pytest.mark.parametrize("batch", [1, 7, 24, 25, 26])
def test_scrolling_finds_each_record_once_in_order(kept: Store, batch: int) -> None:
    assert [record.id for record in kept.scroll(batch=batch)] == sorted(IDS)
    third = [record.payload["number"] for record in kept.scroll(batch=batch, where=F("label") == "b", fields=["number"])]
    assert sorted(third) == list(range(1, COUNT, 3))


def test_scrolling_gives_what_was_asked_for(kept: Store) -> None:
    plain = next(kept.scroll())
    assert (plain.image, plain.features, plain.cells) == (None, None, None)
    assert plain.payload.keys() == {"number", "label", "price"}
    assert next(kept.scroll(fields=[])).payload == {}
    assert next(kept.scroll(fields=["label", "no such field"])).payload.keys() == {"label"}
    record = next(kept.scroll(with_image=True))
    assert record.image is not None
    np.testing.assert_allclose(record.image, VECTORS[IDS.index(record.id)], atol=1e-6)
    with pytest.raises(InvalidInput, match="batch 0: expected at least 1"):
        kept.scroll(batch=0)  # at once, not at the first record


def test_vectors_come_back_only_where_they_are_asked_for_and_there(store: Store) -> None:
    features = np.arange(72, dtype=np.uint8).reshape(2, 36)
    cells = np.eye(3, dtype=np.float32)[:2]
    words = SparseVector(np.array([3, 70000], np.uint32), np.ones(2, np.float32))
    store.upsert([replace(point(0), features=features, cells=cells, orb=words)])
    store.upsert([replace(point(1), features=features[:0], orb=SparseVector(words.indices[:0], words.values[:0]))])
    for expected in (set(), {"image"}, {"features"}, {"cells"}, {"image", "features", "cells"}):
        wanted: Any = {f"with_{name}": True for name in expected}
        record = store.retrieve([IDS[0]], **wanted)[0]
        assert {name for name in ("image", "features", "cells") if getattr(record, name) is not None} == expected
    everything = store.retrieve([IDS[0]], with_features=True, with_cells=True)[0]
    np.testing.assert_array_equal(everything.features, features)
    np.testing.assert_allclose(everything.cells, cells, atol=1e-6)  # type: ignore[arg-type]
    assert store.retrieve([IDS[1]], with_features=True)[0].features is None
    assert [hit.id for hit in store.query(request_for(words, 10))] == [IDS[0]]


def test_a_collection_without_details_and_cells_gives_none(tmp_path: Path) -> None:
    manifest = replace(MANIFEST, orb=None, encoder=replace(CARD, cells=None), fields={})
    store = open_database(tmp_path / "plain", create=True).create(manifest)
    store.upsert([point(0)])
    record = store.retrieve([IDS[0]], with_image=True, with_features=True, with_cells=True)[0]
    assert record.image is not None
    assert (record.features, record.cells) == (None, None)
    for extra in (
        replace(point(1), cells=np.ones((2, 3), np.float32)),
        replace(point(1), features=np.zeros((1, 36), np.uint8)),
    ):
        with pytest.raises(InvalidInput, match=f"point {IDS[1]}"):
            store.upsert([extra])
    store.close()


def test_cells_of_another_width_are_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match=rf"point {IDS[0]}: cells of shape \[2, 4\], the encoder's are \(2, 3\)"):
        store.upsert([replace(point(0), cells=np.ones((2, 4), np.float32))])


def test_hits_are_the_best_first_from_an_offset_on_and_above_a_score(kept: Store) -> None:
    cosines = VECTORS @ VECTORS[3]
    order = [IDS[number] for number in np.argsort(-cosines)]
    query = request_for(VECTORS[3], 5)
    assert [hit.id for hit in kept.query(query)] == order[:5]
    assert [hit.id for hit in kept.query(replace(query, offset=4))] == order[4:9]
    assert [hit.id for hit in kept.query(replace(query, limit=20_000))] == order
    assert [hit.id for hit in kept.query(replace(query, limit=20_000, offset=20))] == order[20:]
    least = float(np.sort(cosines)[-4] - 1e-4)
    assert [hit.id for hit in kept.query(replace(query, limit=COUNT, score_threshold=least))] == order[:4]
    assert all(hit.score <= 0 or hit.id in order for hit in kept.query(replace(query, limit=COUNT, score_threshold=0.0)))
    assert len(kept.query(replace(query, limit=COUNT, score_threshold=0.0))) == int((cosines >= 0).sum())
    assert kept.query(replace(query, fields=["number"]))[0].payload == {"number": 3}
    assert kept.query(replace(query, fields=[]))[0].payload == {}
    assert kept.query(query)[0].payload == point(3).payload
    odd = [id for id in order if IDS.index(id) % 2]
    assert [hit.id for hit in kept.query(replace(query, where=F("number").in_(range(1, COUNT, 2))))] == odd[:5]


def test_values_are_counted_most_frequent_first_and_ties_by_value(kept: Store) -> None:
    assert list(kept.facet("label").items()) == [("a", 9), ("b", 8), ("c", 8)]
    assert list(kept.facet("label", limit=2).items()) == [("a", 9), ("b", 8)]
    assert list(kept.facet("label", where=F("number") >= 1).items()) == [("a", 8), ("b", 8), ("c", 8)]
    assert list(kept.facet("number", limit=3)) == [0, 1, 2]
    assert list(kept.facet("price", limit=3, where=F("number") > 3)) == [2.0, 2.5, 3.0]
    assert len(kept.facet("price")) == COUNT


def test_many_values_are_counted_up_to_a_hundred(store: Store) -> None:
    store.upsert([Point(point_id(f"more {n}"), VECTORS[0], {"number": 1000 + n, "price": float(n)}) for n in range(120)])
    assert len(store.facet("number")) == len(store.facet("price")) == 100
    assert len(store.facet("number", limit=1000)) == 145


def test_deleting_takes_what_is_there_and_no_more(store: Store) -> None:
    store.delete([IDS[0], point_id("unknown"), IDS[5]])
    store.delete([point_id("unknown")])
    assert [record.id for record in store.scroll()] == sorted(set(IDS) - {IDS[0], IDS[5]})
    assert store.count() == COUNT - 2
    with pytest.raises(InvalidInput, match="point id 'x'"):
        store.delete([IDS[1], "x"])
    assert store.count() == COUNT - 2


def test_payloads_are_replaced_whole_or_not_at_all(store: Store) -> None:
    store.set_payloads({IDS[0]: {"number": 100}, IDS[1]: {}})
    assert {record.id: record.payload for record in store.retrieve(IDS[:3])} == {
        IDS[0]: {"number": 100},
        IDS[1]: {},
        IDS[2]: point(2).payload,
    }
    bad: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({point_id("unknown"): {"number": 7}}, PointNotFound, "'images' has no point"),
        ({IDS[2]: {"price": float("nan")}}, InvalidInput, "payload holds nan"),
        ({"x": {}}, InvalidInput, "point id 'x'"),
    ]
    for payloads, error, words in bad:
        with pytest.raises(error, match=words):
            store.set_payloads({IDS[3]: {"number": 200}, **payloads})
        assert store.retrieve([IDS[3]])[0].payload == point(3).payload
    vector = store.retrieve([IDS[1]], with_image=True)[0].image
    np.testing.assert_allclose(vector, VECTORS[1], atol=1e-6)  # type: ignore[arg-type]


def test_fields_are_remembered_across_openings_and_keep_their_types(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "db" / "images" / "g0001" / "manifest.json"
    before = file.stat().st_ino
    store.add_fields({"label": FieldType.KEYWORD})
    assert file.stat().st_ino == before  # nothing new, nothing written
    with pytest.raises(MetadataError, match=r"'price' is bool, but collection 'images' holds it as float.*--rebuild"):
        store.add_fields({"more": FieldType.BOOL, "price": FieldType.BOOL})
    assert "more" not in store.manifest.fields
    store.add_fields({"more": FieldType.BOOL, "_uri": FieldType.KEYWORD})
    expected = {**FIELDS, "more": FieldType.BOOL, "_uri": FieldType.KEYWORD}
    assert store.manifest.fields == expected
    store.close()
    again = open_database(tmp_path / "db").open("images", "g0001")
    assert again.manifest == replace(MANIFEST, fields=expected)
    assert again.count(F("more") == True) == 0  # noqa: E712
    again.close()


def test_an_optimized_collection_is_smaller_pieces_in_one_and_answers_the_same(store: Store, tmp_path: Path) -> None:
    query = request_for(VECTORS[0], COUNT, where=F("number") < 20)
    store.delete(IDS[10:15])
    before = store.query(query)
    store.optimize()
    assert store.query(query) == before
    assert store.count() == COUNT - 5
    store.close()
    again = open_database(tmp_path / "db").open("images", "g0001")
    assert again.query(query) == before
    again.close()
