"""What the embedded engine is told about vectors, memory and indexes, by its own files: nothing else shows most of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import qdrant_edge
from semblant_search import EncoderCard, F, FieldType, Fit, InvalidInput, Manifest, point_id
from semblant_search.collection import RESERVED_FIELDS, StorageOptions
from semblant_search.store import Point, open_database
from support.asking import request_for

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.store import Store

DIM = 64
FIELDS = {
    "label": FieldType.KEYWORD,
    "stock": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "place": FieldType.GEO,
}
_RNG = np.random.default_rng(0)
VECTORS = _RNG.normal(size=(600, DIM)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
ASKED = _RNG.normal(size=(20, DIM)).astype(np.float32)
ASKED /= np.linalg.norm(ASKED, axis=1, keepdims=True)
IDS = [point_id(str(number)) for number in range(len(VECTORS))]


def create(path: Path, *, cells: tuple[int, int] | None = None, **changes: Any) -> Store:
    card = EncoderCard("random", "test", Fit(4, 4, 1), DIM, "none", cells=cells)
    return open_database(path, create=True).create(Manifest("images", "g0001", "0" * 64, card, **changes))


def told(path: Path) -> dict[str, Any]:
    """The engine's own note of how the vectors are kept."""
    config: dict[str, Any] = json.loads((path / "images" / "g0001" / "shard" / "edge_config.json").read_bytes())
    return config


def indexes(path: Path) -> dict[str, dict[str, Any]]:
    """The engine's own note of the payload indexes."""
    segments = (path / "images" / "g0001" / "shard" / "segments").glob("*/payload_index/config.json")
    found: list[dict[str, dict[str, Any]]] = [json.loads(segment.read_bytes())["indexed_fields"] for segment in segments]
    assert found
    assert all(other == found[0] for other in found)
    return found[0]


def test_all_vectors_are_kept_by_name_and_only_pictures_get_a_graph(tmp_path: Path) -> None:
    create(tmp_path / "db", cells=(9, 12), orb={"feature_bytes": 36}).close()
    config = told(tmp_path / "db")
    vectors = config["vectors"]
    assert set(vectors) == {"image", "orb_features", "cells"}
    assert config["sparse_vectors"] == {"orb": {"modifier": "idf"}}
    assert {name: (params["size"], params["distance"]) for name, params in vectors.items()} == {
        "image": (DIM, "Cosine"),
        "orb_features": (9, "Dot"),
        "cells": (12, "Cosine"),
    }
    assert "hnsw_config" not in vectors["image"]
    for name in ("orb_features", "cells"):
        assert vectors[name]["multivector_config"] == {"comparator": "max_sim"}
        assert vectors[name]["hnsw_config"]["m"] == 0


def test_a_collection_without_details_and_cells_has_one_vector(tmp_path: Path) -> None:
    create(tmp_path / "db").close()
    config = told(tmp_path / "db")
    assert set(config["vectors"]) == {"image"}
    assert not config.get("sparse_vectors")


@pytest.mark.parametrize(
    ("quantize", "expected"),
    [
        (None, None),
        ("scalar", {"scalar": {"type": "int8", "quantile": 0.99, "memory": "pinned"}}),
        ("turbo", {"turbo": {"bits": "bits4", "memory": "pinned"}}),
        ("binary", {"binary": {"memory": "pinned"}}),
    ],
)
@pytest.mark.parametrize("on_disk", [False, True])
def test_vectors_are_kept_as_the_storage_options_say(
    tmp_path: Path, quantize: str | None, expected: dict[str, Any] | None, on_disk: bool
) -> None:
    create(tmp_path / "db", storage=StorageOptions(quantize, on_disk=on_disk)).close()
    image = told(tmp_path / "db")["vectors"]["image"]
    assert image.get("quantization_config") == expected
    assert image.get("memory") == ("cold" if on_disk else None)
    graph = image.get("hnsw_config")
    assert (graph and {key: graph[key] for key in ("m", "ef_construct", "memory")}) == (
        {"m": 16, "ef_construct": 100, "memory": "cold"} if on_disk else None
    )


@pytest.mark.parametrize("on_disk", [False, True])
def test_fields_are_indexed_by_their_types_and_only_the_users_shape_the_graph(tmp_path: Path, on_disk: bool) -> None:
    store = create(tmp_path / "db", storage=StorageOptions(on_disk=on_disk), fields={"label": FieldType.KEYWORD})
    store.add_fields({**RESERVED_FIELDS, **FIELDS})
    store.close()
    found = indexes(tmp_path / "db")
    assert {name: index["type"] for name, index in found.items()} == {
        name: kind.value for name, kind in {**RESERVED_FIELDS, **FIELDS}.items()
    }
    assert {name for name, index in found.items() if index.get("enable_hnsw", True)} == set(FIELDS)
    assert {index.get("memory") for index in found.values()} == {"cold" if on_disk else None}
    assert {name for name, index in found.items() if index.get("prefix")} == {"label", "_uri", "_sha256", "_format"}


def test_fields_of_a_new_generation_are_indexed_at_once(tmp_path: Path) -> None:
    create(tmp_path / "db", fields={**RESERVED_FIELDS, "label": FieldType.KEYWORD}).close()
    assert set(indexes(tmp_path / "db")) == {*RESERVED_FIELDS, "label"}


def test_an_index_that_an_older_semblant_left_for_the_end_is_made_then(tmp_path: Path) -> None:
    store = create(tmp_path / "db", fields={"_uri": FieldType.KEYWORD})
    store.upsert([Point(IDS[0], VECTORS[0], {"_uri": "file:///a"})])
    store.close()
    shard = qdrant_edge.EdgeShard.load(str(tmp_path / "db" / "images" / "g0001" / "shard"))
    shard.update(qdrant_edge.UpdateOperation.delete_field_index("_uri"))
    shard.close()
    again = open_database(tmp_path / "db").open("images", "g0001")
    assert again.facet("_uri") == {"file:///a": 1}  # counted without an index
    assert again.count(F("_uri") == "file:///a") == 1
    again.optimize()
    again.close()
    assert set(indexes(tmp_path / "db")) == {"_uri"}


def found(store: Store, *, exact: bool = False) -> float:
    """The share of the true ten nearest among the ten hits; their scores are cosines, however they were found."""
    right = 0
    for vector in ASKED:
        cosines = VECTORS @ vector
        hits = store.query(request_for(vector, 10, exact=exact))
        np.testing.assert_allclose([hit.score for hit in hits], [cosines[IDS.index(hit.id)] for hit in hits], atol=1e-5)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        right += len({hit.id for hit in hits} & {IDS[number] for number in np.argsort(-cosines)[:10]})
    return right / (10 * len(ASKED))


@pytest.mark.parametrize(("quantize", "least", "most"), [("scalar", 1, 1), ("turbo", 0.985, 1), ("binary", 0.65, 0.85)])
def test_a_search_of_small_copies_looks_at_more_and_scores_by_the_originals(
    tmp_path: Path, quantize: str, least: float, most: float
) -> None:
    """One bit a number finds three in four, and one in four if it looked at no more than it was asked for."""
    store = create(tmp_path / "db", storage=StorageOptions(quantize))
    store.upsert([Point(id, vector, {}) for id, vector in zip(IDS, VECTORS, strict=True)])
    store.optimize()
    assert least <= found(store) <= most
    assert found(store, exact=True) == 1
    store.close()


@pytest.mark.parametrize("wrong", ["octal", "", "Scalar"])
def test_an_unknown_quantization_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput, match=f"quantization '{wrong}': expected one of scalar, binary, turbo, or none"):
        StorageOptions(wrong)
