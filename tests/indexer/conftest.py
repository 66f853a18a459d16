"""A small encoder and folders of real pictures to index."""

from __future__ import annotations

import functools
import http.server
import shutil
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import IndexJob, IndexReport, Progress, run
from semblant_search.store import open_database
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Record


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey 28×28 pictures as the means of 7×7 cells."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    path.write_bytes(encoder_bytes("grey-28"))
    return path


@pytest.fixture(scope="session")
def heed_interrupts() -> Callable[[], None]:
    """For `preexec_fn`: a test that runs in the background of a shell inherits that SIGINT is ignored."""

    def restore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return restore


@pytest.fixture
def pictures(fashion_small: Path, tmp_path: Path) -> Path:
    """Thirty real pictures in three category folders, free to be changed."""
    root = tmp_path / "pictures"
    for category in ("bag", "coat", "sneaker"):
        (root / category).mkdir(parents=True)
        for picture in sorted((fashion_small / "train" / category).iterdir())[:10]:
            shutil.copyfile(picture, root / category / picture.name)
    return root


@pytest.fixture
def index(encoder_file: Path, tmp_path: Path) -> Callable[..., IndexReport]:
    """Run a job into `tmp_path / "db"`; without ORB unless asked for."""

    def go(source: Path, on_progress: Callable[[Progress], None] | None = None, **options: Any) -> IndexReport:
        settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "db": str(tmp_path / "db"), **options}
        settings.setdefault("encoder", encoder_file)
        return run(IndexJob(str(source), **settings), on_progress)

    return go


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., dict[str, Record]]:
    """All records of a collection by their URI, with vectors."""

    def read(collection: str = "images", db: Path | None = None) -> dict[str, Record]:
        database = open_database(str(db or tmp_path / "db"))
        store = database.open(collection)
        try:
            return {record.payload["_uri"]: record for record in store.scroll(with_image=True)}
        finally:
            store.close()

    return read


@pytest.fixture
def web() -> Iterator[Callable[[Path], str]]:
    """Serves folders over HTTP, as simply as can be."""
    servers: list[http.server.ThreadingHTTPServer] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

    def serve(folder: Path) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
