"""`semblant index`: parse, call `run`, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.cli.output import print_json

if TYPE_CHECKING:
    from semblant_search.cli.options import Target

__all__ = ["index"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--encoder", required=True, type=_PATH, metavar="FILE", help="The encoder.onnx that makes the vectors.")
@database_options
@click.option(
    "--metadata", type=_PATH, metavar="FILE", help="Table with a `file` column; metadata.csv in SOURCE or beside it is found."
)
@click.option("--field", "fields", multiple=True, metavar="NAME:TYPE", help="Type of a metadata field, such as price:float.")
@click.option("--orb/--no-orb", default=True, help="Extract ORB features, for searches by details.  [default: --orb]")
@click.option("--rebuild", is_flag=True, help="Build a new generation beside the serving one, then switch to it.")
@click.option("--prune", is_flag=True, help="Remove pictures from the collection that SOURCE no longer holds.")
@click.option("--retry", is_flag=True, help="Try pictures again that failed before, although they did not change.")
@click.option("--workers", type=int, metavar="N", help="Decode processes.  [default: one for each core]")
@click.option("--threads", type=int, metavar="N", help="Threads of the encoder.  [default: one for each core]")
@click.option("--batch", type=int, metavar="N", help="Pictures in a batch.  [default: by picture size]")
@click.option("--max-pixels", type=int, metavar="N", help="Reject larger pictures before decoding.  [default: 100000000]")
@click.option("--patience", type=float, metavar="SECONDS", help="Time that decoding one picture may take.  [default: 60]")
@click.option("--state", type=_PATH, metavar="DIR", help="Folder of the ledger.  [default: in the database]")
@click.option("--report", type=_PATH, metavar="FILE", help="Write the report as JSON here as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
@click.option("--quiet", is_flag=True, help="No progress.")
@command_errors()
def index(
    target: Target,
    fields: tuple[str, ...],
    orb: bool,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Index a folder of pictures, or a list of them (CSV, JSON Lines), and their metadata.

    Run it again at any time: only what is new or changed is encoded. Exit code 3: done, but some pictures could not be used.
    """
    from .display import ProgressDisplay, print_report
    from .job import IndexJob
    from .metadata import parse_declaration
    from .running import run

    given = {name: value for name, value in options.items() if value is not None}
    if not orb:
        given["orb"] = None
    job = IndexJob(
        db=target.db,
        collection=target.collection,
        api_key=target.api_key,
        fields=dict(parse_declaration(text) for text in fields),
        **given,
    )
    with ProgressDisplay(quiet=quiet) as display:
        result = run(job, display)
    if report is not None:
        report.write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(result.to_json())
    else:
        print_report(result)
        click.echo(result.account)
    click.get_current_context().exit(result.exit_code)
