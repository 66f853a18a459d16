"""Files beside pictures that say something about them: which picture each is about, and what it says.

`picture.jpg.json` and `picture.json`; what Google Takeout writes, `picture.jpg.supplemental-metadata.json`, cut to 46 letters
before `.json`, at times with half of the picture's ending or none, and with the number of a second `picture.jpg` behind the
name: `picture.jpg(1).json` is about `picture(1).jpg`; `picture.jpg.xmp` and `picture.xmp`; captions, `picture.txt` and
`picture.caption`.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any

from semblant_search.shown import shown_error
from semblant_search.writing.metadata import clean_text

from semblant_indexer.records import kept_record, read_json
from semblant_indexer.tables.objects import coco_pictures
from semblant_indexer.tables.texts import decoded

from .xmp import read_xmp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["LARGEST_SIDECAR", "SIDECAR_SUFFIXES", "read_sidecar", "sidecar_record", "sidecars_of"]

_CAPTIONS = (".txt", ".caption")
SIDECAR_SUFFIXES = (*_CAPTIONS, ".xmp", ".json")
"""The last has the last word."""
_LONGEST_CAPTION = 20_000
"""Bytes; what is longer is a document."""
_NUMBERS = re.compile(r"[\d\s.,+\-eE]*")
"""YOLO's boxes, say."""
_JSON = SIDECAR_SUFFIXES.index(".json")
LARGEST_SIDECAR = 100_000_000
"""Bytes of a sidecar; labelme writes whole pictures into its own."""
_NUMBER = re.compile(r"(.*)(\(\d+\))", re.DOTALL)
_TAKEOUT = "supplemental-metadata"
_SURE_TAKEOUT = 4
"""Letters of it that are no ending of anything else."""
_EDITED = "-edited"
_LONGEST_TAKEOUT = 46
"""Letters that Takeout leaves of a name before `.json`."""


def sidecars_of(pictures: Iterable[str], files: Iterable[str]) -> dict[str, list[str]]:
    """The sidecars of each picture of a folder, those that have the last word at the end.

    Args:
        pictures: names of the folder's pictures that are taken.
        files: names of its other files.
    """
    names = set(pictures)
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(name.rpartition(".")[0], []).append(name)
    found: dict[str, list[tuple[int, int, str]]] = {}
    for file in files:
        stem, dot, suffix = file.rpartition(".")
        suffix = dot + suffix.lower()
        if suffix not in SIDECAR_SUFFIXES:
            continue
        kind = max(SIDECAR_SUFFIXES.index(suffix), len(_CAPTIONS) - 1)
        if stem in names:
            about, rank = [stem], 0
        elif kind == _JSON and (taken := _by_takeout(stem, names)) is not None:
            about, rank = [taken], 1
        else:
            about, rank = stems.get(stem, []), 2
        for picture in about:
            found.setdefault(picture, []).append((kind, rank, file))
    for name in names - found.keys():  # Takeout has one for a picture and for its edited copy
        stem, dot, suffix = name.rpartition(".")
        original = found.get(stem.removesuffix(_EDITED) + dot + suffix, []) if stem.endswith(_EDITED) else []
        if copied := [candidate for candidate in original if candidate[0] == _JSON]:
            found[name] = copied
    return {picture: _ranked(candidates) for picture, candidates in found.items()}


def _ranked(candidates: list[tuple[int, int, str]]) -> list[str]:
    """One of each kind, JSON last: the longer name counts."""
    best = {kind: file for kind, _, file in sorted(candidates, key=lambda each: (each[0], -each[1], each[2]))}
    return list(best.values())


def _by_takeout(stem: str, names: set[str]) -> str | None:
    number = _NUMBER.fullmatch(stem)
    base, behind = (number[1], number[2]) if number is not None else (stem, "")
    if behind and (same := _numbered(base, behind)) in names:
        return same
    picture, dot, rest = base.rpartition(".")
    if dot and _TAKEOUT.startswith(rest):
        if (same := _numbered(picture, behind)) in names:
            return same
        if len(rest) >= _SURE_TAKEOUT:
            begun = [name for name in names if _is_begun(name, picture, behind)]
            return begun[0] if len(begun) == 1 else None
    if len(base) == _LONGEST_TAKEOUT:  # so long that nothing of what Takeout adds is left
        longer = [name for name in names if name.startswith(base)]
        return longer[0] if len(longer) == 1 and not behind else None
    return None


def _is_begun(name: str, picture: str, behind: str) -> bool:
    """Whether `picture` is a picture's name but for the end of its ending, or all of it."""
    stem, _, suffix = name.rpartition(".")
    if not stem.endswith(behind):
        return False
    stem = stem.removesuffix(behind)
    return picture == stem or (picture.startswith(f"{stem}.") and f"{stem}.{suffix}".startswith(picture))


def _numbered(picture: str, behind: str) -> str:
    stem, dot, suffix = picture.rpartition(".")
    return f"{stem}{behind}{dot}{suffix}" if behind else picture


def sidecar_record(name: str, content: bytes | Exception, losses: Losses) -> dict[str, Any]:
    """What a sidecar says; nothing where it cannot be used, which `losses` hears of."""
    try:
        if isinstance(content, Exception):
            raise content
        if name.lower().endswith(_CAPTIONS):
            return _caption(content)
        if name.lower().endswith(".xmp"):
            return kept_record(read_xmp(content), name, losses)
        record = read_json(decoded(content))
    except Exception as error:  # JSON's and XML's errors, and whatever kept it from being read
        losses.add("sidecars that cannot be used", f"{name!r}: {shown_error(error)}")
        return {}
    if isinstance(record, list) and len(record) == 1:  # ExifTool's way
        (record,) = record
    if not isinstance(record, dict):
        losses.add("sidecars that cannot be used", f"{name!r}: expected a JSON object")
        return {}
    if (pictures := coco_pictures(record)) is not None:
        if len(pictures) != 1 or not isinstance(pictures[0], dict):
            losses.add("sidecars that cannot be used", f"{name!r}: COCO's annotations of {len(pictures)} pictures")
            return {}
        record = {field: value for field, value in pictures[0].items() if field != "file_name"}
    return kept_record(record, name, losses)


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
