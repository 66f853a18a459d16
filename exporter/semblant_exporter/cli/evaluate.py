"""`semblant evaluate`: how well an encoder finds pictures of the same label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from semblant_search.shown import counted

if TYPE_CHECKING:
    from semblant_exporter.evaluate import Evaluation

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("encoder", type=click.Path(path_type=Path))
@click.option("--index", required=True, type=_FOLDER, help="Folder of the pictures to be found.")
@click.option(
    "--queries",
    type=_FOLDER,
    help="Folder of the pictures to ask with; without it, each of --index asks for the others.",
)
@click.option("--label", metavar="COLUMN", help="Metadata column with the labels; by default `label`, else folder names.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file for the result; by default beside the encoder.")
@click.option("--figures", type=_FOLDER, help="Also draw t-SNE maps and what some queries find, into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def evaluate(
    encoder: Path, index: Path, queries: Path | None, label: str | None, out: Path | None, figures: Path | None, as_json: bool
) -> None:
    """Measure how well an encoder finds pictures of the same label.

    Search is exact, by cosine; of equal scores the earlier picture ranks first. P@k is the share of the k nearest that have the
    query's label; mAP@100 divides by the number that could be found, at most 100; in the 10-NN vote a draw goes to the first
    label by name. A query never finds itself.
    """
    import json

    from semblant_exporter.evaluate import evaluate as measure

    from .progress import progress_bar

    with progress_bar() as on_progress:
        result = measure(encoder, index, queries, label=label, figures=figures, on_progress=on_progress)
    path = out if out is not None else encoder.with_suffix(".evaluation.json")
    result.save(path)
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        _print(result, path)
    if result.failed:
        click.echo(f"{counted(result.failed, 'picture')} could not be used", err=True)
        click.get_current_context().exit(3)


def _print(result: Evaluation, path: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    asked = "each asked for the others" if result.leave_one_out else f"{result.queried:,} queries"
    table = Table(
        title=f"{result.encoder['name']}: {result.indexed:,} pictures, {asked}", title_justify="left", show_header=False
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in result.metrics.items():
        table.add_row(name, f"{value:.3f}")
    table.add_row("dimensions", f"{result.encoder['dim']}")
    table.add_row("encoder, MB", f"{result.encoder['bytes'] / 1e6:.2f}")
    table.add_row("encoding, ms a picture", f"{result.encode_ms:.3f}")
    table.add_row("pictures a second", f"{1000 / result.encode_ms:,.0f}")
    console = Console()
    console.print(table)
    for note in result.notes:
        console.print(f"Not measured: {note}" if not result.metrics else f"Note: {note}", highlight=False, soft_wrap=True)
    console.print(f"Written to {path}", highlight=False, soft_wrap=True)
