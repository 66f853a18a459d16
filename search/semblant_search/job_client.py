"""A client that has a service index folders of the service's machine: jobs are started, followed and cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from .collection_client import CollectionClient
from .errors import InvalidInput
from .jobs import JobKind
from .shown import shown

if TYPE_CHECKING:
    import os

    from .jobs import Job
    from .open_collection.service_jobs import JobEvents, ServiceJobs

__all__ = ["JobClient"]


class JobClient(CollectionClient):
    """Jobs of a service that is asked by `semblant://`. `SearchClient` is what one opens.

    All of these raise `InvalidInput` where the client is not one of a service, `StoreDenied` without a key of the scope `admin`
    or where the service offers no jobs, and `StoreError` where it has no `semblant-indexer`.
    """

    def jobs(self) -> list[Job]:
        """The jobs of the service since it was started, the newest first; of those that ended, the last 50."""
        return self._jobs().all()

    def get_job(self, job: str) -> Job:
        """What there is to say of a job now, by its id. Raises `InvalidInput` where the service does not know it."""
        return self._jobs().get(_job_id(job))

    def start_job(self, /, source: str | os.PathLike[str], *, kind: JobKind = "index", **options: Any) -> Job:
        """Let the service index a folder of its machine, while it is searched.

        >>> job = client.start_job("shoes", prune=True)  # doctest: +SKIP

        Args:
            source: a folder, list or tar file below one of the service's `--jobs-root`, whole or relative to it.
            kind: `index` once; `watch` stays, and indexes again whenever something changes.
            options: `rebuild`, `prune`, `include`, `fields`, `source_name`, …, with the names and meanings of `IndexJob`;
                `collection` is the client's own unless it is given.

        Raises:
            InvalidInput: an option cannot be used, or the source may not be read.
            StoreLocked: another job writes to the collection; the message names it.
        """
        if not isinstance(kind, str) or kind not in get_args(JobKind):
            raise InvalidInput(f"kind {shown(kind)}: expected one of {', '.join(map(repr, get_args(JobKind)))}")
        return self._jobs().start(source, kind, {"collection": self._name, **options})

    def follow_job(self, job: str, *, after: int | None = None) -> JobEvents:
        """What a job tells, as it tells it, until its end: `JobEvent`s. Goes on by itself where the connection breaks.

        It holds a connection until its end, or until `close()`.

        >>> for event in client.follow_job(job.id):  # doctest: +SKIP
        ...     print(event.name, event.data)

        Args:
            job: its id.
            after: the number of the last event that was heard; None begins with the whole job.

        Raises:
            StoreUnavailable: while it is gone through: nothing was heard of the service for the time of a call and 30 seconds.
        """
        if after is not None and (isinstance(after, bool) or not isinstance(after, int) or after < 0):
            raise InvalidInput(f"after {shown(after)}: expected the number of an event, or None")
        return self._jobs().follow(_job_id(job), after)

    def cancel_job(self, job: str) -> Job:
        """Tell a job to end, which takes a second or two; what it wrote is kept. Nothing where it has ended."""
        return self._jobs().cancel(_job_id(job))

    def _jobs(self) -> ServiceJobs:
        found = self._collection.service_jobs
        if found is None:
            raise InvalidInput(
                f"{self._collection.location!r} is no Semblant service, and only a service has jobs: ask one, "
                "SearchClient('semblant://host:8765'), or index from here by semblant_indexer.run(IndexJob(…))"
            )
        return found


def _job_id(job: object) -> str:
    if not isinstance(job, str) or not 0 < len(job) <= 64 or not (job.isascii() and job.isalnum()):
        raise InvalidInput(f"job {shown(job)}: expected its id, as Job.id")
    return job
