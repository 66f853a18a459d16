"""Proving matches on photographs: what is found, where, under which name, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from semblant_search.images import open_image, to_grey
from semblant_search.orb import (
    DEFAULT_MIN_CONFIDENCE,
    Features,
    Match,
    Verifier,
    extract,
    pack,
    thumbnail,
    unpack,
    verify,
)
from support.details import SIZE, described, moved, places, proven

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "camera.png", "ihc.png", "page.png")


def size_of(grey: np.ndarray) -> tuple[int, int]:
    return grey.shape[1], grey.shape[0]


def stored(grey: np.ndarray) -> Features:
    """As an index would give it back."""
    return unpack(pack(extract(grey)))


def compare(query: np.ndarray, candidate: np.ndarray, *, pixels: bool = False) -> Match | None:
    """By details alone, as where a collection keeps no thumbnails, or by pixels as well."""
    if not pixels:
        return verify(extract(query, limit=400), stored(candidate), size_of(query), size_of(candidate))
    verifier = Verifier(extract(query, limit=400), size_of(query), None, query)
    return verifier.verify(stored(candidate), size_of(candidate), thumbnail(candidate, 64))


@pytest.fixture(scope="module")
def greys(photos: Path) -> dict[str, np.ndarray]:
    return {name: to_grey(open_image(photos / name), longest_side=480) for name in NAMES}


def crop_of(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A quarter of the area, and its corners in the whole."""
    height, width = grey.shape
    left, top = width // 3, height // 4
    corners = np.array([[0, 0], [width // 2, 0], [width // 2, height // 2], [0, height // 2]], np.float64)
    return np.ascontiguousarray(grey[top : top + height // 2, left : left + width // 2]), corners + np.array([left, top])


@pytest.mark.parametrize("pixels", [False, True], ids=["details", "pixels"])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "ihc.png"])
def test_a_crop_is_found_where_it_was_cut_out(greys: dict[str, np.ndarray], name: str, pixels: bool) -> None:
    query, corners = crop_of(greys[name])
    match = compare(query, greys[name], pixels=pixels)
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


@pytest.mark.parametrize("pixels", [False, True], ids=["details", "pixels"])
@pytest.mark.parametrize("change", [turned, halved, squeezed, photographed])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "motorcycle_left.png"])
def test_changed_copies_are_proven_at_the_default_confidence(
    greys: dict[str, np.ndarray], name: str, change: Callable[[np.ndarray], np.ndarray], pixels: bool
) -> None:
    match = compare(change(greys[name]), greys[name], pixels=pixels)
    assert match is not None
    assert match.probability >= DEFAULT_MIN_CONFIDENCE
    assert match.inliers >= 10


@pytest.mark.parametrize("pixels", [False, True], ids=["details", "pixels"])
def test_verdicts_name_the_relation(greys: dict[str, np.ndarray], pixels: bool) -> None:
    whole = greys["astronaut.png"]
    crop, _ = crop_of(whole)
    pasted = greys["page.png"].copy()
    small = cv2.resize(whole, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    pasted[5 : 5 + small.shape[0], 60 : 60 + small.shape[1]] = small[: pasted.shape[0] - 5]
    asked = {
        "copy": compare(squeezed(whole), whole, pixels=pixels),
        "rotated/scaled": compare(halved(whole), whole, pixels=pixels),
        "crop": compare(crop, whole, pixels=pixels),
        "contains": compare(pasted, whole, pixels=pixels),
    }
    expected = {name: name for name in asked}
    if not pixels:  # some twenty details in a third of the picture's size are too few by themselves
        expected["contains"] = "lookalike"
    assert {name: match.verdict if match else None for name, match in asked.items()} == expected
    turned_right = compare(np.ascontiguousarray(np.rot90(whole)), whole, pixels=pixels)
    assert turned_right is not None
    assert turned_right.verdict == "rotated/scaled"


@pytest.mark.parametrize("pixels", [False, True], ids=["details", "pixels"])
@pytest.mark.parametrize("ground", [0, 120, 255])
@pytest.mark.parametrize("angle", [0, 30, -45])
def test_a_picture_turned_or_framed_on_a_plain_ground_is_still_the_whole_picture(
    greys: dict[str, np.ndarray], angle: int, ground: int, pixels: bool
) -> None:
    """The ground has no details, so there is nothing that the query shows besides."""
    names = ("astronaut.png", "coffee.png", "motorcycle_left.png")
    verdicts, besides = [], []
    for name in names:
        grey = greys[name]
        side = round(np.hypot(*grey.shape) * 1.1)
        rotation = cv2.getRotationMatrix2D((grey.shape[1] / 2, grey.shape[0] / 2), angle, 1)
        rotation[:, 2] += (side - np.array(size_of(grey))) / 2
        framed = cv2.warpAffine(grey, rotation, (side, side), borderValue=ground)
        match = compare(framed, grey, pixels=pixels)
        assert match is not None
        verdicts.append(match.verdict)
        # And where the ground has details of its own, it is something else that the query shows.
        within = cv2.warpAffine(np.full_like(grey, 255), rotation, (side, side)) > 127
        pasted = compare(np.where(within, framed, cv2.resize(greys["page.png"], (side, side))), grey, pixels=pixels)
        assert pasted is not None
        besides.append(pasted.verdict)
    assert verdicts.count("rotated/scaled") >= 2  # a bright ground gives a dark picture's outline details of its own
    assert set(verdicts) <= {"rotated/scaled", "contains"}
    assert set(besides) <= {"contains", "lookalike"}
    assert "contains" in besides


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


@pytest.mark.parametrize("pixels", [False, True], ids=["details", "pixels"])
def test_different_photographs_are_not_taken_for_each_other(greys: dict[str, np.ndarray], pixels: bool) -> None:
    found = []
    for name, grey in greys.items():
        others = [other for other in greys if other != name]
        verifier = Verifier(extract(grey, limit=400), size_of(grey), None, grey if pixels else None)
        matches = verifier.verify_many(
            [stored(greys[o]) for o in others],
            [size_of(greys[o]) for o in others],
            [thumbnail(greys[o], 64) for o in others],
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


@pytest.mark.parametrize("pixels", [False, True], ids=["details", "pixels"])
@pytest.mark.parametrize("flip", [np.fliplr, np.flipud, np.transpose], ids=["left to right", "upside down", "transposed"])
def test_a_mirror_image_is_not_proven_by_geometry(
    greys: dict[str, np.ndarray], flip: Callable[[np.ndarray], np.ndarray], pixels: bool
) -> None:
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png"):
        assert not proven(compare(np.ascontiguousarray(flip(greys[name])), greys[name], pixels=pixels)), name


def test_support_is_the_share_of_the_details_in_the_overlap_that_agree() -> None:
    """Of the picture that has fewer there, and of five more: what lies beside the overlap counts neither way."""
    features = described(places(60, 1))
    same = verify(features, features, SIZE, SIZE)
    assert same is not None
    assert same.support == same.inliers / 65 > 0.85
    left = features.take(features.keypoints[:, 0] < 200)
    half = verify(left, features, (200, 300), SIZE)
    assert half is not None
    assert half.support == half.inliers / (len(left) + 5) > 0.8
    others = described(places(180, 2), seed=9)
    crowded = Features(
        np.concatenate([features.keypoints, others.keypoints]), np.concatenate([features.descriptors, others.descriptors])
    )
    more = verify(crowded, features, SIZE, SIZE)
    assert more is not None
    assert more.support == more.inliers / 65
    against = Features(
        np.concatenate([features.keypoints, described(places(140, 3)).keypoints]),
        np.concatenate([features.descriptors, described(places(140, 3), seed=5).descriptors]),
    )
    denied = verify(crowded, against, SIZE, SIZE)
    assert denied is not None
    assert denied.support == pytest.approx(denied.inliers / 200, abs=0.02)
    assert denied.strength < more.strength
    assert denied.probability < more.probability


def test_many_candidates_are_each_compared_with_their_own_thumbnail(greys: dict[str, np.ndarray]) -> None:
    query = greys["coffee.png"]
    verifier = Verifier(extract(query, limit=400), size_of(query), None, query)
    candidate = stored(query)
    own, other = thumbnail(query, 64), thumbnail(greys["chelsea.png"], 64)
    matches = verifier.verify_many([candidate] * 3, [size_of(query)] * 3, [other, None, own])
    wrong, none, right = (match for match in matches if match is not None)
    assert wrong.pixels is not None
    assert right.pixels is not None
    assert none.pixels is None
    assert right.pixels.correlation > 0.98 > 0.3 > wrong.pixels.correlation
    assert right.strength > none.strength > wrong.strength
    with pytest.raises(ValueError, match="shorter"):
        verifier.verify_many([candidate] * 2, [size_of(query)] * 2, [own])


@pytest.mark.parametrize(("off", "laid_over"), [(0.0, True), (0.02, True), (0.05, False)])
def test_what_lies_about_over_each_other_is_judged_as_a_copy_would_be(off: float, laid_over: bool) -> None:
    """Tables that share their lines and no number are placed by 2 % wrongly, and are no crops of each other for that."""
    features = described(places(120, 3))
    there = moved(features, np.diag([1 + off, 1 + off, 1.0]), zoom=1 + off)
    match = verify(features, there, SIZE, SIZE)
    assert match is not None
    np.testing.assert_allclose(match.polygon[2], np.array(SIZE) * (1 + off), atol=1)
    assert match.laid_over == laid_over
