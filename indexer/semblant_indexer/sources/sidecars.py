"""What files beside pictures say about them; which picture each is about, `sidecar_names` tells."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any

from semblant_search.shown import shown_error
from semblant_search.writing.metadata import clean_text

from semblant_indexer.records import kept_record, read_json
from semblant_indexer.tables.objects import coco_pictures
from semblant_indexer.tables.texts import decoded

from .sidecar_names import CAPTION_SUFFIXES
from .xmp import read_xmp

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["LARGEST_SIDECAR", "read_sidecar", "sidecar_content", "sidecar_record"]

_LONGEST_CAPTION = 20_000
"""Bytes; what is longer is a document."""
_NUMBERS = re.compile(r"[\d\s.,+\-eE]*")
"""YOLO's boxes, say."""
LARGEST_SIDECAR = 100_000_000
"""Bytes of a sidecar; labelme writes whole pictures into its own."""


def sidecar_record(name: str, content: bytes | Exception, losses: Losses) -> dict[str, Any]:
    """What a sidecar says; nothing where it cannot be used, which `losses` hears of."""
    try:
        if isinstance(content, Exception):
            raise content
        return sidecar_content(name, content, losses)
    except Exception as error:  # JSON's and XML's errors, and whatever kept it from being read
        losses.add("sidecars that cannot be used", f"{name!r}: {shown_error(error)}")
        return {}


def sidecar_content(name: str, content: bytes, losses: Losses, where: str | None = None) -> dict[str, Any]:
    """What a sidecar says; `losses` hears of values that cannot be kept, as being in `where`.

    Raises `ValueError`, and XML's errors, where it cannot be used.
    """
    where = where or name
    if name.lower().endswith(CAPTION_SUFFIXES):
        return _caption(content)
    if name.lower().endswith(".xmp"):
        return kept_record(read_xmp(content), where, losses)
    record = read_json(decoded(content).lstrip("\ufeff"))
    if isinstance(record, list) and len(record) == 1:  # ExifTool's way
        (record,) = record
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")
    if (pictures := coco_pictures(record)) is not None:
        if len(pictures) != 1 or not isinstance(pictures[0], dict):
            raise ValueError(f"COCO's annotations of {len(pictures)} pictures")
        record = {field: value for field, value in pictures[0].items() if field != "file_name"}
    return kept_record(record, where, losses)


def _caption(content: bytes) -> dict[str, Any]:
    """A text about a picture, as those who train generators keep it beside it, as `text`. Raises `ValueError`."""
    if len(content) > _LONGEST_CAPTION:
        raise ValueError(f"a text of more than {_LONGEST_CAPTION:,} bytes is no caption")
    text = decoded(content).lstrip("\ufeff").strip()
    if _NUMBERS.fullmatch(text):
        raise ValueError("there is no word in it")
    return {"text": clean_text(text)}


def read_sidecar(path: Path, losses: Losses) -> dict[str, Any]:
    """What a sidecar on this machine says, as `sidecar_record`."""
    content: bytes | Exception
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            content = ValueError("is not a regular file")
        elif facts.st_size > LARGEST_SIDECAR:
            content = ValueError(f"has more than {LARGEST_SIDECAR:,} bytes")
        else:
            content = path.read_bytes()
    except OSError as error:
        content = error
    return sidecar_record(str(path), content, losses)
