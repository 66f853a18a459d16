"""Hamming distances between 256-bit descriptors, in NumPy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["as_longs", "hamming", "popcount"]


def as_longs(descriptors: np.ndarray) -> np.ndarray:
    """uint8 `[n, 32]` as uint64 `[n, 4]`."""
    return np.ascontiguousarray(descriptors).view(np.uint64).reshape(-1, 4)


def hamming(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Differing bits over the last axis (4 uint64): uint16, broadcast over the others."""
    total: np.ndarray = popcount(left[..., 0] ^ right[..., 0]).astype(np.uint16)
    for part in range(1, 4):
        total += popcount(left[..., part] ^ right[..., part])
    return total


def popcount(values: np.ndarray) -> np.ndarray:
    """Set bits of each uint64: uint8."""
    if hasattr(np, "bitwise_count"):
        ones: np.ndarray = np.bitwise_count(values)
        return ones
    halves = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)  # NumPy before 2.0
    total: np.ndarray = _sixteen_bits()[halves].sum(axis=-1, dtype=np.uint8)
    return total


@lru_cache(maxsize=1)
def _sixteen_bits() -> np.ndarray:
    bits: np.ndarray = np.unpackbits(np.arange(65536, dtype="<u2").view(np.uint8)).reshape(65536, 16)
    table: np.ndarray = bits.sum(axis=1, dtype=np.uint8)
    return table
