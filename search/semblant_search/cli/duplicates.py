"""`semblant duplicates`: pictures that are one and the same."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import click

from .group import command_errors
from .options import Target, database_options, where_option
from .output import place_of, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.duplicates import DuplicateGroup, DuplicatesInterrupted

__all__ = ["duplicates"]

_DRAWN = 40
"""Groups that the gallery shows at most, the largest first."""


@click.command()
@database_options
@where_option
@click.option("--min-score", default=0.95, show_default=True, help="Where files are not at hand: least cosine of candidates.")
@click.option("--min-confidence", type=float, help="Where files are not at hand: least probability that details agree.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--gallery", metavar="FILE", help=f"Draw the {_DRAWN} largest groups into this file.")
@command_errors()
def duplicates(
    target: Target, where: str | None, min_score: float, min_confidence: float | None, as_json: bool, gallery: str | None
) -> None:
    """Group the files that are one and the same picture.

    Every file is read, and copies in another size, direction, format or compression are proven by their pixels. The first of
    each group is the one to keep: it has most pixels. "Could go" are only copies whose one to keep was read again and is there;
    the same picture mirrored, framed, recoloured or with a watermark is listed as changed: look before you delete. Nothing is
    changed or removed. Ctrl-C prints what was found by then, and nothing of it "could go".
    """
    if gallery is not None:
        from semblant_search.drawing.gallery import check_drawing

        check_drawing(gallery)
    from semblant_search.duplicates import DuplicatesInterrupted

    stopped: DuplicatesInterrupted | None = None
    with target.client() as client:
        count = client.count(where)
        try:
            with _progress(count) as advance:
                groups = client.duplicates(where=where, min_score=min_score, min_confidence=min_confidence, on_progress=advance)
        except DuplicatesInterrupted as stop:
            groups, stopped = stop.groups, stop
            if stop.total is None:
                stop.total = count
    removable = sum(len(group.removable) for group in groups)
    changed = sum(len(group.changed) for group in groups)
    if as_json:
        how_far = None if stopped is None else stopped.to_json()
        groups_json = [group.to_json() for group in groups]
        print_json({"collection": target.collection, "where": where, "groups": groups_json, "stopped": how_far})
    else:
        print_rows(["group", "picture", "is"], _rows(groups), right=(0,))
    click.echo(f"{_counted(len(groups), 'group')}, {_counted(removable, 'picture')} that could go", err=True)
    if changed:
        same = "is" if changed == 1 else "are"
        click.echo(f"{_counted(changed, 'picture')} that {same} the same, changed: look before you delete", err=True)
    if stopped is not None:
        _stop(stopped, gallery)
    if gallery is not None:
        from semblant_search.drawing import draw_groups, save_picture

        title = f"{_counted(len(groups), 'group')} of duplicates, {_counted(removable, 'picture')} that could go"
        save_picture(draw_groups(groups[:_DRAWN], title=title), gallery)
        click.echo(f"gallery: {gallery}", err=True)


def _stop(stopped: DuplicatesInterrupted, gallery: str | None) -> NoReturn:
    """Say how far the search got, and end as what was interrupted ends."""
    reached = {
        "reading": "{done} of {total} read; of these only files of the same bytes are known",
        "comparing": "all were read, {done} of {total} compared",
        "changed": "all were compared as copies, {done} of {total} as changed pictures",
        "checking": "all were compared, but not read again",
    }[stopped.stage].format(done=f"{stopped.done:,}", total=f"{stopped.total:,}")
    click.echo(f"Stopped: {reached}. There may be more, and what could go was not checked; nothing was changed.", err=True)
    if gallery is not None:
        click.echo(f"gallery: {gallery} was not drawn", err=True)
    click.get_current_context().exit(130)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _rows(groups: list[DuplicateGroup]) -> list[list[str]]:
    rows = []
    for number, group in enumerate(groups, start=1):
        rows.append([str(number), place_of(group.representative), "keep"])
        rows += [[str(number), place_of(other), other.label] for other in group.others]
        for uri, names in group.other_names.items():
            picture = next(one for one in (group.representative, *group.others) if one.uri == uri)
            rows += [[str(number), place_of(replace(picture, uri=name)), f"same file as {place_of(picture)}"] for name in names]
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
        task = progress.add_task("reading", total=total)
        yield lambda done: progress.update(task, completed=done)
