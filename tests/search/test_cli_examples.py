"""`semblant search` by examples, diverse, without copies and in groups, as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from semblant_search import SearchClient
from semblant_search.cli import semblant

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def shared(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(indexed, tmp_path_factory.mktemp("cli") / "pictures.db"))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(semblant, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def places(result: Result, column: int = 1) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.split("\t")[column] for line in result.stdout.splitlines()]


def test_examples_are_given_one_by_one(shared: Path, pictures: Sequence[Path]) -> None:
    words = ("search", pictures[0], "--db", shared, "--like", pictures[1], "--like", pictures[40], "--unlike", pictures[80])
    with SearchClient(shared) as client:
        expected = client.search_like([pictures[0], pictures[1], pictures[40]], [pictures[80]])
    assert places(run(*words)) == [str(hit.path) for hit in expected]
    document = json.loads(run(*words, "--json").stdout)
    assert document["query"]["by"] == "examples"
    assert document["query"]["like"] == [str(pictures[1]), str(pictures[40])]
    assert document["hits"] == [hit.to_json() for hit in expected]


def test_copies_are_counted_and_diverse_hits_are_others(shared: Path, pictures: Sequence[Path], tmp_path: Path) -> None:
    unique = run("search", pictures[0], "--db", shared, "--unique", "-k", 3)
    assert [line.split("\t")[2] for line in unique.stdout.splitlines()] == ["copies=0"] * 3
    plain = places(run("search", pictures[0], "--db", shared))
    diverse = places(run("search", pictures[0], "--db", shared, "--diversity", 0.5, "--gallery", tmp_path / "hits.png"))
    assert diverse[0] == plain[0]
    assert set(diverse) != set(plain)
    assert (tmp_path / "hits.png").stat().st_size


def test_groups_are_printed_with_their_values(shared: Path, pictures: Sequence[Path], tmp_path: Path) -> None:
    words = ("search", pictures[0], "--db", shared, "--group-by", "label", "-k", 2)
    with SearchClient(shared) as client:
        groups = client.search_groups(pictures[0], "label", 2)
    result = run(*words, "--gallery", tmp_path / "hits.png")
    assert places(result, 0) == [str(group.value) for group in groups for _ in group.hits]
    assert places(result, 2) == [str(hit.path) for group in groups for hit in group.hits]
    assert (tmp_path / "hits.png").stat().st_size
    document = json.loads(run(*words, "--json").stdout)
    assert document["groups"] == [group.to_json() for group in groups]
    assert "hits" not in document


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--features", "--unique"], "--unique is for searches by the whole look"),
        (["--fused", "--like", "a.jpg"], "--like is for searches by the whole look"),
        (["--group-by", "label", "--diversity", "0.3"], "--group-by goes without --diversity"),
        (["--like", "a.jpg", "--region", "1,1,5,5"], "--region is of one picture"),
        (["--fpr", "0.1", "--like", "a.jpg"], "--fpr is of one picture"),
        (["--diversity", "2"], "diversity 2.0: expected a number from 0"),
        (["--group-by", "price"], "group by 'price': it is float"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    shared: Path, pictures: Sequence[Path], options: list[str], said: str
) -> None:
    result = run("search", pictures[0], "--db", shared, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
