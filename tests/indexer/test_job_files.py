"""A job in a file: every option by its name, faults by their key, and the command line wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from semblant_indexer.cli.config import _key
from semblant_indexer.cli.index import index as command
from semblant_search import InvalidInput
from semblant_search.cli import semblant

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_indexer import IndexJob, IndexReport


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[IndexJob]:
    """What would have been run."""
    taken: list[IndexJob] = []

    def run(job: IndexJob, *_: object) -> IndexReport:
        taken.append(job)
        raise InvalidInput("enough")

    monkeypatch.setattr("semblant_indexer.running.run", run)
    return taken


def call(text: str, tmp_path: Path, *words: str) -> tuple[int, str]:
    (tmp_path / "job.toml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(semblant, ["index", "--config", str(tmp_path / "job.toml"), *words], env={"SEMBLANT_DB": None})
    return result.exit_code, result.output


ALL = """
source = "pictures"
db = "pictures.db"
source_name = "shop"
include = ["*.jpg"]
prune-limit = 5
orb = false
exif = true
duplicates = "merge"
workers = 3
patience = 2.5
no_metadata = true
[fields]
price = "float"
"made in" = "keyword"
"""


def test_a_file_says_the_whole_job_and_the_command_line_wins(tmp_path: Path, jobs: list[IndexJob]) -> None:
    assert call(ALL, tmp_path) == (2, "Error: enough\n")
    assert call(ALL, tmp_path, "others", "--workers", "5", "--orb", "--field", "size:integer")[0] == 2
    first, second = jobs
    assert (first.source, first.db) == (str(tmp_path / "pictures"), str(tmp_path / "pictures.db"))
    assert (first.source_name, first.include) == ("shop", ("*.jpg",))
    assert (first.prune_limit, first.orb, first.exif, first.duplicates.value) == (0.05, None, True, "merge")
    assert (first.workers, first.patience, first.find_metadata) == (3, 2.5, False)
    assert {name: kind.value for name, kind in first.fields.items()} == {"price": "float", "made in": "keyword"}
    assert (second.source, second.workers, second.exif) == ("others", 5, True)
    assert second.orb is not None
    assert list(second.fields) == ["size"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker = 3", "key 'worker': there is no such option; did you mean 'workers'?"),
        ("zzz = 3", "key 'zzz': there is no such option; there are api_key, batch,"),
        ("workers = 'many'", "job.toml, line 1: key 'workers': 'many': expected a whole number"),
        ("workers = '3'", "key 'workers': '3': expected a whole number"),
        ("workers = 2.5", "key 'workers': 2.5: expected a whole number"),
        ("db = 'x'\n\nworkers = true", "job.toml, line 3: key 'workers': true: expected a whole number"),
        ("patience = 'long'", "key 'patience': 'long': expected a number"),
        ("patience = false", "key 'patience': false: expected a number"),
        ("source = 5", "line 1: key 'source': 5: expected a text"),
        ("db = ['x']", "key 'db': ['x']: expected a text"),
        ("encoder = 5", "key 'encoder': 5: expected a text"),
        ("collection = 2024-05-01", "key 'collection': datetime.date(2024, 5, 1): expected a text"),
        ("frames = 2.5", "key 'frames': 2.5: expected a text"),
        ("prune_limit = 500", "key 'prune_limit': 500: expected a percentage from 0 to 100"),
        ("prune_limit = nan", "key 'prune_limit': nan: expected a percentage from 0 to 100"),
        ("'prune-limit' = '5 %'", "line 1: key 'prune-limit': '5 %': expected a number"),
        ("include = ['*.jpg', 5]", "key 'include': ['*.jpg', 5]: expected a list of texts"),
        (
            "[fields]\nsize = 'integer'\nprice = 'dear'",
            "line 3: key 'fields': field 'price': 'dear': expected its type as text, one",
        ),
        ("fields.price = 5", "key 'fields': field 'price': 5: expected its type as text, one of keyword"),
        ("fields = ['price:dear']", "field declaration 'price:dear': expected NAME:TYPE"),
        ("[job]\nworkers = 3", "line 1: key 'job': there is no such option"),
        ("exif = 'yes'", "key 'exif': 'yes': expected true or false"),
        ("include = '*.jpg'", "key 'include': '*.jpg': expected a list of texts"),
        ("fields = 3", "key 'fields': 3: expected a list of texts, or a table of names and types"),
        ("duplicates = 'drop'", "key 'duplicates': 'drop' is not one of"),
        ("workers = ", "is no TOML"),
        ("", "Missing argument 'SOURCE'"),
    ],
)
def test_faults_are_named_by_their_key(text: str, message: str, tmp_path: Path, jobs: list[IndexJob]) -> None:
    code, output = call(text, tmp_path)
    assert (code, jobs) == (2, [])
    assert message in " ".join(output.split())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(semblant, ["index", "--config", str(tmp_path / "none.toml")])
    assert (result.exit_code, "No such file" in result.output) == (2, True)


def test_every_option_has_a_name_of_its_own_in_a_file() -> None:
    names = [_key(parameter) for parameter in command.params if isinstance(parameter, (click.Option, click.Argument))]
    assert len(names) == len(set(names))


def test_paths_are_relative_to_the_file(tmp_path: Path, jobs: list[IndexJob], monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(elsewhere)
    told = "source = '../pictures'\ndb = 'x.db'\nencoder = '/made/encoder.onnx'\nmetadata = 'table.csv'\nstate = 'state'\n"
    call(told, here)
    call(told, here, "pictures", "--db", "x.db")
    call("source = 's3://bucket/a'\ndb = 'http://localhost:6333'\nframes = 3", here)
    first, second, third = jobs
    assert (first.source, first.db) == (str(here / "../pictures"), str(here / "x.db"))
    assert (str(first.encoder), first.metadata, first.state) == ("/made/encoder.onnx", here / "table.csv", here / "state")
    assert (second.source, second.db, second.metadata) == ("pictures", "x.db", here / "table.csv")
    assert (third.source, third.db, third.frames) == ("s3://bucket/a", "http://localhost:6333", 3)


def test_a_share_beyond_all_is_told_in_the_unit_that_was_asked_for(tmp_path: Path, jobs: list[IndexJob]) -> None:
    result = CliRunner().invoke(semblant, ["index", "pictures", "--db", str(tmp_path), "--prune-limit", "500"])
    assert (result.exit_code, jobs) == (2, [])
    assert "500: expected a percentage from 0 to 100" in " ".join(result.output.split())
