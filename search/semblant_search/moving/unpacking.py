"""A tar unpacked into a folder: files and folders, and nothing outside it."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["unpack"]


def unpack(tar: tarfile.TarFile, into: Path) -> None:
    """Unpack a tar that holds files and folders only, as this user's own.

    `TarFile.extractall(filter="data")` does so, but from Python 3.10.12 and 3.11.4 on: Debian 12 has an older one.

    Raises:
        tarfile.TarError: a member would lie outside, or is a link, a device or the like.
    """
    root = into.resolve()
    for member in tar:
        path = (root / member.name).resolve()
        if not path.is_relative_to(root):
            raise tarfile.TarError(f"{member.name!r} would lie outside of it")
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.isreg() and (data := tar.extractfile(member)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with data, path.open("xb") as file:
                shutil.copyfileobj(data, file, 1 << 20)
        else:
            raise tarfile.TarError(f"{member.name!r} is no file and no folder")
