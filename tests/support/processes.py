"""Which processes a job has started."""

from __future__ import annotations

from contextlib import suppress

import psutil

from .nursery import WORKER

__all__ = ["decode_workers"]


def decode_workers() -> list[psutil.Process]:
    """The decode workers of this process: it has other children, too, such as the resource tracker of `multiprocessing`.

    A new child is none before it runs its own program: until then its memory is that of this process.
    """
    workers = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.name() == WORKER or any("semblant_indexer.worker" in argument for argument in child.cmdline()):
                workers.append(child)
    return workers
