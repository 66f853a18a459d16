"""`semblant serve`: a collection behind HTTP, for programs and pages."""

from __future__ import annotations

import logging
import math
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from semblant_search.errors import InvalidInput
from semblant_search.shown import counted

from .group import command_errors
from .listening import listen, serve_app
from .options import database_options

if TYPE_CHECKING:
    import socket

    from semblant_search.client import SearchClient

    from .options import Target

__all__ = ["serve"]


@click.command()
@database_options
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen at; another than this machine's needs --keys."
)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one.")
@click.option("--keys", "key_file", type=click.Path(path_type=Path), help="File of `semblant keys`: who may come in.")
@click.option("--cors", "origins", multiple=True, metavar="ORIGIN", help="Origin whose pages may ask, https://…; repeatable.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    show_default="those that were indexed",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder whose pictures may be shown; repeatable.",
)
@click.option("--originals", is_flag=True, help="Give out the picture files themselves, too.")
@click.option(
    "--jobs-root",
    "job_roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that may be indexed by request (/v1/jobs; needs semblant-indexer); repeatable.",
)
@click.option(
    "--allow-urls", multiple=True, metavar="HOST", help="Host whose pictures are fetched for a search by URL; repeatable."
)
@click.option("--read-only", is_flag=True, help="Refuse what changes a collection.")
@click.option(
    "--max-body", default=64, show_default=True, type=click.IntRange(1), metavar="MB", help="Largest body of a request."
)
@click.option("--max-pixels", default=50.0, show_default=True, help="Largest picture, in megapixels.")
@click.option("--max-limit", default=1000, show_default=True, type=click.IntRange(1), help="Most hits in one answer.")
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(1), help="Requests at work at once.")
@click.option("--request-timeout", default=30.0, show_default=True, help="Seconds that a request may take.")
@click.option(
    "--log",
    type=click.Choice(["text", "json", "none"]),
    default="text",
    show_default=True,
    help="What is written of each request.",
)
@command_errors()
def serve(
    target: Target,
    host: str,
    port: int,
    key_file: Path | None,
    origins: tuple[str, ...],
    roots: tuple[Path, ...],
    job_roots: tuple[Path, ...],
    originals: bool,
    allow_urls: tuple[str, ...],
    read_only: bool,
    max_body: int,
    max_pixels: float,
    max_limit: int,
    concurrency: int,
    request_timeout: float,
    log: str,
) -> None:
    """Serve a collection over HTTP: searches, pictures, thumbnails, facets; /docs says how.

    Without --keys only programs of this machine may ask. A database in a directory is open in this process only, while it is
    served; of a Qdrant server, any number of services may serve it.
    """
    from semblant_search.client import SearchClient
    from semblant_search.web import KeyFile, ServiceSettings, create_app, is_loopback
    from semblant_search.web.origins import origins_of

    origins = origins_of(origins)
    if not 0 < max_pixels < math.inf:
        raise InvalidInput(f"--max-pixels {max_pixels:g}: expected megapixels, more than 0")
    keys = None if key_file is None else KeyFile(key_file)
    if keys is not None and not keys.keys():
        raise InvalidInput(
            f"--keys {str(key_file)!r}: holds no key; make one with `semblant keys create NAME --keys {key_file}`"
        )
    if keys is None and not is_loopback(host):
        raise InvalidInput(
            f"--host {host}: others than this machine reach it, and without keys they may do anything; make one with "
            "`semblant keys create NAME --keys FILE`, and give --keys FILE"
        )
    settings = ServiceSettings(
        max_body=max_body * 1_000_000,
        max_pixels=max(1, round(max_pixels * 1_000_000)),
        max_limit=max_limit,
        concurrency=concurrency,
        timeout=request_timeout,
        originals=originals,
        allow_urls=allow_urls,
        read_only=read_only,
        roots=roots,
        job_roots=job_roots,
    )
    _log_to_stderr(log)
    with closing(listen(host, port)) as listening, closing(target.database()) as database:
        client = SearchClient(database, collection=target.collection, max_pixels=settings.max_pixels)
        with client:
            app = create_app(database, settings=settings, client=client, keys=keys, origins=origins)
            serve_app(app, listening, settings, partial(_announce, client, listening, target))


def _announce(client: SearchClient, listening: socket.socket, target: Target) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo(
        f"Serving {counted(client.count(), 'picture')} of collection {target.collection!r} at http://{shown}:{port} "
        f"(API: http://{shown}:{port}/docs). Ctrl-C stops.",
        err=True,
    )


def _log_to_stderr(form: str) -> None:
    if form == "none":
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if form == "json" else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name, level in (("semblant_search", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; text of others, such as names of files, cannot begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The facts of a request under their names, else the message."""
        import json

        facts = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        for name in ("request_id", "operation", "status", "seconds", "key"):
            if (value := getattr(record, name, None)) is not None:
                facts[name] = value
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        return json.dumps(facts)
