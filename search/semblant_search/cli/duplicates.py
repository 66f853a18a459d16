"""`semblant duplicates`: pictures that are one and the same."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from .group import command_errors
from .options import Target, database_options, where_option
from .output import place_of, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.duplicates import DuplicateGroup

__all__ = ["duplicates"]

_DRAWN = 40
"""Groups that the gallery shows at most, the largest first."""


@click.command()
@database_options
@where_option
@click.option("--min-score", default=0.95, show_default=True, help="Least cosine of candidates; less finds more, slower.")
@click.option("--min-confidence", type=float, help="Least probability that the details agree by more than chance.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--gallery", metavar="FILE", help=f"Draw the {_DRAWN} largest groups into this file.")
@command_errors()
def duplicates(
    target: Target, where: str | None, min_score: float, min_confidence: float | None, as_json: bool, gallery: str | None
) -> None:
    """Group the near-identical pictures of a collection.

    Copies in another size, direction, format or compression, proven by their details. The first of each group is the one to
    keep: it has most pixels. Nothing is changed.
    """
    with target.client() as client, _progress(client.count(where)) as advance:
        groups = client.duplicates(where=where, min_score=min_score, min_confidence=min_confidence, on_progress=advance)
    others = sum(len(group.others) for group in groups)
    if as_json:
        print_json({"collection": target.collection, "where": where, "groups": [group.to_json() for group in groups]})
    else:
        print_rows(["group", "picture", "is"], _rows(groups), right=(0,))
    click.echo(f"{len(groups):,} groups, {others:,} pictures that could go", err=True)
    if gallery is not None:
        from semblant_search.drawing import draw_groups, save_picture

        title = f"{len(groups):,} groups of duplicates, {others:,} pictures that could go"
        save_picture(draw_groups(groups[:_DRAWN], title=title), gallery)
        click.echo(f"gallery: {gallery}", err=True)


def _rows(groups: list[DuplicateGroup]) -> list[list[str]]:
    rows = []
    for number, group in enumerate(groups, start=1):
        rows.append([str(number), place_of(group.representative), "keep"])
        for other in group.others:
            kind = "same bytes" if other.exact else other.verdict if other.verdict != "none" else "by way of others"
            rows.append([str(number), place_of(other), kind])
    return rows


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on stderr for people; nothing for pipes."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("comparing", total=total)
        yield lambda done: progress.update(task, completed=done)
