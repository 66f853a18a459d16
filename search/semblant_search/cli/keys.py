"""`semblant keys`: who may use a service."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semblant_search.errors import InvalidInput

from .group import command_errors
from .output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.web.keys import Key

__all__ = ["keys"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of a service.

    Their file is what `semblant serve --keys FILE` reads. Keys for some pictures only are signed with another key.
    """


def _file(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--keys",
        "path",
        required=True,
        type=click.Path(path_type=Path),
        envvar="SEMBLANT_KEYS",
        show_envvar=True,
        help="The file.",
    )
    return option(command)


_expires = click.option(
    "--expires", metavar="TIME", show_default="for ever", help="How long it is good for: 90s, 30m, 12h, 365d."
)


@keys.command()
@click.argument("name")
@_file
@click.option(
    "--scope", type=click.Choice(["search", "write", "admin"]), default="search", show_default=True, help="What it allows."
)
@click.option("--where", metavar="EXPR", help="Filter: the pictures that there are for it.")
@_expires
@command_errors()
def create(name: str, path: Path, scope: str, where: str | None, expires: str | None) -> None:
    """Make a key and print it, once: the file keeps what recognizes it, and not the key."""
    from semblant_search.web import KeyFile

    text, _ = KeyFile(path).create(name, scope, where=where, expires=_moment(expires))  # type: ignore[arg-type]
    click.echo(text)


@keys.command("list")
@_file
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@command_errors()
def list_keys(path: Path, as_json: bool) -> None:
    """List the keys: names, scopes, filters, and when they end."""
    from semblant_search.web import KeyFile

    found = KeyFile(path).keys()
    if as_json:
        print_json([_facts(key) for key in found])
        return
    header = ["name", "id", "scope", "where", "created", "expires"]
    print_rows(header, [[str(_facts(key)[column] or "") for column in header] for key in found])


@keys.command()
@click.argument("name")
@_file
@command_errors()
def revoke(name: str, path: Path) -> None:
    """Delete a key by its name or id; it and all that were signed with it are refused at once."""
    from semblant_search.web import KeyFile

    revoked = KeyFile(path).revoke(name)
    click.echo(f"{revoked.name} ({revoked.id}) is revoked")


@keys.command()
@click.option("--where", metavar="EXPR", required=True, help="Filter: the pictures that there are for it.")
@click.option("--key", required=True, envvar="SEMBLANT_KEY", show_envvar=True, help="The key to sign with, sk_….")
@_expires
@command_errors()
def sign(where: str, key: str, expires: str | None) -> None:
    """Make a key that searches the pictures of a filter only, of another one, without the service."""
    from semblant_search.web import sign_key

    click.echo(sign_key(key, where=where, expires=_moment(expires)))


def _moment(duration: str | None) -> float | None:
    """Seconds since 1970 at which so long a time from now is over."""
    if duration is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhd])", duration)
    if found is None or int(found[1]) == 0:
        raise InvalidInput(f"--expires {duration!r}: expected a time such as 90s, 30m, 12h or 365d")
    return time.time() + int(found[1]) * _UNITS[found[2]]


def _facts(key: Key) -> dict[str, str | None]:
    ends = None if key.expires is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key.expires))
    return {"name": key.name, "id": key.id, "scope": key.scope, "where": key.where, "created": key.created, "expires": ends}
