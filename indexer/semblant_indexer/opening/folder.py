"""The page over a folder, from its start to the signal that ends it."""

from __future__ import annotations

import hashlib
import os
import webbrowser
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OpenJob", "home_of", "open_folder"]

_REVIEW_SECONDS = 600.0
"""Duplicates of many pictures take minutes, and here one person waits for them who can see why."""


def home_of(pictures: Path) -> Path:
    """The folder of what is made of a folder of pictures: `$SEMBLANT_CACHE/open/<name>-<digest>`, else in the user's caches."""
    own = os.environ.get("SEMBLANT_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semblant"
    digest = hashlib.sha256(os.fsencode(pictures)).hexdigest()[:12]
    return base.absolute() / "open" / f"{pictures.name or 'root'}-{digest}"


@dataclass(frozen=True)
class OpenJob:
    """What to open.

    Attributes:
        pictures: the folder.
        db: directory of the database; None: in `home_of` the folder.
        encoder: the user's own; None makes one.
        port: of this machine; another one where it is taken.
        learn: whether a better encoder is learned, where a part that does so is installed.
        browser: whether the page is opened.
    """

    pictures: Path
    db: Path | None = None
    encoder: Path | None = None
    port: int = 8765
    learn: bool = True
    browser: bool = True


def open_folder(job: OpenJob, say: Callable[[str], object]) -> None:
    """Serve the page over a folder of pictures, and index them meanwhile, until a signal ends it.

    Raises:
        InvalidInput: there are no pictures in the folder.
        MissingExtra: nothing is installed that makes an encoder, or that serves.
    """
    from semblant_search.cli.listening import ServeError, listen, serve_app
    from semblant_search.store import open_database
    from semblant_search.web import ServiceSettings, create_app

    from .steps import COLLECTION, Steps

    pictures = job.pictures.resolve()
    steps = Steps(job, home_of(pictures), say)
    steps.check()
    try:
        listening = listen("127.0.0.1", job.port)
    except ServeError:
        listening = listen("127.0.0.1", 0)
    settings = ServiceSettings(originals=True, roots=(pictures,), job_roots=(pictures, steps.home), timeout=_REVIEW_SECONDS)
    with closing(listening), closing(open_database(steps.db, create=True)) as database:
        if COLLECTION not in database.collections():
            steps.encoders.check()
        app = create_app(database, settings=settings)
        address = f"http://localhost:{listening.getsockname()[1]}"

        def started() -> None:
            say(f"The page is at {address} (Ctrl-C stops)")
            steps.start(app.state.jobs, database)
            if job.browser and not webbrowser.open(address):
                say("No browser could be opened: open that address yourself.")

        try:
            serve_app(app, listening, settings, started)
        finally:
            steps.close()
