"""`semblant mcp`: a collection as tools for language models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .group import command_errors
from .options import database_options

if TYPE_CHECKING:
    from .options import Target

__all__ = ["mcp"]


@click.command()
@database_options
@click.option(
    "--root",
    "roots",
    multiple=True,
    show_default="those that were indexed",
    type=click.Path(path_type=Path),
    help="Folder whose pictures may be read; repeatable.",
)
@click.option("--write", is_flag=True, help="Also tools that add pictures, change metadata and delete from the collection.")
@command_errors()
def mcp(target: Target, roots: tuple[Path, ...], write: bool) -> None:
    """Serve a collection to a language model, by MCP over stdin and stdout.

    --db may also be the address of a Semblant service, semblant://host:8765; then files are read only under --root.
    """
    from semblant_search.collection_client import service_address
    from semblant_search.mcp import create_server

    with target.client() as client:
        create_server(client, roots=roots, write=write, remote=service_address(target.db) is not None).run()
