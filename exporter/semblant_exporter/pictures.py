"""Pictures for training and measuring: decoded once, fitted, and kept as one memory-mapped array.

The array lies in the cache folder under a name made from the listing (paths, sizes, times of change) and the fit. The second
call maps it and decodes nothing; a changed, added or removed file makes another array. Sets larger than memory work: nothing
but single batches is ever read into it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from semblant_search.collection import canonical_uri
from semblant_search.errors import DataError, InvalidInput
from semblant_search.images import DEFAULT_MAX_PIXELS

from semblant_exporter.cache import cache_dir, failures_named
from semblant_exporter.decoding import Failure, decode_into
from semblant_exporter.listing import Listing, list_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from semblant_search.images import Fit

    from semblant_exporter.listing import PictureSource

    Progress = Callable[[str, int, int | None], None]

__all__ = ["PictureArray", "load", "spread_out"]

_FORMAT = 1
_KEPT_DAYS = 30
"""Arrays that were not used for so long are deleted when another one is written."""


@dataclass(frozen=True, eq=False)
class PictureArray:
    """Fitted pictures, one row each, in the order of the listing.

    Attributes:
        pixels: uint8 `[n, h, w, c]`, memory-mapped, read-only.
        fit: how they became that.
        uris: canonical URIs, `n`.
        labels: `n` labels, None where a picture has none.
        metadata: the columns of the metadata table, `n` texts each, None where a cell is empty.
        failures: pictures that could not be used, each with its reason; they have no row.
    """

    pixels: np.ndarray
    fit: Fit
    uris: list[str]
    labels: list[str | None]
    metadata: Mapping[str, list[str | None]]
    failures: list[Failure]

    def __len__(self) -> int:
        return len(self.uris)

    @property
    def categories(self) -> list[str]:
        """The distinct labels, sorted."""
        return sorted({label for label in self.labels if label is not None})

    @property
    def label_ids(self) -> np.ndarray:
        """int64 `[n]`: places in `categories`, -1 without a label."""
        places = {label: number for number, label in enumerate(self.categories)}
        return np.array([-1 if label is None else places[label] for label in self.labels], dtype=np.int64)

    def split(self, validation: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Rows for training and for validation: int64, ascending, disjoint, at least one each; the same for the same seed.

        Raises:
            InvalidInput: `validation` is not between 0 and 1.
            DataError: one picture cannot be split.
        """
        if not 0 < validation < 1:
            raise InvalidInput(f"validation share {validation}: expected more than 0 and less than 1, such as 0.1")
        if len(self) < 2:
            raise DataError("one picture cannot be split into training and validation pictures; give at least 2")
        held = min(max(1, round(len(self) * validation)), len(self) - 1)
        order = np.random.default_rng(seed).permutation(len(self))
        return np.sort(order[held:]), np.sort(order[:held])

    def failure_counts(self) -> dict[str, int]:
        """How many pictures failed for which reason, most frequent first."""
        return dict(Counter(failure.reason for failure in self.failures).most_common())


def load(
    source: PictureSource | Listing,
    fit: Fit,
    *,
    metadata: str | os.PathLike[str] | None = None,
    label: str | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> PictureArray:
    """Decode and fit all pictures of a folder, or of a list of paths, in worker processes; or map what an earlier call made.

    Args:
        source: a folder, with everything below it, or paths, or what `list_pictures` found in them.
        fit: the size, channels and policy.
        metadata: a table of metadata; a folder's own or its parent's `metadata.csv` is found without.
        label: the column that holds labels; by default `label`, else the name of the folder that a picture is in.
        max_pixels: larger pictures are refused.
        workers: processes; None takes one for each processor.
        on_progress: called with what is done, how far, and out of how many.

    Raises:
        InvalidInput: no such folder.
        MetadataError: a table or column that cannot be used.
        DataError: not one picture can be used, or the cache folder has no room.
    """
    _refuse_to_recurse()
    listing = source if isinstance(source, Listing) else list_pictures(source, metadata)
    labels = listing.labels(label)  # a wrong column is said before anything is decoded
    folder = cache_dir() / "pictures" / _key(listing.paths, fit, max_pixels)
    with failures_named(f"{str(folder.parent)!r}: the cache folder cannot be written (set SEMBLANT_CACHE to another)"):
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not folder.exists():
                    _make(folder, listing, fit, max_pixels, workers, on_progress)
            Path(f"{folder}.lock").unlink(missing_ok=True)
        os.utime(folder)
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    failures = [Failure(*entry) for entry in facts["failures"]]
    if len(failures) == len(listing.paths):
        raise DataError(_nothing_usable(listing, failures))
    failed = {failure.row for failure in failures}
    good = [row for row in range(len(listing.paths)) if row not in failed]
    return PictureArray(
        pixels=np.memmap(folder / "pixels.u8", dtype=np.uint8, mode="r", shape=(len(good), *fit.shape)),
        fit=fit,
        uris=[canonical_uri(listing.paths[row]) for row in good],
        labels=[labels[row] for row in good],
        metadata={name: [cells[row] for row in good] for name, cells in listing.metadata.items()},
        failures=failures,
    )


def spread_out(pixels: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the pictures `[n, …]`, evenly over all: the first ones of a listing are all of one folder."""
    rows = np.linspace(0, len(pixels) - 1, min(count, len(pixels))).round().astype(np.int64)
    return np.array(pixels[rows])


def _refuse_to_recurse() -> None:
    # A worker begins by importing its parent's script. Without the guard, that comes here again and waits for the lock that the
    # parent holds while it waits for the worker. Python has this test for the same mistake, but only for starting processes.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise InvalidInput(
            "pictures are being loaded by a script that a worker process imports: put what the script does under "
            '`if __name__ == "__main__":`; the pictures are now decoded by one process'
        )


def _key(paths: list[Path], fit: Fit, max_pixels: int) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, fit.to_json(), max_pixels]).encode())
    for path in paths:
        try:
            facts = path.stat()
            line = f"\0{path}\0{facts.st_size}\0{facts.st_mtime_ns}"
        except (OSError, ValueError):
            line = f"\0{path}\0"
        digest.update(line.encode("utf-8", errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _make(folder: Path, listing: Listing, fit: Fit, max_pixels: int, workers: int | None, on_progress: Progress | None) -> None:
    _forget_old(folder)
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        pixels, size = partial / "pixels.u8", int(np.prod(fit.shape))
        with pixels.open("wb") as file:
            # Room for all is taken now: a full disk would otherwise end a process that writes into the map without a word.
            _reserve(file.fileno(), len(listing.paths) * size)
        failures = decode_into(pixels, listing.paths, fit, max_pixels, workers, on_progress)
        kept = _close_gaps(pixels, len(listing.paths), size, {failure.row for failure in failures})
        os.truncate(pixels, kept * size)
        facts = {"failures": [[failure.row, failure.uri, failure.reason, failure.message] for failure in failures]}
        (partial / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _close_gaps(pixels: Path, count: int, size: int, failed: set[int]) -> int:
    """Move rows up over those of failed pictures, in place; returns how many are left."""
    if not failed:
        return count
    rows = np.memmap(pixels, dtype=np.uint8, mode="r+", shape=(count, size))
    good = np.array([row for row in range(count) if row not in failed], dtype=np.int64)
    for begin in range(0, len(good), 1024):  # never overwrites a row that is still to be read
        part = good[begin : begin + 1024]
        rows[begin : begin + len(part)] = rows[part]
    rows.flush()
    return len(good)


def _forget_old(folder: Path) -> None:
    """Delete arrays long unused, and what a killed process left of this one: whoever holds its lock is alone."""
    limit = time.time() - _KEPT_DAYS * 86_400
    for entry in folder.parent.iterdir():
        try:
            if entry.stat().st_mtime < limit or entry.name.startswith(f".{folder.name}."):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except OSError:  # someone else's, or just deleted by another process
            continue


def _nothing_usable(listing: Listing, failures: list[Failure]) -> str:
    first = "".join(f"\n  {failure.message}" for failure in failures[:3])
    more = f"\n  … and {len(failures) - 3} more" if len(failures) > 3 else ""
    where = repr(str(listing.root)) if listing.root else "the list"
    said = "its only picture cannot" if len(failures) == 1 else f"not one of its {len(failures):,} pictures can"
    return f"{where}: {said} be used:{first}{more}"
