"""What the pictures of a cluster have in common: values of fields that they have more often than the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ClusterName", "name_clusters"]

_LIFT = 1.5
_MAJORITY = 0.5


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

    def __str__(self) -> str:
        return f"{self.value} ({self.share:.0%})"


def name_clusters(
    labels: Sequence[int], payloads: Sequence[Mapping[str, Any]], fields: Iterable[str], *, clusters: int | None = None
) -> list[ClusterName | None]:
    """For each cluster the value that most of its pictures have and that the others have least; None where there is none.

    Args:
        labels: the cluster of each picture, 0 to `clusters` − 1.
        payloads: what is known about each.
        fields: names to look at; of a list each value counts.
        clusters: how many; one more than the highest label where it is None.
    """
    count = clusters if clusters is not None else max((int(label) for label in labels), default=-1) + 1
    sizes = Counter(int(label) for label in labels)
    best: list[tuple[float, ClusterName] | None] = [None] * count
    for field in fields:
        inside: list[Counter[Any]] = [Counter() for _ in range(count)]
        total: Counter[Any] = Counter()
        for label, payload in zip(labels, payloads, strict=True):
            values = _values(payload.get(field))
            inside[int(label)].update(values)
            total.update(values)
        for cluster in range(count):
            size, rest = sizes[cluster], len(labels) - sizes[cluster]
            for value, times in inside[cluster].items():
                share = times / size
                elsewhere = (total[value] - times) / rest if rest else 0.0
                if share < _MAJORITY or share < _LIFT * elsewhere:
                    continue
                found = ClusterName(field, value, share, elsewhere)
                rank, so_far = share - elsewhere, best[cluster]
                if so_far is None or rank > so_far[0]:
                    best[cluster] = (rank, found)
    return [None if each is None else each[1] for each in best]


def _values(value: object) -> set[Any]:
    values = value if isinstance(value, list) else [value]
    return {each for each in values if isinstance(each, (str, bool, int, float)) and each != ""}
