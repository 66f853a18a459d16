"""Canonical URIs of many files in one folder, without taking every path apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from semblant_search.collection import canonical_uri, member_uri, quote_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MemberBase", "UriBase", "UrlBase"]

_PLAIN = re.compile(r"[A-Za-z0-9/._-]*")


class UriBase:
    """Joins relative paths to a folder; always the same as `canonical_uri(folder / path)`, some ten times as fast."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefix = canonical_uri(folder).rstrip("/") + "/" if canonical_uri(folder) != "file:///" else "file:///"

    def join(self, path: str) -> str:
        """The canonical URI of `path`, relative to the folder."""
        if path.startswith("/") or "//" in path or path.endswith(("/", ".")) or "./" in path or not path:
            return canonical_uri(self._folder / path)
        if _PLAIN.fullmatch(path):
            return self._prefix + path
        return self._prefix + quote_path(path)

    @property
    def prefix(self) -> str:
        """What every URI below the folder begins with."""
        return self._prefix


class UrlBase:
    """Joins relative paths to the URL of a folder."""

    def __init__(self, url: str) -> None:
        self.prefix = url.rstrip("/") + "/"

    def join(self, path: str) -> str:
        """The URL of `path` below the folder; a path that begins with a slash is one from the folder, too."""
        return self.prefix + "/".join(part for part in path.split("/") if part not in ("", "."))


class MemberBase:
    """Joins names to a folder within an archive, or to the archive itself."""

    def __init__(self, archive: str, folder: str = "") -> None:
        self._archive = archive
        self._folder = folder

    def join(self, path: str) -> str:
        """The URI of a member."""
        return member_uri(self._archive, f"{self._folder}/{path}")
