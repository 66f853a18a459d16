"""The letters of names in a ZIP archive, of which an old one does not say what its bytes mean.

A name counts as the archive says it: marked as UTF-8, or given once more in UTF-8 (Info-ZIP's extra field 0x7075). Of what
says nothing, which the standard reads as DOS's letters (code page 437), the whole archive decides:

1. UTF-8, where all names are: Macs, and others, write it without saying so.
2. Code page 437, where all that it makes of them are letters of the West, most of them without accents.
3. One of `_KINDS`, where all names read so are in its everyday letters, and by no other kind. Names of a few letters, and those
   of the West in other code pages, leave too much to choose from: they stay in code page 437, and are told of.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Sequence

__all__ = ["MemberNames", "read_names"]

_DOS = "cp437"
_SAYS_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_WESTERN = re.compile(r"[\0-\x7f\xaa\xba\xdfÀ-ÖØ-öø-ÿ°²]*")
_NARROW = ("\uff61", "\uff9f")
"""Katakana of half a width, of one byte each, which any text might be."""
_CYRILLIC = re.compile("[А-ЯЁЄЇІЎҐ]+|[А-ЯЁЄЇІЎҐ]?[а-яёєїіўґ]+")
_VOWELS = frozenset("аеёиоуыэюяіїє")


@dataclass(frozen=True)
class _Asian:
    """Two bytes a letter.

    Attributes:
        encoding: Python's name.
        everyday: the letters that nearly all text consists of, by their bytes.
        beside: marks, digits and the like that stand between them.
        least: letters without which it is a guess.
    """

    encoding: str
    everyday: re.Pattern[bytes]
    beside: re.Pattern[bytes]
    least: int = 4

    def reads(self, parts: Iterable[bytes]) -> int:
        """How many letters speak for it; 0 where something speaks against it."""
        letters = runs = narrow = 0
        for part in parts:
            in_run = False
            for sign in part.decode(self.encoding):  # `UnicodeDecodeError` is the caller's
                code = sign.encode(self.encoding)
                is_letter = self.everyday.fullmatch(code) is not None
                if _NARROW[0] <= sign <= _NARROW[1]:
                    narrow += 1
                elif not (is_letter or sign.isascii() or self.beside.fullmatch(code)):
                    return 0
                letters += is_letter
                runs += is_letter and not in_run
                in_run = not sign.isascii()
        # An accent of the West and the letter behind it look like one such letter, which stands alone.
        return letters if letters >= self.least and letters >= max(2 * runs, 4 * narrow) else 0


@dataclass(frozen=True)
class _Cyrillic:
    encoding: str
    least: int

    def reads(self, parts: Iterable[bytes]) -> int:
        """As of `_Asian`."""
        text = "/".join(part.decode(self.encoding) for part in parts)
        words = re.findall(r"[^\0-\x7f№«»–—]+", text)
        if re.search(r"[A-Za-z][^\0-\x7f]|[^\0-\x7f][A-Za-z]", text) or not all(map(_CYRILLIC.fullmatch, words)):
            return 0
        letters = "".join(words)
        lower, vowels = sum(map(str.islower, letters)), sum(letter in _VOWELS for letter in letters.lower())
        # Hebrew has capitals only, or none, where this has both; Greek has capitals within its words, or few vowels.
        is_text = len(letters) / 2 <= lower < len(letters) and 0.25 * len(letters) <= vowels <= 0.7 * len(letters)
        return len(letters) if len(letters) >= self.least and is_text else 0


_KINDS: tuple[_Asian | _Cyrillic, ...] = (
    # Kana, and the kanji of JIS level 1.
    _Asian("cp932", re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]|\x88[\x9f-\xfc]|[\x89-\x97].|\x98[\x40-\x72]", re.DOTALL),
           re.compile(rb"\x81.|\x82[\x4f-\x9a]", re.DOTALL), least=2),
    # Hangul of KS X 1001; Chinese of GB 2312, level 1; Chinese of Big5, level 1.
    _Asian("cp949", re.compile(rb"[\xb0-\xc8][\xa1-\xfe]"), re.compile(rb"[\xa1-\xa3][\xa1-\xfe]")),
    _Asian("gbk", re.compile(rb"[\xb0-\xd7][\xa1-\xfe]"), re.compile(rb"[\xa1-\xa3][\xa1-\xfe]")),
    _Asian("big5", re.compile(rb"[\xa4-\xc5].|\xc6[\x40-\x7e]", re.DOTALL), re.compile(rb"[\xa1-\xa3].", re.DOTALL)),
    _Cyrillic("cp866", 4),
    _Cyrillic("cp1251", 8),
)  # fmt: skip
_CALLED = {
    _DOS: "DOS's letters (cp437)",
    "cp932": "Shift-JIS (cp932)",
    "cp949": "Korean (cp949)",
    "gbk": "Chinese (GBK)",
    "big5": "Chinese (Big5)",
    "cp866": "Cyrillic (cp866)",
    "cp1251": "Cyrillic (cp1251)",
}
_SURE = 12
"""Letters that say enough of an archive. So many of Hangul are no Chinese by
chance, two fifths of whose letters have other bytes; nor are so many of GB 2312 Big5."""


class MemberNames(NamedTuple):
    """The name of each member, and how those were read of which an archive says nothing, where that is a guess.

    Attributes:
        names: one a member, in their order.
        guessed: those of them that were guessed.
        guess: what they were taken for, as people call it.
    """

    names: list[str]
    guessed: list[str]
    guess: str


def read_names(infos: Sequence[zipfile.ZipInfo]) -> MemberNames:
    """Of all members of one archive."""
    said = [_said(info) for info in infos]
    silent = {info.orig_filename: _bytes(info) for info, name in zip(infos, said, strict=True) if name is None}
    encoding, is_guess = _encoding(list(silent.values()))
    read = {original: _until_zero(name.decode(encoding)) for original, name in silent.items()}
    names = [read[info.orig_filename] if name is None else name for info, name in zip(infos, said, strict=True)]
    return MemberNames(names, [*read.values()] if is_guess else [], _CALLED.get(encoding, encoding))


def _said(info: zipfile.ZipInfo) -> str | None:
    """A name as the archive says it; None where it does not say what its bytes mean."""
    if info.flag_bits & _SAYS_UTF8:
        return info.filename
    return _unicode_path(info) or (info.filename if info.orig_filename.isascii() else None)


def _bytes(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode(_DOS)


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """APPNOTE 4.6.9: version 1, the CRC of the name that it is of, the name; one of another name is out of date."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and content[:1] == b"\1":
            if int.from_bytes(content[1:5], "little") == zlib.crc32(_bytes(info)):
                try:
                    return _until_zero(content[5:].decode("utf-8")) or None
                except UnicodeDecodeError:
                    return None
            return None
    return None


def _encoding(names: list[bytes]) -> tuple[str, bool]:
    """Of all names that do not say it, and whether it is a guess."""
    if not names:
        return _DOS, False
    if _reads(names, "utf-8"):
        return "utf-8", False
    if _is_western(names):
        return _DOS, False
    parts = {part for name in names for part in name.split(b"/") if not part.isascii()}  # a folder's name is said once
    found = {}
    for kind in _KINDS:
        if _reads(names, kind.encoding) and (letters := kind.reads(parts)):
            found[kind.encoding] = letters
    if len(found) > 1 and found.keys() <= {"cp949", "gbk", "big5"} and min(found.values()) >= _SURE:
        found = dict(list(found.items())[:1])
    return (next(iter(found)), True) if len(found) == 1 else (_DOS, True)


def _is_western(names: list[bytes]) -> bool:
    """Katakana in Shift-JIS look like letters of the West, half of which have accents."""
    if not all(_WESTERN.fullmatch(name.decode(_DOS)) for name in names):
        return False
    letters = [
        letter for name in names for letter in name.decode(_DOS).rpartition(".")[0] or name.decode(_DOS) if letter.isalpha()
    ]
    return len(letters) < _SURE or sum(not letter.isascii() for letter in letters) * 2 <= len(letters)


def _reads(names: list[bytes], encoding: str) -> bool:
    """Whether all names can be read so, and none becomes another one."""
    try:
        return len({name.decode(encoding) for name in names}) == len(names)
    except UnicodeDecodeError:
        return False


def _until_zero(name: str) -> str:
    return name.partition("\0")[0]
