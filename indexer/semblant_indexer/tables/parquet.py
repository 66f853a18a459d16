"""Rows of a Parquet file."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.errors import MetadataError, MissingExtra

from semblant_indexer.field_names import nested
from semblant_indexer.records import kept_record

from .columns import Row, field_names, file_column, picture_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["read_parquet"]


def read_parquet(path: Path, losses: Losses, wanted: str | None = None) -> Iterator[Row]:
    """The rows of a `.parquet` file. Raises `MetadataError` where it cannot be read or names no pictures."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("reading Parquet files", "semblant-indexer[parquet]") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            position = file_column(columns, path, wanted)
            names = field_names(columns, position, path, losses)
            for batch in file.iter_batches(batch_size=4096):
                cells = [_cells(column) for column in batch.columns]
                for row in range(batch.num_rows):
                    number += 1
                    named = cells[position][row]
                    picture = picture_named(named)
                    if picture is None:
                        losses.add(
                            "rows that say no picture's name",
                            f"{path.name}, row {number}: {columns[position]!r} must name a picture, found {str(named)[:60]!r}",
                        )
                        continue
                    where = f"{path.name}, row {number}"
                    record = nested(
                        (name, _plain(cells[at][row], name, where, losses)) for at, name in enumerate(names) if name
                    )
                    yield Row(number, picture, kept_record(record, where, losses))
    except (pyarrow.ArrowException, OSError) as error:
        raise MetadataError(f"{str(path)!r}: cannot be read as Parquet: {error}") from error


class _Unfit(NamedTuple):
    """A value that Python has nothing for."""

    why: str


def _cells(column: Any) -> list[Any]:
    """Values of Python; times finer than Python's, and moments beyond its calendar, as text."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, ArithmeticError, ImportError, KeyError):
        return [_one(value) for value in column]


def _one(value: Any) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError, ArithmeticError, ImportError, KeyError):
        import pyarrow

        try:
            text = value.cast(pyarrow.string()).as_py()
        except UnicodeDecodeError:
            return _Unfit("that are no text")
        except pyarrow.ArrowException:
            return _Unfit("that cannot be read")
        return _Unfit("out of range") if text is not None and text.startswith("<value out of range") else text


def _plain(cell: Any, name: str, where: str, losses: Losses) -> Any:
    """What JSON has: times as text, numbers of other kinds as floats, bytes as text, pairs of a map by their names.

    `losses` hears of what is left out of field `name`.
    """
    if isinstance(cell, _Unfit):
        losses.add(f"values of metadata field {name!r} {cell.why}", where)
        return None
    if isinstance(cell, datetime) and cell != cell:  # pandas' NaT
        return None
    if isinstance(cell, (date, datetime, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, Decimal):
        number = _decimal(cell)
        if number is None and not cell.is_nan():
            losses.add(f"values of metadata field {name!r} beyond all numbers", f"{where}: {cell}")
        return number
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            losses.add(f"values of metadata field {name!r} that are bytes, and no text", f"{where}: {len(cell):,} bytes")
            return None
    if isinstance(cell, (list, tuple)):
        if cell and all(isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str) for each in cell):
            return {inner: _plain(each, f"{name}.{inner}", where, losses) for inner, each in cell}
        return [_plain(each, name, where, losses) for each in cell]
    if isinstance(cell, dict):
        return {inner: _plain(each, f"{name}.{inner}", where, losses) for inner, each in cell.items()}
    return cell if cell is None or isinstance(cell, (str, bool, int, float)) else str(cell)


def _decimal(cell: Decimal) -> float | int | None:
    """A number without decimals stays whole, and so exact."""
    if cell.is_nan():
        return None
    if cell.is_finite() and cell == cell.to_integral_value() and (exponent := cell.as_tuple().exponent) == 0:
        return int(cell) if exponent == 0 else float(cell)
    return float(cell) if math.isfinite(float(cell)) else None
