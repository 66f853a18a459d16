"""`semblant info`, `count`, `facet` and `delete`: what a database holds, and removing from it."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from typing import Any

import click

from semblant_search.shown import shown_name

from .confirming import confirm
from .group import command_errors
from .options import Target, connection_options, database_options, where_option
from .output import print_json, print_rows, text_of

__all__ = ["count", "delete", "facet", "info"]

_MOST_NAMED = 10


@click.command()
@connection_options
@click.option("--collection", "only", metavar="TEXT", help="Name of the only collection to show.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def info(target: Target, only: str | None, as_json: bool) -> None:
    """Show what a database holds.

    Every collection with its pictures, its encoder and the metadata fields that can be filtered on.
    """
    with closing(target.database()) as database:
        names = database.collections() if only is None else [only]
        found = {name: _describe(target, name) for name in names}
    if as_json:
        print_json({"db": target.db, "collections": found})
        return
    if not found:
        click.echo("there is no collection yet: an index job makes it, once it is through", err=True)
    for name, facts in found.items():
        encoder = facts["encoder"]
        rows = [
            ("pictures", f"{facts['pictures']:,}"),
            ("generation", facts["generation"]),
            ("encoder", f"{encoder['name']} ({encoder['architecture']}, {encoder['dim']} numbers)"),
            ("fingerprint", facts["encoder_fingerprint"]),
            ("details (ORB)", "no" if facts["orb"] is None else "yes"),
            *((f"field {field}", kind) for field, kind in facts["fields"].items()),
        ]
        print_rows([name, ""], [(name, *row) for row in rows] if not sys.stdout.isatty() else rows)


@click.command()
@database_options
@where_option
@command_errors()
def count(target: Target, where: str | None) -> None:
    """Count the pictures that match a filter."""
    with target.client() as client:
        click.echo(client.count(where))


@click.command()
@click.argument("field")
@database_options
@where_option
@click.option("-k", "--limit", default=100, show_default=True, help="Values at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def facet(field: str, target: Target, where: str | None, limit: int, as_json: bool) -> None:
    """List the values of a metadata field with their counts."""
    with target.client() as client:
        counts = client.facet(field, where=where, limit=limit)
    if as_json:
        print_json({"field": field, "where": where, "values": [{"value": v, "count": n} for v, n in counts.items()]})
    else:
        print_rows([field, "pictures"], [(text_of(value), str(number)) for value, number in counts.items()], right=(1,))


@click.command()
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True)
@database_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_errors()
def delete(pictures: tuple[str, ...], target: Target, yes: bool) -> None:
    """Remove pictures from a collection.

    PICTURE is the path, the URI or the id of an indexed picture. The files themselves stay. Exit code 3: some were
    removed, and others are not there; 1: none is.
    """
    with target.client() as client:
        found = client.get_many(pictures)
        missing = [name for name, one in zip(pictures, found, strict=True) if one is None]
        if len(missing) == len(pictures):
            client.get(missing[0])  # which says so, and what was expected
        if not yes:
            there = len(pictures) - len(missing)
            confirm(f"Remove {there} pictures from collection {target.collection!r}?")
        removed = client.delete(pictures)
    click.echo(f"removed {removed} of {len(pictures)}", err=True)
    if missing:
        shown, more = ", ".join(map(shown_name, missing[:_MOST_NAMED])), len(missing) - _MOST_NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        click.echo(f"no pictures of collection {target.collection!r}: {shown}{rest}", err=True)
        click.get_current_context().exit(3)


def _describe(target: Target, collection: str) -> dict[str, Any]:
    with replace(target, collection=collection).client() as client:
        return {"pictures": client.count(), **client.manifest.to_json()}
