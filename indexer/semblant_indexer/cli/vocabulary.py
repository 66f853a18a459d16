"""`semblant vocabulary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.cli.output import print_json
from semblant_search.shown import counted

if TYPE_CHECKING:
    from semblant_search.cli.options import Target

__all__ = ["vocabulary"]


@click.command()
@database_options
@click.option("--sample", type=int, metavar="N", help="Pictures to learn from, at most.  [default: 3000]")
@click.option("--seed", default=0, show_default=True, help="Of the clustering.")
@click.option("--keep-generations", default=1, show_default=True, metavar="N", help="Older generations to keep for a rollback.")
@click.option(
    "--state", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the ledger.  [default: in the database]"
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def vocabulary(
    target: Target,
    sample: int | None,
    seed: int,
    keep_generations: int,
    state: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Learn the visual words of a collection again.

    Worth it when a collection has grown far beyond the pictures that its words were learned from, or began too small to learn
    any. Pictures are neither read nor encoded: their stored features are enough. The result is a new generation, which searches
    see once it is complete; the index job goes on with it as if nothing had happened.
    """
    from semblant_indexer.display import ProgressDisplay
    from semblant_indexer.retraining import RetrainJob, retrain
    from semblant_indexer.vocabulary import SAMPLE

    job = RetrainJob(
        db=target.db,
        collection=target.collection,
        sample=SAMPLE if sample is None else sample,
        seed=seed,
        keep_generations=keep_generations,
        state=state,
        api_key=target.api_key,
        timeout=target.timeout,
    )
    with ProgressDisplay(quiet=quiet) as display:
        report = retrain(job, display)
    if as_json:
        print_json(report.to_json())
    elif report.changed:
        source = (
            f"{report.descriptors:,} details of {counted(report.pictures, 'picture')}"
            if report.descriptors
            else "the general ones"
        )
        click.echo(
            f"{report.collection}: {report.generation} serves {counted(report.points, 'picture')} with {report.words:,} words "
            f"({source}), before it was {report.before}"
        )
    else:
        click.echo(f"{report.collection}: {report.generation} has these words already; nothing changed")
