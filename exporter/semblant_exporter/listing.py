"""Which pictures there are, in which order, and what is known about them: a folder or a list of files, joined with a table."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import uri_path
from semblant_search.errors import DataError, InvalidInput, MetadataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    PictureSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

__all__ = ["PICTURE_SUFFIXES", "Listing", "list_pictures"]

# fmt: off
PICTURE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg",
    ".jpg", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".tga", ".tif", ".tiff", ".webp",
})
# fmt: on
"""Files of other names in a folder are left alone."""
_YEAR = re.compile(r"(19|20)\d\d(?!\d)|(19|20)\d\d(0[1-9]|1[0-2])")
_DATE_PART = re.compile(r"((19|20)\d\d)?[-_. ]?(0?[1-9]|1[0-2])?[-_. ]?(0?[1-9]|[12]\d|3[01])?")
_FILE_COLUMNS = ("file", "path", "filename", "uri")


@dataclass(frozen=True)
class Listing:
    """Pictures before they are decoded.

    Attributes:
        root: the folder, or None for a list of files.
        paths: absolute, in the order of their names (a folder) or as given (a list).
        metadata: per column, one text for each path, None where there is none. Empty without a table.
    """

    root: Path | None
    paths: list[Path]
    metadata: Mapping[str, list[str | None]]

    def take(self, rows: Iterable[int]) -> Listing:
        """Those of these rows alone."""
        kept = list(rows)
        table = {name: [cells[row] for row in kept] for name, cells in self.metadata.items()}
        return Listing(self.root, [self.paths[row] for row in kept], table)

    def labels(self, column: str | None = None) -> list[str | None]:
        """One label for each path: of this column; by default of `label`, else the name of the folder below `root`.

        Folders that are dates (`2023/05`, `2023-05-17`) say when, not what: pictures in them have no label.

        Raises:
            MetadataError: `column` is not in the table.
        """
        if column is not None and column not in self.metadata:
            known = ", ".join(map(repr, self.metadata)) or "none: there is no metadata.csv in the folder or above it"
            raise MetadataError(f"label column {column!r}: not in the metadata; its columns are {known}")
        table = self.metadata.get(column if column is not None else "label")
        if table is not None:
            return table
        return [self._folder_label(path.parent) for path in self.paths]

    def _folder_label(self, folder: Path) -> str | None:
        if folder == self.root:
            return None
        below = folder.relative_to(self.root).parts if self.root and folder.is_relative_to(self.root) else folder.parts[-1:]
        above = self.root.parts[-2:] if self.root else folder.parts[-3:-1]
        return None if _is_date(below, above) else folder.name


def _is_date(below: Sequence[str], above: Sequence[str]) -> bool:
    """Whether the folders that a picture is in say no more than a day, a month or a year.

    `05` alone may be a category; it is a month where a year is above it, be it above the folder of the whole collection.
    """
    if not all(_DATE_PART.fullmatch(part) for part in below):
        return False
    return any(_YEAR.match(part) for part in (*above, *below))


def list_pictures(source: PictureSource, metadata: str | os.PathLike[str] | None = None) -> Listing:
    """Find the pictures of `source`: a folder and everything below it, or paths and `file://` URIs.

    Hidden files and folders are left out; links to folders are followed, each folder once. `metadata` is a table (`.csv`,
    `.tsv`, `.jsonl`) whose column `file` names pictures relative to it; a folder's own or its parent's `metadata.csv` is taken
    when none is given. Rows about other pictures are passed over.

    Raises:
        InvalidInput: no such folder, or not one.
        DataError: no pictures in it.
        MetadataError: a table that cannot be used.
    """
    if isinstance(source, (str, os.PathLike)):
        root = Path(source).absolute()
        if not root.is_dir():
            what = "is a file; name the folder it is in" if root.exists() else "no such folder"
            raise InvalidInput(f"{str(root)!r}: {what}")
        paths = list(_walk(root))
        if not paths:
            raise DataError(f"{str(root)!r}: holds no pictures (files named .png, .jpg, .webp, …), nor do its folders")
        table = metadata if metadata is not None else _table_beside(root)
    else:
        root, paths, table = None, [_local(item) for item in source], metadata
        if not paths:
            raise DataError("a list without pictures: expected at least one path")
    return Listing(root, paths, _join(Path(table), paths) if table is not None else {})


def _walk(root: Path) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        facts = Path(folder).stat()
        if (facts.st_dev, facts.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        # Real folders first: a picture goes by its own place rather than by a link's.
        subfolders[:] = sorted(
            (name for name in subfolders if not name.startswith(".")),
            key=lambda name: (os.path.islink(os.path.join(folder, name)), name),  # noqa: PTH114, PTH118 - speed
        )
        here = Path(folder)
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES and not name.startswith("."):  # noqa: PTH122 - speed
                yield here / name


def _local(item: str | os.PathLike[str]) -> Path:
    if isinstance(item, str) and "://" in item:
        path = uri_path(item)
        if path is None:
            raise InvalidInput(f"{item!r}: only local pictures can be trained on; download it first")
        return path
    return Path(item).absolute()


def _table_beside(root: Path) -> Path | None:
    for candidate in (root / "metadata.csv", root.parent / "metadata.csv"):
        if candidate.is_file():
            return candidate
    return None


def _join(table: Path, paths: Sequence[Path]) -> dict[str, list[str | None]]:
    rows = {str(path): number for number, path in enumerate(paths)}
    base = str(table.absolute().parent)
    columns: dict[str, list[str | None]] = {}
    for record in _records(table):
        name = next((name for name in _FILE_COLUMNS if name in record), None)
        if name is None:
            raise MetadataError(
                f"{str(table)!r}: no column names the picture; expected {_FILE_COLUMNS[0]!r}, "
                f"found {', '.join(map(repr, record)) or 'nothing'}"
            )
        file = record.pop(name)
        local = uri_path(file) if isinstance(file, str) and "://" in file else None
        number = rows.get(str(local) if local else os.path.normpath(os.path.join(base, str(file))))  # noqa: PTH118 - speed
        for column, value in record.items():
            cells = columns.get(column)
            if cells is None:
                cells = columns[column] = [None] * len(paths)
            if number is not None and value not in (None, ""):
                cells[number] = value if isinstance(value, str) else json.dumps(value)
    return columns


def _records(table: Path) -> Iterator[dict[str, Any]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            if table.suffix.lower() in (".jsonl", ".ndjson"):
                yield from (json.loads(line) for line in file if line.strip())
                return
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
            for row in reader:
                if None in row or None in row.values():
                    raise MetadataError(f"{str(table)!r}, line {reader.line_num}: not as many cells as the header has columns")
                yield row
    except OSError as error:
        raise MetadataError(f"{str(table)!r}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MetadataError(f"{str(table)!r}: is not UTF-8 text; save it as UTF-8") from error
    except (csv.Error, json.JSONDecodeError) as error:
        raise MetadataError(f"{str(table)!r}: is not a table that can be read: {error}") from error
