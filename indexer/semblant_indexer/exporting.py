"""Vectors and metadata as files that other programs read: parts of Parquet and NumPy, as clip-retrieval lays them out.

DIR/metadata/part-00000.parquet   id, _uri, _sha256, … and the metadata, one row a picture
DIR/vectors/part-00000.npy        float32 [rows, D], unit length; row for row the pictures of the part of the same number
DIR/export.json                   what it is of; written last
"""

from __future__ import annotations

import itertools
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput, MissingExtra, StoreError
from semblant_search.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from semblant_search.store import Record, Store

__all__ = ["check_export", "export_vectors"]

FORMAT_VERSION = 1
ROWS = 50_000
"""Pictures of a part."""
_ABOUT = "export.json"
_FOLDERS = ("metadata", "vectors")


def check_export(folder: Path) -> None:
    """Find out before a long job whether its vectors can be written there.

    Raises:
        InvalidInput: the folder holds something else.
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtra("writing Parquet files", "semblant-indexer[parquet]") from error
    if folder.exists() and not (folder / _ABOUT).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"--export {str(folder)!r}: holds something else; give a new or empty folder, or one of an export")


def export_vectors(store: Store, folder: Path, rows: int = ROWS) -> int:
    """Write all pictures of a generation, in place of what an export wrote there before; how many there are.

    A field of which a picture has several values is a column of lists; places, and what has no type, are JSON texts.

    Raises:
        InvalidInput, MissingExtra: as `check_export`.
        StoreError: a file cannot be written.
    """
    check_export(folder)
    manifest = store.manifest
    columns = _columns(store)
    made = folder.with_name(f".{folder.name}.part")
    count = part = 0
    try:
        shutil.rmtree(made, ignore_errors=True)
        for name in _FOLDERS:
            (made / name).mkdir(parents=True)
        for part, records in enumerate(_batches(store.scroll(with_image=True), rows), start=1):
            number = f"part-{part - 1:05d}"
            vectors = np.stack([_vector(record, manifest.dim) for record in records])
            np.save(made / "vectors" / f"{number}.npy", vectors)
            _write_rows(made / "metadata" / f"{number}.parquet", records, columns)
            count += len(records)
        about = {
            "format_version": FORMAT_VERSION,
            "collection": manifest.collection,
            "generation": manifest.generation,
            "encoder": manifest.encoder_fingerprint,
            "dim": manifest.dim,
            "pictures": count,
            "parts": part,
            "fields": {name: kind.value for name, kind in manifest.fields.items()},
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ABOUT).unlink(missing_ok=True)  # until the end it is none
        for name in _FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
            (made / name).rename(folder / name)
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be written: {error.strerror or error}; everything is indexed") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    write_atomic(folder / _ABOUT, json.dumps(about, indent=1).encode())
    return count


def _vector(record: Record, dim: int) -> np.ndarray:
    return np.zeros(dim, np.float32) if record.image is None else np.asarray(record.image, np.float32)


def _columns(store: Store) -> dict[str, Any]:
    """The Arrow type of each field, in the order of names; lists where a picture has several values."""
    import pyarrow

    several: set[str] = set()
    names: set[str] = set()
    for record in store.scroll():
        names |= record.payload.keys()
        several |= {name for name, value in record.payload.items() if isinstance(value, list)}
    types = {
        FieldType.INTEGER: pyarrow.int64(),
        FieldType.FLOAT: pyarrow.float64(),
        FieldType.BOOL: pyarrow.bool_(),
        FieldType.KEYWORD: pyarrow.string(),
        FieldType.DATETIME: pyarrow.string(),
    }
    columns: dict[str, Any] = {}
    for name in sorted(names):
        plain = types.get(store.manifest.fields.get(name))  # type: ignore[arg-type]
        columns[name] = pyarrow.string() if plain is None else pyarrow.list_(plain) if name in several else plain
    return columns


def _write_rows(path: Path, records: Sequence[Record], columns: Mapping[str, Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    arrays = {"id": pyarrow.array([record.id for record in records], pyarrow.string())}
    for name, kind in columns.items():
        arrays[name] = pyarrow.array([_cell(record.payload.get(name), kind) for record in records], kind)
    parquet.write_table(pyarrow.table(arrays), path)


def _cell(value: Any, kind: Any) -> Any:
    """A value as its column takes it."""
    import pyarrow

    if value is None:
        return None
    if pyarrow.types.is_list(kind):
        values = value if isinstance(value, list) else [value]
        return [_cell(one, kind.value_type) for one in values]
    if pyarrow.types.is_string(kind):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return float(value) if pyarrow.types.is_floating(kind) else value


def _batches(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while batch := list(itertools.islice(records, size)):
        yield batch
