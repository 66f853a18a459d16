"""The stages, each overlapping the others: decode workers → encoder → writer.

    todo ─▶ workers (processes) ─slot of shared memory─▶ encoder (thread) ─vectors─▶ writer (thread)
              ▲                                              │
              └──────────────── free slots ◀─────────────────┘

The number of slots bounds memory: a worker without a free slot waits. The calling thread hands out work and reports progress.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .worker import Decoded, Task, Unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search.encoder import Encoder, Vectors

    from .ledger import Todo
    from .pool import Batch, WorkerPool
    from .worker import Rejected

__all__ = ["Pipeline", "Sink"]

_POLL = 0.05


class _Decoded(NamedTuple):
    todos: list[Todo]
    batch: Batch


class _Encoded(NamedTuple):
    todos: list[Todo]
    batch: Batch
    vectors: Vectors | None


class Sink(Protocol):
    """The last stage, such as a `Writer`."""

    def write(self, todos: Sequence[Todo], results: Sequence[Decoded | Unchanged | Rejected], vectors: Vectors | None) -> None:
        """Take in a batch; `vectors` belong to the `Decoded` results in their order."""
        ...

    def keep(self, kept: Sequence[tuple[Todo, Unchanged]]) -> None:
        """Take in pictures whose vectors are there already."""
        ...

    def flush(self) -> None:
        """Write what was taken in."""
        ...


class Pipeline:
    """Runs pictures through the stages once.

    Args:
        pool: decode workers; its slots are used in full, and `close` ends it.
        encoder: used by one thread.
        writer: used by one thread.
        batch: most pictures in a batch.
    """

    def __init__(self, pool: WorkerPool, encoder: Encoder, writer: Sink, *, batch: int) -> None:
        self._pool = pool
        self._encoder = encoder
        self._writer = writer
        self._batch = batch
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(len(pool.pixels)):
            self._free.put(slot)
        self._decoded: queue.SimpleQueue[_Decoded | None] = queue.SimpleQueue()  # bounded by the slots
        self._encoded: queue.Queue[_Encoded | list[Todo] | None] = queue.Queue(maxsize=4)
        self._failure: BaseException | None = None
        self.busy = {"decode": 0.0, "encode": 0.0, "write": 0.0}
        """Seconds that each stage has been at work; for `decode`, the mean over the workers."""

    def run(self, todo: Iterator[Todo], total: int, on_progress: Callable[[], None]) -> None:
        """Take every picture through all stages. Whatever a stage raises is raised here, after the others have stopped."""
        encode = threading.Thread(target=self._encode, name="semblant-encode", daemon=True)
        write = threading.Thread(target=self._write, name="semblant-write", daemon=True)
        encode.start()
        write.start()
        try:
            self._feed(todo, total, on_progress)
            self._decoded.put(None)
            while write.is_alive() and self._failure is None:
                write.join(_POLL)
                on_progress()
        except BaseException as error:
            self._failure = self._failure or error
            raise
        finally:
            if self._failure is not None:
                self._decoded.put(None)
                encode.join()
                write.join()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _feed(self, todo: Iterator[Todo], total: int, on_progress: Callable[[], None]) -> None:
        pool, workers = self._pool, self._pool.idle
        on_way: dict[int, list[Todo]] = {}
        metadata_only: list[Todo] = []
        pending: list[Todo] = []
        slot: int | None = None
        exhausted, handed, last = False, 0, time.perf_counter()
        while not (exhausted and not pending and not on_way):
            # Smaller batches near the end, so that the workers finish together.
            wanted = max(1, min(self._batch, (total - handed) // (2 * workers) + 1))
            while not exhausted and len(pending) < wanted and self._failure is None:
                item = next(todo, None)
                if item is None:
                    exhausted = True
                elif item.same_file:
                    metadata_only.append(item)
                    handed += 1
                else:
                    pending.append(item)
                if len(metadata_only) >= 256 or (exhausted and metadata_only):
                    self._hand_on(metadata_only, on_progress)
                    metadata_only = []
            slot = self._free_slot(wait=not pool.busy) if pending and pool.idle and slot is None else slot
            if pending and pool.idle and slot is not None:
                files = [(item.where, item.known) for item in pending]
                pool.submit(Task(slot, files))
                handed += len(pending)
                on_way[slot], pending, slot = pending, [], None
                if pool.idle:
                    continue
            if self._failure is not None:
                return
            busy = pool.busy
            for batch in pool.collect(_POLL if pool.idle == 0 or not pending else 0.002) if busy else ():
                self._decoded.put(_Decoded(on_way.pop(batch.task.slot), batch))
            moment = time.perf_counter()
            self.busy["decode"] += (moment - last) * busy / workers
            last = moment
            on_progress()

    def _hand_on(self, todos: list[Todo], on_progress: Callable[[], None]) -> None:
        """Past the encoder, to the writer. Not waiting for ever: once another stage has failed, nobody makes room any more."""
        while self._failure is None:
            try:
                self._encoded.put(todos, timeout=_POLL)
            except queue.Full:
                on_progress()
            else:
                return

    def _free_slot(self, *, wait: bool) -> int | None:
        try:
            return self._free.get(timeout=_POLL) if wait else self._free.get_nowait()
        except queue.Empty:
            return None

    def _encode(self) -> None:
        """Ends with a `None` for the writer, whatever happens."""
        pixels = self._pool.pixels
        try:
            while (item := self._decoded.get()) is not None and self._failure is None:
                start = time.perf_counter()
                count = sum(isinstance(result, Decoded) for result in item.batch.results)
                vectors = self._encoder.vectors(pixels[item.batch.task.slot, :count]) if count else None
                self._free.put(item.batch.task.slot)
                self.busy["encode"] += time.perf_counter() - start
                self._encoded.put(_Encoded(item.todos, item.batch, vectors))
        except BaseException as error:
            self._failure = self._failure or error
        finally:
            self._encoded.put(None)

    def _write(self) -> None:
        """Empties its queue to the end, also after a failure: whoever waits to put something in must not wait for ever."""
        broken = False
        while (item := self._encoded.get()) is not None:
            if self._failure is None:
                broken = not self._try(self._write_one, item)
        # An interrupted run keeps what is encoded; only a store that just failed is not asked again.
        if not broken:
            self._try(self._writer.flush)

    def _write_one(self, item: _Encoded | list[Todo]) -> None:
        start = time.perf_counter()
        if isinstance(item, list):
            self._writer.keep([(todo, Unchanged(todo.sha256 or "", todo.size, todo.mtime_ns)) for todo in item])
        else:
            self._writer.write(item.todos, item.batch.results, item.vectors)
        self.busy["write"] += time.perf_counter() - start

    def _try(self, call: Callable[..., None], *arguments: Any) -> bool:
        try:
            call(*arguments)
        except BaseException as error:
            self._failure = self._failure or error
            return False
        return True
