"""The jobs of a service: which run, and which have ended."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from semblant_search.collection import FieldType
from semblant_search.orb import OrbSettings
from semblant_search.web.problems import ServiceError

from semblant_indexer.job import Duplicates, IndexJob, cores

from .indexing_job import IndexingJob
from .learning_job import LearningJob
from .places import allowed_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from semblant_search.store import Database

    from .learning_job import Making
    from .models import JobQuery
    from .running_job import RunningJob

__all__ = ["JobList"]

_logger = logging.getLogger(__name__)
_MOST = 8
_KEPT = 50
_ENDING = 30.0
"""Seconds that jobs have to end, when the service is told to stop."""


class JobList:
    """Starts jobs on the service's own database, and keeps them. Thread-safe.

    Args:
        database: the service's.
        roots: folders whose files jobs may read.
    """

    def __init__(self, database: Database, roots: Sequence[Path]) -> None:
        self._database = database
        self.roots = tuple(root.absolute() for root in roots)
        self._jobs: dict[str, RunningJob] = {}
        self._lock = threading.Lock()
        self._closed = False

    def start(self, query: JobQuery) -> IndexingJob:
        """Start a job.

        Raises:
            ServiceError: no job may be started here, not of this source, or not now, as another one writes.
            InvalidInput: an option cannot be used.
        """
        if not self.roots:
            raise ServiceError(
                "not-offered", "jobs may read no folder of this service's machine: `semblant serve --jobs-root DIR` names those"
            )
        job = self._job_of(query)
        running = IndexingJob(job, query.kind, self._database, self.roots)
        with self._lock:
            self._check_free(job)
            self._add(running)
        return running

    def learn(self, source: str, collection: str, step: str, make: Making) -> LearningJob:
        """Have an encoder made, as `LearningJob` says; the program that runs the service does so. Raises `ServiceError`."""
        learning = LearningJob(source, collection, step, make)
        with self._lock:
            self._add(learning)
        return learning

    def get(self, id: str) -> RunningJob:
        """A job by its id. Raises `ServiceError`."""
        with self._lock:
            if id not in self._jobs:
                raise ServiceError("job-not-found", "no such job: those of before the service was started are forgotten")
            return self._jobs[id]

    def all(self) -> list[RunningJob]:
        """All that are known, the newest first."""
        with self._lock:
            return list(self._jobs.values())[::-1]

    @property
    def closed(self) -> bool:
        """Whether no job is started any more."""
        return self._closed

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """When the service ends, so do jobs, with everything saved."""
        try:
            yield
        finally:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Cancel all jobs, and wait for their end."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        for job in jobs:
            if not job.join(_ENDING):
                _logger.warning("job %s did not end within %g seconds", job.id, _ENDING)

    def _add(self, job: RunningJob) -> None:
        if self._closed:
            raise ServiceError("stopping", "no job is started any more")
        self._jobs[job.id] = job
        self._forget_old()
        job.start()

    def _job_of(self, query: JobQuery) -> IndexJob:
        source = allowed_path(query.source, self.roots, "source")
        spare = max(1, cores() - 1)  # searches go on meanwhile
        return IndexJob(
            str(source),
            None if query.encoder is None else allowed_path(query.encoder, self.roots, "encoder"),
            self._database.location,
            collection=query.collection,
            source_name=query.source_name,
            include=tuple(query.include),
            exclude=tuple(query.exclude),
            hidden=query.hidden,
            include_system=query.include_system,
            frames=query.frames,
            find_metadata=query.find_metadata,
            file_column=query.file_column,
            fields={name: FieldType(kind) for name, kind in query.fields.items()},
            orb=OrbSettings() if query.orb else None,
            duplicates=Duplicates(query.duplicates),
            exif=query.exif,
            prune=query.prune,
            prune_limit=query.prune_limit,
            rebuild=query.rebuild,
            retry=query.retry,
            verify=query.verify,
            workers=spare,
            threads=spare,
        )

    def _check_free(self, job: IndexJob) -> None:
        active = [one for one in self._jobs.values() if isinstance(one, IndexingJob) and not one.ended]
        for one in active:
            same = (one.job.collection, one.job.source) == (job.collection, job.source)
            if one.job.collection == job.collection and (one.writing or same):
                what = f"indexes {one.job.source!r}" if one.kind == "index" else f"watches {one.job.source!r}"
                raise ServiceError(
                    "job-running",
                    f"job {one.id} {what} into collection {job.collection!r}, and one at a time writes to it: wait for its end "
                    f"(GET jobs/{one.id}/events), or cancel it (POST jobs/{one.id}/cancel)",
                )
        if len(active) >= _MOST:
            raise ServiceError("job-running", f"{len(active)} jobs are at work or watch, which is the most: cancel one of them")

    def _forget_old(self) -> None:
        ended = [id for id, job in self._jobs.items() if job.ended]
        for id in ended[: len(ended) - _KEPT]:
            del self._jobs[id]
