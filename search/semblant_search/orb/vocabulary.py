"""Visual words: a two-level vocabulary over 256-bit descriptors, and the sparse vectors that Qdrant compares by them.

Clustering is k-majority (Grana et al., "A fast approach for integrating ORB descriptors in the bag of words model", 2013):
k-means in Hamming space, where a centre is the bitwise majority of its members. Two levels (Nistér and Stewénius, "Scalable
recognition with a vocabulary tree", CVPR 2006) make finding the word of a descriptor cost 2·√K comparisons instead of K.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np

from semblant_search.errors import InvalidInput, StoreError
from semblant_search.store import SparseVector

from .features import DESCRIPTOR_BYTES, Features
from .hamming import as_longs, popcount

__all__ = ["Vocabulary"]

_FORMAT = 1
_PROBES = 2
_BRANCH_ROUNDS, _WORD_ROUNDS = 6, 1
"""Of 160 quarters of photographs the shortlist held 154 after eight rounds on each level, with another sample; after six and
3, 2, 1 or 0 it held 152, 148, 152 and 148, one run each: too few to tell 1, 2 and 3 apart, and a little below eight. Among
3,068 photographs of clothing, with 2, 1 or 0: 146, 145 and 141 of 150 quarters, and 131, 132 and 127 of 150 pasted ones, for
13.9, 9.3 and 5.2 seconds of a core. What costs less lost more: of 100 of either, 16,384 words of 1,000 pictures found 91 and
76, the general words 84 and 74, where two rounds found 96 and 86."""
_A_BRANCH = 128
"""Descriptors that place a branch: few centres need no more."""
_BLOCK = 256
"""Descriptors that are clustered together: what is computed for them then stays in the processor's cache."""
_CHUNK = 96
"""Descriptors that are looked up together: what is computed for them then stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Visual words.

    Attributes:
        branches: uint8 `[B, 32]`, centres of the first level.
        words: uint8 `[B·C, 32]`, the words; those of branch b are rows b·C to (b + 1)·C. A word's row is its sparse dimension.
    """

    branches: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def train(cls, descriptors: np.ndarray, size: int = 65536, seed: int = 0, *, threads: int = 1) -> Vocabulary:
        """Cluster descriptors, uint8 `[n, 32]`, into at most `size` words; the same input and seed give the same words.

        With fewer than four descriptors a word, the vocabulary is made smaller. The words are the same, however many
        `threads` share the work. Raises `InvalidInput` on none at all.
        """
        if descriptors.dtype != np.uint8 or descriptors.ndim != 2 or descriptors.shape[1] != DESCRIPTOR_BYTES:
            raise InvalidInput(
                f"descriptors of {descriptors.dtype} {list(descriptors.shape)}: expected uint8 [n, {DESCRIPTOR_BYTES}]"
            )
        if len(descriptors) == 0 or size < 1:
            raise InvalidInput(f"{size} words from {len(descriptors)} descriptors: expected at least 1 of each")
        width = max(1, int(np.sqrt(min(size, max(1, len(descriptors) // 4)))))
        rng = np.random.default_rng(seed)
        sample = rng.permutation(len(descriptors))[: _A_BRANCH * width]
        branches = _k_majority(descriptors[sample], width, rng, _BRANCH_ROUNDS)
        with ThreadPoolExecutor(threads) as pool:  # NumPy lets go of the interpreter for nearly all of the work
            shares = np.array_split(descriptors, threads)
            label = np.concatenate(list(pool.map(lambda share: _nearest(share, branches), shares)))
            members = np.split(
                descriptors[np.argsort(label, kind="stable")], np.cumsum(np.bincount(label, minlength=width))[:-1]
            )
            # A generator for each branch: the words do not depend on which thread comes first.
            words = pool.map(lambda rows, own: _k_majority(rows, width, own, _WORD_ROUNDS), members, rng.spawn(width))
            return cls(branches, np.concatenate(list(words)))

    @classmethod
    def general(cls) -> Vocabulary:
        """The vocabulary that ships with the package: trained on clip-art and photographs, so that the first picture works."""
        return _general()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the centres: sparse vectors of different vocabularies must not meet."""
        return hashlib.sha256(
            np.int64(len(self.branches)).tobytes() + self.branches.tobytes() + self.words.tobytes()
        ).hexdigest()

    def to_bytes(self) -> bytes:
        """The content of a store's asset `vocabulary.npz`."""
        buffer = io.BytesIO()
        np.savez(buffer, format=np.int64(_FORMAT), branches=self.branches, words=self.words)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Vocabulary:
        """The inverse of `to_bytes`; raises `StoreError` on anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                version, branches, words = int(arrays["format"]), arrays["branches"], arrays["words"]
        except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise StoreError(
                f"{len(data)} bytes are not a vocabulary: {error!r}; run `semblant vocabulary` to make it again"
            ) from error
        if version != _FORMAT:
            raise StoreError(
                f"vocabulary of version {version}: this Semblant reads version {_FORMAT}; run `semblant vocabulary`"
            )
        sound = all(a.dtype == np.uint8 and a.ndim == 2 and a.shape[1:] == (DESCRIPTOR_BYTES,) for a in (branches, words))
        if not sound or len(branches) == 0 or len(words) == 0 or len(words) % len(branches):
            raise StoreError(f"vocabulary of {branches.shape} branches and {words.shape} words: run `semblant vocabulary`")
        return cls(branches, words)

    def assign(self, descriptors: np.ndarray) -> np.ndarray:
        """The word of each descriptor, the nearest in its nearest branches: int64 `[n]` for uint8 `[n, 32]`."""
        parts = [self._assign(as_longs(descriptors[i : i + _CHUNK])) for i in range(0, len(descriptors), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _assign(self, rows: np.ndarray) -> np.ndarray:
        branches, words = self._longs
        far = _distances(rows, branches)  # [n, B]
        every = np.arange(len(rows))
        chosen = np.empty((len(rows), min(_PROBES, far.shape[1])), np.int64)  # [n, P]
        for probe in range(chosen.shape[1]):  # a few times the least is much faster than a partition
            chosen[:, probe] = far.argmin(axis=1)
            far[every, chosen[:, probe]] = np.iinfo(np.uint16).max
        near = np.zeros((*chosen.shape, words.shape[2]), np.uint16)  # [n, P, C]
        for part, plane in enumerate(words):
            near += popcount(plane.take(chosen, axis=0) ^ rows[:, part, None, None])
        best = near.reshape(len(rows), -1).argmin(axis=1)
        probe, child = np.divmod(best, words.shape[2])
        return np.asarray(chosen[every, probe] * words.shape[2] + child)

    @cached_property
    def _longs(self) -> tuple[np.ndarray, np.ndarray]:
        """The centres as uint64, each quarter of a descriptor in one piece of memory: `[4, B]` and `[4, B, C]`."""
        words = as_longs(self.words).T.reshape(4, len(self.branches), -1)
        return np.ascontiguousarray(as_longs(self.branches).T), np.ascontiguousarray(words)

    def sparse(self, features: Features) -> SparseVector:
        """The visual words of a picture, indexed or asked for: 1 for each word that it has, however often.

        With the store's IDF the score of a hit is the sum of the IDF of the words that both pictures have: their shared
        information in nats. Counting occurrences was measured to be worse: a texture repeats its words (Jégou, Douze, Schmid,
        "On the burstiness of visual elements", CVPR 2009), and so was speaking for more than the nearest word.
        """
        words = np.unique(self.assign(features.descriptors))
        return SparseVector(words.astype(np.uint32), np.ones(len(words), np.float32))


@lru_cache(maxsize=1)
def _general() -> Vocabulary:
    return Vocabulary.from_bytes(resources.files("semblant_search.orb").joinpath("general.npz").read_bytes())


def _k_majority(rows: np.ndarray, count: int, rng: np.random.Generator, rounds: int) -> np.ndarray:
    """Centres uint8 `[count, 32]` of descriptors uint8 `[n, 32]`, after so many rounds; too few rows repeat their centres."""
    if len(rows) <= count:
        return np.resize(rows, (count, DESCRIPTOR_BYTES)) if len(rows) else np.zeros((count, DESCRIPTOR_BYTES), np.uint8)
    centres = rows[rng.permutation(len(rows))[:count]]
    for _ in range(rounds):
        nearest = _nearest(rows, centres)
        size = np.bincount(nearest, minlength=count)
        members = np.split(rows[np.argsort(nearest, kind="stable")], np.cumsum(size)[:-1])
        ones = np.array([np.unpackbits(own, axis=1).sum(axis=0, dtype=np.int64) for own in members])  # [K, 256]
        centres = np.packbits(2 * ones > size[:, None], axis=1)
        empty = np.flatnonzero(size == 0)  # starts again from a row, rather than stay useless
        if len(empty):
            centres[empty] = rows[rng.choice(len(rows), len(empty), replace=False)]
    return centres


def _nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of each row, the first of equals: int64 `[n]`."""
    longs, planes = as_longs(rows), np.ascontiguousarray(as_longs(centres).T)
    parts = [_distances(longs[i : i + _BLOCK], planes).argmin(axis=1) for i in range(0, len(longs), _BLOCK)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _distances(rows: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Hamming distances uint16 `[n, K]` of rows uint64 `[n, 4]` from centres uint64 `[4, K]`."""
    far = popcount(rows[:, :1] ^ planes[0]).astype(np.uint16)
    for part in range(1, 4):
        far += popcount(rows[:, part, None] ^ planes[part])
    return far
