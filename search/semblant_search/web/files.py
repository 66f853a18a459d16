"""The files of indexed pictures, as far as a service gives them out: under an allowed root, and as they were indexed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.collection import uri_path
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import most_bytes, read_file
from semblant_search.shown import shown_name

from .problems import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from semblant_search.results import Picture
    from semblant_search.writing.source_changes import SourceSummary

__all__ = ["folders_of", "place_of", "read_picture"]

_CHANGED = "is another one since it was indexed; index it again"


def folders_of(sources: Iterable[SourceSummary]) -> tuple[Path, ...]:
    """The local folders that were indexed."""
    folders = []
    for source in sources:
        if source.root.endswith("/") and (path := _local(source.root)) is not None:
            folders.append(path)
    return tuple(folders)


def place_of(picture: Picture, roots: Iterable[Path]) -> Path:
    """Where the picture's file is, links followed. Raises `ServiceError` unless it is a local file under one of the roots."""
    path = _local(picture.uri)
    if path is None:
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: is no file of the service's machine")
    place = os.path.realpath(path)
    if not any(_is_within(place, os.path.realpath(root)) for root in roots):
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: lies in no folder that this service gives out")
    return Path(place)


def read_picture(picture: Picture, place: Path, max_pixels: int) -> bytes:
    """The bytes of its file. Raises `ServiceError` where it is gone, or has other bytes than those that were indexed."""
    try:
        data, _ = read_file(place, limit=most_bytes(max_pixels))
    except ImageError as error:
        why = {"missing": "is gone", "empty": _CHANGED}.get(error.reason, "cannot be read")
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: its file {why}") from error
    if hashlib.sha256(data).hexdigest() != picture.facts.get("_sha256"):
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: its file {_CHANGED}")
    return data


def _local(uri: str) -> Path | None:
    try:
        return uri_path(uri)
    except InvalidInput:
        return None


def _is_within(place: str, root: str) -> bool:
    return place == root or place.startswith(root.rstrip(os.sep) + os.sep)
