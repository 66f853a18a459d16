"""Files beside pictures that say something about them: which picture each is about.

`picture.jpg.json` and `picture.json`; what Google Takeout writes, `picture.jpg.supplemental-metadata.json`, cut to 46 letters
before `.json`, at times with half of the picture's ending or none, and with the number of a second `picture.jpg` behind the
name: `picture.jpg(1).json` is about `picture(1).jpg`; `picture.jpg.xmp` and `picture.xmp`; captions, `picture.txt` and
`picture.caption`.

A file whose name is a picture's in another of Unicode's spellings, or in other cases of letters, is about that picture where it
can mean no other one: Macs, Windows and archives write names anew.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from semblant_indexer.matching import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

__all__ = ["CAPTION_SUFFIXES", "SPELLINGS", "sidecars_of"]

CAPTION_SUFFIXES = (".txt", ".caption")
_SUFFIXES = (*CAPTION_SUFFIXES, ".xmp", ".json")
"""The last has the last word."""
_JSON = _SUFFIXES.index(".json")
_NUMBER = re.compile(r"(.*)(\(\d+\))", re.DOTALL)
_TAKEOUT = "supplemental-metadata"
_SURE_TAKEOUT = 4
"""Letters of it that are no ending of anything else."""
_LONGEST_TAKEOUT = 46
"""Letters that Takeout leaves of a name before `.json`."""
_EDITED = (
    *(
        "edited",
        "effects",
        "smile",
        "mix",
        "bearbeitet",
        "modifié",
        "editado",
        "ha editado",
        "editada",
        "modificato",
        "bewerkt",
    ),
    *("edytowane", "editat", "redigerad", "redigeret", "redigert", "muokattu", "upraveno", "düzenlendi", "szerkesztett"),
    *("отредактировано", "редактировано", "изменено", "編集済み", "已編輯", "已编辑", "수정됨"),
)
"""What Takeout puts behind the name of an edited copy, in its users' languages."""
_COPY = re.compile(rf"(.+)-(?:{'|'.join(map(composed, _EDITED))})(\(\d+\))?", re.DOTALL | re.IGNORECASE)


class _Candidate(NamedTuple):
    """A sidecar that may be a picture's: by its kind, how its name is written, how it says the picture's, and its name."""

    kind: int
    spelled: int
    rank: int
    file: str


def sidecars_of(pictures: Iterable[str], files: Iterable[str]) -> dict[str, list[str]]:
    """The sidecars of each picture of a folder, those that have the last word at the end.

    Args:
        pictures: names of the folder's pictures that are taken.
        files: names of its other files.
    """
    rest = [file for file in files if _kind(file) is not None]
    if not rest:
        return {}
    names = set(pictures)
    found: dict[str, list[_Candidate]] = {}
    spelled = [_Names(names, spelling) for spelling in SPELLINGS]
    for number, those in enumerate(spelled):
        rest = _match(those, number, rest, found)
    _give_to_copies(spelled, names - found.keys(), rest, found)
    return {picture: _ranked(candidates) for picture, candidates in found.items()}


class _Names:
    """The names of pictures in one spelling, without those that are the same in it."""

    def __init__(self, names: Iterable[str], spelling: Callable[[str], str]) -> None:
        self.spelling = spelling
        self.by_name: dict[str, str] = {}
        doubled = set()
        for name in names:
            if self.by_name.setdefault(spelling(name), name) != name:
                doubled.add(spelling(name))
        for name in doubled:
            del self.by_name[name]
        self.by_stem: dict[str, list[str]] = {}
        for name in self.by_name:
            self.by_stem.setdefault(name.rpartition(".")[0], []).append(name)

    def about(self, stem: str, *, json: bool) -> tuple[list[str], int]:
        """The pictures that a file of this name without its suffix is about, and the rank of that way to say it."""
        if stem in self.by_name:
            return [self.by_name[stem]], 0
        if json and (taken := _by_takeout(stem, self.by_name.keys())) is not None:
            return [self.by_name[taken]], 1
        return [self.by_name[name] for name in self.by_stem.get(stem, ())], 2


def _match(names: _Names, spelled: int, files: list[str], found: dict[str, list[_Candidate]]) -> list[str]:
    """Add files to the pictures that they are about in this spelling; returns those that are about none."""
    rest = []
    for file in files:
        kind = _kind(file)
        assert kind is not None, "others were left out"
        about, rank = names.about(names.spelling(file.rpartition(".")[0]), json=kind == _JSON)
        for picture in about:
            found.setdefault(picture, []).append(_Candidate(kind, spelled, rank, file))
        if not about:
            rest.append(file)
    return rest


def _give_to_copies(spelled: list[_Names], bare: set[str], rest: list[str], found: dict[str, list[_Candidate]]) -> None:
    """Takeout has one sidecar for a picture and for its edited copy, which may be all that is there."""
    of_copies = {name: original for name in bare if "-" in name and (original := _original(name)) is not None}
    if not of_copies:
        return
    there = {original: _first(spelled, original) for original in of_copies.values()}
    missing = _Names((original for original, name in there.items() if name is None), _folded)
    of_missing: dict[str, list[_Candidate]] = {}
    _match(missing, len(spelled), rest, of_missing)
    for name, original in of_copies.items():
        known = there[original]
        candidates = of_missing.get(original, []) if known is None else found.get(known, [])
        if copied := [candidate for candidate in candidates if candidate.kind == _JSON]:
            found[name] = copied


def _first(spelled: list[_Names], name: str) -> str | None:
    """The picture of a name, or of what can only be the same name."""
    return next((there for names in spelled if (there := names.by_name.get(names.spelling(name))) is not None), None)


def _original(name: str) -> str | None:
    """The name of the picture that an edited copy was made of, composed; None for a name of no edited copy."""
    stem, dot, suffix = composed(name).rpartition(".")
    copy = _COPY.fullmatch(stem)
    return f"{copy[1]}{copy[2] or ''}{dot}{suffix}" if copy is not None else None


def _folded(name: str) -> str:
    return composed(name).casefold()


SPELLINGS = (str, composed, _folded)
"""A name as it is, in one of Unicode's spellings, and without regard to case."""


def _kind(file: str) -> int | None:
    """Which of the kinds of sidecars a file is, captions being one; None for other files."""
    _, dot, suffix = file.rpartition(".")
    suffix = dot + suffix.lower()
    return max(_SUFFIXES.index(suffix), len(CAPTION_SUFFIXES) - 1) if suffix in _SUFFIXES else None


def _ranked(candidates: list[_Candidate]) -> list[str]:
    """One of each kind, JSON last: a name as it is written counts, and the longer one."""
    ordered = sorted(candidates, key=lambda each: (each.kind, -each.spelled, -each.rank, each.file))
    return list({candidate.kind: candidate.file for candidate in ordered}.values())


def _by_takeout(stem: str, names: Collection[str]) -> str | None:
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
