"""The README is true: its commands, options and links exist; every command is in the overview and has help."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from semblant_search.cli import semblant

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OVERVIEW = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").partition("\n## ")[0]
COMMANDS = sorted(semblant.list_commands(click.Context(semblant)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_overview_and_has_help(name: str) -> None:
    assert f"`semblant {name}`" in OVERVIEW
    answer = CliRunner().invoke(semblant, [name, "--help"])
    assert answer.exit_code == 0
    assert len(answer.output) > 100


def test_every_command_in_the_readme_exists() -> None:
    assert set(re.findall(r"`semblant ([a-z-]+)`", OVERVIEW)) == set(COMMANDS)
    assert set(re.findall(r"`semblant ([a-z-]+)`", README)) <= set(COMMANDS)


def test_the_readme_is_a_page() -> None:
    """What it is, the page, one's own pictures and the two commands are on the first screen, and links are the rest."""
    assert README.index("semblant open PICTURES") < README.index("make demo") < 2500
    assert len(README.splitlines()) < 90


def test_every_option_in_the_readme_exists() -> None:
    for name, line in re.findall(r"^    semblant ([a-z]+) (.*)$", README, re.M):
        help_text = CliRunner().invoke(semblant, [name, "--help"]).output
        for option in re.findall(r"(?<= )(--[a-z-]+|-[a-z])\b", line.split("#")[0]):
            assert option in help_text, f"semblant {name} {option}"


def test_every_link_in_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
