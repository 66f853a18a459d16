"""`semblant status`, `semblant generations` and `semblant rollback`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from semblant_search.cli.options import Target

__all__ = ["generations", "rollback", "status"]


@click.command()
@database_options
@click.option(
    "--state", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the ledger.  [default: in the database]"
)
@click.option("--failures", default=20, show_default=True, metavar="N", help="Failures to list.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def status(target: Target, state: Path | None, failures: int, as_json: bool) -> None:
    """Show what is indexed, what failed and why, from the ledger: also while a job runs."""
    from semblant_indexer.status import read_status

    found = read_status(
        target.db, target.collection, state=state, failures=failures, api_key=target.api_key, timeout=target.timeout
    )
    if as_json:
        print_json(found.to_json())
        return
    rows = []
    for generation in found.generations:
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in generation.outcomes.items())
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in generation.reasons.items())
        rows.append([generation.name, generation.created_at, f"{generation.points:,}", outcomes, reasons])
    print_rows(["generation", "created", "points", "pictures", "failures"], rows, right=(2,))
    for failure in found.failures:
        click.echo(f"{failure['reason']}\t{failure['message']}")
    if found.last_run is not None and found.last_run["report"] is None:
        click.echo(f"The run of {found.last_run['started_at']} did not finish, or is still running.", err=True)


@click.command()
@database_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def generations(target: Target, as_json: bool) -> None:
    """List the generations of a collection, and say which one serves."""
    from semblant_indexer.generations import describe

    with closing(target.database()) as db:
        rows = describe(db, target.collection)
    if as_json:
        print_json(rows)
        return
    header = ["generation", "", "created", "encoder", "points"]
    cells = [
        [row["name"], "serving" if row["serving"] else "", row["created_at"], row["encoder"], f"{row['points']:,}"]
        for row in rows
    ]
    print_rows(header, cells, right=(4,))


@click.command()
@database_options
@click.option("--to", metavar="GENERATION", help="Which one to serve.  [default: the one before the serving one]")
@command_errors()
def rollback(target: Target, to: str | None) -> None:
    """Serve an earlier generation again, as soon as the command returns."""
    from semblant_indexer.generations import roll_back

    with closing(target.database()) as db:
        before, after = roll_back(db, target.collection, to)
    click.echo(f"{target.collection}: {after} serves, before it was {before}")
