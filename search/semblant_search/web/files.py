"""The files of indexed pictures, as far as a service gives them out: under an allowed root, and as they were indexed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.collection import ADDED, SOURCES_FIELD, picture_place
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.file_access import is_under, real_place
from semblant_search.frame_names import frame_bytes, split_uri
from semblant_search.images import most_bytes, read_file
from semblant_search.shown import shown_name
from semblant_search.stages import in_stage

from .problems import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from semblant_search.results import Picture

__all__ = ["check_folder", "check_there", "place_of", "read_picture", "was_only_sent"]

_CHANGED = "is another one since it was indexed; index it again"


def place_of(picture: Picture, roots: Iterable[Path]) -> Path:
    """Where the picture's file is, links followed. Raises `ServiceError` unless it is a local file under one of the roots."""
    path = _local(picture.uri)
    if path is None:
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: is no file of the service's machine")
    place = real_place(path)
    if place is None or not is_under(place, map(real_place, roots)):
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: lies in no folder that this service gives out")
    return Path(place)


def was_only_sent(picture: Picture) -> bool:
    """Whether a program sent it, and no job indexed it from a file of this machine, so that there is no file to look after."""
    sources = picture.facts.get(SOURCES_FIELD, ())
    return ADDED in sources and (set(sources) == {ADDED} or _local(picture.uri) is None)


def check_there(picture: Picture, place: Path) -> None:
    """Raise `ServiceError` where its file is gone: what was kept of it is no sign of life."""
    if not os.path.lexists(place):
        raise _gone(picture)


def check_folder(given: str, roots: tuple[Path, ...]) -> None:
    """Raise `ServiceError` for a local place outside of the folders that were named to the service, where some were."""
    path = _local(given) if "://" in given else Path(given)
    if roots and path is not None and not is_under(real_place(path), map(real_place, roots)):
        raise ServiceError("not-offered", f"{shown_name(given)}: lies in no folder that this service gives out (--root)")


@in_stage("read")
def read_picture(picture: Picture, place: Path, max_pixels: int) -> bytes:
    """What stands for it (`frame_names`), of its file's bytes.

    Raises `ServiceError` where it is gone, or has other bytes than those that were indexed.
    """
    try:
        data = frame_bytes(read_file(place, limit=most_bytes(max_pixels))[0], split_uri(picture.uri)[1])
    except ImageError as error:
        if error.reason == "missing":
            raise _gone(picture) from error
        why = _CHANGED if error.reason == "empty" else "cannot be read"
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: its file {why}") from error
    if hashlib.sha256(data).hexdigest() != picture.facts.get("_sha256"):
        raise ServiceError("file-not-at-hand", f"{shown_name(picture.uri)}: its file {_CHANGED}")
    return data


def _gone(picture: Picture) -> ServiceError:
    said = f"{shown_name(picture.uri)}: its file is gone; index its folder again, and it is no hit any more"
    return ServiceError("file-gone", said, headers={"Cache-Control": "no-store"})


def _local(uri: str) -> Path | None:
    try:
        place = picture_place(uri)
    except InvalidInput:
        return None
    return None if place is None else place[0]
