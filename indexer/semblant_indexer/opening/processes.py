"""Python in a process of its own, which tells of itself by lines of JSON, and ends where it is told to."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["run_python", "tell"]

_IMPATIENCE = 0.5
_ENDING = 10.0
_QUIETLY = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""Ctrl-C reaches all processes of a terminal; this one is ended by the one that began it, and keeps no half-made thing."""


def run_python(code: str, words: list[str], heard: Callable[[Mapping[str, Any]], object], *, cancel: threading.Event) -> None:
    """Run code with arguments, to its end or until `cancel` is set.

    Args:
        code: what to run; what it tells by `tell` is heard.
        words: its `sys.argv[1:]`.
        heard: called with each object that was told, and with an empty one now and then.
        cancel: ends the process.

    Raises:
        InvalidInput: it failed, or was ended; with what it told as `error`, else with its last line.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _QUIETLY + code, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reading = threading.Thread(target=_read, args=(process.stdout, lines), name="semblant-open-reads", daemon=True)
    reading.start()
    last, fault = "", None
    line: str | None = ""
    try:
        while line is not None and not cancel.is_set():
            try:
                line = lines.get(timeout=_IMPATIENCE)
            except queue.Empty:
                heard({})
                continue
            told = _object(line or "")
            if told is None:
                last = (line or "").strip() or last
            elif "error" in told:
                fault = str(told["error"])
            else:
                heard(told)
    finally:
        if line is not None:
            process.terminate()
        try:
            process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reading.join(_ENDING)
        process.stdout.close()
    if process.returncode or cancel.is_set():
        raise InvalidInput(fault or last.removeprefix("Error: ") or f"the process ended with {process.returncode}")


def tell(**values: object) -> None:
    """In such a process: tell something to the one that began it."""
    print(json.dumps(values), flush=True)


def _read(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
