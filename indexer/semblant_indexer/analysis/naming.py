"""What the pictures of a cluster have in common: values of fields that they have more often than the others."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["MAJORITY", "ClusterName", "FieldValues", "name_clusters", "telling_values"]

MAJORITY = 0.5
"""Share of a cluster whose value is its name."""
_LIFT = 1.5
_LEAST = 0.1
"""Share of a cluster below which a value tells nothing of it."""
_MOST = 8
_SAYS_NOTHING = frozenset({"yes", "no", "true", "false", "none", "null"})
_KEYS = 1 << 64


@dataclass(frozen=True)
class ClusterName:
    """A value that tells a cluster from the rest.

    Attributes:
        field: its name.
        value: of most of the cluster's pictures.
        share: of the cluster's pictures that have it, 0–1: how sure the name is.
        elsewhere: the same of all other pictures.
    """

    field: str
    value: Any
    share: float
    elsewhere: float

    @property
    def label(self) -> str:
        """The value for people, with its field where the bare value tells nothing: `coat`, but `size: 6`, `striped: yes`."""
        if isinstance(self.value, bool):
            return f"{self.field}: {'yes' if self.value else 'no'}"
        text = str(self.value)
        bare = isinstance(self.value, str) and any(letter.isalpha() for letter in text)
        bare = bare and text.casefold() not in _SAYS_NOTHING and not (len(text) == 1 and text.isascii())
        return text if bare else f"{self.field}: {text}"

    def __str__(self) -> str:
        return f"{self.label} ({self.share:.0%})"


class FieldValues:
    """Which pictures have which values of a field, as numbers: a million texts need not be kept to count them.

    Attributes:
        rows: whose value each is, ascending.
        keys: 64 bits that stand for the value, the same for equal ones within a process.
    """

    def __init__(self) -> None:
        self.rows, self.keys = array("i"), array("q")

    def add(self, row: int, value: object) -> None:
        """Note what a picture has: a value, a list of them, or none."""
        for one in _values(value):
            self.rows.append(row)
            self.keys.append(_key(one))


@dataclass(frozen=True)
class _Telling:
    """A value that tells a cluster, by the first picture that has it."""

    field: str
    key: int
    row: int
    share: float
    elsewhere: float


def name_clusters(
    labels: Sequence[int], payloads: Sequence[Mapping[str, Any]], fields: Iterable[str], *, clusters: int | None = None
) -> list[ClusterName | None]:
    """For each cluster the value that most of its pictures have and that the others have least; None where there is none.

    Args:
        labels: the cluster of each picture, 0 to `clusters` − 1; negative for none.
        payloads: what is known about each.
        fields: names to look at; of a list each value counts.
        clusters: how many; one more than the highest label where it is None.

    Raises:
        InvalidInput: not as many payloads as labels, or a label beyond `clusters`.
    """
    numbers = np.asarray(labels, np.int64)
    if len(numbers) != len(payloads):
        raise InvalidInput(f"{len(numbers):,} labels and {len(payloads):,} payloads: expected as many of both")
    count = int(numbers.max(initial=-1)) + 1 if clusters is None else clusters
    if numbers.max(initial=-1) >= count:
        raise InvalidInput(f"label {numbers.max()}: expected 0 to {count - 1}, or a negative one for none")
    columns = {field: FieldValues() for field in fields}
    for row, payload in enumerate(payloads):
        for field, column in columns.items():
            column.add(row, payload.get(field))
    told = telling_values(numbers, columns, count, lambda rows: {row: payloads[row] for row in rows})
    return [next((one for one in values if one.share >= MAJORITY), None) for values in told]


def telling_values(
    labels: np.ndarray,
    columns: Mapping[str, FieldValues],
    clusters: int,
    payloads_of: Callable[[Sequence[int]], Mapping[int, Mapping[str, Any]]],
    *,
    most: int = _MOST,
) -> list[list[ClusterName]]:
    """For each cluster the values that its pictures have more often than the others, those that tell it best first.

    Args:
        labels: int `[n]`: the cluster of each picture, 0 to `clusters` − 1; negative for none.
        columns: values by the names of their fields.
        clusters: how many.
        payloads_of: what is known about the pictures of some rows; one that is there no longer may lack.
        most: values of one cluster.
    """
    sizes = np.bincount(labels[labels >= 0], minlength=clusters)
    found: list[list[_Telling]] = [[] for _ in range(clusters)]
    for field, column in columns.items():
        _find_telling(field, column, labels, sizes, found)
    best = [sorted(values, key=lambda one: one.elsewhere - one.share)[:most] for values in found]
    payloads = payloads_of(sorted({one.row for values in best for one in values}))
    told: list[list[ClusterName]] = []
    for values in best:
        told.append([])
        for one in values:
            there = _values(payloads.get(one.row, {}).get(one.field))
            told[-1] += [ClusterName(one.field, value, one.share, one.elsewhere) for value in there if _key(value) == one.key]
    return told


def _find_telling(
    field: str, column: FieldValues, labels: np.ndarray, sizes: np.ndarray, found: Sequence[list[_Telling]]
) -> None:
    rows, keys = np.asarray(column.rows, np.int64), np.asarray(column.keys, np.int64)
    distinct, values = np.unique(keys, return_inverse=True)
    total = np.bincount(values, minlength=len(distinct))
    inside = np.flatnonzero(labels[rows] >= 0)
    pairs = labels[rows[inside]].astype(np.int64) * len(distinct) + values[inside]
    pairs, first, times = np.unique(pairs, return_index=True, return_counts=True)
    if not len(pairs):
        return
    clusters, values = np.divmod(pairs, len(distinct))
    share = times / sizes[clusters]
    rest = len(labels) - sizes[clusters]
    elsewhere = np.where(rest > 0, (total[values] - times) / np.maximum(rest, 1), 0.0)
    telling = np.flatnonzero((share >= _LEAST) & (share >= _LIFT * elsewhere))
    for place in telling[np.argsort(first[telling], kind="stable")].tolist():
        one = _Telling(
            field, int(distinct[values[place]]), int(rows[inside[first[place]]]), float(share[place]), float(elsewhere[place])
        )
        found[int(clusters[place])].append(one)


def _values(value: object) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [*dict.fromkeys(each for each in values if isinstance(each, (str, bool, int, float)) and each != "")]


def _key(value: Any) -> int:
    """64 bits. Whole numbers are their own: Python's hash is the same for −1 and −2."""
    bits = int(value) if isinstance(value, int) else hash(value)
    return (bits + _KEYS // 2) % _KEYS - _KEYS // 2
