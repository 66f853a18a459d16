"""Names that people gave clusters go with the pictures they were given to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

__all__ = ["give_name", "keep_names"]

_MOST = 0.5


def give_name(row: MutableMapping[str, Any], name: str) -> None:
    """Call a cluster by a name of one's own."""
    row.update(name=name, field=None, share=None, elsewhere=None, own=True)


def keep_names(
    last: Sequence[MutableMapping[str, Any]], before: np.ndarray, rows: Sequence[MutableMapping[str, Any]], labels: np.ndarray
) -> list[str]:
    """Give names of people's own to the new clusters that hold most of the pictures of the old ones.

    Args:
        last: what was said of the clusters before, by their numbers.
        before: int `[n]`: the clusters of the pictures then, −1 for none.
        rows: what is said of those of now; named in place.
        labels: int `[n]`: the clusters of the same pictures now.

    Returns:
        Names that were left out: no new cluster holds more than half of the pictures, or another such name is there already,
        given to more of its pictures.
    """
    found: list[tuple[int, int, str]] = []
    lost = []
    for number, row in enumerate(last):
        if not row.get("own"):
            continue
        now = labels[(before == number) & (labels >= 0)]
        counts = np.bincount(now, minlength=len(rows))
        if counts.max(initial=0) > _MOST * np.count_nonzero(before == number):
            found.append((int(counts.max()), int(counts.argmax()), row["name"]))
        else:
            lost.append(row["name"])
    given: set[int] = set()
    for _, number, name in sorted(found, key=lambda one: -one[0]):
        if number in given:
            lost.append(name)
        else:
            give_name(rows[number], name)
            given.add(number)
    return lost
