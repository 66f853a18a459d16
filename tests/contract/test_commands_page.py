"""`docs/commands.md` documents every option of every command, as it is today."""

from __future__ import annotations

import runpy
from pathlib import Path

import click
import pytest
from support.options import TABLES

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
COMMANDS: dict[str, click.Command] = dict(SCRIPT["commands"]())


def test_the_page_is_what_the_script_writes() -> None:
    assert SCRIPT["page"]() == PAGE, "run python docs/make_commands.py"


def test_the_page_has_every_command() -> None:
    assert set(COMMANDS) == set(TABLES)
    assert [line.removeprefix("## semblant ") for line in PAGE.splitlines() if line.startswith("## ")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained_in_one_sentence(name: str) -> None:
    section = PAGE.partition(f"\n## semblant {name}\n")[2].partition("\n## ")[0]
    for option in COMMANDS[name].params:
        if not isinstance(option, click.Option):
            continue
        assert option.help, f"{name} {option.opts}"
        assert option.help.partition("  [")[0].endswith((".", ")")), option.help
        for typed in (*option.opts, *option.secondary_opts):
            (row,) = [line for line in section.splitlines() if line.startswith("| `") and f"`{typed}`" in line.split(" | ")[0]]
            assert row.split(" | ")[-1].strip(" |"), f"{name} {typed}"
