"""Decoding pictures in worker processes, straight into the rows of a memory-mapped file."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from semblant_search.collection import canonical_uri
from semblant_search.errors import ImageError
from semblant_search.images import fit_image, open_image
from semblant_search.images.process import keep_pillow_quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from semblant_search.images import Fit

    Progress = Callable[[str, int, int | None], None]

__all__ = ["Failure", "decode_into", "processors"]

_CHUNK = 250
_WORTH_PROCESSES = 1500
"""Starting a process takes about as long as decoding so many small pictures."""
_LARGE_BYTES = 64 * 1024 * _WORTH_PROCESSES


class Failure(NamedTuple):
    """A picture that could not be used: its place in the listing, canonical URI, reason code, and message."""

    row: int
    uri: str
    reason: str
    message: str


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_into(
    file: Path, paths: Sequence[Path], fit: Fit, max_pixels: int, workers: int | None, on_progress: Progress | None
) -> list[Failure]:
    """Decode and fit each path into its row of `file`, uint8 `[len(paths), h, w, c]`, which has its full size already.

    Returns what failed, in the order of rows; those rows hold nothing of use.
    """
    chunks = [(begin, paths[begin : begin + _CHUNK]) for begin in range(0, len(paths), _CHUNK)]
    shape = (len(paths), *fit.shape)
    workers = processors() if workers is None else workers
    failures: list[Failure] = []
    done: set[int] = set()

    def finish(begin: int, failed: list[Failure]) -> None:
        failures.extend(failed)
        done.add(begin)
        if on_progress is not None:
            on_progress("decoding pictures", min(len(done) * _CHUNK, len(paths)), len(paths))

    if workers > 1 and _is_much(paths):
        # `spawn`: a forked copy of a process with threads (PyTorch, ONNX Runtime) may hang on a lock that nobody will open.
        with ProcessPoolExecutor(min(workers, len(chunks)), get_context("spawn"), _begin) as pool:
            try:
                running = {pool.submit(_decode, file, shape, fit, max_pixels, *chunk): chunk[0] for chunk in chunks}
                for future in as_completed(running):
                    finish(running[future], future.result())
            except BrokenProcessPool:
                pass  # a worker was killed: what is left is decoded here
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    for begin, part in chunks:
        if begin not in done:
            finish(begin, _decode(file, shape, fit, max_pixels, begin, part))
    return sorted(failures)


def _is_much(paths: Sequence[Path]) -> bool:
    """Whether there is enough to decode for processes to pay."""
    if len(paths) >= _WORTH_PROCESSES:
        return True
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except (OSError, ValueError):
            continue
    return len(paths) > 1 and total > _LARGE_BYTES


def _begin() -> None:
    """Called in each process first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    keep_pillow_quiet()


def _decode(file: Path, shape: tuple[int, ...], fit: Fit, max_pixels: int, begin: int, paths: Sequence[Path]) -> list[Failure]:
    rows = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    failures = []
    for row, path in enumerate(paths, start=begin):
        try:
            picture = open_image(path, max_pixels=max_pixels, at_least=(fit.height, fit.width))
            rows[row] = fit_image(picture, fit)
        except ImageError as error:
            failures.append(Failure(row, canonical_uri(path), error.reason, str(error)))
    return failures
