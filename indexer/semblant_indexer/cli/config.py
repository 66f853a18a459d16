"""`--config FILE`: the options of a command from a TOML file, each under its own name."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Any

import click
from semblant_search.collection import FieldType
from semblant_search.errors import MetadataError
from semblant_search.shown import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["config_option"]

_NAMES = {"source": "source_name", "field": "fields"}
"""Of options that are called otherwise in a file, where `source` is the argument."""
_PATHS = {"source", "db", "encoder", "metadata", "state", "export", "report"}
"""Options that are paths, or may be: in a file they are relative to its folder."""


def config_option(command: Any) -> Any:
    """Add --config. What is given on the command line, or by an environment variable, counts before what the file says."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read,
        help="Job as TOML: options by their names (prune_limit = 5), source, [fields]; paths are relative to it. The command "
        "line wins.",
    )(command)


def _read(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        text = path.read_bytes().decode()
        told = tomllib.loads(text)
    except OSError as error:
        raise click.UsageError(f"--config {str(path)!r}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(f"--config {str(path)!r}: is no TOML: {error}") from error
    known = {_key(parameter): parameter for parameter in ctx.command.params if parameter.name not in ("config", "help")}
    defaults: dict[str, Any] = {}
    for key, value in told.items():
        name = key.replace("-", "_")
        parameter = known.get(name)
        if parameter is None:
            near = difflib.get_close_matches(name, known, 1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise click.UsageError(f"{path}{_line(text, key)}: key {key!r}: there is no such option; {advice}")
        assert parameter.name is not None
        try:
            value = _plain(parameter, value)
            parameter.type_cast_value(ctx, value)
        except _WrongFieldError as error:
            place = _line(text, error.field, key) or _line(text, key)
            raise click.UsageError(f"{path}{place}: key {key!r}: {error}") from error
        except (click.BadParameter, TypeError, ValueError) as error:
            raise click.UsageError(f"{path}{_line(text, key)}: key {key!r}: {error}") from error
        defaults[parameter.name] = _beside(path, value) if name in _PATHS else value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _beside(path: Path, value: Any) -> Any:
    """A path as the command takes it: in the file it is relative to the file's folder. URLs are left alone."""
    return value if "://" in value else str(path.parent / value)


def _line(text: str, key: str, table: str = "") -> str:
    """Where a key is, as `, line 3`; empty where that is not to be seen, as for one that is written in another way."""
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if (head := _TABLE.match(line)) is not None:
            inside = head[1].strip("\"'")
            if inside == key and not table:
                return f", line {number}"
        elif inside == table and (found := _KEY.match(line)) is not None and found[1].strip("\"'") == key:
            return f", line {number}"
    return ""


_TABLE = re.compile(r"""\s*\[\s*([\w-]+|"[^"]*"|'[^']*')\s*\]""")
_KEY = re.compile(r"""\s*([\w-]+|"[^"]*"|'[^']*')\s*=""")


def _key(parameter: click.Parameter) -> str:
    """The name of an option in a file: as it is typed, with underscores."""
    if isinstance(parameter, click.Argument):
        return str(parameter.name)
    name = max(parameter.opts, key=len).lstrip("-").replace("-", "_")
    return _NAMES.get(name, name)


class _WrongFieldError(ValueError):
    """A declaration in the table of fields that is none."""

    def __init__(self, field: str, value: object) -> None:
        kinds = ", ".join(kind.value for kind in FieldType)
        super().__init__(f"field {field!r}: {_toml(value)}: expected its type as text, one of {kinds}")
        self.field = field


def _plain(parameter: click.Parameter, value: object) -> object:
    """A TOML value as the command line would have it. Raises `ValueError` for one of the wrong kind."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return _of_kind(value, bool, "true or false")
    if parameter.name == "fields" and isinstance(value, dict):
        for name, kind in value.items():
            if not isinstance(kind, str) or kind.strip().lower() not in {each.value for each in FieldType}:
                raise _WrongFieldError(name, kind)
        return [f"{name}:{kind}" for name, kind in value.items()]
    if isinstance(parameter, click.Option) and parameter.multiple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            also = ", or a table of names and types" if parameter.name == "fields" else ""
            raise ValueError(f"{_toml(value)}: expected a list of texts{also}")
        if parameter.name == "fields":
            _check_declarations(value)
        return value
    if isinstance(parameter.type, click.types.IntParamType):
        return _of_kind(value, int, "a whole number")
    if isinstance(parameter.type, click.types.FloatParamType):
        return _of_kind(value, (int, float), "a number")
    if parameter.name == "frames" and isinstance(value, int):
        return str(_of_kind(value, int, "a text, or a whole number"))
    return _of_kind(value, str, "a text")


def _check_declarations(texts: list[str]) -> None:
    from semblant_search.writing.metadata import parse_declaration

    try:
        for text in texts:
            parse_declaration(text)
    except MetadataError as error:
        raise ValueError(str(error)) from error


def _of_kind(value: object, kind: type | tuple[type, ...], expected: str) -> object:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{_toml(value)}: expected {expected}")
    return value


def _toml(value: object) -> str:
    """A value as it stands in the file."""
    return str(value).lower() if isinstance(value, bool) else shown(value)
