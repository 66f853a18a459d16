"""A watched folder that is another one by now, or away for a while: taken out, mounted, renamed, closed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import IndexJob
from semblant_search.errors import InvalidInput, NotADatabase, StoreError
from support.watched import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_indexer import Progress

Watch = Callable[..., Watching]

MAIN = "import sys; from semblant_search.cli import main; sys.exit(main())"


@pytest.fixture
def watching(encoder_file: Path, tmp_path: Path) -> Iterator[Watch]:
    started: list[Watching] = []

    def start(source: Path, on_progress: Callable[[Progress], None] | None = None, **options: Any) -> Watching:
        settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "db": str(tmp_path / "db"), **options}
        started.append(Watching(IndexJob(str(source), encoder_file, **settings), on_progress))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts a small disk; taken away at the end."""
    mounted: list[Path] = []

    def put(place: Path, *options: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", place], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("no disk can be mounted here")
        mounted.append(place)

    yield put
    for place in reversed(mounted):
        subprocess.run(["umount", "-l", place], capture_output=True, check=False)


def copy(pictures: Path, to: Path, number: int) -> None:
    """The `number`th picture, under a name that has it."""
    to.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sorted(pictures.rglob("*.png"))[number], to / f"{number}.png")


def points(watched: Watching, count: int) -> None:
    watched.until(lambda: watched.reports and watched.reports[-1].points == count)


def told(watched: Watching) -> int:
    """How many reports and problems there were."""
    return len(watched.reports) + len(watched.problems)


def more(watched: Watching, seen: int) -> None:
    """Wait for another one."""
    watched.until(lambda: told(watched) > seen)


def renamed(root: Path) -> None:
    root.rename(root.with_name("old"))
    root.mkdir()


def made_anew(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def given_back(root: Path) -> None:
    root.rename(root.with_name("old"))
    root.with_name("old").rename(root)


@pytest.mark.parametrize("replace", [renamed, made_anew, given_back])
def test_a_folder_that_took_the_place_of_the_watched_one_is_watched(
    pictures: Path, tmp_path: Path, watching: Watch, replace: Callable[[Path], None]
) -> None:
    root = tmp_path / "watched"
    copy(pictures, root, 0)
    watched = watching(root)
    points(watched, 1)
    replace(root)
    time.sleep(2.5)  # what happens is noticed, and what is there then is indexed, before there is more
    for number in (1, 2):
        copy(pictures, root, number)
        points(watched, number + 1)


def test_where_links_lead_is_watched(pictures: Path, tmp_path: Path, watching: Watch) -> None:
    for name, number in (("one", 0), ("two", 1), ("other", 2)):
        copy(pictures, tmp_path / name, number)
    root = tmp_path / "root"
    root.symlink_to("one")
    (tmp_path / "one" / "link").symlink_to(tmp_path / "other")
    watched = watching(root)
    points(watched, 2)
    (tmp_path / "other").rename(tmp_path / "away")  # nothing happens in the folder itself
    copy(pictures, tmp_path / "other", 3)
    points(watched, 3)
    copy(pictures, tmp_path / "other", 4)
    points(watched, 4)
    root.unlink()
    root.symlink_to("two")
    points(watched, 5)
    copy(pictures, tmp_path / "two", 5)
    points(watched, 6)
    assert watched.problems == []


@pytest.mark.parametrize("below", ["", "disk"])
def test_what_is_mounted_is_watched(
    pictures: Path, tmp_path: Path, watching: Watch, mount: Callable[..., None], below: str
) -> None:
    root = tmp_path / "watched"
    disk = root / below
    copy(pictures, root, 0)
    disk.mkdir(exist_ok=True)
    watched = watching(root)
    points(watched, 1)
    for number in (1, 2):  # the second disk has the number of the first one, and so has its folder
        if number > 1:
            subprocess.run(["umount", disk], check=True)
        seen = told(watched)
        mount(disk)
        more(watched, seen)
        copy(pictures, disk, number)
        points(watched, number + 1)
        copy(pictures, disk, number + 4)
        points(watched, 2 * number + 1)


def test_a_folder_that_is_away_is_waited_for_and_loses_nothing(pictures: Path, tmp_path: Path, watching: Watch) -> None:
    watched = watching(pictures, prune=True, prune_limit=1.0)
    points(watched, 30)
    for _ in range(2):
        pictures.rename(tmp_path / "away")
        watched.until(lambda: watched.problems)
        time.sleep(4)  # some hundred looks, and it is told once
        seen = told(watched)
        (tmp_path / "away").rename(pictures)
        more(watched, seen)
        assert watched.reports[-1].points == 30
        assert isinstance(watched.problems[0], InvalidInput)
        assert "is away (No such file or directory); what is indexed of it stays" in str(watched.problems[0])
        assert len(watched.problems) == 1
        watched.problems.clear()
    copy(pictures, pictures, 0)
    points(watched, 31)


@pytest.mark.parametrize("phase", ["scan", "index"])
def test_a_folder_that_goes_away_in_the_middle_of_a_run_is_waited_for(
    pictures: Path, tmp_path: Path, watching: Watch, phase: str
) -> None:
    away = tmp_path / "away"

    taken: list[Progress] = []

    def take(progress: Progress) -> None:
        if progress.phase == phase and not taken:
            taken.append(progress)
            pictures.rename(away)

    watched = watching(pictures, take, prune=True)
    watched.until(lambda: watched.problems)
    assert "is away" in str(watched.problems[0])
    seen = told(watched)
    away.rename(pictures)
    more(watched, seen)
    points(watched, 30)
    assert watched.reports[-1].failed == 0


def test_a_database_that_is_away_is_not_begun_anew(pictures: Path, tmp_path: Path, watching: Watch) -> None:
    (tmp_path / "disk").mkdir()
    watched = watching(pictures, db=str(tmp_path / "disk" / "db"))
    points(watched, 30)
    (tmp_path / "disk").rename(tmp_path / "away")
    (tmp_path / "disk").mkdir()
    copy(pictures, pictures, 0)
    watched.until(lambda: watched.problems)
    assert isinstance(watched.problems[0], NotADatabase)
    (tmp_path / "disk").rmdir()
    (tmp_path / "away").rename(tmp_path / "disk")
    points(watched, 31)
    assert len(watched.reports) == 2


def test_a_full_disk_is_told_and_outlived(pictures: Path, tmp_path: Path, watching: Watch, mount: Callable[..., None]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "-o", "size=500m")
    watched = watching(pictures, db=str(disk / "db"))
    points(watched, 30)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)
    copy(pictures, pictures, 0)
    watched.until(lambda: watched.problems)
    assert isinstance(watched.problems[0], StoreError), watched.problems
    filler.unlink()
    points(watched, 31)


def _without_rights_of_root() -> None:
    """For `preexec_fn`: what root may not read without the right to pass by the rights of files, it may not read."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def test_the_command_waits_for_a_folder_that_is_away_or_may_not_be_read(
    pictures: Path, encoder_file: Path, tmp_path: Path
) -> None:
    said, reported = tmp_path / "said", tmp_path / "reported"
    command = [sys.executable, "-c", MAIN, "index", str(pictures), "--encoder", str(encoder_file), "--db", str(tmp_path / "db")]
    command += ["--no-orb", "--quiet", "--workers", "1", "--watch", "--prune"]

    def until(file: Path, text: str) -> None:
        deadline = time.monotonic() + 120
        while text not in file.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)

    with said.open("w") as errors, reported.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=errors, preexec_fn=_without_rights_of_root)
    try:
        until(reported, "found 30 = 30 indexed")
        pictures.rename(tmp_path / "away")
        until(said, "is away (No such file or directory)")
        time.sleep(1)
        (tmp_path / "away").rename(pictures)
        until(reported, "found 30 = 0 indexed + 30 unchanged")
        closed = pictures / "bag"
        for place in (pictures, closed):
            place.chmod(0)
            until(*((said, "is away (Permission denied)") if place == pictures else (reported, "1 failed")))
            time.sleep(1)
            place.chmod(0o755)
            copy(pictures, closed, 3 if place == closed else 4)
            until(reported, "found 31 = 1 indexed" if place == pictures else "found 32 = 1 indexed")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        pictures.chmod(0o755)
    lines = [line for line in said.read_text().splitlines() if "is away" in line]
    assert len(lines) == 2, lines
    assert all(line.endswith(f"still watching {str(pictures)!r}") for line in lines)
    assert "Traceback" not in said.read_text()
