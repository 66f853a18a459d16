"""What the functions on arrays take: a wrong array is said here, and not in the middle of somebody else's library."""

from __future__ import annotations

import numpy as np
from semblant_search.errors import InvalidInput

__all__ = ["check_positions", "check_same_width", "check_vectors", "different_rows", "row_marks"]

_UNIT = 0.02
"""How far a length may be from 1: vectors that were kept in 16 bits, or in 8, are not exactly of unit length."""
_AT_ONCE = 4_096


def check_vectors(vectors: object, name: str = "vectors") -> np.ndarray:
    """float32 `[n, dim]` of these, contiguous. Numbers of other kinds are converted.

    Raises:
        InvalidInput: not two dimensions, no numbers, numbers that are not finite, or rows that are not of unit length.
    """
    array = _numbers(vectors, name, "[n, dim]")
    array = np.ascontiguousarray(array, np.float32)
    for start in range(0, len(array), _AT_ONCE):
        squares = np.einsum("ij,ij->i", array[start : start + _AT_ONCE], array[start : start + _AT_ONCE], dtype=np.float64)
        wrong = np.flatnonzero(~(np.abs(np.sqrt(squares) - 1) <= _UNIT))
        if not len(wrong):
            continue
        row = start + int(wrong[0])
        if not np.isfinite(array[row]).all():
            raise InvalidInput(f"{name}: row {row:,} has a number that is not finite: leave such rows out")
        length = float(np.sqrt(squares[wrong[0]]))
        raise InvalidInput(f"{name}: row {row:,} has the length {length:.3g}, expected 1: divide each row by its length")
    return array


def check_positions(positions: object, count: int, name: str, *, gaps: bool = False) -> np.ndarray:
    """float64 `[count, 2]` of these.

    Args:
        positions: of a map.
        count: how many.
        name: of the argument.
        gaps: whether rows may be NaN, which have no position.

    Raises:
        InvalidInput: another shape, no numbers, or numbers that are not finite.
    """
    array = _numbers(positions, name, f"[{count:,}, 2]").astype(np.float64)
    if array.shape != (count, 2):
        raise InvalidInput(f"{name}: an array of shape {list(array.shape)}, expected [{count:,}, 2]: a row for each vector")
    wrong = np.isinf(array) if gaps else ~np.isfinite(array)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise InvalidInput(f"{name}: row {row:,} is {array[row].tolist()}, expected finite numbers")
    return array


def check_same_width(one: np.ndarray, other: np.ndarray, names: tuple[str, str]) -> None:
    """Raises `InvalidInput` where two arrays of vectors are not of the same encoder."""
    if one.shape[1] != other.shape[1] and len(one) and len(other):
        raise InvalidInput(
            f"{names[0]} have {one.shape[1]:,} numbers each and {names[1]} {other.shape[1]:,}: expected those of one encoder"
        )


def different_rows(vectors: np.ndarray) -> int:
    """How many rows of float32 `[n, dim]` are unlike all before them: by 64 bits of each, not by a sorted copy of all."""
    return len(np.unique(row_marks(vectors)))


def row_marks(vectors: np.ndarray, ids: np.ndarray | None = None) -> np.ndarray:
    """uint64 `[n]`: the same for equal rows of float32 `[n, dim]` in any process, and else, almost surely, another one.

    Args:
        vectors: the rows.
        ids: `S36` `[n]`, which count, too.
    """
    named = np.zeros((len(vectors), 0), np.uint32) if ids is None else ids.view(np.uint32).reshape(len(ids), -1)
    width = vectors.shape[1] + named.shape[1]
    factors = np.random.default_rng(0x5EB1A27).integers(1, 1 << 63, width, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    marks = np.zeros(len(vectors), np.uint64)
    for start in range(0, len(vectors), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        numbers = (vectors[part] + np.float32(0)).view(np.uint32)  # −0 is 0
        bits = (np.concatenate([numbers, named[part]], axis=1).astype(np.uint64) + np.uint64(1)) * factors
        bits ^= bits >> np.uint64(29)
        bits *= np.uint64(0xBF58476D1CE4E5B9)
        marks[part] = (bits ^ (bits >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    return marks


def _numbers(values: object, name: str, shape: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal length
        raise InvalidInput(f"{name}: {error}; expected an array of shape {shape}") from error
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"{name}: an array of {array.dtype}, expected numbers (float32)")
    if array.ndim != 2:
        raise InvalidInput(f"{name}: an array of shape {list(array.shape)}, expected {shape}: a row for each picture")
    return array
