"""A decode worker: a process of its own, because native decoders can crash and Python threads share one lock.

It takes batches of files over a pipe, writes fitted pixels straight into shared memory and answers with the facts of each
picture. Before each picture it notes in shared memory which one it is at and since when, so that the parent knows whom to
blame if the process dies or stalls.

    parent ── [(path, known contents), …] ──▶ worker ── [Decoded | Unchanged | Rejected, …] ──▶ parent
                                             └── pixels ──▶ shared memory
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import pickle
import select
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from semblant_search.errors import ImageError
from semblant_search.images import Fit, most_bytes
from semblant_search.images.kinds import other_kind
from semblant_search.images.process import keep_pillow_quiet
from semblant_search.orb import OrbSettings, Vocabulary, unpack
from semblant_search.writing.exif import exif_facts_of
from semblant_search.writing.pictures import PictureRecipe

from .picture_names import needs_library
from .reading import Content, head_of, name_of, read_content
from .url_reading import FROM_ONE_HOST, ReadAhead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Decoded", "Rejected", "SharedFrames", "Task", "Unchanged", "WorkerConfig"]


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker needs to know; `orb` with `vocabulary` None extracts features without visual words.

    `extracted` has the packed features of contents (SHA-256) that were looked at before, None where there were none.
    """

    fit: Fit
    max_pixels: int
    orb: OrbSettings | None = None
    vocabulary: bytes | None = None
    exif: bool = False
    extracted: Mapping[str, np.ndarray | None] = field(default_factory=dict)


class Task(NamedTuple):
    """A batch: `slot` of shared memory that takes its pixels, and for each picture its path and the contents (SHA-256)
    that need no decoding."""

    slot: int
    files: Sequence[tuple[str, frozenset[str]]]


class Decoded(NamedTuple):
    """A picture whose pixels are in shared memory, with the facts of its file; `features` are packed."""

    sha256: str
    size: int
    mtime_ns: int
    width: int
    height: int
    format: str | None
    features: np.ndarray | None
    words: tuple[np.ndarray, np.ndarray] | None
    exif: dict[str, Any] | None = None


class Unchanged(NamedTuple):
    """A file whose content needs no decoding; `exif` has its facts where they are wanted, else None."""

    sha256: str
    size: int
    mtime_ns: int
    exif: dict[str, Any] | None = None


class Rejected(NamedTuple):
    """A picture that cannot be used."""

    reason: str
    message: str


class SharedFrames:
    """Memory that parent and workers share: `slots` batches of fitted pictures, and one progress note a worker.

    Attributes:
        pixels: uint8 `[slots, batch, height, width, channels]`.
        at: int64 `[workers]`, position in its batch of the picture that a worker is at; -1 when it has none.
        since: float64 `[workers]`, when it began with that picture, in seconds of the monotonic clock.
    """

    def __init__(self, descriptor: int, workers: int, slots: int, batch: int, shape: tuple[int, int, int]) -> None:
        head = 4096 * (1 + workers * 16 // 4096)
        size = head + slots * batch * int(np.prod(shape))
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        self._map = mmap.mmap(descriptor, size)
        self.at = np.frombuffer(self._map, dtype=np.int64, count=workers)
        self.since = np.frombuffer(self._map, dtype=np.float64, count=workers, offset=workers * 8)
        self.pixels = np.frombuffer(self._map, dtype=np.uint8, offset=head).reshape(slots, batch, *shape)


def work(connection: Connection, frames: SharedFrames, number: int, config: WorkerConfig) -> None:
    """Answer tasks; `EOFError` or `OSError` when the parent is gone."""
    vocabulary = Vocabulary.from_bytes(config.vocabulary) if config.vocabulary is not None else None
    recipe = PictureRecipe(config.fit, config.max_pixels, config.orb, config.exif)
    ahead = ReadAhead(most_bytes(config.max_pixels), FROM_ONE_HOST // len(frames.at))
    while True:
        task: Task = pickle.loads(connection.recv_bytes())
        ahead.expect(path for path, _ in task.files)
        results: list[Decoded | Unchanged | Rejected] = []
        filled = 0
        for position, (path, known) in enumerate(task.files):
            frames.since[number] = time.monotonic()
            frames.at[number] = position
            try:
                place = frames.pixels[task.slot, filled]
                data = ahead.take(path)
                content = _read(path, config) if data is None else Content(data, -1, len(data))
                result: Decoded | Unchanged | Rejected = _one(path, content, known, place, config, recipe, vocabulary)
            except ImageError as error:
                result = Rejected(error.reason, str(error))
            filled += isinstance(result, Decoded)
            results.append(result)
        frames.at[number] = -1
        connection.send_bytes(pickle.dumps(results, protocol=5))


def _read(path: str, config: WorkerConfig) -> Content:
    if needs_library(path) and (kind := other_kind(head_of(path))) is not None:
        kind.check(repr(name_of(path)))  # before all of a film is read in vain
    return read_content(path, most_bytes(config.max_pixels))


def _one(
    path: str,
    content: Content,
    known: frozenset[str],
    pixels: np.ndarray,
    config: WorkerConfig,
    recipe: PictureRecipe,
    vocabulary: Vocabulary | None,
) -> Decoded | Unchanged:
    data, mtime_ns, size = content
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 in known:
        return Unchanged(sha256, size, mtime_ns, exif_facts_of(data) if config.exif else None)
    try:
        parts = recipe.read(data, details=sha256 not in config.extracted)
    except ImageError as error:
        # The picture was given as bytes; a user wants to hear its name.
        _, _, text = str(error).partition(": ")
        raise ImageError(f"{name_of(path)!r}: {text}", reason=error.reason) from error
    pixels[...] = parts.fitted
    features = config.extracted.get(sha256, parts.features)
    words = None
    if features is not None and vocabulary is not None:
        sparse = vocabulary.sparse(unpack(features))
        words = (sparse.indices, sparse.values)
    sides = parts.width, parts.height
    return Decoded(sha256, size, mtime_ns, *sides, parts.format, features, words, parts.exif)


def main() -> None:
    """Entry point of the process: descriptors of pipe, settings and memory, then the layout, come as arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what happens
    keep_pillow_quiet()
    pipe, settings, memory, number, workers, slots, batch, *shape = map(int, sys.argv[1:])
    connection = Connection(pipe)
    threading.Thread(target=_end_with_parent, args=(pipe,), name="semblant-parent", daemon=True).start()
    frames = SharedFrames(memory, workers, slots, batch, (shape[0], shape[1], shape[2]))
    config = pickle.loads(os.pread(settings, os.fstat(settings).st_size, 0))
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        work(connection, frames, number, config)


def _end_with_parent(pipe: int) -> None:
    """End the process when the parent is gone, whatever it waits for: a server may be silent for ever."""
    hangup = select.poll()
    hangup.register(pipe, 0)  # nothing but the end
    hangup.poll()
    os._exit(1)


if __name__ == "__main__":
    main()
