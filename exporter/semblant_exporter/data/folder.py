"""Writing a set of pictures into a folder, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from semblant_search.errors import DataError, InvalidInput

from semblant_exporter.cache import cache_dir, failures_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Progress = Callable[[str, int, int | None], None]
    """Called with what is being done, how much of it is done, and how much there is (None: not known)."""

__all__ = ["DataReport", "NewFolder", "write_once"]

FACTS_FILE = ".semblant-data.json"
"""Marks a finished set, so that a second call can tell it from someone's own folder."""


@dataclass(frozen=True)
class DataReport:
    """What a data command did.

    Attributes:
        directory: where the pictures are.
        pictures: how many.
        categories: how many different labels.
        source: where they came from.
        written: False when the set was there already and nothing was done.
        seconds: what it took.
    """

    directory: Path
    pictures: int
    categories: int
    source: str
    written: bool
    seconds: float


class NewFolder:
    """A set in the making: pictures and rows go into a hidden sibling of the folder they are meant for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = ""
        self._rows: list[dict[str, Any]] = []
        self._folders: set[str] = set()

    def add(self, file: str, data: bytes, row: dict[str, Any]) -> None:
        """Write one picture, `file` being its path in the set with forward slashes, and remember its row of metadata."""
        folder = file.rpartition("/")[0]
        if folder not in self._folders:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        (self.root / file).write_bytes(data)
        self._rows.append({"file": file, **row})

    def __len__(self) -> int:
        return len(self._rows)

    def finish(self, name: str) -> None:
        """Write `metadata.csv`, in the order of files, and the facts that mark the set as whole."""
        if not self._rows:
            raise DataError(f"{name}: its source holds no pictures")
        self._rows.sort(key=lambda row: row["file"])
        with (self.root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self._rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        facts = {
            "set": name,
            "pictures": len(self._rows),
            "categories": len({row["label"] for row in self._rows}),
            "source": self.source,
        }
        (self.root / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def write_once(directory: str | os.PathLike[str], name: str, fill: Callable[[NewFolder], None]) -> DataReport:
    """Have `fill` write the set `name`, and put it in place with one rename; do nothing where it already is.

    Raises:
        InvalidInput: `directory` is a file, or a folder with other things in it.
        DataError: it cannot be written, or no source can be reached. Nothing is left behind.
    """
    started = time.perf_counter()
    target = Path(directory).absolute()
    with failures_named(f"{str(target)!r}: cannot be written"):
        known = _finished(target, name)
        if known is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _alone(target):
                known = _finished(target, name)  # another process may have been faster
                if known is None:
                    _make(target, name, fill)
                    known = {**(_finished(target, name) or {}), "written": True}
    return DataReport(
        directory=target,
        pictures=known["pictures"],
        categories=known["categories"],
        source=known["source"],
        written=known.get("written", False),
        seconds=time.perf_counter() - started,
    )


def _make(target: Path, name: str, fill: Callable[[NewFolder], None]) -> None:
    for old in _siblings(target):  # left by a process that was killed: whoever holds the lock is alone
        shutil.rmtree(old, ignore_errors=True)
    partial = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        new = NewFolder(partial)
        fill(new)
        new.finish(name)
        if target.exists():
            target.rmdir()  # empty: `_finished` looked
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _siblings(target: Path) -> Sequence[Path]:
    prefix = f".{target.name}.partial-"
    return [entry for entry in target.parent.iterdir() if entry.name.startswith(prefix)]


def _finished(target: Path, name: str) -> dict[str, Any] | None:
    """The facts of a finished set, or None where there is nothing yet."""
    if not target.exists():
        return None
    if not target.is_dir():
        raise InvalidInput(f"{str(target)!r}: is a file; name a new folder")
    entries = os.listdir(target)  # noqa: PTH208 - only the names
    if not entries:
        return None
    try:
        facts: dict[str, Any] = json.loads((target / FACTS_FILE).read_text(encoding="utf-8"))
        known, pictures = facts["set"], facts["pictures"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        raise InvalidInput(
            f"{str(target)!r}: holds {len(entries)} other things ({sorted(entries)[0]!r}, …); name a new or an empty folder"
        ) from None
    if known != name:
        raise InvalidInput(f"{str(target)!r}: holds the set {known!r}, not {name!r}; name another folder")
    found = sum(file.endswith(".png") for _, _, files in os.walk(target) for file in files)
    if found != pictures:
        raise DataError(
            f"{str(target)!r}: {found} of the {pictures} pictures of {name!r} are there; "
            "delete the folder and run this again to get them all"
        )
    return facts


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold the lock of one target folder, so that two calls at once write it once."""
    locks = cache_dir() / "locks"
    with failures_named(f"{str(locks)!r}: the cache folder cannot be written (set SEMBLANT_CACHE to another)"):
        locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{hashlib.sha256(str(target).encode(errors='surrogateescape')).hexdigest()[:32]}.lock"):
        yield
