"""The routes of jobs."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Path
from semblant_search.web import problems
from semblant_search.web.access import Access
from semblant_search.web.problems import Problem
from semblant_search.web.routes.shared import PROBLEMS, answer
from semblant_search.web.routing import add_heads, route_class
from semblant_search.web.service import Service
from starlette.responses import Response, StreamingResponse

from .jobs import JobList
from .models import Job, JobQuery, Jobs
from .running_job import Event, RunningJob

__all__ = ["add_jobs"]

_POLL = 0.2
_HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: what lies between would cut the connection."""
_STREAMS = 64
_EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events until the job's end: `job` (the whole job, first, or where events were missed), "
        "`progress`, `failure`, `report`, `problem`, and at last `end` (the whole job).",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The last event was heard: there is no more to come."},
}
_Id = Annotated[str, Path(description="The job's id.", max_length=64)]
_After = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, description="The last event that was heard.")]


def add_jobs(app: FastAPI, service: Service) -> None:
    """Add jobs to a service, which end with it."""
    database = service.database
    if database is None:
        return
    jobs = JobList(database, service.settings.job_roots)
    router = APIRouter(
        route_class=route_class(service),
        lifespan=jobs.lifespan,
        responses={"default": {"model": Problem, "description": "A problem (RFC 9457)."}},
        tags=["jobs"],
    )
    _add_routes(router, service, jobs)
    add_heads(router)
    app.include_router(router, prefix="/v1")
    app.state.jobs = jobs  # of the program that runs the service


def _add_routes(router: APIRouter, service: Service, jobs: JobList) -> None:
    Admin = Annotated[Access, service.allowed("admin")]  # noqa: N806 - a type
    streams = 0

    @router.post(
        "/jobs",
        operation_id="start_job",
        summary="Index a folder of the service's machine, or keep it indexed, while searches go on",
        status_code=202,
        response_model=Job,
        responses=PROBLEMS,
    )
    async def start_job(access: Admin, query: JobQuery) -> Response:  # noqa: ARG001
        running = await asyncio.to_thread(jobs.start, query)
        response = _answer(running.state, 202)
        response.headers["Location"] = f"/v1/jobs/{running.id}"
        return response

    @router.get("/jobs", operation_id="list_jobs", summary="Jobs, the newest first", response_model=Jobs, responses=PROBLEMS)
    async def list_jobs(access: Admin) -> Response:  # noqa: ARG001
        return _answer(Jobs(jobs=[job.state for job in jobs.all()], roots=[str(root) for root in jobs.roots]))

    @router.get("/jobs/{id}", operation_id="get_job", summary="One job", response_model=Job, responses=PROBLEMS)
    async def get_job(access: Admin, id: _Id) -> Response:  # noqa: ARG001
        return _answer(jobs.get(id).state)

    @router.post(
        "/jobs/{id}/cancel",
        operation_id="cancel_job",
        summary="End a job; what it wrote is kept, and the same job goes on from there",
        response_model=Job,
        responses=PROBLEMS,
    )
    async def cancel_job(access: Admin, id: _Id) -> Response:  # noqa: ARG001
        job = jobs.get(id)
        job.cancel()
        return _answer(job.state)

    @router.get(
        "/jobs/{id}/events",
        operation_id="job_events",
        summary="What a job tells, as it tells it",
        response_class=Response,
        responses={**PROBLEMS, **_EVENT_STREAM},
    )
    async def job_events(access: Admin, id: _Id, last: _After = None) -> Response:  # noqa: ARG001
        job = jobs.get(id)
        if job.ended and last == job.state.last_event:
            return Response(status_code=204)
        if streams >= _STREAMS:
            raise problems.ServiceError(
                "too-busy", f"{streams} programs listen to jobs, which is the most", headers={"Retry-After": "10"}
            )

        async def counted() -> AsyncIterator[str]:
            nonlocal streams
            streams += 1
            try:
                async for piece in _told(job, last, service):
                    yield piece
            finally:
                streams -= 1

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(counted(), media_type="text/event-stream", headers=headers)


async def _told(job: RunningJob, last: int | None, service: Service) -> AsyncIterator[str]:
    """The events after one, until the job's end or that of the service."""
    events = None if last is None else job.since(last)
    spoken = time.monotonic()
    while True:
        if events is None:  # new here, or away for too long
            state = job.state
            last = state.last_event
            yield _event(Event(last, "job", state))
            events = [Event(last, "end", state)] if job.ended and state.ended_at is not None else []
        for event in events:
            last, spoken = event.number, time.monotonic()
            yield _event(event)
            if event.name == "end":
                return
        if service.state == "stopping":
            return
        if time.monotonic() - spoken >= _HEARTBEAT:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_POLL)
        assert last is not None
        events = job.since(last)


def _event(event: Event) -> str:
    """JSON has no line breaks, so that one line of data holds it."""
    return f"event: {event.name}\nid: {event.number}\ndata: {event.data.model_dump_json()}\n\n"


def _answer(model: Job | Jobs, status: int = 200) -> Response:
    return answer(model.model_dump(mode="json"), status)
