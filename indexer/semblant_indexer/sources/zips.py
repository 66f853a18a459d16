"""ZIP archives, seen as tars are."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING

from .zip_names import read_names

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ZipArchive", "ZipMember"]

_LINK = 0o120000


class ZipMember:
    """A member, with the questions that a tar's answers."""

    linkname = "another member"

    def __init__(self, info: zipfile.ZipInfo, name: str) -> None:
        self.info = info
        self.name = name.replace("\\", "/")
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
    """The members of an archive in their order. Raises `zipfile.BadZipFile`.

    Attributes:
        names: how its members' names were read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(file)
        infos = self._archive.infolist()
        self.names = read_names(infos)
        self._members = [ZipMember(info, name) for info, name in zip(infos, self.names.names, strict=True)]

    def __iter__(self) -> Iterator[ZipMember]:
        return iter(self._members)

    def extractfile(self, member: ZipMember) -> IO[bytes]:
        """To be read."""
        return self._archive.open(member.info)
