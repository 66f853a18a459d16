"""Options that the commands on a database share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.client import SearchClient
    from semblant_search.store import Database

__all__ = ["Target", "connection_options", "database_options", "where_option"]

_COLLECTION = "images"


@dataclass(frozen=True)
class Target:
    """The database and collection that a command works on."""

    db: str
    collection: str
    api_key: str | None
    timeout: float

    def client(self, encoder: str | None = None) -> SearchClient:
        """Open the collection."""
        from semblant_search.client import SearchClient

        return SearchClient(self.db, encoder, self.collection, self.api_key, self.timeout)

    def database(self) -> Database:
        """Open the database without a collection."""
        from semblant_search.store import open_database

        return open_database(self.db, api_key=self.api_key, timeout=self.timeout)


def connection_options(command: Callable[..., Any], *, required: bool = True) -> Callable[..., Any]:
    """Add --db, --api-key and --timeout; the command gets them, and --collection if it has it, as one `target: Target`.

    Without `required` a command that was given no database has "".
    """
    default: dict[str, Any] = {} if required else {"default": ""}  # None is a default, too, to click: nothing would be missing

    @click.option(
        "--db",
        required=required,
        envvar="SEMBLANT_DB",
        show_envvar=True,
        help="Directory or server URL.",
        **default,
    )
    @click.option("--api-key", envvar="SEMBLANT_API_KEY", show_envvar=True, help="API key of the server.")
    @click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for a server's answer.")
    @functools.wraps(command)
    def wrapper(*, db: str, api_key: str | None, timeout: float, collection: str = _COLLECTION, **others: Any) -> Any:
        return command(target=Target(db, collection, api_key, timeout), **others)

    return wrapper


def database_options(command: Callable[..., Any], *, required: bool = True) -> Callable[..., Any]:
    """Add --collection to the `connection_options`."""
    return connection_options(
        click.option("--collection", default=_COLLECTION, show_default=True, help="Name of the collection.")(command),
        required=required,
    )


def where_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --where."""
    return click.option("--where", metavar="EXPR", help="Filter on metadata, such as 'label == \"Sneaker\" and price < 100'.")(
        command
    )
