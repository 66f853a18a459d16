"""Proving matches on photographs: what is found, where, under which name, and what is not."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from semblant_search.errors import StoreError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import (
    DEFAULT_MIN_CONFIDENCE,
    Calibration,
    Features,
    Match,
    Verifier,
    extract,
    pack,
    unpack,
    verify,
    verify_many,
)
from semblant_search.store import open_database
from support.details import proven

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "camera.png", "ihc.png", "page.png")


def size_of(grey: np.ndarray) -> tuple[int, int]:
    return grey.shape[1], grey.shape[0]


def stored(grey: np.ndarray) -> Features:
    """As an index would give it back."""
    return unpack(pack(extract(grey)))


def compare(query: np.ndarray, candidate: np.ndarray) -> Match | None:
    return verify(extract(query, limit=400), stored(candidate), size_of(query), size_of(candidate))


@pytest.fixture(scope="module")
def greys(photos: Path) -> dict[str, np.ndarray]:
    return {name: to_grey(open_image(photos / name), longest_side=480) for name in NAMES}


def crop_of(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A quarter of the area, and its corners in the whole."""
    height, width = grey.shape
    left, top = width // 3, height // 4
    corners = np.array([[0, 0], [width // 2, 0], [width // 2, height // 2], [0, height // 2]], np.float64)
    return np.ascontiguousarray(grey[top : top + height // 2, left : left + width // 2]), corners + np.array([left, top])


@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "ihc.png"])
def test_a_crop_is_found_where_it_was_cut_out(greys: dict[str, np.ndarray], name: str) -> None:
    query, corners = crop_of(greys[name])
    match = compare(query, greys[name])
    assert match is not None
    assert match.verdict == "crop"
    assert match.probability >= DEFAULT_MIN_CONFIDENCE
    np.testing.assert_allclose(match.polygon, corners, atol=0.04 * max(query.shape))


def turned(grey: np.ndarray) -> np.ndarray:
    height, width = grey.shape
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), 30, 0.75)
    return cv2.warpAffine(grey, rotation, (width, height), borderValue=255)


def halved(grey: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def squeezed(grey: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_GRAYSCALE))


def photographed(grey: np.ndarray) -> np.ndarray:
    height, width = grey.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    there = np.array([[0.1, 0.05], [0.95, 0.12], [0.88, 0.9], [0.02, 0.97]], np.float32) * (width, height)
    warp = cv2.getPerspectiveTransform(corners, there.astype(np.float32))
    return cv2.warpPerspective(grey, warp, (width, height), borderValue=120)


@pytest.mark.parametrize("change", [turned, halved, squeezed, photographed])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "motorcycle_left.png"])
def test_changed_copies_are_proven_at_the_default_confidence(
    greys: dict[str, np.ndarray], name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    match = compare(change(greys[name]), greys[name])
    assert match is not None
    assert match.probability >= DEFAULT_MIN_CONFIDENCE
    assert match.inliers >= 10


def test_verdicts_name_the_relation(greys: dict[str, np.ndarray]) -> None:
    whole = greys["astronaut.png"]
    crop, _ = crop_of(whole)
    pasted = greys["page.png"].copy()
    small = cv2.resize(whole, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    pasted[5 : 5 + small.shape[0], 60 : 60 + small.shape[1]] = small[: pasted.shape[0] - 5]
    asked = {
        "copy": compare(squeezed(whole), whole),
        "rotated/scaled": compare(halved(whole), whole),
        "crop": compare(crop, whole),
        "contains": compare(pasted, whole),
    }
    assert {name: match.verdict if match else None for name, match in asked.items()} == {name: name for name in asked}
    turned_right = compare(np.ascontiguousarray(np.rot90(whole)), whole)
    assert turned_right is not None
    assert turned_right.verdict == "rotated/scaled"


def test_the_transform_brings_matched_features_onto_each_other(greys: dict[str, np.ndarray]) -> None:
    query, candidate = photographed(greys["coffee.png"]), greys["coffee.png"]
    here, there = extract(query, limit=400), stored(candidate)
    match = verify(here, there, size_of(query), size_of(candidate))
    assert match is not None
    points = here.keypoints[match.pairs[:, 0], :2]
    image = np.column_stack([points, np.ones(len(points))]) @ match.transform.T
    away = np.linalg.norm(image[:, :2] / image[:, 2:] - there.keypoints[match.pairs[:, 1], :2], axis=1)
    assert np.median(away) < 2.5
    assert len(np.unique(match.pairs[:, 0])) == len(match.pairs), "a feature is used once"


def test_different_photographs_are_not_taken_for_each_other(greys: dict[str, np.ndarray]) -> None:
    found = []
    for name, grey in greys.items():
        others = [other for other in greys if other != name]
        matches = verify_many(
            extract(grey, limit=400), [stored(greys[o]) for o in others], size_of(grey), [size_of(greys[o]) for o in others]
        )
        found += [
            (name, other) for other, m in zip(others, matches, strict=True) if m and m.probability >= DEFAULT_MIN_CONFIDENCE
        ]
    assert found == []


def test_scattered_features_prove_nothing(greys: dict[str, np.ndarray]) -> None:
    """The same descriptors at shuffled places: every match is right by descriptor, and none by geometry."""
    features = extract(greys["chelsea.png"])
    rng = np.random.default_rng(5)
    shuffled = Features(features.keypoints[rng.permutation(len(features))], features.descriptors)
    match = verify(shuffled, features, size_of(greys["chelsea.png"]), size_of(greys["chelsea.png"]))
    assert not proven(match)
    if match is not None:
        assert match.inliers < 0.15 * match.matches


def test_many_as_one_by_one_and_in_the_given_order(greys: dict[str, np.ndarray]) -> None:
    query, _ = crop_of(greys["rocket.jpg"])
    verifier = Verifier(extract(query, limit=400), size_of(query))
    candidates, sizes = [stored(grey) for grey in greys.values()], [size_of(grey) for grey in greys.values()]
    together = verifier.verify_many(candidates, sizes)
    alone = [verifier.verify(candidate, size) for candidate, size in zip(candidates, sizes, strict=True)]
    assert [m and m.evidence for m in together] == [m and m.evidence for m in alone]
    assert max(range(len(NAMES)), key=lambda i: getattr(together[i], "evidence", -9.0)) == NAMES.index("rocket.jpg")


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_few_features_on_either_side_are_no_match_and_no_error(greys: dict[str, np.ndarray], count: int) -> None:
    features, size = extract(greys["camera.png"]), size_of(greys["camera.png"])
    few = features.take(np.arange(count))
    for match in (verify(few, features, size, size), verify(features, few, size, size)):
        assert match is None if count < 4 else not proven(match)


def test_identical_points_do_not_divide_by_zero(greys: dict[str, np.ndarray]) -> None:
    features, size = extract(greys["camera.png"]), size_of(greys["camera.png"])
    one_place = Features(np.tile(np.array([50, 50, 31, 0], np.float32), (len(features), 1)), features.descriptors)
    assert verify(one_place, features, size, size) is None
    assert verify(features, one_place, size, size) is None


def test_more_evidence_is_never_less_probable() -> None:
    calibration = Calibration.general()
    values = [calibration.probability(evidence) for evidence in np.linspace(-10, 200, 500)]
    assert values == sorted(values)
    assert values[0] == 0
    assert 0.999 < values[-1] <= 1.0
    assert len(set(values)) > 50, "it rises"


def test_a_collection_is_calibrated_on_its_own_pairs(greys: dict[str, np.ndarray]) -> None:
    features, sizes = [stored(grey) for grey in greys.values()], [size_of(grey) for grey in greys.values()]
    measured = Calibration.measure(features, sizes, pairs=200)
    assert measured.pairs == 56, "8 pictures have 56 ordered pairs"
    assert measured == Calibration.measure(features, sizes, pairs=200)
    assert Calibration.from_bytes(measured.to_bytes()) == measured
    # Photographs that have nothing in common hardly ever agree.
    assert measured.share < 1.5 * Calibration.general().share
    assert 0.8 < measured.slope < 1.8


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"format": 9}', b'{"format": 1, "share": 2, "slope": 1, "pairs": 0}'])
def test_a_file_that_is_no_calibration_says_so(data: bytes) -> None:
    with pytest.raises(StoreError, match="calibration"):
        Calibration.from_bytes(data)


def test_a_collection_without_features_cannot_be_calibrated(indexed: Path) -> None:
    with (
        closing(open_database(indexed)) as database,
        closing(database.open("plain")) as store,
        pytest.raises(StoreError, match="without ORB"),
    ):
        Calibration.of_store(store)


@pytest.mark.parametrize("flip", [np.fliplr, np.flipud, np.transpose], ids=["left to right", "upside down", "transposed"])
def test_a_mirror_image_is_not_proven_by_geometry(
    greys: dict[str, np.ndarray], flip: Callable[[np.ndarray], np.ndarray]
) -> None:
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png"):
        assert not proven(compare(np.ascontiguousarray(flip(greys[name])), greys[name])), name
