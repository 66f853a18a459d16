"""`semblant failures`: what failed, and what of it is to stay so."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.cli.output import print_json
from semblant_search.cli.sources import ListedByDefault
from semblant_search.shown import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.cli.options import Target
    from semblant_search.sources import SourceRecord
    from semblant_search.store import Database

__all__ = ["failures"]

_STATE = click.option(
    "--state", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the ledger.  [default: in the database]"
)


def _choice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--all", "every", is_flag=True, help="All that there are."),
        click.option("--source", metavar="NAME", help="Only of this source."),
        click.option("--reason", "reasons", multiple=True, metavar="CODE", help="Only those, as not-an-image; repeatable."),
        _STATE,
        database_options,
        click.argument("uris", nargs=-1, metavar="[PICTURE]..."),
    ):
        command = option(command)
    return command


@click.group(cls=ListedByDefault)
def failures() -> None:
    """List the pictures that failed; accept those that are to stay so."""


@failures.command("list")
@database_options
@_STATE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def list_failures(target: Target, state: Path | None, as_json: bool) -> None:
    """List the failures of a collection: reason, `accepted` or nothing, URI, message."""
    from semblant_indexer.ledger.accepting import failures as failures_of

    ledger, known = _ledger(target, state)
    found = failures_of(ledger, known=known)
    if as_json:
        print_json([failure._asdict() for failure in found])
        return
    for failure in found:
        click.echo("\t".join((failure.reason, "accepted" if failure.accepted else "", failure.uri, failure.message)))


@failures.command()
@_choice_options
@command_errors()
def accept(
    target: Target, state: Path | None, uris: tuple[str, ...], reasons: tuple[str, ...], source: str | None, every: bool
) -> None:
    """Accept failures: they are counted apart, and are no reason for exit code 3, until their files change."""
    from semblant_indexer.ledger.accepting import Choice
    from semblant_indexer.ledger.accepting import accept as accept_them

    _check_named(uris, reasons, source, every=every)
    ledger, known = _ledger(target, state)
    with closing(_database(target)) as database:
        count = accept_them(ledger, Choice(uris, reasons, source), database, target.collection, known=known)
    click.echo(f"accepted {counted(count, 'failure')}, until the file changes")


@failures.command()
@_choice_options
@command_errors()
def reopen(
    target: Target, state: Path | None, uris: tuple[str, ...], reasons: tuple[str, ...], source: str | None, every: bool
) -> None:
    """Count accepted failures as failures again."""
    from semblant_indexer.ledger.accepting import Choice
    from semblant_indexer.ledger.accepting import reopen as reopen_them

    _check_named(uris, reasons, source, every=every)
    ledger, known = _ledger(target, state)
    with closing(_database(target)) as database:
        count = reopen_them(ledger, Choice(uris, reasons, source), database, target.collection, known=known)
    click.echo(f"counted again: {counted(count, 'failure')}")


def _check_named(uris: tuple[str, ...], reasons: tuple[str, ...], source: str | None, *, every: bool) -> None:
    if not (uris or reasons or source or every):
        raise click.UsageError("name the failures: paths or URIs, --reason CODE, --source NAME, or --all")
    if every and (uris or reasons or source):
        raise click.UsageError("--all, and pictures, --reason or --source: give one or the other")


def _database(target: Target) -> Database:
    from semblant_search.store import open_database

    return open_database(target.db, api_key=target.api_key, timeout=target.timeout)


def _ledger(target: Target, state: Path | None) -> tuple[Path, dict[str, SourceRecord | None] | None]:
    """The path of the ledger, and the sources that the collection has."""
    from semblant_indexer.state import find_state, known_sources

    where = target.db, target.collection, state, target.api_key, target.timeout
    ledger = find_state(*where) / "ledger.sqlite"
    return ledger, known_sources(ledger, *where)
