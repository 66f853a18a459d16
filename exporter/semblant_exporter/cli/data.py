"""`semblant data`: real pictures to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_exporter.data import DataReport

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a sentence.")


@click.group()
def data() -> None:
    """Fetch picture sets to try Semblant on."""


@data.command("fashion-mnist")
@_DIRECTORY
@_JSON
def fashion_mnist(directory: Path, as_json: bool) -> None:
    """Fashion-MNIST: 70,000 grey pictures of 28×28 in 10 categories.

    Writes DIRECTORY/{train,test}/<category>/<number>.png and DIRECTORY/metadata.csv (file, label, label_id, split). Needs no
    network where Debian's dataset-fashion-mnist is installed. A second call does nothing.
    """
    from semblant_exporter.data import fashion_mnist as write

    _run(write, directory, as_json)


@data.command("clipart")
@_DIRECTORY
@_JSON
def clipart(directory: Path, as_json: bool) -> None:
    """The Open Clip Art Library: 6,900 drawings in category folders.

    Writes DIRECTORY/<category>/<name>.png and DIRECTORY/metadata.csv (file, label, category, title, artist, description),
    from Debian's openclipart-png. A second call does nothing.
    """
    from semblant_exporter.data import clipart as write

    _run(write, directory, as_json)


def _run(write: Callable[..., DataReport], directory: Path, as_json: bool) -> None:
    import json

    from .progress import progress_bar

    with progress_bar() as on_progress:
        report = write(directory, on_progress=on_progress)
    facts: dict[str, Any] = {
        "directory": str(report.directory),
        "pictures": report.pictures,
        "categories": report.categories,
        "source": report.source,
        "written": report.written,
        "seconds": round(report.seconds, 2),
    }
    if as_json:
        click.echo(json.dumps(facts))
    elif report.written:
        click.echo(
            f"{report.directory}: {report.pictures:,} pictures in {report.categories} categories, from {report.source}, "
            f"in {report.seconds:.1f} s"
        )
    else:
        click.echo(f"{report.directory}: {report.pictures:,} pictures are there already")
