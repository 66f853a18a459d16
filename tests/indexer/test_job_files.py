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
    assert (first.source, first.db, first.source_name, first.include) == ("pictures", "pictures.db", "shop", ("*.jpg",))
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
        ("workers = 'many'", "key 'workers': 'many' is not a valid integer"),
        ("workers = true", "key 'workers': True: expected a text or a number"),
        ("exif = 'yes'", "key 'exif': 'yes': expected true or false"),
        ("include = '*.jpg'", "key 'include': '*.jpg': expected a list of texts"),
        ("fields = 3", "key 'fields': 3: expected a list of texts, or a table"),
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
