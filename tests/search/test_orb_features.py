"""What is extracted from real pictures, and how it is packed and described by words."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from semblant_search.errors import ImageError, InvalidInput, StoreError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import FEATURE_BYTES, Features, OrbSettings, Vocabulary, extract, pack, unpack
from semblant_search.store import SparseVector
from support.examples import examples

if TYPE_CHECKING:
    from pathlib import Path


def grey_of(path: Path) -> np.ndarray:
    return to_grey(open_image(path), longest_side=OrbSettings().longest_side)


@pytest.fixture(scope="module")
def greys(photos: Path) -> dict[str, np.ndarray]:
    return {path.name: grey_of(path) for path in sorted(photos.iterdir())}


def test_a_photograph_fills_its_budget_and_stays_under_8_kilobytes(greys: dict[str, np.ndarray]) -> None:
    features = extract(greys["astronaut.png"])
    assert len(features) == OrbSettings().features
    assert pack(features).nbytes <= 8192
    assert features.keypoints.dtype == np.float32
    assert features.descriptors.shape == (len(features), 32)
    height, width = greys["astronaut.png"].shape
    assert (features.keypoints[:, :2] >= 0).all()
    assert (features.keypoints[:, :2] <= (width - 1, height - 1)).all()


def test_the_same_picture_gives_the_same_features(greys: dict[str, np.ndarray]) -> None:
    one, two = extract(greys["coffee.png"]), extract(greys["coffee.png"])
    np.testing.assert_array_equal(one.descriptors, two.descriptors)
    np.testing.assert_array_equal(one.keypoints, two.keypoints)


def test_one_texture_does_not_use_up_the_budget(greys: dict[str, np.ndarray]) -> None:
    """Bricks beside a cat at half contrast: the strongest corners are all in the bricks, but the cat gets its share."""
    bricks, cat = greys["brick.png"][:240, :240], greys["chelsea.png"][:240, 120:360] // 2
    features = extract(np.hstack([bricks, cat]))
    assert 0.3 < float((features.keypoints[:, 0] >= 240).mean()) < 0.7


def test_a_smooth_photograph_has_features_too(greys: dict[str, np.ndarray]) -> None:
    import cv2

    smooth = cv2.GaussianBlur(greys["moon.png"], (0, 0), 3)
    assert len(extract(smooth)) >= 50


def test_pictures_of_28_pixels_have_features_only_where_they_are_not_too_small(fashion_small: Path) -> None:
    sample = sorted((fashion_small / "train").rglob("*.png"))[::10]
    assert not any(len(extract(grey_of(path))) for path in sample)
    everything = OrbSettings(least_side=1)  # as collections keep it that were made before
    counts = [len(extract(grey_of(path), everything)) for path in sample]
    assert np.median(counts) >= 20
    keypoints = extract(grey_of(sample[0]), everything).keypoints
    assert keypoints[:, :2].max() <= 27.5, "key points are in pixels of the given picture, not of its enlargement"


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (3, 3), (300, 400), (20, 900)])
def test_flat_pictures_have_none_and_that_is_no_error(shape: tuple[int, int]) -> None:
    features = extract(np.full(shape, 128, np.uint8))
    assert len(features) == 0
    assert unpack(pack(features)).keypoints.shape == (0, 4)
    assert len(Vocabulary.general().sparse(features).indices) == 0


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((8, 8), np.float32), np.zeros((0, 5), np.uint8)],
    ids=["rgb", "float", "empty"],
)
def test_what_is_no_grey_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageError, match="grey picture"):
        extract(array)


@settings(max_examples=examples(40))
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90))))
def test_no_picture_makes_opencv_throw(grey: np.ndarray) -> None:
    features = extract(grey)
    assert len(features) <= OrbSettings().features


def test_a_program_that_only_imports_the_package_does_not_load_opencv() -> None:
    code = "import sys, semblant_search.orb; print('cv2' in sys.modules, 'qdrant_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_without_opencv_the_extra_is_named_and_words_still_work() -> None:
    code = """
import sys
sys.modules["cv2"] = None
import numpy as np
from semblant_search.errors import MissingExtra
from semblant_search.orb import Features, Vocabulary, extract
descriptors = np.arange(320, dtype=np.uint8).reshape(10, 32)
print(len(Vocabulary.general().sparse(Features(np.zeros((10, 4), np.float32), descriptors)).indices) > 0)
try:
    extract(np.zeros((50, 50), np.uint8))
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True\n")
    assert "pip install 'semblant-search[orb]'" in done.stdout


def test_settings_travel_through_json() -> None:
    changed = OrbSettings(features=100, longest_side=320)
    assert OrbSettings.from_json(changed.to_json()) == changed
    with pytest.raises(InvalidInput, match="expected exactly"):
        OrbSettings.from_json({**changed.to_json(), "colour": 1})
    with pytest.raises(InvalidInput, match="features = 0"):
        OrbSettings(features=0)
    with pytest.raises(InvalidInput, match="levels"):
        OrbSettings.from_json({**changed.to_json(), "levels": "many"})


def some_features(count: int, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(0, 1023, count), rng.uniform(0, 1023, count), rng.uniform(4, 400, count), rng.uniform(0, 360, count)]
    return Features(np.column_stack(columns).astype(np.float32), rng.integers(0, 256, (count, 32), dtype=np.uint8))


@settings(deadline=None)
@given(count=st.integers(0, 300), seed=st.integers(0, 2**32 - 1))
def test_packing_keeps_the_descriptors_but_for_what_no_float_is_and_half_a_pixel(count: int, seed: int) -> None:
    features = some_features(count, seed)
    packed = pack(features)
    back = unpack(packed)
    assert packed.dtype == np.uint8
    assert packed.shape == (count, FEATURE_BYTES)
    words, kept = features.descriptors.view("<u4"), back.descriptors.view("<u4")
    no_float = ~np.isfinite(words.view("<f4"))
    np.testing.assert_array_equal(np.where(no_float, words ^ 0x00800000, words), kept)
    assert np.isfinite(packed.view("<f4")).all()
    assert np.abs(back.keypoints[:, :2] - features.keypoints[:, :2]).max(initial=0) <= 0.25
    assert np.abs(np.log2(back.keypoints[:, 2] / features.keypoints[:, 2])).max(initial=0) <= 0.126
    turn = np.abs(back.keypoints[:, 3] - features.keypoints[:, 3])
    assert np.minimum(turn, 360 - turn).max(initial=0) <= 5.63
    np.testing.assert_array_equal(pack(back), packed)


def test_stored_features_of_another_width_are_refused() -> None:
    with pytest.raises(StoreError, match="index again"):
        unpack(np.zeros((5, FEATURE_BYTES + 1), np.uint8))


@pytest.fixture(scope="module")
def trained(greys: dict[str, np.ndarray]) -> tuple[Vocabulary, np.ndarray]:
    descriptors = np.concatenate([extract(grey).descriptors for grey in greys.values()])
    return Vocabulary.train(descriptors, 400, seed=3), descriptors


def test_training_is_repeatable_and_the_seed_matters(trained: tuple[Vocabulary, np.ndarray]) -> None:
    vocabulary, descriptors = trained
    assert Vocabulary.train(descriptors, 400, seed=3).fingerprint == vocabulary.fingerprint
    assert Vocabulary.train(descriptors, 400, seed=4).fingerprint != vocabulary.fingerprint
    assert Vocabulary.train(descriptors, 400, seed=3, threads=3).fingerprint == vocabulary.fingerprint


def test_words_lie_near_what_they_stand_for(trained: tuple[Vocabulary, np.ndarray]) -> None:
    vocabulary, descriptors = trained
    words = vocabulary.assign(descriptors)
    differing = np.unpackbits(descriptors ^ vocabulary.words[words], axis=1).sum(axis=1)
    by_chance = np.unpackbits(descriptors ^ vocabulary.words[np.random.default_rng(0).permutation(words)], axis=1).sum(axis=1)
    assert differing.mean() < 0.6 * by_chance.mean()
    exact = np.stack([np.unpackbits(descriptors ^ word, axis=1).sum(axis=1) for word in vocabulary.words]).min(axis=0)
    assert differing.mean() < 1.15 * exact.mean(), "two probes of the tree find nearly the nearest word"


def test_every_word_has_its_own_branch_and_names_are_in_range(trained: tuple[Vocabulary, np.ndarray]) -> None:
    vocabulary, descriptors = trained
    assert len(vocabulary) == 400
    words = vocabulary.assign(descriptors)
    assert words.shape == (len(descriptors),)
    assert 0 <= words.min() < words.max() < 400
    assert len(np.unique(words)) > 300, "nearly all words stand for something"


def test_a_vocabulary_survives_its_file(trained: tuple[Vocabulary, np.ndarray]) -> None:
    vocabulary, descriptors = trained
    back = Vocabulary.from_bytes(vocabulary.to_bytes())
    assert back.fingerprint == vocabulary.fingerprint
    np.testing.assert_array_equal(back.assign(descriptors), vocabulary.assign(descriptors))


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_file_that_is_no_vocabulary_says_so(trained: tuple[Vocabulary, np.ndarray], cut: int) -> None:
    data = trained[0].to_bytes()
    with pytest.raises(StoreError, match="vocabulary"):
        Vocabulary.from_bytes(data[:cut])


def test_few_descriptors_make_a_small_vocabulary_and_none_an_error() -> None:
    descriptors = np.random.default_rng(0).integers(0, 256, (10, 32), dtype=np.uint8)
    assert 1 <= len(Vocabulary.train(descriptors, 65536)) <= 4
    for wrong in (descriptors[:0], descriptors[:, :31], descriptors.astype(np.int64)):
        with pytest.raises(InvalidInput, match="descriptors"):
            Vocabulary.train(wrong)


def test_the_general_vocabulary_is_small_and_spreads_pictures_over_its_words(greys: dict[str, np.ndarray]) -> None:
    vocabulary = Vocabulary.general()
    assert len(vocabulary.to_bytes()) <= 1_000_000
    vector = vocabulary.sparse(extract(greys["rocket.jpg"]))
    assert isinstance(vector, SparseVector)
    assert vector.indices.dtype == np.uint32
    assert vector.values.dtype == np.float32
    assert len(np.unique(vector.indices)) == len(vector.indices) > 50


def test_a_crop_shares_more_words_with_its_photograph_than_with_others(greys: dict[str, np.ndarray]) -> None:
    vocabulary = Vocabulary.general()
    indexed = {name: set(vocabulary.sparse(extract(grey)).indices.tolist()) for name, grey in greys.items()}
    right = 0
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "camera.png"):
        height, width = greys[name].shape
        crop = greys[name][height // 6 : -height // 6, width // 6 : -width // 6]
        words = set(vocabulary.sparse(extract(crop, limit=400)).indices.tolist())
        right += max(indexed, key=lambda other: len(words & indexed[other])).split("_")[0] == name.split("_")[0]
    assert right >= 5
