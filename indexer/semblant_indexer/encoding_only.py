"""A source's vectors and metadata as files, without a collection: for programs that have a database of their own."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.collection import RESERVED_FIELDS, Manifest
from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.shown import shown_name, without_users
from semblant_search.writing.exif import EXIF_FIELDS
from semblant_search.writing.points import PictureFacts, now, payload_of

from .job import Duplicates, IndexJob, cores
from .ledger import Ledger
from .notes import skipped
from .pipeline import Pipeline
from .pool import WorkerPool
from .report import Failure, IndexReport, Progress
from .sources.remembered import open_job_source, record_for
from .vector_files import ROWS, VectorFiles, check_export, columns_of, vector_files
from .worker import WorkerConfig
from .writer import Counts, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from semblant_search.encoder import Vectors

    from .ledger import Todo
    from .sources import Source
    from .worker import Decoded, Rejected, Unchanged

__all__ = ["encode_only"]

_NOTHING = PictureFacts("", 0, 0, 0, None)
_KEPT = "nothing of it is there"
_REPORTED_FAILURES = 1000


def encode_only(job: IndexJob, on_progress: Callable[[Progress], None] | None = None, *, rows: int = ROWS) -> IndexReport:
    """Encode a source and write its vectors and metadata as files, laid out as `vector_files` says.

    All of it each time: without a collection nothing is known of an earlier run. Files of an earlier run are replaced at the
    end, so that a run that is stopped leaves those.

    Args:
        job: what to encode; `db` is the folder of the files. What is a matter of a collection says nothing here.
        on_progress: called from this thread, a few times a second.
        rows: pictures of a part.

    Returns:
        The account of the run, as that of an index job: `indexed` are the pictures in the files, `points` as many.

    Raises:
        InvalidInput: the source, its metadata or an argument cannot be used; nothing was written.
        EncoderError: not an encoder.
        MissingExtra: pyarrow is not installed.
        StoreError: a file cannot be written.
    """
    began, folder, tell = time.perf_counter(), Path(job.db), on_progress or (lambda _: None)
    _check(job)
    check_export(folder)
    assert job.encoder is not None
    encoder = Encoder(job.encoder, threads=job.threads or cores())
    source = open_job_source(job)
    source.adopt_types({})
    with closing(Ledger()) as ledger, tempfile.TemporaryDirectory(prefix="semblant-") as work:
        tell(Progress("scan"))
        ledger.scan(source.items(), exif=job.exif)
        if ledger.found == 0:
            notes = "; ".join(source.notes)
            raise InvalidInput(f"{shown_name(job.source)} holds no pictures{': ' if notes else ''}{notes}")
        manifest = _manifest(job, encoder, source)
        record = record_for(job, source.scope, [])
        ledger.attach(Path(work) / "ledger.sqlite", manifest, record)
        ledger.settle_problems()
        columns = columns_of(_payloads(ledger, exif=job.exif), manifest.fields)
        with vector_files(folder, manifest, columns, rows, kept=_KEPT) as files:
            written = _Files(files, ledger)
            _through_stages(job, encoder, ledger, written, tell)
        report = _report(job, record.name, encoder, source, ledger, written.counts, files.count, time.perf_counter() - began)
    if not report.adds_up or report.points != report.indexed:
        raise StoreError(f"the account does not add up: {report.account}; {report.points} pictures are in the files")
    tell(Progress("done", report.found, report.found, report.failed, report.seconds))
    return report


class _Files:
    """What the pipeline ends in: pictures into the files, and a line in the ledger for each."""

    def __init__(self, files: VectorFiles, ledger: Ledger) -> None:
        self._files, self._ledger = files, ledger
        self.counts = Counts()

    def write(self, todos: Sequence[Todo], results: Sequence[Decoded | Unchanged | Rejected], vectors: Vectors | None) -> None:
        outcome = settle(todos, results, vectors)
        for point in outcome.points:
            self._files.add(point.id, point.payload, point.image)
        self._ledger.record(outcome.entries)
        encoded, failed = len(outcome.points), sum(entry.outcome == "failed" for entry in outcome.entries)
        self.counts.encoded += encoded
        self.counts.failed += failed
        self.counts.other += len(outcome.entries) - encoded - failed

    def keep(self, kept: Sequence[tuple[Todo, Unchanged]]) -> None:
        raise AssertionError(f"{len(kept)} pictures are said to be there already, where nothing is")

    def flush(self) -> None:
        """Parts are written as they are full."""


def _through_stages(
    job: IndexJob,
    encoder: Encoder,
    ledger: Ledger,
    writer: _Files,
    on_progress: Callable[[Progress], None],
) -> None:
    fit = encoder.card.fit
    batch, workers = job.batch_size(int(np.prod(fit.shape))), job.workers or cores()
    config = WorkerConfig(fit, job.max_pixels, exif=job.exif)
    pool = WorkerPool(config, workers=workers, slots=2 * workers + 2, batch=batch, patience=job.patience)
    total, began, counts = ledger.count_todo(), time.perf_counter(), writer.counts
    last = began
    with closing(Pipeline(pool, encoder, writer, batch=batch)) as pipeline:

        def tell() -> None:
            nonlocal last
            moment = time.perf_counter()
            if moment - last >= 0.2:
                last, seconds = moment, moment - began
                busy = {name: min(1.0, value / seconds) for name, value in pipeline.busy.items()}
                on_progress(Progress("index", total, counts.done, counts.failed, seconds, busy))

        pipeline.run(ledger.todo(), total, tell)


def _check(job: IndexJob) -> None:
    """Raise `InvalidInput` for what only a collection can do."""
    wrong = {
        "without an encoder": job.encoder is None,
        "with --engine ray": job.engine != "local",
        "with --duplicates": job.duplicates is not Duplicates.KEEP,
        "with --rebuild": job.rebuild,
        "with --prune": job.prune,
    }
    for what, is_so in wrong.items():
        if is_so:
            raise InvalidInput(f"--export alone, {what}: that needs a collection; give its place (--db), or leave it out")


def _manifest(job: IndexJob, encoder: Encoder, source: Source) -> Manifest:
    exif = EXIF_FIELDS if job.exif else {}
    fields = {**RESERVED_FIELDS, **exif, **source.fields}
    return Manifest(job.collection, "g0001", encoder.fingerprint, encoder.card, fields, None, now())


def _payloads(ledger: Ledger, *, exif: bool) -> Iterator[Mapping[str, Any]]:
    """One payload of Semblant's own fields, then the metadata of each picture."""
    yield payload_of("", dict.fromkeys(EXIF_FIELDS) if exif else {}, _NOTHING, "")
    for todo in ledger.todo():
        yield json.loads(todo.payload)


def _report(
    job: IndexJob, name: str, encoder: Encoder, source: Source, ledger: Ledger, counts: Counts, pictures: int, seconds: float
) -> IndexReport:
    return IndexReport(
        source=without_users(job.source),
        source_name=name,
        db=job.db,
        collection=job.collection,
        generation="",
        encoder=encoder.fingerprint,
        found=ledger.found,
        **ledger.account(),
        encoded=counts.encoded,
        moved=0,
        removed=0,
        pruned=0,
        points=pictures,
        recall_at_10=None,
        reasons=ledger.reasons(),
        failures=tuple(itertools.starmap(Failure, itertools.islice(ledger.failures(), _REPORTED_FAILURES))),
        notes=(*source.notes, *skipped(ledger.skipped_by_reason())),
        unpruned=None,
        seconds=round(seconds, 3),
        stages={},
    )
