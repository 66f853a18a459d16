"""Names of generations and of files kept with them, what is said of names that are not there, and what never is."""

from __future__ import annotations

import re

from semblant_search.errors import InvalidInput
from semblant_search.shown import without_password

__all__ = [
    "SERVED_ASSET",
    "check_asset_name",
    "check_generation",
    "is_generation",
    "node_urls",
    "not_found",
    "without_password",
]

SERVED_ASSET = "complete"
"""Kept with a generation that has served, which nobody may take for one that was never finished."""


def check_asset_name(name: str) -> None:
    """Accept a plain file name, or raise `InvalidInput`."""
    if not name or name.startswith(".") or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
        raise InvalidInput(f"asset name {name!r}: expected letters, digits, '.', '-' or '_'")


def is_generation(name: str) -> bool:
    """`g0001`, `g0002`, …"""
    return len(name) >= 5 and name[0] == "g" and name[1:].isascii() and name[1:].isdigit()


def check_generation(name: str) -> str:
    """Accept a generation's name, or raise `InvalidInput`."""
    if not is_generation(name):
        raise InvalidInput(f"generation {name!r}: expected a name such as 'g0001'")
    return name


def not_found(location: str, collection: str, serving: dict[str, str]) -> str:
    """The message for a collection that is not there."""
    there = f"there: {', '.join(sorted(serving))}" if serving else "it has none yet"
    return f"database {location!r} has no collection {collection!r}; {there}"


def node_urls(url: str) -> list[str]:
    """The URLs of a cluster's nodes, which commas separate; of anything else the text itself.

    Raises:
        InvalidInput: some of them have a user and password and others not: the comma may be one of a password.
    """
    urls = re.split(r",\s*(?=[A-Za-z]+://)", url)
    if len({"@" in each for each in urls}) > 1:
        raise InvalidInput(
            f"database {without_password(url)!r}: expected a user and password in the URL of each node or of none; in a "
            "password, write a comma as %2C"
        )
    return urls
