"""`semblant compare`: which encoder to take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from semblant_search.shown import counted

if TYPE_CHECKING:
    from semblant_exporter.compare import CompareResult

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("directory", type=_FILE)
@click.option("--encoders", multiple=True, type=_FILE, help="Files to compare, one or more.  [default: make some]")
@click.argument("more", nargs=-1, type=_FILE, metavar="[ENCODERS]...")
@click.option("--label", metavar="COLUMN", help="Metadata column with labels.  [default: label, else folder names]")
@click.option("--out", type=_FILE, default=Path("comparison"), show_default=True, help="Folder for the result.")
@click.option("--minutes", type=float, default=2.0, show_default=True, help="Of training, without --encoders.")
@click.option("--pictures", type=click.IntRange(10), default=5000, show_default=True, help="Search at most so many.")
@click.option("--queries", type=click.IntRange(1), default=300, show_default=True, help="Alter so many of them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes the sample and the alterations.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def compare(
    directory: Path,
    encoders: tuple[Path, ...],
    more: tuple[Path, ...],
    label: str | None,
    out: Path,
    minutes: float,
    pictures: int,
    queries: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say which encoder finds your pictures best, and what it costs.

    Altered copies of the pictures (cropped, rotated, scaled, compressed, blurred, recoloured, pasted into another one) must
    find their originals among all: that needs no labels. Where there are labels, neighbours are measured by them as well.
    Writes a plot, a table as JSON and a copy of each encoder that remembers its result to --out.

    Without --encoders it makes some: PCA of the pixels, an autoencoder trained on the pictures, and EfficientNet-Lite0 where
    that is installed.
    """
    import json

    from semblant_exporter.compare import CompareJob, CompareSettings
    from semblant_exporter.compare import compare as run

    from .progress import progress_bar

    settings = CompareSettings(pictures, queries, label, seed)
    job = CompareJob(directory, out, (*encoders, *more), minutes, settings)
    with progress_bar() as on_progress:
        result = run(job, on_progress)
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        _print(result)
    if result.comparison.failed:
        click.echo(f"{counted(result.comparison.failed, 'picture')} could not be used", err=True)
        click.get_current_context().exit(3)


def _print(result: CompareResult) -> None:
    from rich.console import Console
    from rich.table import Table

    comparison = result.comparison
    labelled = [name for name in ("P@1", "P@10", "10-NN accuracy") if name in comparison.scores[0].labels]
    table = Table(
        title=f"{comparison.queries:,} pictures, each altered in {len(comparison.scores[0].alterations)} ways, "
        f"must be found among {comparison.pictures:,}",
        title_justify="left",
    )
    table.add_column("encoder", no_wrap=True)
    for name in ("recall@1", "recall@10", "MRR", *labelled, "ms a picture", "MB", "dim"):
        table.add_column(name, justify="right")
    for score in sorted(comparison.scores, key=lambda score: -score.quality):
        table.add_row(
            score.name,
            f"{score.recall_at_1:.3f}",
            f"{score.recall_at_10:.3f}",
            f"{score.mrr:.3f}",
            *(f"{score.labels[name]:.3f}" for name in labelled),
            f"{score.ms:.3f}",
            f"{score.megabytes:.2f}",
            str(score.dim),
            style="bold" if score.name == result.choice.name else None,
        )
    console = Console(width=None if sys.stdout.isatty() else 130)  # a pipe has no width that would have to be kept
    console.print(table)
    for note in comparison.notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True)
    console.print(f"Take [bold]{result.choice.name}[/]: it {result.choice.reason}.", highlight=False, soft_wrap=True)
    console.print(f"{result.encoders[result.choice.name]} · {result.plot} · {result.table}", highlight=False, soft_wrap=True)
