"""Failures that somebody accepted, kept in the collection beside the record of their source, for every machine to see."""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003 - the types of what is read from JSON are looked up
from dataclasses import dataclass

from .errors import NotADatabase
from .json_models import parse_object, read_model, write_model

__all__ = ["AcceptedFailures", "accepted_asset", "is_accepted_asset"]

_PREFIX, _SUFFIX = "accepted-", ".json"


@dataclass(frozen=True)
class AcceptedFailures:
    """What was accepted of one source.

    Attributes:
        files: size in bytes and time of the last change (nanoseconds since 1970) of each file as it was then, by its URI
            without the source's root, so that it holds for a source that moved, too.
    """

    files: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, found: Mapping[str, tuple[int, int]], root: str) -> AcceptedFailures:
        """By whole URIs."""
        return cls({uri[len(root) :] if root and uri.startswith(root) else uri: file for uri, file in sorted(found.items())})

    def under(self, root: str) -> dict[str, tuple[int, int]]:
        """By whole URIs, for a source of this root."""
        return {name if "://" in name else root + name: file for name, file in self.files.items()}

    @classmethod
    def from_bytes(cls, data: bytes) -> AcceptedFailures | None:
        """Read what is kept; None where it is damaged: what it said is accepted again."""
        try:
            told = {"what": "the accepted failures", "error": NotADatabase, "advice": "accept them again"}
            return read_model(cls, parse_object(data, **told), **told)  # type: ignore[arg-type]
        except NotADatabase:
            return None

    def to_bytes(self) -> bytes:
        """What is kept."""
        return json.dumps(write_model(self), ensure_ascii=False).encode("utf-8", "surrogateescape")


def accepted_asset(source: str) -> str:
    """The name of the file kept with a generation, by the source's id."""
    return f"{_PREFIX}{source}{_SUFFIX}"


def is_accepted_asset(name: str) -> bool:
    """Whether a file kept with a generation is one."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)
