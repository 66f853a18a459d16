"""ZIP archives, seen as tars are."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ZipArchive", "ZipMember"]

_LINK = 0o120000
_SAYS_UTF8 = 0x800


class ZipMember:
    """A member, with the questions that a tar's answers."""

    linkname = "another member"

    def __init__(self, info: zipfile.ZipInfo) -> None:
        self.info = info
        self.name = _name(info).replace("\\", "/")
        self.size = info.file_size

    def isdir(self) -> bool:
        """Whether it is a folder."""
        return self.info.is_dir()

    def isfile(self) -> bool:
        """Whether it is neither a folder nor a link."""
        return not self.isdir() and not self.issym()

    def issym(self) -> bool:
        """Whether it is a link, as Unix packs them."""
        return self.info.external_attr >> 16 & 0o170000 == _LINK

    def islnk(self) -> bool:
        """Never: ZIP has no hard links."""
        return False


class ZipArchive:
    """The members of an archive in their order. Raises `zipfile.BadZipFile`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(file)

    def __iter__(self) -> Iterator[ZipMember]:
        return map(ZipMember, self._archive.infolist())

    def extractfile(self, member: ZipMember) -> IO[bytes]:
        """To be read."""
        return self._archive.open(member.info)


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name. Macs, and others, write UTF-8 without saying so, which is read as DOS's letters otherwise."""
    if info.flag_bits & _SAYS_UTF8 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename
