"""What makes a part shared: fine details, of the right size and direction, in several places."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search.orb import DEFAULT_MIN_CONFIDENCE, Features
from semblant_search.orb.parts import LEAST_PART, SharedPart, shared_part
from semblant_search.orb.verify import Verifier
from support.details import SIZE, described, moved, places

HERE, THERE = (60, 60, 180, 180), (200, 40, 380, 220)
SHIFT = np.array([[1.5, 0, 110], [0, 1.5, -50], [0, 0, 1]])
"""From the first box to the second."""


def together(one: Features, other: Features) -> Features:
    return Features(np.vstack([one.keypoints, other.keypoints]), np.vstack([one.descriptors, other.descriptors]))


def found(count: int, *, of: int = 0, size: float = 20, zoom: float = 1.5, turn: float = 0, seed: int = 1) -> SharedPart | None:
    """The part of two pictures that share so many details, and match in `of` others that do not agree."""
    thing = described(places(count, seed, HERE), size=size, seed=seed)
    other = described(places(of, seed + 50), size=20, seed=seed + 50)
    query = together(thing, other)
    elsewhere = Features(described(places(of, seed + 70), size=20).keypoints, other.descriptors)
    candidate = together(moved(thing, SHIFT, zoom=zoom, turn=turn), elsewhere)
    pairs = np.column_stack([np.arange(count + of)] * 2)
    return shared_part(query, candidate, (SIZE, SIZE), SHIFT, pairs, np.arange(count + of) < count)


def test_fine_details_that_agree_are_a_part_and_its_outline_is_around_them() -> None:
    part = found(20, of=60)
    assert part is not None
    assert part.probability > 0.999
    assert (part.pairs[:, 0] < 20).all()
    assert 15 <= part.inliers <= 20
    for outline, box in ((part.query, HERE), (part.candidate, THERE)):
        low, high = np.array(box[:2]), np.array(box[2:])
        assert ((outline >= low - 6) & (outline <= high + 6)).all()
        assert (outline.max(axis=0) - outline.min(axis=0) > 0.6 * (high - low)).all()
    assert 0.5 < part.support <= 1


def test_coarse_details_are_none() -> None:
    """As seen from afar, a sleeve is a sleeve."""
    assert found(20, of=60, size=60) is None


@pytest.mark.parametrize("wrong", [{"zoom": 1.0}, {"zoom": 2.2}, {"turn": 30}, {"turn": -20}], ids=str)
def test_details_of_another_size_or_direction_than_the_transform_gives_are_none(wrong: dict[str, float]) -> None:
    assert found(20, of=60, **wrong) is None  # type: ignore[arg-type]
    assert found(20, of=60, zoom=1.4, turn=-8) is not None


def test_more_that_agree_and_fewer_that_do_not_are_more_evident() -> None:
    rising = [part.evidence for count in (6, 8, 12, 20, 40) if (part := found(count, of=60)) is not None]
    assert len(rising) == 5
    assert rising == sorted(rising)
    falling = [part.evidence for of in (0, 20, 60, 200) if (part := found(12, of=of)) is not None]
    assert falling == sorted(falling, reverse=True)
    assert len(set(falling)) == 4


def test_few_are_no_part_and_many_on_one_spot_are_few() -> None:
    assert found(4) is None
    one = described(np.full((20, 2), 100.0) + np.arange(20)[:, None] / 20, size=20)
    pairs = np.column_stack([np.arange(20)] * 2)
    assert shared_part(one, moved(one, SHIFT, zoom=1.5), (SIZE, SIZE), SHIFT, pairs, np.ones(20, bool)) is None


def test_probability_grows_with_evidence_and_stays_within_its_bounds() -> None:
    parts = [part for count in range(5, 40) if (part := found(count, of=80)) is not None]
    parts.sort(key=lambda part: part.evidence)
    chances = [part.probability for part in parts]
    assert chances == sorted(chances)
    assert chances[0] < 0.5 < LEAST_PART < chances[-1] <= 1


def test_a_verifier_looks_for_parts_only_where_asked_and_where_nothing_is_proven() -> None:
    rng = np.random.default_rng(3)
    thing = described(places(16, 1, HERE), size=20)
    mine, theirs = described(places(180, 2), seed=2), described(places(200, 3), seed=3)
    query, candidate = together(thing, mine), together(moved(thing, SHIFT, zoom=1.5), theirs)
    plain, asked = (Verifier(query, SIZE, shared_parts=wanted).verify(candidate, SIZE) for wanted in (False, True))
    assert plain is not None
    assert asked is not None
    assert (plain.verdict, plain.part) == ("lookalike", None)
    assert asked.verdict == "shared part"
    assert asked.part is not None
    assert asked.probability == asked.part.probability >= LEAST_PART
    assert plain.probability < DEFAULT_MIN_CONFIDENCE
    assert (asked.inliers, asked.strength, asked.evidence) == (plain.inliers, plain.strength, plain.evidence)
    shuffled = query.take(rng.permutation(len(query)))
    whole = Verifier(query, SIZE, shared_parts=True).verify(shuffled, SIZE)
    assert whole is not None
    assert (whole.verdict, whole.part) == ("copy", None)
