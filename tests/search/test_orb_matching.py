"""Descriptors compared bit by bit: distances, mutual matches, and the words nearest to them, against the slow way."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search.errors import StoreError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import Features, OrbSettings, Vocabulary, extract
from semblant_search.orb.hamming import as_longs, hamming, popcount
from semblant_search.orb.matching import Matchable

if TYPE_CHECKING:
    from pathlib import Path


def descriptors(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def flipped(rows: np.ndarray, bits: list[int]) -> np.ndarray:
    """The descriptors with these of their 256 bits turned."""
    every = np.unpackbits(rows, axis=1, bitorder="little")
    every[:, bits] ^= 1
    return np.packbits(every, axis=1, bitorder="little")


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differing bits of each with each, by unpacking all of them: `[n, m]`."""
    return np.asarray((np.unpackbits(one, axis=1)[:, None] != np.unpackbits(other, axis=1)[None]).sum(axis=2))


@pytest.fixture(scope="module")
def views(photos: Path) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of a photograph, and of another one of the same motorcycle."""
    found = []
    for name in ("motorcycle_left.png", "motorcycle_right.png"):
        grey = to_grey(open_image(photos / name), longest_side=OrbSettings().longest_side)
        found.append(extract(grey).descriptors)
    return found[0], found[1]


@pytest.mark.parametrize("numpy", ["2", "1"])
def test_distances_count_all_differing_bits(numpy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if numpy == "1":
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    one, other = descriptors(20, 1), descriptors(30, 2)
    one[0], other[0], one[1], other[1] = 0, 255, 255, 255
    found = hamming(as_longs(one)[:, None], as_longs(other)[None])
    np.testing.assert_array_equal(found, distances(one, other))
    assert (found[0, 0], found[1, 1]) == (256, 0)
    np.testing.assert_array_equal(popcount(np.array([0, 1, 2**63, 2**64 - 1], np.uint64)), [0, 1, 1, 64])


def test_matches_are_mutually_nearest_and_come_nearest_first(views: tuple[np.ndarray, np.ndarray]) -> None:
    mine, theirs, found = Matchable(views[0]).match(views[1])
    every = distances(*views)
    assert len(mine) > 60
    np.testing.assert_array_equal(found, every[mine, theirs])
    assert found.tolist() == sorted(found.tolist())
    assert len(set(mine.tolist())) == len(set(theirs.tolist())) == len(mine)
    nearest = (every[mine, theirs] == every[mine].min(axis=1)) & (every[mine, theirs] == every[:, theirs].min(axis=0))
    assert nearest.mean() > 0.95  # a nearer one may differ too much in its first bits
    # And hardly any mutual nearest pair that is near is missed.
    rows, columns = np.nonzero((every == every.min(axis=1)[:, None]) & (every == every.min(axis=0)) & (every <= 40))
    missed = set(zip(rows.tolist(), columns.tolist(), strict=True)) - set(zip(mine.tolist(), theirs.tolist(), strict=True))
    assert len(missed) < 0.1 * len(rows)


def test_the_nearer_of_two_is_taken_and_the_other_stays_alone() -> None:
    rows = descriptors(5, 3)
    near, nearer = flipped(rows, [70, 100, 150, 200]), flipped(rows, [80, 160])
    mine, theirs, found = Matchable(rows).match(np.concatenate([near, nearer]))
    assert sorted(zip(mine.tolist(), theirs.tolist(), strict=True)) == [(i, 5 + i) for i in range(5)]
    assert found.tolist() == [2] * 5
    mine, theirs, found = Matchable(np.concatenate([near, nearer])).match(rows)
    assert sorted(zip(mine.tolist(), theirs.tolist(), strict=True)) == [(5 + i, i) for i in range(5)]
    assert found.tolist() == [2] * 5


@pytest.mark.parametrize(("bits", "matched"), [(0, True), (30, True), (52, True), (80, False), (128, False)])
def test_so_many_bits_may_differ_all_over_a_descriptor(bits: int, matched: bool) -> None:
    rows = descriptors(10, 4)
    spread = [i * 256 // max(1, bits) for i in range(bits)]
    mine, _, found = Matchable(rows).match(flipped(rows, spread))
    assert sorted(mine.tolist()) == (list(range(10)) if matched else [])
    assert set(found.tolist()) <= {bits}


def test_descriptors_that_are_nothing_alike_do_not_match() -> None:
    assert len(Matchable(descriptors(300, 5)).match(descriptors(300, 6))[0]) <= 2
    for one, other in ((0, 5), (5, 0), (0, 0)):
        assert [len(part) for part in Matchable(descriptors(one, 5)).match(descriptors(other, 6))] == [0, 0, 0]


def test_a_word_is_the_nearest_of_the_two_nearest_branches(views: tuple[np.ndarray, np.ndarray]) -> None:
    vocabulary = Vocabulary.train(np.concatenate(views), 100, seed=1)
    rows = np.concatenate([*views, descriptors(50, 7)])
    branches = np.argsort(distances(rows, vocabulary.branches), axis=1, kind="stable")[:, :2]
    per = len(vocabulary) // len(vocabulary.branches)
    every = distances(rows, vocabulary.words)
    probed = np.full(every.shape, 999)
    for column in range(2):
        for child in range(per):
            word = branches[:, column] * per + child
            probed[np.arange(len(rows)), word] = every[np.arange(len(rows)), word]
    found = vocabulary.assign(rows)
    np.testing.assert_array_equal(every[np.arange(len(rows)), found], probed.min(axis=1))
    assert (found // per == branches[:, 1]).any(), "the second branch matters"
    np.testing.assert_array_equal(found, [int(vocabulary.assign(row[None])[0]) for row in rows])  # one by one or together
    assert vocabulary.assign(rows[:0]).tolist() == []


def tiny() -> Vocabulary:
    """Two branches, of zeros and of ones, with two words each."""
    branches = np.stack([np.zeros(32, np.uint8), np.full(32, 255, np.uint8)])
    words = np.stack([branches[0], branches[0], branches[1], branches[1]])
    words[1, :4], words[2, :4] = 15, 240
    return Vocabulary(branches, words)


def test_words_have_golden_names() -> None:
    vocabulary, asked = tiny(), np.zeros((5, 32), np.uint8)
    asked[1, :4], asked[2], asked[3], asked[4, 1:] = 7, 254, 255, 255
    asked[2, :4] = 112
    assert len(vocabulary) == 4
    assert vocabulary.assign(asked).tolist() == [0, 1, 2, 3, 3]
    points = np.zeros((5, 4), np.float32)
    vector = vocabulary.sparse(Features(points, asked))
    assert vector.indices.tolist() == [0, 1, 2, 3]  # each word once, however often it is seen
    assert vector.values.tolist() == [1, 1, 1, 1]
    one = vocabulary.sparse(Features(points, asked[[3, 3, 4, 0, 0]]))
    assert (one.indices.tolist(), one.values.tolist()) == ([0, 3], [1, 1])


def test_the_fingerprint_of_a_vocabulary_and_its_file_are_what_collections_rely_on() -> None:
    vocabulary = tiny()
    content = (2).to_bytes(8, "little") + bytes(32) + b"\xff" * 32 + vocabulary.words.tobytes()
    assert vocabulary.fingerprint == hashlib.sha256(content).hexdigest()
    assert Vocabulary.general().fingerprint == "cfce49eecac0834cf5d2b03dc5c8708cdd8bcc2293e0d2f48ab02ceccbf3d178"
    buffer = io.BytesIO()
    np.savez(buffer, format=np.int64(1), branches=vocabulary.branches, words=vocabulary.words)
    assert Vocabulary.from_bytes(buffer.getvalue()).fingerprint == vocabulary.fingerprint
    with np.load(io.BytesIO(vocabulary.to_bytes())) as arrays:
        assert sorted(arrays.files) == ["branches", "format", "words"]
        assert int(arrays["format"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": np.int64(0)}, {"format": np.int64(2)}, {"words": np.zeros((3, 32), np.uint8)},
        {"words": np.zeros((0, 32), np.uint8)}, {"branches": np.zeros((0, 32), np.uint8)},
        {"branches": np.zeros((2, 31), np.uint8)}, {"words": np.zeros((4, 32), np.int64)}, {"words": np.zeros(128, np.uint8)},
        {"branches": np.zeros((2, 32), object)},
    ],
    ids=lambda wrong: " ".join(f"{name} {value.dtype} {value.shape}" for name, value in wrong.items()),
)  # fmt: skip
def test_a_vocabulary_file_with_other_arrays_is_refused(wrong: dict[str, np.ndarray]) -> None:
    parts = {"format": np.int64(1), "branches": tiny().branches, "words": tiny().words, **wrong}
    buffer = io.BytesIO()
    np.savez(buffer, **parts)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="semblant vocabulary"):
        Vocabulary.from_bytes(buffer.getvalue())


def test_words_are_where_descriptors_are_many() -> None:
    """Three clusters of descriptors that differ in a few bits: their majorities are the words."""
    centres, rng = descriptors(3, 8), np.random.default_rng(9)
    noisy = np.concatenate(
        [flipped(centre[None], rng.choice(256, 12, replace=False).tolist()) for centre in centres.repeat(60, 0)]
    )
    vocabulary = Vocabulary.train(noisy, 9, seed=0)
    assert len(vocabulary) == 9
    assert distances(centres, vocabulary.branches).min(axis=1).max() <= 3
    assert distances(centres, vocabulary.words).min(axis=1).max() <= 12
    sizes = [len(Vocabulary.train(noisy, size)) for size in (1, 4, 10, 65536)]
    assert sizes == [1, 4, 9, 36]  # squares, and four descriptors a word at least
