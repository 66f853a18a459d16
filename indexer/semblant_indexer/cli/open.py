"""`semblant open`: from a folder of pictures to a page to search them on, in one command."""

from __future__ import annotations

from pathlib import Path

import click
from semblant_search.cli import command_errors

__all__ = ["open_pictures"]

_PATH = click.Path(path_type=Path)


@click.command("open")
@click.argument("pictures", type=_PATH)
@click.option("--db", type=_PATH, help="Directory of the database.  [default: one of its own in Semblant's cache]")
@click.option(
    "--encoder", type=_PATH, help="The encoder.onnx to use.  [default: a pretrained one, then one learned from the pictures]"
)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port; another where it is taken.")
@click.option("--learn/--no-learn", default=True, help="Learn an encoder that suits the pictures, too.  [default: --learn]")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.  [default: --browser]")
@command_errors()
def open_pictures(pictures: Path, db: Path | None, encoder: Path | None, port: int, learn: bool, browser: bool) -> None:
    """Make a folder of pictures searchable, and open the page to search them on.

    The first time it makes an encoder and indexes the pictures, while the page is there already; run again, it opens at once
    and indexes what changed. Ctrl-C stops; what is indexed stays. Files are only read.
    """
    from semblant_indexer.opening import OpenJob, open_folder

    open_folder(OpenJob(pictures, db, encoder, port, learn, browser), lambda text: click.echo(text, err=True))
