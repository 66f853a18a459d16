"""Rows of a CSV file, in the ways of those who write them."""

from __future__ import annotations

import csv
import re
import sys
from typing import TYPE_CHECKING, Any

from semblant_search.errors import MetadataError

from semblant_indexer.field_names import nested

from .columns import Row, field_names, file_column
from .texts import encoding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["read_separated"]

_SEPARATORS = ",;\t|"
_SAID = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""Excel's first line, which names the separator."""
_AROUND = "\u200b\u200c\u200d\u2060\ufeff \t"
"""What nobody sees of a column's name."""
_QUOTED = re.compile(r'"[^"]*"')
_GUARDED = re.compile(r'="((?:[^"]|"")*)"')
"""A cell that is to be text for Excel whatever it looks like: `="0042"`."""
_BACKSLASHED = re.compile(r'(?<!\\)\\"')
"""A quote within a cell as MySQL and programs in C write it: not doubled, but behind a backslash."""
_LONGEST_ROW = 10_000
"""Lines that one row may have; where more seem to belong to it, a quote was not closed."""
_MOST_UNCLOSED = 20
"""Quotes that were not closed, after which no row has more than a line."""


def read_separated(path: Path, losses: Losses, wanted: str | None = None) -> Iterator[Row]:
    """The rows of a `.csv` or `.tsv` file. Raises `MetadataError` where the file cannot be read or names no pictures."""
    try:
        encoding, errors = encoding_of(path, losses)
        with path.open(encoding=encoding, errors=errors, newline="") as file:
            yield from _rows(_Lines(file), path, losses, wanted)
    except OSError as error:
        raise MetadataError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from error


def _rows(lines: _Lines, path: Path, losses: Losses, wanted: str | None) -> Iterator[Row]:
    first = lines.peek()
    separator = _SAID.fullmatch(first)
    if separator is not None:
        next(lines)
        first = lines.peek()
    while first and not first.strip():
        next(lines)
        first = lines.peek()
    lines.begin()
    bare = _QUOTED.sub("", first)
    delimiter = separator[1] if separator is not None else max(_SEPARATORS, key=bare.count)
    rows = _Reader(lines, delimiter, spaced=f'{delimiter} "' in first)
    header = [name.strip(_AROUND).strip() for name in next(rows, (1, []))[1] or []]
    position = file_column(header, path, wanted, lines.number or 1)
    names = field_names(header, position, path, losses)
    within = any("." in name for name in names if name is not None)
    unnamed = {number for number, name in enumerate(header) if not name}
    width = len(header)
    for line, cells in rows:
        if cells is None:
            losses.add("rows that are no CSV", f"{path.name}, line {line}: a quote that is not closed, or not at a cell's end")
            continue
        if not any(cells) or not "".join(cells).strip():
            continue
        if len(cells) > width and any(cells[width:]):
            losses.add(
                "rows with more cells than the header has columns",
                f"{path.name}, line {line}: {len(cells)} cells, {width} columns (is a {delimiter!r} in one of them?)",
            )
            continue
        if len(cells) < width:
            cells += [""] * (width - len(cells))
        file = cells[position].strip()
        if not file:
            losses.add("rows that say no picture's name", f"{path.name}, line {line}: column {header[position]!r} is empty")
            continue
        for number in [number for number in unnamed if cells[number].strip()] if unnamed else ():
            losses.add(
                "columns without a name", f"{path.name}: column {number + 1}, with {cells[number][:60]!r} in line {line}"
            )
            unnamed.discard(number)
        if guarded := [number for number, cell in enumerate(cells) if cell.startswith('="')]:
            for number in guarded:
                if (text := _GUARDED.fullmatch(cells[number])) is not None:
                    cells[number] = text[1].replace('""', '"')
        record: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=False) if name is not None}
        yield Row(line, file, nested(record.items()) if within else record)


class _Lines:
    """The lines of a file, which can be put back."""

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self._back: list[str] = []
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= _LONGEST_ROW:
            raise StopIteration  # which the reader takes for the end of a file amid a quote
        line = self._back.pop() if self._back else next(self._file)
        self._taken.append(line)
        self.number += 1
        return line

    def peek(self) -> str:
        """The next line, or nothing at the end; without marks of Unicode before it, which may be doubled or behind `sep=`."""
        if not self._back:
            line = next(self._file, None)
            if line is None:
                return ""
            self._back.append(line)
        self._back[-1] = self._back[-1].lstrip("\ufeff")
        return self._back[-1]

    def begin(self) -> None:
        """A row begins here."""
        self._taken.clear()

    @property
    def of_row(self) -> int:
        """How many lines the row has so far."""
        return len(self._taken)

    def put_back(self) -> str:
        """All lines of the row but the first, which is returned."""
        self._back += self._taken[:0:-1]
        self.number -= len(self._taken) - 1
        return self._taken[0]


class _Reader:
    """Rows of cells, each with the line in which it ends; None for the cells of what is no row.

    Args:
        lines: of the file.
        delimiter: between cells.
        spaced: a space stands behind each delimiter, and before quotes.
    """

    def __init__(self, lines: _Lines, delimiter: str, *, spaced: bool = False) -> None:
        self._lines = lines
        self._spaced = spaced
        self._delimiter = delimiter
        self._reader = self._cells_of(lines)
        self._unclosed = 0

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> tuple[int, list[str] | None]:
        lines = self._lines
        lines.begin()
        try:
            if self._unclosed > _MOST_UNCLOSED:
                return lines.number + 1, self._next(self._cells_of([next(lines)]))
            cells = self._next(self._reader)
        except csv.Error as error:
            self._reader = self._cells_of(lines)
            several = lines.of_row > 1
            line = lines.put_back()
            if (found := self._with_backslashes(line)) is not None:
                return lines.number, found
            if several:
                self._unclosed += 1
            elif "unexpected end" not in str(error):
                # Something behind the quote that ends a cell: every spreadsheet reads on.
                return lines.number, self._next(self._cells_of([line], strict=False))
            return lines.number, None
        return lines.number, cells

    def _with_backslashes(self, line: str) -> list[str] | None:
        """The cells of a line that is none with doubled quotes, but is with quotes behind backslashes; else None."""
        doubled = _BACKSLASHED.sub('""', line)
        try:
            return None if doubled == line else self._next(self._cells_of([doubled]))
        except csv.Error:
            return None

    def _cells_of(self, lines: Iterable[str], *, strict: bool = True) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, skipinitialspace=self._spaced, strict=strict)

    @staticmethod
    def _next(reader: Iterator[list[str]]) -> list[str]:
        """The cells of the next row, however long they are: the limit is the process's, and is put back at once."""
        limit = csv.field_size_limit(sys.maxsize)
        try:
            return next(reader)
        finally:
            csv.field_size_limit(limit)
