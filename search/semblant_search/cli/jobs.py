"""`semblant jobs`: what a running service indexes; started, followed and cancelled from here."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from semblant_search.errors import InvalidInput

from .group import command_errors
from .options import connection_options, database_options
from .output import print_json, print_rows
from .sources import ListedByDefault

if TYPE_CHECKING:
    from semblant_search.client import SearchClient
    from semblant_search.jobs import Job, JobEvent

    from .options import Target

__all__ = ["jobs"]

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_EXIT_FAILURES = 3


@click.group(cls=ListedByDefault)
def jobs() -> None:
    """List, start, follow and cancel the jobs of a service.

    --db is its address, semblant://host:8765; it runs jobs where it was started with --jobs-root, and its keys need the scope
    `admin`.
    """


@jobs.command("list")
@connection_options
@_json
@command_errors()
def list_jobs(target: Target, as_json: bool) -> None:
    """List the jobs since the service was started, the newest first; of those that ended, the last 50."""
    with target.client() as client:
        found = client.jobs()
    if as_json:
        print_json([asdict(job) for job in found])
        return
    header = ["id", "kind", "state", "phase", "done", "of", "failed", "collection", "source"]
    print_rows(header, [_row(job) for job in found], right=(4, 5, 6))


@jobs.command()
@click.argument("job")
@connection_options
@_json
@command_errors()
def show(job: str, target: Target, as_json: bool) -> None:
    """Show a job: how far it is, its account, and the pictures that it could not use.

    JOB is its id.
    """
    with target.client() as client:
        found = client.get_job(job)
    if as_json:
        print_json(asdict(found))
    else:
        _print_job(found)


@jobs.command()
@click.argument("source")
@database_options
@click.option("--watch", is_flag=True, help="Stay, and index again whenever something changes.")
@click.option("--prune", is_flag=True, help="Remove pictures that the source no longer holds.")
@click.option("--rebuild", is_flag=True, help="Build a new generation beside the serving one, and switch to it.")
@click.option(
    "--set",
    "others",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another setting of an index job, in JSON or as text: 'exclude=[\"*.tmp\"]', source_name=shop. Repeatable.",
)
@click.option("--follow", is_flag=True, help="Tell how far it is, until it ends; the exit code is then the job's.")
@_json
@command_errors()
def start(
    source: str,
    target: Target,
    watch: bool,
    prune: bool,
    rebuild: bool,
    others: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> None:
    """Let a service index a folder of its machine, while it is searched.

    SOURCE is a folder, list or tar file below its --jobs-root, whole or relative to it. The job's id is printed.
    """
    options = {**_settings(others), **({"prune": True} if prune else {}), **({"rebuild": True} if rebuild else {})}
    with target.client() as client:
        begun = client.start_job(source, kind="watch" if watch else "index", **options)
        if follow:
            click.echo(f"job {begun.id}", err=True)
            sys.exit(_follow(client, begun.id, None, as_json))
    if as_json:
        print_json(asdict(begun))
    else:
        click.echo(begun.id)


@jobs.command("follow")
@click.argument("job")
@connection_options
@click.option(
    "--after", type=click.IntRange(min=0), metavar="N", help="Begin behind this event.  [default: with the whole job]"
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@command_errors()
def follow_job(job: str, target: Target, after: int | None, as_json: bool) -> None:
    """Tell what a job does, until it ends; Ctrl-C leaves the job at work.

    JOB is its id. The exit code is the job's: 0 done, 3 done, but some pictures could not be used, 1 failed or cancelled.
    """
    with target.client() as client:
        sys.exit(_follow(client, job, after, as_json))


@jobs.command()
@click.argument("job")
@connection_options
@command_errors()
def cancel(job: str, target: Target) -> None:
    """Tell a job to end, which takes a second or two; what it wrote is kept.

    JOB is its id.
    """
    with target.client() as client:
        found = client.cancel_job(job)
    click.echo(f"job {found.id} is {found.state}", err=True)


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    """`NAME=VALUE` pairs; what is no JSON is text."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier() or name in ("source", "kind", "collection", "prune", "rebuild"):
            raise InvalidInput(f"--set {one!r}: expected a setting that has no option here, such as source_name=shop")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def _follow(client: SearchClient, job: str, after: int | None, as_json: bool) -> int:
    """Tell the events of a job; the exit code that its end stands for."""
    last: Job | None = None
    with closing(client.follow_job(job, after=after)) as events:
        for event in events:
            if as_json:
                click.echo(json.dumps(asdict(event)))
            else:
                _tell(event)
            if event.name == "end":
                last = event.data  # type: ignore[assignment]
    last = client.get_job(job) if last is None else last
    if not as_json:
        _print_job(last)
    if last.state != "done":
        return 1
    return _EXIT_FAILURES if last.failures else 0


def _tell(event: JobEvent) -> None:
    """A line on stderr; what comes again with the end of the job is left to it."""
    from semblant_search.jobs import JobFailure, JobProgress

    data = event.data
    if isinstance(data, JobProgress):
        rate = f", {data.pictures_per_s:,.0f}/s" if data.pictures_per_s else ""
        failed = f", {data.failed:,} failed" if data.failed else ""
        click.echo(f"{data.phase}: {data.done:,} of {data.total:,}{failed}{rate}", err=True)
    elif isinstance(data, JobFailure):
        click.echo(f"cannot be used: {_line(data.uri)}: {_line(data.message)}", err=True)


def _row(job: Job) -> list[str]:
    now = job.progress
    counts = [f"{count:,}" for count in (now.done, now.total, now.failed)]
    return [job.id, job.kind, job.state, now.phase, *counts, job.collection, _line(job.source)]


def _print_job(job: Job) -> None:
    now = job.progress
    rows = [
        ["job", job.id],
        ["source", _line(job.source)],
        ["collection", job.collection],
        ["kind", job.kind],
        ["state", job.state],
        ["created", job.created_at],
        ["ended", job.ended_at or ""],
        ["phase", f"{now.phase}: {now.done:,} of {now.total:,}, {now.failed:,} failed"],
        *([name, str(value)] for name, value in (job.report or {}).items() if isinstance(value, (int, str))),
        *([["problem", _line(str(job.problem.get("detail", "")))]] if job.problem else []),
        *([f"failed: {_line(failure.uri)}", f"{failure.reason}: {_line(failure.message)}"] for failure in job.failures),
    ]
    print_rows(["", ""], rows)


def _line(text: str) -> str:
    """The same on one line, whatever is in a file's name."""
    return text if text.isprintable() else json.dumps(text)
