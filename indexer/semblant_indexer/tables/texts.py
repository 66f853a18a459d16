"""The text of a table or a sidecar, in whatever encoding a spreadsheet or a shell wrote it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["decoded", "encoding_of"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PART = 1 << 20


def encoding_of(path: Path, losses: Losses) -> tuple[str, str]:
    """Encoding and error handler that a text table is to be read with. Raises `OSError`.

    What is no UTF-8 is taken for Windows-1252, which Excel writes in the West; but for a few lines of a table whose others are.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        found = _by_head(head)
        if found is not None:
            return found, "replace"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(head)
            while part := file.read(_PART):
                decoder.decode(part)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            if (broken := _broken_lines(file)) is not None:
                for line in broken:
                    losses.add("letters that are no UTF-8", f"{path.name}, line {line}")
                return "utf-8", "replace"
            losses.add(
                "certainty about letters beyond English",
                f"{path.name} is no UTF-8, and read as Windows-1252; save it as UTF-8 to be sure",
            )
            return "cp1252", "replace"
    return "utf-8", "strict"


def _broken_lines(file: Iterable[bytes]) -> list[int] | None:
    """The lines that are no UTF-8, where as many others are UTF-8 beyond ASCII, which nothing else looks like; else None."""
    sound, broken = 0, list[int]()
    for number, line in enumerate(file, start=1):
        try:
            sound += len(line.decode()) < len(line)
        except UnicodeDecodeError:
            broken.append(number)
    return broken if sound >= len(broken) else None


def decoded(data: bytes) -> str:
    """The text of a small file."""
    found = _by_head(data[:4096])
    if found is not None:
        return data.decode(found, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _by_head(head: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) // 5 and not even:  # UTF-16 of Western text without its mark
        return "utf-16-le"
    return "utf-16-be" if even > len(head) // 5 and not odd else None
