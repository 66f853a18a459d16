"""Ctrl-C while duplicates are looked for: what was found by then is said, and that the search was broken off."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from semblant_search import DuplicateGroup, DuplicatesInterrupted, SearchClient
from support.systems import needs_posix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARKED = """
import signal, sys, time
from pathlib import Path
from semblant_search.cli import main
from semblant_search.duplicates import files, keeping

signal.signal(signal.SIGINT, signal.default_int_handler)
module = {"files": files, "keeping": keeping.DecodedPictures}[sys.argv[1]]
name, calls, reached = sys.argv[2], int(sys.argv[3]), sys.argv[4]
real, done = getattr(module, name), 0

def waits(*arguments, **named):
    global done
    done += 1
    if done == calls:
        Path(reached).touch()
    if done >= calls:
        time.sleep(1)
    return real(*arguments, **named)

setattr(module, name, waits)
sys.argv[1:] = sys.argv[5:]
main()
"""
"""The command itself, slowed down from the given call of a function on, so that a signal finds it in a known place."""


@pytest.fixture(scope="module")
def db(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs, of each the same bytes again, and half as large."""
    folder = tmp_path_factory.mktemp("interrupted")
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"):
        shutil.copy(photos / name, folder)
        shutil.copy(photos / name, folder / f"again-{name}")
        with Image.open(photos / name) as picture:
            picture.convert("RGB").resize((picture.width // 2, picture.height // 2)).save(folder / f"half-{name}.png")
    path = tmp_path_factory.mktemp("interrupted-db") / "db"
    index(path, sorted(folder.iterdir()))
    return path


def broken_off(tmp_path: Path, place: tuple[str, str, int], *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, and a real SIGINT once it reached the given call of a function."""
    reached = tmp_path / "reached"
    command = [sys.executable, "-c", MARKED, *map(str, place), str(reached), "duplicates", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not reached.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


READING, COMPARING = ("files", "_read_all", 1), ("keeping", "proof", 3)


@needs_posix
def test_ctrl_c_prints_the_groups_that_were_found_by_then(db: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "groups.png"
    done = broken_off(tmp_path, COMPARING, "--db", db, "--gallery", gallery)
    assert done.returncode == 130
    assert "Stopped: all were read, " in done.stderr
    assert "was not drawn" in done.stderr
    assert not gallery.exists()
    assert "4 groups, 0 pictures that could go" in done.stderr  # the same bytes are known of all four once they are read
    assert done.stdout.count("keep") == 4
    assert "copy: resized, not to be removed" in done.stdout


@needs_posix
def test_ctrl_c_before_anything_is_known_says_so(db: Path, tmp_path: Path) -> None:
    done = broken_off(tmp_path, READING, "--db", db)
    assert done.returncode == 130
    assert "0 groups, 0 pictures that could go" in done.stderr
    assert "Stopped: 0 of 12 read" in done.stderr
    assert "keep" not in done.stdout


@needs_posix
@pytest.mark.parametrize(("place", "stage", "known"), [(READING, "reading", 0), (COMPARING, "comparing", 4)])
def test_ctrl_c_leaves_a_whole_json_document_that_says_how_far_it_got(
    db: Path, tmp_path: Path, place: tuple[str, str, int], stage: str, known: int
) -> None:
    done = broken_off(tmp_path, place, "--db", db, "--json")
    assert done.returncode == 130
    told = json.loads(done.stdout)
    assert told["stopped"]["stage"] == stage
    assert told["stopped"]["done"] < told["stopped"]["total"] <= 12
    assert len(told["groups"]) == known
    assert not any(other["removable"] for group in told["groups"] for other in group["others"])


def test_a_search_that_ends_says_that_nothing_stopped_it(db: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from semblant_search.cli import main; main()", "duplicates", "--db", str(db), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["stopped"] is None


def members(groups: list[DuplicateGroup]) -> dict[str, set[str]]:
    return {group.representative.uri: {other.uri for other in group.others} for group in groups}


@pytest.mark.parametrize("after", [1, 3, 4])
def test_over_python_the_interrupt_has_the_groups_and_the_client_goes_on(
    db: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Wherever it is broken off, what is said of a group is a part of what is said at the end."""
    from semblant_search.duplicates.keeping import DecodedPictures

    real, calls = DecodedPictures.proof, 0

    def interrupted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == after:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    with SearchClient(db) as client:
        whole = members(client.duplicates())
        monkeypatch.setattr(DecodedPictures, "proof", interrupted)
        with pytest.raises(KeyboardInterrupt) as stopped:
            client.duplicates()
        assert isinstance(stopped.value, DuplicatesInterrupted)
        known = members(stopped.value.groups)
        assert len(known) == 4
        assert all(others <= whole[first] for first, others in known.items())
        assert not any(group.removable for group in stopped.value.groups)
        monkeypatch.undo()
        assert members(client.duplicates()) == whole


def test_files_of_the_same_bytes_are_known_while_files_are_read(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from semblant_search.duplicates import finding

    def stop(done: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(finding, "_BATCH", 5)
    with SearchClient(db) as client, pytest.raises(DuplicatesInterrupted) as stopped:
        client.duplicates(on_progress=stop)
    assert (stopped.value.stage, stopped.value.done, stopped.value.total) == ("reading", 12, None)
    assert len(stopped.value.groups) == 4
    assert all(other.exact and not other.removable for group in stopped.value.groups for other in group.others)
