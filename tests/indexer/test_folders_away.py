"""A watched folder that is another one by now, or away for a while: taken out, mounted, renamed, closed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import IndexJob
from semblant_search.errors import InvalidInput, NotADatabase, StoreError
from support.watched import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        mount(disk)
        watched.until(lambda seen=len(watched.reports) + len(watched.problems): len(watched.reports + watched.problems) > seen)
        copy(pictures, disk, number)
        points(watched, number + 1)
        copy(pictures, disk, number + 4)
        points(watched, 2 * number + 1)
