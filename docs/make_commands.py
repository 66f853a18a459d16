"""Writes `commands.md`: every option of every command, from the commands themselves.

python docs/make_commands.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from semblant_search.cli import semblant
from semblant_search.cli.group import KNOWN, topics

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("commands.md")
_HEAD = """# The commands

Every option of every command, written by `python docs/make_commands.py` from what `--help` prints.
Options that name an environment variable take its value where they are not given.
"""
_DEFAULT = re.compile(r"\s*\[default: (.*)\]$")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command of Semblant's own parts with its words, in the order of work."""
    context = click.Context(semblant, info_name="semblant")
    for name in KNOWN:
        command = semblant.get_command(context, name)
        if isinstance(command, click.Group):
            inner = click.Context(command, context, name)
            yield from ((f"{name} {part}", command.commands[part]) for part in command.list_commands(inner))
        elif command is not None:
            yield name, command


def page() -> str:
    """All of it, as Markdown."""
    return "\n".join([_HEAD, *overview(), *(section(name, command) for name, command in commands())])


def overview() -> Iterator[str]:
    """What each command is for, by what one wants to do."""
    yield "| | command | does |\n|---|---|---|"
    before = ""
    for topic, names in topics().items():
        for name in names:
            parts = [words for words, _ in commands() if words.split()[0] == name]
            told = f"[`semblant {name}`](#semblant-{parts[0].replace(' ', '-')})" if parts else f"`semblant {name}`"
            yield f"| {topic if topic != before else ''} | {told} | {KNOWN[name].help} |"
            before = topic
    yield ""


def section(name: str, command: click.Command) -> str:
    """Usage, explanation and options of one command."""
    context = click.Context(command, info_name=f"semblant {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [_row(option, context) for option in command.params if isinstance(option, click.Option)]
    table = ["", "| option | takes | default | |", "|---|---|---|---|", *rows] if rows else []
    help_text = inspect.cleandoc(command.help or "").replace("<", r"\<")  # no tags
    return "\n".join([f"## semblant {name}", "", f"    semblant {name} {usage}", "", help_text, *table, ""])


def _row(option: click.Option, context: click.Context) -> str:
    extra = option.get_help_extra(context)
    text = option.help or ""
    default = extra.get("default")
    if told := _DEFAULT.search(text):  # where the library chooses, the help says what
        text, default = text[: told.start()], told[1]
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else f"`{option.make_metavar(context)}`"
    if option.multiple:
        takes += ", repeatable"
    if "range" in extra:
        takes += f", {extra['range']}"
    if option.secondary_opts and default:
        default = f"`--{default.lstrip('-')}`"
    if option.required:
        default = "required"
    if "envvars" in extra:
        text += f" Environment: {', '.join(f'`{name}`' for name in extra['envvars'])}."
    cells = (names, takes, default or "", text)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
