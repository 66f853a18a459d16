"""What the pictures of a cluster have in common: values of fields that they have more often than the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ClusterName", "name_clusters", "telling_values"]

_LIFT = 1.5
_MAJORITY = 0.5
_LEAST = 0.1
"""Share of a cluster below which a value tells nothing of it."""


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
        labels: the cluster of each picture, 0 to `clusters` − 1; negative for none.
        payloads: what is known about each.
        fields: names to look at; of a list each value counts.
        clusters: how many; one more than the highest label where it is None.
    """
    told = telling_values(labels, payloads, fields, clusters=clusters)
    return [next((one for one in values if one.share >= _MAJORITY), None) for values in told]


def telling_values(
    labels: Sequence[int],
    payloads: Sequence[Mapping[str, Any]],
    fields: Iterable[str],
    *,
    clusters: int | None = None,
    most: int = 8,
) -> list[list[ClusterName]]:
    """For each cluster the values that its pictures have more often than the others, those that tell it best first.

    Args:
        labels, payloads, fields, clusters: as for `name_clusters`.
        most: values of one cluster.
    """
    count = clusters if clusters is not None else max((int(label) for label in labels), default=-1) + 1
    sizes = Counter(int(label) for label in labels)
    found: list[list[ClusterName]] = [[] for _ in range(count)]
    for field in fields:
        inside: list[Counter[Any]] = [Counter() for _ in range(count)]
        total: Counter[Any] = Counter()
        for label, payload in zip(labels, payloads, strict=True):
            values = _values(payload.get(field))
            if label >= 0:
                inside[int(label)].update(values)
            total.update(values)
        for cluster in range(count):
            size, rest = sizes[cluster], len(labels) - sizes[cluster]
            for value, times in inside[cluster].items():
                share = times / size
                elsewhere = (total[value] - times) / rest if rest else 0.0
                if share >= _LEAST and share >= _LIFT * elsewhere:
                    found[cluster].append(ClusterName(field, value, share, elsewhere))
    return [sorted(values, key=lambda one: one.elsewhere - one.share)[:most] for values in found]


def _values(value: object) -> set[Any]:
    values = value if isinstance(value, list) else [value]
    return {each for each in values if isinstance(each, (str, bool, int, float)) and each != ""}
