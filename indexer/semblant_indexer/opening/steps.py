"""What `semblant open` does beside serving, one step after the other."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput, SemblantError

from semblant_indexer.cancelling import check_cancelled
from semblant_indexer.report import Progress
from semblant_indexer.retraining import RetrainJob, retrain
from semblant_indexer.service.models import JobQuery

from .encoders import Encoders, pictures_in
from .first_pictures import first_pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_search.store import Database

    from semblant_indexer.service.jobs import JobList
    from semblant_indexer.service.models import Job
    from semblant_indexer.service.running_job import RunningJob

    from .folder import OpenJob

__all__ = ["COLLECTION", "Steps"]

COLLECTION = "images"
_LOOK_EVERY = 0.5
_CANCELLING = 30.0
"""Seconds that a watch has to end."""
_LINE_EVERY = 30.0
"""Seconds between two lines about one long step."""
_LEARNING = "Learning an encoder that suits these pictures"
_WORDS = "Learning the visual words of all pictures"


class Steps:
    """The steps, in a thread of their own; each is a job of the service, so that its page tells of them, too.

    Args:
        job: what to open.
        home: the folder of what is made.
        say: writes a line to the terminal.
    """

    def __init__(self, job: OpenJob, home: Path, say: Callable[[str], object]) -> None:
        self.home = home
        self.db = job.db or home / "pictures.db"
        self._pictures = job.pictures.resolve()
        self.encoders = Encoders(self._pictures, home, job.encoder)
        self._given, self._learn, self._say = job.encoder, job.learn and job.encoder is None, say
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._jobs: JobList
        self._database: Database

    def check(self) -> None:
        """Raise `InvalidInput` for a folder without pictures, `MissingExtra` where nothing can make an encoder."""
        if not self._pictures.is_dir():
            raise InvalidInput(f"{str(self._pictures)!r}: expected a folder of pictures")
        if re.match(r"[a-z]+:/", str(self.db)):  # as a path, a URL has lost a slash
            raise InvalidInput(
                f"--db {str(self.db)!r}: expected a directory; `semblant serve --db URL` shows what a server has"
            )
        if next(pictures_in(self._pictures), None) is None:
            raise InvalidInput(f"{str(self._pictures)!r}: there is no picture in it, or in a folder in it")
        if self._given is not None and not self._given.is_file():
            raise InvalidInput(f"--encoder {str(self._given)!r}: there is no such file")
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.db.exists():
            self.encoders.check()

    def start(self, jobs: JobList, database: Database) -> None:
        """Begin, once the service answers."""
        self._jobs, self._database = jobs, database
        self._thread = threading.Thread(target=self._work, name="semblant-open", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Do no more. Jobs, and what they have begun, are ended by the service."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(10)

    def _work(self) -> None:
        """All steps, and all of them again where the folder was away for a while: what is done is found done."""
        while not self._over:
            try:
                self._steps()
            except SemblantError as error:
                if self._over:
                    return
                if not isinstance(error, _FolderGoneError) and self._is_there():
                    self._say(f"Error: {error}")
                    return
                self._await_folder()
            else:
                return

    def _await_folder(self) -> None:
        if self._is_there():  # another one in its place
            return
        self._say(
            f"{str(self._pictures)!r} is gone, or holds no picture any more. What is indexed of it stays, and it is watched "
            "again as soon as it is back."
        )
        while not self._over and not self._is_there():
            self._ending.wait(_LOOK_EVERY)
        if not self._over:
            self._say(f"{str(self._pictures)!r} is back.")

    def _is_there(self) -> bool:
        return next(pictures_in(self._pictures), None) is not None

    def _steps(self) -> None:
        if self._known():
            encoder = self.encoders.given()
        else:
            encoder = self._first()
            self._index_first(encoder)
        self._index(encoder)
        # It may be there already, where the last time ended before it had taken over.
        if self._learn and self._has_first() and (self.encoders.learned.is_file() or self._make_learned()):
            self._switch()
        if self._few.is_file():
            self._learn_words()
        if find_spec("watchfiles") is not None:
            self._watch()

    def _index_first(self, encoder: Path | None) -> None:
        """Index some pictures of a large folder before all others, which takes seconds."""
        patterns = first_pictures(self._pictures)
        if not patterns:
            return
        self._few.touch()
        try:
            job = self._finish(self._start("index", encoder, include=patterns, prune=False), _Indexing())
        except InvalidInput:
            if self._over or not self._is_there():
                raise
            return  # none of these can be used: the job of all tells what is wrong
        if job.report is not None:
            self._say(f"{job.report.points:,} pictures can be looked at and searched; all others follow.")

    def _learn_words(self) -> None:
        """Visual words of all pictures, in place of those of the first few: what is found by details depends on them."""

        def learn(told: Callable[[Progress], None], cancel: threading.Event) -> None:
            def heard(progress: Progress) -> None:
                told(Progress(f"{_WORDS}: {progress.phase}", progress.total, progress.done, seconds=progress.seconds))
                check_cancelled(cancel, progress)

            retrain(RetrainJob(self._database.location, COLLECTION), heard, database=self._database)

        try:
            self._make(_WORDS, learn)
        except InvalidInput as error:
            if self._over:
                raise
            self._say(f"Searches by details stay as they are: {error}")
        else:
            self._few.unlink(missing_ok=True)

    @property
    def _few(self) -> Path:
        """Is there while the collection has the visual words of its first few pictures."""
        return self.home / "words-of-few"

    def _known(self) -> bool:
        return COLLECTION in self._database.collections()

    def _has_first(self) -> bool:
        """Whether the collection has the encoder that was made here first."""
        if not self._known():
            return False
        with closing(self._database.open(COLLECTION)) as store:
            return self.encoders.is_first(store.manifest.encoder_fingerprint)

    def _first(self) -> Path | None:
        """The encoder that a new collection begins with."""
        encoder = self.encoders.at_hand()
        if encoder is not None:
            return encoder
        if (advice := self.encoders.advice) is not None:
            self._say(advice)
        self._make(self.encoders.first_step, self.encoders.make_first)
        return self.encoders.at_hand()

    def _make_learned(self) -> bool:
        if not self.encoders.can_learn:
            return False
        self._say("Searches go on while a better encoder is learned.")
        try:
            self._make(_LEARNING, lambda told, cancel: self.encoders.learn(_LEARNING, told, cancel))
        except InvalidInput as error:
            if self._over:
                raise
            self._say(f"No better encoder was learned: {error}")
            return False
        return True

    def _switch(self) -> None:
        """Let the better encoder take over; where that fails, the first one goes on, and the next start tries again."""
        try:
            self._index(self.encoders.learned, rebuild=True)
        except InvalidInput as error:
            if self._over or not self._is_there():
                raise
            self._say(f"The better encoder has not taken over: {error}")
        else:
            self._few.unlink(missing_ok=True)

    def _make(self, step: str, make: Callable[[Callable[[Progress], None], threading.Event], None]) -> None:
        """A job that makes an encoder, to its end; its steps are said. Raises `InvalidInput` where it failed."""
        self._finish(self._jobs.learn(str(self._pictures), COLLECTION, step, make), _Making())

    def _index(self, encoder: Path | None, **options: Any) -> None:
        """An index job, to its end. Raises `InvalidInput` where it failed."""
        job = self._finish(self._start("index", encoder, **options), _Indexing())
        if job.report is not None:
            self._say(job.report.account)
            for note in job.report.notes:
                self._say(f"Note: {note}")

    def _watch(self) -> None:
        """Until the end of all, or that of the folder: a watch of one that is gone does not notice that it is back."""
        place = _identity(self._pictures)
        job = self._start("watch", None)
        self._say("Watching the folder: what changes in it is indexed.")
        while not job.join(_LOOK_EVERY):
            if _identity(self._pictures) != place:
                job.cancel()
                job.join(_CANCELLING)
                raise _FolderGoneError
        state = job.state
        if state.problem is not None:
            raise InvalidInput(state.problem.detail)
        if not self._over:
            self._say("The folder is watched no longer: that was ended on the page.")

    def _start(self, kind: str, encoder: Path | None, **options: Any) -> RunningJob:
        self._check_going_on()
        asked = {"kind": kind, "source": str(self._pictures), "collection": COLLECTION, "exif": True, "prune": True, **options}
        return self._jobs.start(JobQuery.model_validate(asked | ({} if encoder is None else {"encoder": str(encoder)})))

    def _finish(self, job: RunningJob, line: Callable[[Job], str | None]) -> Job:
        while not job.join(_LOOK_EVERY):
            if (told := line(job.state)) is not None:
                self._say(told)
        self._check_going_on()
        state = job.state
        if state.problem is not None:
            if (told := line(state)) is not None:  # the step that failed may have been too short to be looked at
                self._say(told)
            raise InvalidInput(state.problem.detail)
        if state.state == "cancelled":
            raise InvalidInput(f"{state.progress.phase}: ended before it was done")
        return state

    @property
    def _over(self) -> bool:
        return self._ending.is_set() or self._jobs.closed

    def _check_going_on(self) -> None:
        if self._over:
            raise InvalidInput("the service ends")


class _FolderGoneError(SemblantError):
    """The folder is not there any more, or is another one."""


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


class _Indexing:
    """A line for each new phase."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, job: Job) -> str | None:
        progress = job.progress
        if progress.phase == self._said:
            return None
        self._said = progress.phase
        counts = f", {progress.done:,} of {progress.total:,} pictures" if progress.total else ""
        return f"Indexing: {progress.phase}{counts}"


class _Making:
    """A line for each new step, and for each half minute of a long one."""

    def __init__(self) -> None:
        self._said, self._at = "", time.monotonic()

    def __call__(self, job: Job) -> str | None:
        progress, moment = job.progress, time.monotonic()
        if progress.phase == self._said and moment - self._at < _LINE_EVERY:
            return None
        self._said, self._at = progress.phase, moment
        share = f", {progress.done / progress.total:.0%}" if progress.total else ""
        return f"{progress.phase}{share} ({progress.seconds:.0f} s)"
