"""What a folder source tells of files that are no pictures of it, and of rows that name none."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

from semblant_search.shown import shown_name

from semblant_indexer.url_reading import unsigned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from semblant_indexer.metadata_table import MetadataTable

    from .walking import LeftOut

__all__ = ["file_kind", "packed_kind", "rows_unseen", "told"]

_MOST_KINDS = 20
_MOST_STRANGERS = 5
_SHORT_TARS = {"TGZ": "TAR.GZ", "TBZ": "TAR.BZ2", "TBZ2": "TAR.BZ2", "TXZ": "TAR.XZ", "TZST": "TAR.ZST"}
_PACKED = frozenset({*_SHORT_TARS.values(), "7Z", "RAR", "CBR", "CB7", "CAB", "ISO", "DMG", "LZH", "ACE", "SIT", "SITX", "ARJ"})
"""Archives that nothing here looks into."""
_READ = frozenset({"TAR"})
"""Those that are sources of their own; of ZIP archives the source itself tells."""


def file_kind(name: str) -> str:
    """The kind of a file by its name: `MOV`, `TAR.GZ`."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    if (packed := _SHORT_TARS.get(suffix.upper(), f"TAR.{suffix.upper()}")) in _PACKED and (
        stem.lower().endswith(".tar") or suffix.upper() in _SHORT_TARS
    ):
        return packed
    return suffix.upper() if stem and dot and 0 < len(suffix) <= 8 and suffix.isprintable() else "without suffix"


def packed_kind(name: str) -> str | None:
    """The kind of an archive that nothing here looks into; None for other files."""
    kind = file_kind(name)
    return kind if kind in _PACKED else None


def rows_unseen(
    table: MetadataTable,
    pictures: Iterable[str],
    scope: str,
    root: str,
    second: Callable[[], Iterable[str]] = lambda: (),
) -> str | None:
    """Let the rows of a table find their pictures; a note on those that name none.

    `scope` is the URI of the folder of the pictures, `root` its name for messages, `second` tells second names of pictures,
    once all of these are known. Each table none of whose rows names a picture is about something else, and is forgotten with
    its columns.
    """
    if not len(table):
        return None
    unseen, first, strangers = table.match(pictures, scope, second)
    if not unseen:
        return None
    rows = "; ".join(f"{_below(root, row.place)}, line {row.line}: {shown_name(unsigned(row.named))}" for row in first)
    which = "" if unseen <= len(first) else "the first: "
    note = f"{unseen:,} metadata row{'s name' if unseen != 1 else ' names'} no picture in {root!r} ({which}{rows})"
    if not strangers:
        return note
    table.forget(strangers)
    names = ", ".join(map(shown_name, strangers[:_MOST_STRANGERS]))
    names += f" and {len(strangers) - _MOST_STRANGERS:,} more" if len(strangers) > _MOST_STRANGERS else ""
    are = "it is" if len(strangers) == 1 else "they are"
    return f"{note}, and so no row of {names} does: {are} left alone (--no-metadata looks for no table)"


def _below(root: str, place: str) -> str:
    """A table's name as seen from the pictures' folder; the last part of what lies beside it."""
    inside = place.removeprefix(root.rstrip("/\\"))
    return inside.replace("\\", "/").lstrip("/#") if inside != place and inside[:1] in "/\\#" else PurePath(place).name


def told(sidecars: int, others: Counter[str], left: LeftOut) -> list[str]:
    """Notes on sidecars used, on files of other kinds, and on all that was left out."""
    notes = [f"{_some(sidecars, 'sidecar')} used"] if sidecars else []
    if count := sum(others.values()):
        notes.append(f"{_some(count, 'file')} without a picture's name left alone: {_by_kind(others)}")
    if tars := {kind: number for kind, number in others.items() if kind in _READ}:
        notes.append(f"archives are sources of their own: {_by_kind(Counter(tars))} (semblant index FILE.tar)")
    if packed := {kind: number for kind, number in others.items() if kind in _PACKED}:
        notes.append(
            f"archives that are not looked into: {_by_kind(Counter(packed))} (unpack them, or pack them anew as ZIP or TAR)"
        )
    if left.by_patterns:
        notes.append(f"{_some(left.by_patterns, 'file')} or folders left out by patterns")
    if left.hidden:
        notes.append(f"hidden files and folders left out: {left.hidden:,} (--hidden takes them)")
    if left.system:
        notes.append(f"system files and folders left out: {_by_kind(left.system)} (--include-system takes them)")
    if left.names:
        ones = "picture is there under its" if left.names == 1 else "pictures are there under their"
        notes.append(f"{_some(left.names, 'link')} left out: the {ones} own name{'' if left.names == 1 else 's'}")
    return notes


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _by_kind(counts: Counter[str]) -> str:
    """`14 HEIC, 3 MOV`: the most frequent first."""
    kinds = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(count for _, count in kinds[_MOST_KINDS:])
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds[:_MOST_KINDS]) + (f", {rest:,} others" if rest else "")
