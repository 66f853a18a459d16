"""What analyses read of a collection, as columns: a million pictures have to fit into a machine with 4 GiB."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from semblant_search.errors import NotIndexed

from .naming import FieldValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from semblant_search.store import Store

__all__ = ["PictureColumns", "Texts", "as_clusters", "read_columns"]

_ID = 36
"""Characters of a picture's id."""
_TOLD_EVERY = 1000


class Texts(Sequence[str]):
    """Texts that nobody changes, in one piece of memory: a list of as many strings takes twice that and more.

    Args:
        texts: any number.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._data, self._ends = bytearray(), array("q", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add one at the end, while they are being read."""
        self._data += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._data))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        return self._data[self._ends[row] : self._ends[row + 1]].decode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class PictureColumns:
    """Pictures of one generation, in the order of their ids.

    Attributes:
        ids: `S36` `[n]`.
        uris: of each picture.
        vectors: float32 `[n, dim]`; `[n, 0]` where they were not asked for.
        numbers: float64 `[n]` of each field of numbers that was asked for; NaN where a picture has none.
        values: which pictures have which values, of the fields that were asked for.
    """

    ids: np.ndarray
    uris: Texts
    vectors: np.ndarray
    numbers: Mapping[str, np.ndarray]
    values: Mapping[str, FieldValues]

    def __len__(self) -> int:
        return len(self.ids)

    def id(self, row: int) -> str:
        """The id of one."""
        return bytes(self.ids[row]).decode()


def read_columns(
    store: Store,
    *,
    vectors: bool = True,
    numbers: Sequence[str] = (),
    values: Sequence[str] = (),
    texts: Sequence[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> PictureColumns:
    """All pictures. Raises `NotIndexed` where there are none.

    Args:
        store: of the pictures.
        vectors: whether they are wanted.
        numbers: names of fields that hold one number.
        values: names of fields whose values tell pictures apart.
        texts: the same of fields that hold one text, of which each picture has one value then, equal for equal texts.
        on_progress: called with the pictures that are read, and all.
    """
    expected = store.count()
    dim = store.manifest.encoder.dim if vectors else 0
    there = np.empty((expected, dim), np.float32)
    ids, uris = bytearray(), Texts()
    found_numbers = {name: array("d") for name in numbers}
    found_values = {name: FieldValues() for name in (*values, *texts)}
    fields = [*dict.fromkeys(("_uri", *numbers, *values, *texts))]
    count = 0
    for count, record in enumerate(store.scroll(fields=fields, with_image=vectors), 1):
        if count > len(there):  # clients have added some since they were counted
            there = np.concatenate([there, np.empty((max(1000, len(there) // 8), dim), np.float32)])
        if vectors:
            there[count - 1] = record.image
        ids += record.id.encode()
        payload = record.payload
        uris.append(str(payload["_uri"]))
        for name, column in found_numbers.items():
            column.append(_number(payload.get(name)))
        for name in values:
            found_values[name].add(count - 1, payload.get(name))
        for name in texts:
            found_values[name].add(count - 1, str(payload.get(name)))
        if on_progress is not None and count % _TOLD_EVERY == 0:
            on_progress(min(count, expected), expected)
    if not count:
        raise NotIndexed(f"collection {store.manifest.collection!r} is empty: index pictures first (semblant index)")
    if on_progress is not None:
        on_progress(expected, expected)
    return PictureColumns(
        np.frombuffer(bytes(ids), f"S{_ID}"),
        uris,
        there[:count],
        {name: np.array(column, np.float64) for name, column in found_numbers.items()},
        found_values,
    )


def as_clusters(numbers: np.ndarray) -> np.ndarray:
    """int64 `[n]`: clusters that were read as numbers, −1 where a picture has none."""
    return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
