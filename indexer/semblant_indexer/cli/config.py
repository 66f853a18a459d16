"""`--config FILE`: the options of a command from a TOML file, each under its own name."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

import click

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["config_option"]

_NAMES = {"source": "source_name", "field": "fields"}
"""Of options that are called otherwise in a file, where `source` is the argument."""


def config_option(command: Any) -> Any:
    """Add --config. What is given on the command line, or by an environment variable, counts before what the file says."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read,
        help="Job as TOML: options by their names (prune_limit = 5), source, [fields]; the command line wins.",
    )(command)


def _read(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        with path.open("rb") as file:
            told = tomllib.load(file)
    except OSError as error:
        raise click.UsageError(f"--config {str(path)!r}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--config {str(path)!r}: is no TOML: {error}") from error
    known = {_key(parameter): parameter for parameter in ctx.command.params if parameter.name not in ("config", "help")}
    defaults: dict[str, Any] = {}
    for key, value in told.items():
        name = key.replace("-", "_")
        parameter = known.get(name)
        if parameter is None:
            near = difflib.get_close_matches(name, known, 1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise click.UsageError(f"{path}: key {key!r}: there is no such option; {advice}")
        assert parameter.name is not None
        try:
            value = _plain(parameter, value)
            parameter.type_cast_value(ctx, value)
        except (click.BadParameter, TypeError, ValueError) as error:
            raise click.UsageError(f"{path}: key {key!r}: {error}") from error
        defaults[parameter.name] = value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _key(parameter: click.Parameter) -> str:
    """The name of an option in a file: as it is typed, with underscores."""
    if isinstance(parameter, click.Argument):
        return str(parameter.name)
    name = max(parameter.opts, key=len).lstrip("-").replace("-", "_")
    return _NAMES.get(name, name)


def _plain(parameter: click.Parameter, value: object) -> object:
    """A TOML value as the command line would have it. Raises `ValueError` for one of the wrong kind."""
    flag = isinstance(parameter, click.Option) and parameter.is_flag
    if parameter.name == "fields" and isinstance(value, dict):
        value = [f"{name}:{kind}" for name, kind in value.items()]
    if flag:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r}: expected true or false")
        return value
    if parameter.multiple if isinstance(parameter, click.Option) else False:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{value!r}: expected a list of texts" + (", or a table" if parameter.name == "fields" else ""))
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{value!r}: expected a text or a number")
    return value
