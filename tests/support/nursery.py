"""Decode workers that need not load NumPy and OpenCV first.

A job's worker loads for longer than it decodes the thirty pictures of a test. Here one process loads once, and forks a worker
whenever a job of this process asks for one: the same code with the same pipe, memory and environment, a child of this process,
which may be killed like any other. Jobs that tests run as a command start their workers as users' jobs do.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pickle
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WORKER", "Nursery", "serve"]

WORKER = "decode-worker"
"""What the system calls a worker that came from here: its command line is the nursery's."""
_PACKAGES = sysconfig.get_path("platlib")
_NAME, _SUBREAPER = 15, 36  # of prctl
_HIGH = 512
_OF_LIBRARIES = (
    "PYTEST_CURRENT_TEST",
    "LD_LIBRARY_PATH",
    "OMP_WAIT_POLICY",
    "TORCHINDUCTOR_CACHE_DIR",
    "PYTHONBREAKPOINT",
    "RAY_",
)
"""Beginnings of variables that OpenCV, PyTorch, Ray and pytest set for good in a process: no worker minds them."""


class Adopted:
    """A worker, as far as the pool looks at a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        """Nothing where it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class Nursery:
    """Starts workers for this process; `otherwise` does where its environment is no longer what it was."""

    def __init__(self, otherwise: Callable[[list[str], tuple[int, ...]], subprocess.Popen[bytes]]) -> None:
        self._otherwise = otherwise
        self._process: subprocess.Popen[bytes] | None = None
        self._known = self._surroundings()
        self._prctl = ctypes.CDLL(None).prctl
        self._one_by_one = threading.Lock()

    def start_worker(self, arguments: list[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes] | Adopted:
        """As `semblant_indexer.pool.start_worker`."""
        if self._surroundings() != self._known or max(descriptors) >= _HIGH:
            return self._otherwise(arguments, descriptors)
        request = pickle.dumps((arguments, descriptors, dict(os.environ)))
        with self._one_by_one:
            if self._process is None:
                self._begin()
            # The one that forks the worker ends at once: the system then gives it to the next above that says it takes orphans.
            self._prctl(_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._socket, [len(request).to_bytes(4, "big")], [1, 2, *descriptors])
                self._socket.sendall(request)
                return Adopted(int.from_bytes(_exactly(self._socket, 4), "big"))
            finally:
                self._prctl(_SUBREAPER, 0, 0, 0, 0)

    def close(self) -> None:
        """End it; its workers end with their jobs."""
        if self._process is not None:
            self._socket.close()
            self._process.wait()

    def _begin(self) -> None:
        from semblant_indexer.pool import child_environment

        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from support.nursery import serve; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=child_environment(),
                stdin=subprocess.DEVNULL,
            )

    def _surroundings(self) -> tuple[object, ...]:
        known = {name: value for name, value in os.environ.items() if not name.startswith(_OF_LIBRARIES)}
        # Libraries add folders of their own to the path.
        return known, [path for path in sys.path if not path.startswith(_PACKAGES + os.sep)], sys.executable


def serve(descriptor: int) -> None:
    """The nursery's own process, until the other end of the socket `descriptor` is closed."""
    import cv2  # noqa: F401 - what workers load only for a picture that needs it
    from PIL import Image
    from semblant_indexer.worker import main

    Image.init()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as asked:
        while True:
            head, descriptors, _, _ = socket.recv_fds(asked, 4, 16)
            if not head:
                return
            arguments, wanted, environment = pickle.loads(_exactly(asked, int.from_bytes(head, "big")))
            back, told = os.pipe()
            between = os.fork()
            if between == 0:
                worker = os.fork()
                if worker:
                    os.write(told, worker.to_bytes(4, "big"))
                    os._exit(0)
                _be_worker(main, arguments, dict(zip((1, 2, *wanted), descriptors, strict=True)), environment)
            os.waitpid(between, 0)
            asked.sendall(os.read(back, 4))
            for each in (back, told, *descriptors):
                os.close(each)


def _be_worker(
    main: Callable[[], None], arguments: list[str], descriptors: dict[int, int], environment: dict[str, str]
) -> None:
    """Take on what `subprocess.Popen` would have given: descriptors under their numbers, and nothing else of this process."""
    code = 1
    try:
        high = {number: fcntl.fcntl(each, fcntl.F_DUPFD, _HIGH) for number, each in descriptors.items()}
        os.closerange(3, _HIGH)
        for number, each in high.items():
            os.dup2(each, number)
            os.close(each)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(os.path.sep)
        sys.argv = ["-c", *arguments]
        ctypes.CDLL(None).prctl(_NAME, WORKER.encode(), 0, 0, 0)
        main()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _exactly(asked: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = asked.recv(count - len(data))
        if not part:
            raise EOFError("the nursery of decode workers has ended")
        data += part
    return data
