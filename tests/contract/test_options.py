"""Every option and argument of every command reaches the library, and changes nothing but what it is for."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest
from semblant_search.cli import semblant
from semblant_search.collection import StorageOptions
from support.options import TABLES, CommandTable, received

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = [(name, option) for name, table in TABLES.items() for option in table.rows]
ON_A_DATABASE = [name for name, table in TABLES.items() if "--db" in table.required]


def _commands(group: click.Group, words: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{words}{name} ")
        else:
            yield f"{words}{name}", command


COMMANDS = dict(_commands(semblant))


def _names(command: click.Command) -> set[str]:
    """Options as they are typed, and arguments as the help calls them."""
    names: set[str] = set()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names |= {*parameter.opts, *parameter.secondary_opts}
        else:
            names.add(parameter.make_metavar(click.Context(command)))
    return names


def test_every_command_has_a_table() -> None:
    assert set(TABLES) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_its_table(name: str) -> None:
    table = TABLES[name]
    assert {*table.rows, *table.shown, *table.unused} == _names(COMMANDS[name])
    assert len(table.rows) + len(table.shown) + len(table.unused) == len(_names(COMMANDS[name]))


@pytest.mark.parametrize("name", TABLES)
def test_without_options_the_library_s_own_defaults_hold(name: str) -> None:
    table = TABLES[name]
    assert received(table.words(), table.seams) == dict(table.defaults)


@pytest.mark.parametrize(("name", "option"), ROWS)
def test_an_option_sets_what_it_is_for_and_nothing_else(name: str, option: str) -> None:
    table = TABLES[name]
    assert received(table.words(option), table.seams) == table.expected(option)


_DETAILS = {"limit": 3, "offset": 2, "where": "price < 9", "include_self": True, "region": (1.0, 2.0, 3.0, 4.0)}
_COMBINED: list[tuple[str, str, dict[str, object]]] = [
    ("extract", "--dim 0", {"extract.job.dim": None}),
    ("train", "--size 28", {"train.job.size": (28, 28)}),
    ("train", "--size 48×64", {"train.job.size": (48, 64)}),
    ("index", "--quantize scalar --on-disk", {"run.job.storage": StorageOptions("scalar", on_disk=True)}),
    (
        "search",
        "--features -k 3 --offset 2 --where 'price < 9' --include-self --region 1,2,3,4",
        {f"search_features.{name}": value for name, value in _DETAILS.items()},
    ),
    (
        "search",
        "--fused --shared-parts --exact --min-score 0.5 --offset 2",
        {
            "search_fused.shared_parts": True,
            "search_fused.exact": True,
            "search_fused.min_score": 0.5,
            "search_fused.offset": 2,
        },
    ),
    (
        "export",
        "--quantize int8 --name mine --cells --dim 8",
        {f"export_quantized.options.{name}": value for name, value in (("name", "mine"), ("cells", True), ("dim", 8))},
    ),
]


@pytest.mark.parametrize(("name", "words", "sets"), _COMBINED)
def test_options_go_together_and_have_their_special_values(name: str, words: str, sets: dict[str, object]) -> None:
    table = TABLES[name]
    found = received([*table.words(), *shlex.split(words)], table.seams)
    assert {key: found[key] for key in sets} == sets


@pytest.mark.parametrize("name", ON_A_DATABASE)
def test_database_and_key_may_come_from_the_environment(name: str) -> None:
    table: CommandTable = TABLES[name]
    bare = [word for word in table.words() if word not in table.required["--db"]]
    from_environment = {"SEMBLANT_DB": "http://host:1", "SEMBLANT_API_KEY": "secret"}
    given = ["--db", "http://host:1", "--api-key", "secret"]
    expected = received([*bare, *given], table.seams)
    assert received(bare, table.seams, from_environment) == expected
    # What is typed counts.
    assert received([*bare, *given], table.seams, {"SEMBLANT_DB": "other.db", "SEMBLANT_API_KEY": "other"}) == expected


_NUMBER = re.compile(r"\[default: ([\d.]+)\]")
_DOCUMENTED = [
    (name, option.opts[-1], float(found[1]))
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and (found := _NUMBER.search(option.help or ""))
]


@pytest.mark.parametrize(("name", "option", "number"), _DOCUMENTED)
def test_a_default_that_the_help_names_is_the_library_s(name: str, option: str, number: float) -> None:
    if (name, option) == ("train", "--dim"):
        from semblant_exporter import models

        assert models.build("cae", {"height": 28, "width": 28, "channels": 1}).dim == number
        return
    (parameter,) = TABLES[name].rows[option].sets
    assert TABLES[name].defaults[parameter] == number
