"""Features whose truth is known: random descriptors at chosen places, and the same ones where a transform puts them."""

from __future__ import annotations

import numpy as np
from semblant_search.orb import DEFAULT_MIN_CONFIDENCE, Features, Match, verify

__all__ = ["SIZE", "agreeing", "described", "moved", "places", "proven", "through"]

SIZE = (400, 300)
"""Width and height of the pictures that the details are of."""


def places(count: int, seed: int, box: tuple[float, float, float, float] = (0, 0, 400, 300)) -> np.ndarray:
    """Random places `[count, 2]` in a box `(left, top, right, bottom)`."""
    return np.random.default_rng(seed).uniform(box[:2], box[2:], (count, 2))


def described(points: np.ndarray, *, size: float = 31, angle: float = 0, seed: int = 0) -> Features:
    """Features at these places, with descriptors that resemble no other."""
    descriptors = np.random.default_rng(1000 + seed).integers(0, 256, (len(points), 32), dtype=np.uint8)
    ends = np.full((len(points), 2), (size, angle))
    return Features(np.column_stack([points, ends]).astype(np.float32), descriptors)


def through(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points `[n, 2]` through a homography."""
    image = np.column_stack([points, np.ones(len(points))]) @ transform.T
    return np.asarray(image[:, :2] / image[:, 2:])


def moved(features: Features, transform: np.ndarray, *, zoom: float = 1, turn: float = 0) -> Features:
    """The same details in another picture: places through a transform, patches `zoom` times as large, turned by degrees."""
    x, y, size, angle = features.keypoints.astype(np.float64).T
    there = through(transform, np.column_stack([x, y]))
    keypoints = np.column_stack([there, size * zoom, (angle + turn) % 360]).astype(np.float32)
    return Features(keypoints, features.descriptors)


def agreeing(count: int, of: int, *, seed: int = 0, box: tuple[float, float, float, float] = (0, 0, 400, 300)) -> Match | None:
    """The match of two pictures that share `of` details: `count` of them at the same places of a box, the others anywhere."""
    here, there = places(of, seed), places(of, seed + 100)
    here[:count] = there[:count] = places(count, seed, box)
    features = described(here, seed=seed)
    return verify(features, Features(described(there).keypoints, features.descriptors), SIZE, SIZE)


def proven(match: Match | None) -> bool:
    """Whether a match reaches the confidence that hits have by default."""
    return match is not None and match.probability >= DEFAULT_MIN_CONFIDENCE
