"""Choosing the store from what a user gives as the database."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput
from semblant_search.shown import shown, shown_name, without_password

from .names import node_urls

if TYPE_CHECKING:
    from typing import TypeGuard

    from qdrant_client import QdrantClient

    from .database import Database
    from .engines.qdrant.connection import RetryPolicy

__all__ = ["DEFAULT_TIMEOUT", "open_database"]

DEFAULT_TIMEOUT = 30.0
"""Seconds that one call to a server may take."""

_LONGEST = 4096  # characters of a path, in most systems
_SCHEMES = ("http", "https", "grpc", "grpcs")


def open_database(
    location: str | os.PathLike[str] | QdrantClient,
    *,
    api_key: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    retry: RetryPolicy | None = None,
    create: bool = False,
) -> Database:
    """The database in a directory (Qdrant Edge), or behind a URL (`http(s)://`, `grpc(s)://`: a Qdrant server or cluster).

    Args:
        location: a directory, a URL (of a cluster several, with commas between them), or an open `QdrantClient`, which is used
            as it is and stays open.
        api_key: for a server that asks for one.
        timeout: seconds for one call to a server, with all its tries.
        retry: when to try a call again; None is a `RetryPolicy()`.
        create: accept a directory that does not exist yet or is empty.

    Raises:
        InvalidInput: a URL of another scheme, or an API key for a directory.
        NotADatabase: the directory is not one.
        StoreUnavailable, StoreDenied: the server cannot be used.
    """
    if retry is not None:
        from .engines.qdrant.connection import RetryPolicy

        if not isinstance(retry, RetryPolicy):
            raise InvalidInput(f"retry {shown(retry)}: expected a semblant_search.store.RetryPolicy, or None")
    if _is_client(location):
        from .engines.qdrant.server import QdrantDatabase

        if api_key is not None:
            raise InvalidInput("a QdrantClient as database has its API key already; leave the key out")
        return QdrantDatabase(client=location, timeout=timeout, retry=retry)
    if not isinstance(location, (str, os.PathLike)) or not isinstance(os.fspath(location), str):
        raise InvalidInput(f"database of type {type(location).__name__}: expected a directory, a URL or a QdrantClient")
    if api_key is not None and not (isinstance(api_key, str) and api_key.isascii() and api_key.isprintable()):
        raise InvalidInput("the API key has characters that no key has, such as a line break at its end; give it without them")
    text = os.fspath(location)
    if len(text) > _LONGEST or "\0" in text or not _is_encodable(text):
        raise InvalidInput(f"database {shown_name(text)}: is no name of a directory, and no URL")
    if "://" in text:
        if any(url.partition("://")[0].lower() not in _SCHEMES for url in node_urls(text)):
            service = text.partition("://")[0].lower() in ("semblant", "semblants")
            advice = "; a service is searched, and indexed by `semblant jobs start`" if service else ""
            raise InvalidInput(
                f"database {without_password(text)!r}: expected a directory, or a URL that begins with {', '.join(_SCHEMES)}"
                f"{advice}"
            )
        from .engines.qdrant.server import QdrantDatabase

        return QdrantDatabase(text, api_key=api_key, timeout=timeout, retry=retry)
    if api_key is not None:
        raise InvalidInput(
            f"database {shown_name(text)} is a directory; an API key is for servers: give a URL, or leave the key out"
        )
    if not text:
        raise InvalidInput("database '': expected a directory or a URL")
    from .engines.edge.directory import DirectoryDatabase

    return DirectoryDatabase(text, create=create)


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _is_client(location: object) -> TypeGuard[QdrantClient]:
    """Without loading qdrant-client, which who has a client has done."""
    loaded = sys.modules.get("qdrant_client")
    return loaded is not None and isinstance(location, loaded.QdrantClient)
