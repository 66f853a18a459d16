"""The help in groups, what is answered to a typing error, and completion in a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from semblant_search.cli import semblant
from semblant_search.cli.group import _TOPICS, KNOWN

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


def test_every_command_is_under_one_heading_in_the_order_of_work() -> None:
    lines = CliRunner().invoke(semblant, ["--help"], terminal_width=200).output.splitlines()
    headings = [line.rstrip(":") for line in lines if re.fullmatch(r"[A-Z][a-z ]+:", line) and line != "Options:"]
    assert headings == [topic for topic in _TOPICS if topic in headings]
    assert headings[:5] == ["Make encoders", "Index", "Search", "Serve", "Look after"]
    begin = lines.index("Make encoders:")
    listed = [line.split()[0] for line in lines[begin:] if line.startswith("  ") and line.split()[0] in KNOWN]
    assert sorted(listed) == sorted(KNOWN)


def test_what_a_topic_names_is_a_command() -> None:
    assert {name for names in _TOPICS.values() for name in names} <= set(KNOWN)


@pytest.mark.parametrize(
    ("typed", "meant"), [("serach", "search"), ("INDEX", "index"), ("snapshots", "snapshot"), ("dublicates", "duplicates")]
)
def test_a_typing_error_is_answered_with_what_was_meant(typed: str, meant: str) -> None:
    done = CliRunner().invoke(semblant, [typed, "--db", "x"])
    assert (done.exit_code, f"Did you mean '{meant}'?" in done.stderr) == (2, True)


def test_a_word_like_none_is_answered_with_where_they_are_listed() -> None:
    done = CliRunner().invoke(semblant, ["frobnicate"])
    assert (done.exit_code, "`semblant --help` lists them" in done.stderr) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_script(shell: str) -> None:
    done = subprocess.run(
        [SEMBLANT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "_SEMBLANT_COMPLETE": f"{shell}_source"},
    )
    assert done.returncode == 0, done.stderr
    assert "_SEMBLANT_COMPLETE" in done.stdout


def test_words_are_completed() -> None:
    def completed(*words: str) -> set[str]:
        environment = {**os.environ, "_SEMBLANT_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["semblant", *words])}
        environment["COMP_CWORD"] = str(len(words))
        done = subprocess.run([SEMBLANT], capture_output=True, text=True, check=False, timeout=60, env=environment)
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert completed("sn") == {"snapshot"}
    assert {"--db", "--where"} <= completed("search", "--")
    assert completed("serve", "--log", "j") == {"json"}


def test_the_topics_are_those_of_the_group() -> None:
    assert semblant.list_commands(click.Context(semblant))[: len(KNOWN)] == list(KNOWN)
