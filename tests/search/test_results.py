"""What the client answers with, field by field, and what of it is JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from semblant_search import Duplicate, DuplicateGroup, FeatureHit, Hit, Picture
from semblant_search.results import split_payload

PICTURE: dict[str, Any] = {
    "id": "8d5f9c5e-0000-5000-8000-000000000001",
    "uri": "file:///a%20b/%C3%BC.png",
    "metadata": {"label": "bag", "tags": ["a"]},
    "facts": {"_width": 28, "_format": "PNG"},
}
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
PROOF: dict[str, Any] = {
    "verdict": "crop",
    "probability": 0.75,
    "inliers": 12,
    "evidence": 3.5,
    "support": 0.25,
    "correlation": 0.875,
    "disagreement": 1.25,
    "strength": 6.5,
    "mirrored": True,
    "transform": ((1.0, 0.0, 2.0), (0.0, 1.0, 3.0), (0.0, 0.0, 1.0)),
    "polygon": SQUARE,
}
SHARED = {**PROOF, "verdict": "shared part"}
TIER: dict[str, Any] = {"tier": "copy", "why": [], "removable": False}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Picture(**PICTURE), PICTURE),
        (Hit(**PICTURE, score=0.5), {"score": 0.5, "probability": None, **PICTURE}),
        (FeatureHit(**PICTURE, score=7.5, **PROOF, pairs=((1.0, 2.0, 3.0, 4.0),)), {"score": 7.5, **PICTURE, **PROOF}),
        (
            FeatureHit(**PICTURE, score=7.5, **SHARED, part_in_query=SQUARE, part_in_hit=SQUARE[:3]),
            {"score": 7.5, **PICTURE, **SHARED, "part_in_query": SQUARE, "part_in_hit": SQUARE[:3]},
        ),
        (
            FeatureHit(**PICTURE, score=7.5),
            {
                "score": 7.5,
                **PICTURE,
                "verdict": "none",
                "probability": 0.0,
                "inliers": 0,
                "evidence": 0.0,
                "support": 0.0,
                "correlation": None,
                "disagreement": 0.0,
                "strength": 0.0,
                "mirrored": False,
                "transform": None,
                "polygon": None,
            },
        ),
        (
            Duplicate(**PICTURE, exact=True, verdict="copy", probability=0.99),
            {**PICTURE, "exact": True, "verdict": "copy", "probability": 0.99, **TIER},
        ),
        (Duplicate(**PICTURE), {**PICTURE, "exact": False, "verdict": "none", "probability": 0.0, **TIER}),
        (
            Duplicate(**PICTURE, tier="changed", why=("mirrored",), removable=True),
            {
                **PICTURE,
                "exact": False,
                "verdict": "none",
                "probability": 0.0,
                "tier": "changed",
                "why": ["mirrored"],
                "removable": True,
            },
        ),
        (
            DuplicateGroup(Picture(**PICTURE), (Duplicate(**PICTURE, exact=True),)),
            {
                "representative": PICTURE,
                "others": [{**PICTURE, "exact": True, "verdict": "none", "probability": 0.0, **TIER}],
                "other_names": {},
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_json_holds_every_field(result: Any, expected: dict[str, Any]) -> None:
    assert result.to_json() == expected
    assert list(result.to_json()) == list(expected)  # as a reader of the output meets them
    assert json.loads(json.dumps(result.to_json())) == json.loads(json.dumps(expected))


def test_results_never_change_and_are_compared_by_what_they_say() -> None:
    one, other = Hit(**PICTURE, score=0.5), Hit(**{**PICTURE, "metadata": {}}, score=0.5)
    assert one == Hit(**PICTURE, score=0.5)
    assert one != other
    for name in (field.name for field in fields(FeatureHit)):
        with pytest.raises(FrozenInstanceError):
            setattr(FeatureHit(**PICTURE), name, None)
    assert "pairs" not in repr(FeatureHit(**PICTURE, pairs=((1.0, 2.0, 3.0, 4.0),)))


def test_the_facts_in_json_are_a_copy() -> None:
    hit = Hit(**PICTURE)
    hit.to_json()["metadata"]["label"] = "other"
    hit.to_json()["facts"].clear()
    assert (hit.metadata["label"], hit.facts["_width"]) == ("bag", 28)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b/%C3%BC.png", Path("/a b/ü.png")),
        ("file:///a%23b%3Fc.png", Path("/a#b?c.png")),
        ("file:///shard.tar#a.png", None),
        ("https://example.org/a.png", None),
        ("s3://bucket/a.png", None),
    ],
)
def test_the_path_is_that_of_the_file(uri: str, path: Path | None) -> None:
    assert Picture("id", uri).path == path


def test_a_payload_is_split_into_the_user_s_fields_and_semblant_s() -> None:
    payload = {"label": "bag", "_uri": "file:///a.png", "_width": 28, "x_": 1, "camera": {"_raw": 2}, "_cluster": 3}
    uri, metadata, facts = split_payload(payload)
    assert uri == "file:///a.png"
    assert metadata == {"label": "bag", "x_": 1, "camera": {"_raw": 2}}
    assert facts == {"_width": 28, "_cluster": 3}
    assert payload["_uri"] == "file:///a.png"
    assert split_payload({"label": 1}) == ("", {"label": 1}, {})


def test_results_are_hashed_by_all_but_their_mappings() -> None:
    results: list[Picture] = [
        Picture(**PICTURE),
        Hit(**PICTURE, score=0.5),
        FeatureHit(**PICTURE, score=0.5, **SHARED, part_in_query=SQUARE, pairs=((1.0, 2.0, 3.0, 4.0),)),
        Duplicate(**PICTURE, why=("resized",)),
    ]
    assert len({*results, *results}) == 4
    for result in results:
        other = replace(result, metadata={})
        assert hash(other) == hash(result)
        assert other != result
        assert hash(replace(result, uri="file:///b.png")) != hash(result)
    group = DuplicateGroup(results[0], (results[3],), {"file:///a.png": ("file:///b.png",)})  # type: ignore[arg-type]
    assert group in {group}


def test_vectors_count_neither_for_equality_nor_for_hashes() -> None:
    one, other = (Picture(**PICTURE, vector=np.eye(2, dtype=np.float32)[row]) for row in (0, 1))
    assert one == other == Picture(**PICTURE)
    assert hash(one) == hash(other)
    assert "vector" not in repr(one)
