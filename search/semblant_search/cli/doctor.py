"""`semblant doctor`: is everything there?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .group import command_errors
from .output import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.doctor import Finding

__all__ = ["doctor"]

_MARKS = {"good": ("ok", "green"), "absent": ("-", "yellow"), "bad": ("!!", "red")}


@click.command()
@click.option(
    "--db", envvar="SEMBLANT_DB", show_envvar=True, help="Database to look at, too: directory, server URL, or semblant://… ."
)
@click.option("--collection", metavar="TEXT", help="The only collection to look at.  [default: all; images of a service]")
@click.option("--api-key", envvar="SEMBLANT_API_KEY", show_envvar=True, help="API key of the server, or key of the service.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait for an answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def doctor(db: str | None, collection: str | None, api_key: str | None, timeout: float, as_json: bool) -> None:
    """Say what is installed, what the machine has, and whether a database answers.

    Exit code 1 where something will fail; what is absent and can be done without is no failure.
    """
    from semblant_search.doctor import examine

    found = examine(db, collection=collection, api_key=api_key, timeout=timeout)
    healthy = all(finding.verdict != "bad" for finding in found)
    if as_json:
        print_json({"healthy": healthy, "findings": [finding.to_json() for finding in found]})
    else:
        _print(found)
    sys.exit(0 if healthy else 1)


def _print(found: Sequence[Finding]) -> None:
    area = ""
    for finding in found:
        if finding.area != area:
            area = finding.area
            click.echo(click.style(area, bold=True))
        mark, colour = _MARKS[finding.verdict]
        click.echo(f"  {click.style(f'{mark:>2}', fg=colour)}  {finding.name}: {finding.said}")
        if finding.advice is not None:
            click.echo(f"        {finding.advice}")
