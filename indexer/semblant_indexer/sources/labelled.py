"""labelme's files in a folder of their own, which say themselves what picture they are about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from semblant_indexer.records import read_json
from semblant_indexer.tables.texts import decoded

from .sidecars import LARGEST_SIDECAR

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["labelled_picture"]

_HEAD = 65536
_MARKS = (b'"shapes"', b'"imagePath"')


def labelled_picture(path: Path) -> str | None:
    """The path of the picture, relative to its folder, that one of labelme's files is about; None for any other file.

    Of files that do not look like one the first bytes are read only.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO is not waited for
        with os.fdopen(descriptor, "rb") as file:
            head = file.read(_HEAD) or b""
            if not any(mark in head for mark in _MARKS):
                return None
            content = read_json(decoded(head + (file.read(LARGEST_SIDECAR) or b"")))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return None
    name = content.get("imagePath")
    return name.replace("\\", "/") if isinstance(name, str) and name.strip() else None
