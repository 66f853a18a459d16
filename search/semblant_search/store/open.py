"""Choosing the store from what a user gives as the database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from .database import Database

__all__ = ["DEFAULT_TIMEOUT", "open_database"]

DEFAULT_TIMEOUT = 30.0
"""Seconds that one request to a server may take."""

_SCHEMES = ("http", "https", "grpc", "grpcs")


def open_database(
    location: str | os.PathLike[str], *, api_key: str | None = None, timeout: float = DEFAULT_TIMEOUT, create: bool = False
) -> Database:
    """The database in a directory (Qdrant Edge), or behind a URL (`http(s)://`, `grpc(s)://`: a Qdrant server or cluster).

    Args:
        location: a directory or a URL.
        api_key: for a server that asks for one.
        timeout: seconds for one request to a server.
        create: accept a directory that does not exist yet or is empty.

    Raises:
        InvalidInput: a URL of another scheme, or an API key for a directory.
        NotADatabase: the directory is not one.
        StoreUnavailable, StoreDenied: the server cannot be used.
    """
    text = os.fspath(location)
    scheme, separator, _ = text.partition("://")
    if separator:
        if scheme.lower() not in _SCHEMES:
            raise InvalidInput(f"database {text!r}: expected a directory, or a URL that begins with {', '.join(_SCHEMES)}")
        from .engines.qdrant.server import QdrantDatabase

        return QdrantDatabase(text, api_key=api_key, timeout=timeout)
    if api_key is not None:
        raise InvalidInput(f"database {text!r} is a directory; an API key is for servers: give a URL, or leave the key out")
    if not text:
        raise InvalidInput("database '': expected a directory or a URL")
    from .engines.edge.directory import DirectoryDatabase

    return DirectoryDatabase(text, create=create)
