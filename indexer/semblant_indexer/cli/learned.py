"""An encoder for a new collection that was given none: learned from its own pictures by whatever part is installed for that."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import click
from semblant_search.errors import EncoderError, NotADatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_indexer.job import IndexJob

    Learner = Callable[[Path, Path, Callable[[str, int, int | None], None] | None], str]

__all__ = ["with_encoder"]

ENTRY_POINTS = "semblant.learners"
"""Each is `(directory, output, on_progress) -> what was chosen and why`, and writes an encoder file. The one named `default` is
asked, else the first by name."""


@contextmanager
def with_encoder(job: IndexJob, *, quiet: bool = False) -> Iterator[IndexJob]:
    """The job as it is, or with an encoder that was learned from a folder of pictures where a new collection has none.

    The collection keeps the encoder; the file goes when the job is done. Unless `quiet`, stderr tells each step, and what was
    chosen and why.

    Raises:
        EncoderError: there is nothing installed that could learn one.
    """
    if job.encoder is not None or not Path(job.source).is_dir() or _has_collection(job):
        yield job
        return
    learners = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name != "default", entry.name))
    if not learners:
        raise EncoderError(
            f"{job.db!r} has no collection {job.collection!r} yet: say which encoder makes it (--encoder FILE), or have one "
            "learned from the pictures, which needs: pip install 'semblant-exporter[pretrained]'"
        )
    learner: Learner = learners[0].load()
    with tempfile.TemporaryDirectory(prefix="semblant-") as folder:
        output = Path(folder) / "encoder.onnx"
        tell = _tell(quiet=quiet)
        tell(f"{job.db} has no collection {job.collection!r} yet, and no encoder: learning one from the pictures")
        tell(learner(Path(job.source), output, lambda step, *_: tell(f"  {step} …")))
        yield replace(job, encoder=output)


def _tell(*, quiet: bool) -> Callable[[str], None]:
    """Each line once in a row: steps are reported many times over."""
    last = ""

    def tell(line: str) -> None:
        nonlocal last
        if line != last and not quiet:
            click.echo(line, err=True)
        last = line

    return tell


def _has_collection(job: IndexJob) -> bool:
    from semblant_search.store import open_database

    try:
        db = open_database(job.db, api_key=job.api_key, timeout=job.timeout)
    except NotADatabase:
        # A place that cannot become one is refused before anything is learned for it; nothing is written yet.
        open_database(job.db, api_key=job.api_key, timeout=job.timeout, create=True).close()
        return False
    with closing(db):
        return job.collection in db.collections()
