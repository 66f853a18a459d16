"""The decode workers as the job sees them: hand out batches, collect answers, survive whatever happens to a worker."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.errors import SemblantError

from .reading import name_of
from .worker import Decoded, Rejected, SharedFrames, Task, Unchanged, WorkerConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

__all__ = ["Batch", "WorkerPool", "child_environment"]

_START_ATTEMPTS = 3
_START_PATIENCE = 120.0
"""Seconds from a worker's first task to its first picture: Python, NumPy and OpenCV from a cold and busy disk."""


class Batch(NamedTuple):
    """An answered task: one result for each file, in their order; the pixels of all `Decoded` ones stand first in the slot."""

    task: Task
    results: list[Decoded | Unchanged | Rejected]


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    connection: Connection
    task: _Open | None = None
    answered: int = 0
    sent: float = 0.0


@dataclass
class _Open:
    """A task on its way: which files are still asked for, and what is known of the others."""

    task: Task
    positions: list[int]
    verdicts: dict[int, Rejected] = field(default_factory=dict)
    suspect: int | None = None
    """Position of a picture at which a worker died once: it is tried again, alone at the end, before it is blamed."""


class WorkerPool:
    """A fixed number of decode processes that share memory with this one.

    A worker that dies is replaced; the picture that it was at is tried once more, and rejected (`crashed`) if that goes wrong,
    too. One that stays at a picture for longer than `patience` is replaced, and the picture rejected (`timeout`). All others of
    the batch are decoded by the successor.

    Args:
        config: what the workers do.
        workers: how many processes.
        slots: how many batches shared memory holds.
        batch: most pictures in a batch.
        patience: seconds that one picture may take.
    """

    def __init__(self, config: WorkerConfig, *, workers: int, slots: int, batch: int, patience: float) -> None:
        # Not through the pipes: a vocabulary fills them, and each worker would have to be up before the next one starts.
        self._settings = _anonymous_memory()
        os.write(self._settings, pickle.dumps(config, protocol=5))
        self._patience = patience
        self._memory = _anonymous_memory()
        self._layout = (workers, slots, batch, *config.fit.shape)
        self._frames = SharedFrames(self._memory, workers, slots, batch, config.fit.shape)
        self._frames.at[:] = -1
        self._failed_starts = 0
        self._workers: list[_Worker] = []
        try:
            self._workers.extend(self._start(number) for number in range(workers))
        except SemblantError:
            self.close()
            raise

    @property
    def pixels(self) -> np.ndarray:
        """uint8 `[slots, batch, height, width, channels]`."""
        return self._frames.pixels

    @property
    def idle(self) -> int:
        """Workers without a task."""
        return sum(worker.task is None for worker in self._workers)

    @property
    def busy(self) -> int:
        """Workers with a task."""
        return len(self._workers) - self.idle

    @property
    def current(self) -> list[str]:
        """The files that workers are at right now."""
        files = []
        for worker in self._workers:
            at, work = int(self._frames.at[worker.number]), worker.task
            if work is not None and 0 <= at < len(work.positions):
                files.append(work.task.files[work.positions[at]][0])
        return files

    def submit(self, task: Task) -> None:
        """Give a batch to an idle worker; there must be one."""
        worker = next(worker for worker in self._workers if worker.task is None)
        worker.task = _Open(task, list(range(len(task.files))))
        self._send(worker)

    def collect(self, timeout: float) -> list[Batch]:
        """Wait up to `timeout` seconds for answers; returns none, one or several."""
        done: list[Batch] = []
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        for ready in wait(list(busy), timeout):
            worker = busy[ready]  # type: ignore[index]
            try:
                results = pickle.loads(worker.connection.recv_bytes())
            except (EOFError, ConnectionError, pickle.UnpicklingError):
                self._replace(worker, "crashed", done)
            else:
                worker.answered += 1
                self._failed_starts = 0
                self._accept(worker, results, done)
        now = time.monotonic()
        for worker in self._workers:
            if worker.task is None:
                continue
            if self._frames.at[worker.number] < 0:
                stuck = worker.answered == 0 and worker.sent < now - _START_PATIENCE
            else:
                stuck = self._frames.since[worker.number] < now - self._patience
            if stuck:
                self._replace(worker, "timeout", done)
        return done

    def close(self) -> None:
        """End all workers at once, whatever they are at."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.connection.close()
            worker.process.wait()
        for descriptor in (self._settings, self._memory):
            os.close(descriptor)

    def _accept(self, worker: _Worker, results: list[Decoded | Unchanged | Rejected], done: list[Batch]) -> None:
        work = worker.task
        assert work is not None
        answers: dict[int, Decoded | Unchanged | Rejected] = {**work.verdicts}
        answers.update(zip(work.positions, results, strict=True))
        worker.task = None
        # Pixels stand in the order of asking; a suspect was asked for last, so its pixels may have to move to their place.
        order = [position for position in work.positions if isinstance(answers[position], Decoded)]
        if order != sorted(order):
            frames = self.pixels[work.task.slot]
            ranks = sorted(range(len(order)), key=order.__getitem__)
            frames[: len(order)] = frames[ranks]
        done.append(Batch(work.task, [answers[position] for position in range(len(work.task.files))]))

    def _replace(self, worker: _Worker, reason: str, done: list[Batch]) -> None:
        worker.process.kill()
        code = worker.process.wait()
        worker.connection.close()
        at, work = int(self._frames.at[worker.number]), worker.task
        self._frames.at[worker.number] = -1
        assert work is not None
        if at < 0 and worker.answered == 0:
            self._failed_starts += 1
            if self._failed_starts >= _START_ATTEMPTS:
                raise SemblantError(
                    f"decode workers do not start (the last one {_ending(code, reason)}); what was indexed is kept. Is there "
                    f"memory for {len(self._workers)} of them (fewer: --workers), and is Semblant installed for "
                    f"{sys.executable!r}?"
                )
        if at >= 0:
            culprit = work.positions[at]
            if work.suspect == culprit or reason == "timeout":
                path = name_of(work.task.files[culprit][0])
                text = (
                    f"decoding took longer than {self._patience:g} s"
                    if reason == "timeout"
                    else f"the decoder crashed on it (exit code {code})"
                )
                work.verdicts[culprit] = Rejected(reason, f"{path!r}: {text}")
                work.positions.remove(culprit)
                work.suspect = None
            else:
                work.suspect = culprit
                work.positions.remove(culprit)
                work.positions.append(culprit)
        fresh = self._start(worker.number)
        self._workers[self._workers.index(worker)] = fresh
        fresh.task = work
        if work.positions:
            self._send(fresh)
        else:
            self._accept(fresh, [], done)

    def _send(self, worker: _Worker) -> None:
        assert worker.task is not None
        task = worker.task.task
        files = [task.files[position] for position in worker.task.positions]
        with contextlib.suppress(ConnectionError):  # it died: `collect` will see that on the same connection
            worker.connection.send_bytes(pickle.dumps(Task(task.slot, files), protocol=5))
        worker.sent = time.monotonic()

    def _start(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        arguments = [theirs.fileno(), self._settings, self._memory, number, *self._layout]
        try:
            with _interrupts_blocked():
                process = start_worker([*map(str, arguments)], (theirs.fileno(), self._settings, self._memory))
        except OSError as error:
            ours.close()
            raise SemblantError(
                f"a decode worker cannot be started: {error.strerror or error}; what was indexed is kept. Allow more "
                "processes, open files or memory, or use fewer workers (--workers)"
            ) from error
        finally:
            theirs.close()
        return _Worker(number, process, Connection(ours.detach()))


def start_worker(arguments: list[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start the process of a worker, which inherits the descriptors. Raises `OSError`."""
    return subprocess.Popen(
        [sys.executable, "-c", "from semblant_indexer.worker import main; main()", *arguments],
        pass_fds=descriptors,
        env=child_environment(),
        cwd=os.path.sep,
        stdin=subprocess.DEVNULL,
    )


def child_environment() -> dict[str, str]:
    """What a process of the job is started with."""
    # One thread each: the workers are the parallelism. Absolute paths: a worker must not import from the user's folder.
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OPENCV_FOR_THREADS_NUM": "1",
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
    }


def _ending(code: int, reason: str) -> str:
    if reason == "timeout":
        return f"had not begun after {_START_PATIENCE:g} s"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches the whole group: a process started here hears of it only once it has said that it does not care."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _anonymous_memory() -> int:
    if sys.platform == "linux":
        return os.memfd_create("semblant")  # not /dev/shm, of which a container has 64 MB
    descriptor, path = tempfile.mkstemp(prefix="semblant-")
    Path(path).unlink()
    return descriptor
