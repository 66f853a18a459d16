"""`semblant push`, `pull`, `snapshot` and `restore-snapshot`: a collection moves to another database, or to a file and back."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from semblant_search.shown import counted

from .group import command_errors
from .options import Target, database_options
from .output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.moving import CopyReport
    from semblant_search.store import Database

__all__ = ["pull", "push", "restore_snapshot", "snapshot"]

_STEPS = {"copy": "copying", "optimize": "building the search index", "compare": "comparing"}


def _moving_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--replace", is_flag=True, help="Put it in place of a collection of that name; the old one is kept."),
        click.option("--as", "name", metavar="TEXT", help="Name of the collection where it goes.  [default: the same]"),
    ):
        command = option(command)
    return command


def _two_databases(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a server's answer."),
        click.option("--api-key", envvar="SEMBLANT_API_KEY", show_envvar=True, help="API key of the server."),
        click.option("--collection", default="images", show_default=True, help="Name of the collection."),
        click.argument("to"),
        click.argument("db"),
    ):
        command = option(command)
    return command


@click.command()
@_two_databases
@_moving_options
@command_errors()
def push(**options: Any) -> None:
    """Copy a collection from a directory to a server.

    DB is the directory, TO the server's URL. Pictures, vectors, metadata and the encoder go along, and all of it is compared
    before it serves. Interrupted, it goes on from there when it is run again.
    """
    _copy(**options)


@click.command()
@_two_databases
@_moving_options
@command_errors()
def pull(**options: Any) -> None:
    """Copy a collection from a server into a directory.

    DB is the server's URL, TO the directory, which is made where there is none. As `push`, the other way round.
    """
    _copy(**options)


@click.command()
@click.argument("file", type=click.Path())
@database_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def snapshot(target: Target, file: str, as_json: bool) -> None:
    """Write a collection into one file.

    The file holds all of it and restores into a directory or a server. It is there whole or not at all.
    """
    from semblant_search.moving import snapshot

    with closing(target.database()) as database, _progress() as tell:
        report = snapshot(database, file, target.collection, on_progress=tell)
    _print(report, file, as_json)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@database_options
@click.option("--replace", is_flag=True, help="Put it in place of a collection of that name; the old one is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def restore_snapshot(target: Target, file: str, replace: bool, as_json: bool) -> None:
    """Bring a collection back from a file of `semblant snapshot`.

    Into a directory, which is made where there is none, or a server.
    """
    from semblant_search.moving import restore
    from semblant_search.store import open_database

    database = open_database(target.db, api_key=target.api_key, timeout=target.timeout, create=True)
    with closing(database), _progress() as tell:
        report = restore(file, database, name=target.collection, replace_existing=replace, on_progress=tell)
    _print(report, database.location, as_json)


def _copy(
    *, db: str, to: str, collection: str, api_key: str | None, timeout: float, name: str | None, replace: bool, as_json: bool
) -> None:
    from semblant_search.moving import copy_collection

    with ExitStack() as stack:
        source = stack.enter_context(closing(_open(db, api_key, timeout)))
        target = stack.enter_context(closing(_open(to, api_key, timeout, create=True)))
        tell = stack.enter_context(_progress())
        report = copy_collection(source, target, collection, name=name, replace_existing=replace, on_progress=tell)
        place = target.location  # without a password
    _print(report, place, as_json)


def _open(location: str, api_key: str | None, timeout: float, *, create: bool = False) -> Database:
    """A key is for the server; a directory has none."""
    from semblant_search.store import open_database

    key = api_key if "://" in location else None
    return open_database(location, api_key=key, timeout=timeout, create=create)


def _print(report: CopyReport, place: str, as_json: bool) -> None:
    if as_json:
        print_json({"to": place, **report.to_json()})
        return
    click.echo(
        f"{place!r} holds {counted(report.points, 'picture')} of {report.collection!r}, compared one by one, {report.queries} "
        f"queries answered alike; SHA-256 {report.sha256[:12]}…, {report.seconds:.1f} s",
        err=True,
    )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar on stderr for people; nothing for pipes."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("copying")

        def tell(step: str, done: int, total: int) -> None:
            progress.update(task, description=_STEPS[step], completed=done, total=total or None)

        yield tell
