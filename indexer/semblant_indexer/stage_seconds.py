"""How long the stages of a job take."""

from __future__ import annotations

import time

__all__ = ["StageSeconds"]


class StageSeconds:
    """Adds the time inside a `with` block to a stage."""

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self._stages, self._name = stages, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._stages[self._name] = self._stages.get(self._name, 0.0) + time.perf_counter() - self._start
