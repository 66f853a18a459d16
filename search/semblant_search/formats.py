"""Versions of a collection's manifest: which there have been, and how each becomes the next, so that older ones are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import NotADatabase

__all__ = ["FORMAT_VERSION", "upgraded"]

FORMAT_VERSION = 2
"""Version 1 kept each byte of the ORB features as a number of its own."""

_NUMBER_BYTES = 4


def upgraded(data: Mapping[str, Any], what: str = "the collection's manifest") -> dict[str, Any]:
    """A manifest of this version from one of this or an older version. Raises `NotADatabase` for any other."""
    version = data.get("format_version") if isinstance(data, Mapping) else None
    facts = dict(data) if isinstance(data, Mapping) else {}
    while type(version) is int and version in UPGRADES:
        try:
            facts = UPGRADES[version](facts)
        except (KeyError, TypeError, ValueError) as error:
            raise NotADatabase(f"{what} of version {version} is incomplete or wrong: {error!r}; index again") from error
        version += 1
        facts["format_version"] = version
    if type(version) is not int or version != FORMAT_VERSION:
        oldest = min(UPGRADES, default=FORMAT_VERSION)
        raise NotADatabase(
            f"collection format version {version!r} ({what}): this Semblant reads versions {oldest} to {FORMAT_VERSION}; "
            "index again into a new database, or use the Semblant that wrote it"
        )
    return facts


def _from_1(facts: dict[str, Any]) -> dict[str, Any]:
    """A byte of a feature was a number: as numbers hold four bytes now, it takes four times as many (`stored_features`)."""
    orb = facts.get("orb")
    return facts if orb is None else {**facts, "orb": {**orb, "feature_bytes": _NUMBER_BYTES * orb["feature_bytes"]}}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""By version, from its facts to the next one's."""
