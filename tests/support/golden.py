"""Where the golden files lie, and what `golden/make.py` that made them and the tests that read them must agree on."""

from __future__ import annotations

import tarfile
from pathlib import Path

from semblant_search import Fit

__all__ = ["CREATED_AT", "FITS", "GOLDEN", "GREY_SIDE", "indexed_files", "picture_files", "unpack_database", "uri_of"]

GOLDEN = Path(__file__).parents[1] / "golden"
CREATED_AT = "2026-01-02T03:04:05.600000+00:00"
GREY_SIDE = 15
"""Longest side of the golden grey pictures: far below that of the files, so that averaging counts."""

_SEA = (20, 90, 160)
FITS = {
    "pad": Fit(7, 10, 3, background=_SEA),
    "pad-grey": Fit(10, 7, 1, background=_SEA),
    "pad-area": Fit(9, 6, 3, interpolation="area"),
    "crop-bicubic": Fit(8, 5, 3, policy="crop", interpolation="bicubic", background=(0, 0, 0)),
    "crop-grey-area": Fit(6, 9, 1, policy="crop", interpolation="area"),
    "stretch-lanczos": Fit(7, 7, 3, policy="stretch", interpolation="lanczos", background=_SEA),
    "stretch-nearest": Fit(6, 8, 3, policy="stretch", interpolation="nearest"),
}
"""Every policy, interpolation and number of channels; odd sizes, so that rounding and sides show."""


def picture_files() -> list[Path]:
    """The golden pictures, by name."""
    return sorted((GOLDEN / "pictures").iterdir())


def indexed_files() -> list[Path]:
    """Those that the golden database holds."""
    return picture_files()[::2] + picture_files()[1:4:2]


def uri_of(path: Path) -> str:
    """The URI under which the golden database knows a golden picture."""
    return f"file:///golden/{path.name}"


def unpack_database(version: int, into: Path) -> Path:
    """A copy of the golden database of a collection format version."""
    with tarfile.open(GOLDEN / f"database-{version}.tar.xz") as archive:
        archive.extractall(into, filter="data")
    return into / "golden.db"
