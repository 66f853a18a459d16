"""Parts of Parquet and NumPy that other programs read, as clip-retrieval lays them out.

DIR/metadata/part-00000.parquet   id, _uri, _sha256, … and the metadata, one row a picture
DIR/vectors/part-00000.npy        float32 [rows, D], unit length; row for row the pictures of the part of the same number
DIR/export.json                   what it is of; written last
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput, MissingExtra, StoreError
from semblant_search.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from semblant_search.collection import Manifest

__all__ = ["ROWS", "VectorFiles", "check_export", "columns_of", "vector_files"]

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


def columns_of(payloads: Iterable[Mapping[str, Any]], fields: Mapping[str, FieldType]) -> dict[str, Any]:
    """The Arrow type of each column, in the order of names.

    A field of which a picture has several values is a column of lists; places, and what has no type, are JSON texts.

    Args:
        payloads: of all pictures.
        fields: the types of what is typed.
    """
    import pyarrow

    several: set[str] = set()
    names: set[str] = set()
    for payload in payloads:
        names |= payload.keys()
        several |= {name for name, value in payload.items() if isinstance(value, list)}
    types = {
        FieldType.INTEGER: pyarrow.int64(),
        FieldType.FLOAT: pyarrow.float64(),
        FieldType.BOOL: pyarrow.bool_(),
        FieldType.KEYWORD: pyarrow.string(),
        FieldType.DATETIME: pyarrow.string(),
    }
    columns: dict[str, Any] = {}
    for name in sorted(names):
        plain = types.get(fields.get(name))  # type: ignore[arg-type]
        columns[name] = pyarrow.string() if plain is None else pyarrow.list_(plain) if name in several else plain
    return columns


class VectorFiles:
    """Takes pictures one after another and writes them in parts.

    Args:
        folder: an empty one.
        columns: of the metadata; see `columns_of`.
        rows: pictures of a part.
    """

    def __init__(self, folder: Path, columns: Mapping[str, Any], rows: int) -> None:
        self._folder, self._columns, self._rows = folder, columns, rows
        self._waiting: list[tuple[str, Mapping[str, Any], np.ndarray]] = []
        self.count = self.parts = 0
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)

    def add(self, id: str, payload: Mapping[str, Any], vector: np.ndarray) -> None:
        """One picture; `vector` is float32 `[D]`."""
        self._waiting.append((id, payload, vector))
        if len(self._waiting) == self._rows:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a part."""
        if not self._waiting:
            return
        import pyarrow
        from pyarrow import parquet

        number = f"part-{self.parts:05d}"
        vectors = np.stack([np.asarray(vector, np.float32) for *_, vector in self._waiting])
        np.save(self._folder / "vectors" / f"{number}.npy", vectors)
        arrays = {"id": pyarrow.array([id for id, *_ in self._waiting], pyarrow.string())}
        for name, kind in self._columns.items():
            arrays[name] = pyarrow.array([_cell(payload.get(name), kind) for _, payload, _ in self._waiting], kind)
        parquet.write_table(pyarrow.table(arrays), self._folder / "metadata" / f"{number}.parquet")
        self.count += len(self._waiting)
        self.parts += 1
        self._waiting = []


@contextmanager
def vector_files(
    folder: Path, manifest: Manifest, columns: Mapping[str, Any], rows: int, *, kept: str
) -> Iterator[VectorFiles]:
    """Files that take the place of what an export wrote there before, once the block is left without an error.

    Args:
        folder: where they go.
        manifest: of the collection; for `export.json`.
        columns, rows: as `VectorFiles` takes them.
        kept: what a failure leaves, for its message.

    Raises:
        StoreError: a file cannot be written.
    """
    made = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(made, ignore_errors=True)
        files = VectorFiles(made, columns, rows)
        yield files
        files.flush()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ABOUT).unlink(missing_ok=True)  # until the end it is none
        for name in _FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
            (made / name).rename(folder / name)
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be written: {error.strerror or error}; {kept}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    about = {
        "format_version": FORMAT_VERSION,
        "collection": manifest.collection,
        "generation": manifest.generation,
        "encoder": manifest.encoder_fingerprint,
        "dim": manifest.dim,
        "pictures": files.count,
        "parts": files.parts,
        "fields": {name: kind.value for name, kind in manifest.fields.items()},
    }
    write_atomic(folder / _ABOUT, json.dumps(about, indent=1).encode())


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
