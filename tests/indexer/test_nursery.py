"""The workers of tests' jobs, which come from `support.nursery`: they are what they stand for."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from semblant_indexer.pool import Batch, WorkerPool
from semblant_indexer.worker import Decoded, Task, WorkerConfig
from semblant_search.images import Fit
from support.nursery import WORKER
from support.processes import decode_workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers start as users' do")


def started() -> WorkerPool:
    return WorkerPool(WorkerConfig(Fit(28, 28, 1), 10**9), workers=1, slots=1, batch=1, patience=60)


def decoded(pool: WorkerPool, picture: Path) -> Batch:
    pool.submit(Task(0, [(str(picture), frozenset())]))
    while True:
        for batch in pool.collect(1):
            return batch


def test_a_worker_that_had_loaded_is_a_process_of_its_own_and_may_be_killed(photos: Path) -> None:
    with closing(started()) as pool:
        (result,) = decoded(pool, photos / "coffee.png").results
        assert isinstance(result, Decoded)
        (worker,) = decode_workers()
        assert (worker.name(), worker.ppid()) == (WORKER, os.getpid())
        worker.kill()
        assert pool._workers[0].process.wait() == -signal.SIGKILL
    assert not decode_workers()


def test_what_libraries_set_in_passing_is_no_other_environment(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", os.environ.get("LD_LIBRARY_PATH", "") + ":/opt")  # as OpenCV does
    with closing(started()) as pool:
        (result,) = decoded(pool, photos / "coffee.png").results
        assert isinstance(result, Decoded)
        (worker,) = decode_workers()
        assert worker.name() == WORKER


def test_in_another_environment_a_worker_starts_as_users_do(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMBLANT_OF_THIS_TEST", "1")
    with closing(started()) as pool:
        (result,) = decoded(pool, photos / "coffee.png").results
        assert isinstance(result, Decoded)
        (worker,) = decode_workers()
        assert worker.name() != WORKER
    assert not decode_workers()
