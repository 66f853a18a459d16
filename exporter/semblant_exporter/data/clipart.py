"""The Open Clip Art Library, release 0.18, public domain: drawings with transparency and palettes, from `openclipart-png`."""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.PngImagePlugin import PngImageFile
from semblant_search.errors import DataError

from . import debian
from .folder import DataReport, NewFolder, write_once

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from .folder import Progress

__all__ = ["clipart"]

_PACKAGE = "openclipart-png"
_ROOT = "usr/share/openclipart/png/"
_PICTURES = 6900
"""Regular files. The package's 1,221 links show the same pictures in a second category, and are left out."""


def clipart(directory: str | os.PathLike[str], *, on_progress: Progress | None = None) -> DataReport:
    """Write `directory/<category>/<name>.png` and `metadata.csv` (file, label, category, title, artist, description).

    `label` is the folder (`animals/birds`), `category` its first part (`animals`). Title, artist and description come from the
    PNG file's text; where its title says less than the file name does, the title comes from that. From the installed package,
    else by `apt-get download`, where every file is checked against the package's MD5 sums.

    Raises:
        InvalidInput: `directory` holds something else.
        DataError: it cannot be written, or no source can be reached.
    """
    progress: Progress = on_progress or (lambda *_: None)

    def fill(new: NewFolder) -> None:
        progress(f"reading {_PACKAGE}", 0, None)
        new.source, pictures = _find()
        for path, content in pictures:
            new.add(path, content, _describe(path, content))
            if len(new) % 100 == 0:
                progress("writing clip art", len(new), _PICTURES)
        if len(new) != _PICTURES:
            raise DataError(f"{new.source}: holds {len(new)} pictures, expected {_PICTURES}; is it release 0.18?")

    return write_once(directory, "clipart", fill)


def _find() -> tuple[str, Iterator[tuple[str, bytes]]]:
    installed = Path("/") / _ROOT
    if installed.is_dir():
        return f"{installed}", _from_folder(installed)
    deb = debian.fetch(_PACKAGE)
    return f"Debian package {_PACKAGE}", _from_debian(deb)


def _from_folder(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*.png")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(root).as_posix(), path.read_bytes()


def _from_debian(deb: Path) -> Iterator[tuple[str, bytes]]:
    expected = debian.checksums(deb)
    for path, content in debian.files(deb):
        if path.startswith(_ROOT) and path.endswith(".png"):
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != expected.get(path):
                raise DataError(f"{deb.name}: {path} is damaged; delete the package from the cache and run this again")
            yield path.removeprefix(_ROOT), content


def _describe(path: str, content: bytes) -> dict[str, str]:
    folder, _, name = path.rpartition("/")
    try:
        # The plugin itself, which measures nothing: one of them has 231 megapixels, of which none is decoded here.
        with PngImageFile(io.BytesIO(content)) as picture:
            text = {key: value for key, value in picture.info.items() if isinstance(value, str)}
    except (OSError, SyntaxError, ValueError):
        text = {}
    title = _clean(text.get("Title", ""))
    return {
        "label": folder,
        "category": folder.partition("/")[0],
        "title": title if _letters(name).startswith(_letters(title)) and title else _title(name),
        "artist": _without_address(_clean(text.get("Author", ""))),
        "description": _clean(text.get("Description", "")),
    }


def _clean(text: str) -> str:
    """One line of printable text. Many of the files hold UTF-8 where PNG asks for Latin-1."""
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _title(name: str) -> str:
    """From the file name, which knows better than a title that a whole series shares ("Part of the Flat Icon Collection")."""
    return _clean(re.sub(r"[_-]+", " ", re.sub(r"_\d*$", "", name.removesuffix(".png"))))


def _without_address(artist: str) -> str:
    """The name alone: `zazou (somebody@example.org)` is `zazou`."""
    return re.sub(r"\s*[(\[<]?\S+@[^\s)\]>]+[)\]>]?", "", artist).strip()
