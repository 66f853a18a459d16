"""Files and folders that a system, a camera or a synchronizing program keeps beside a user's own."""

from __future__ import annotations

__all__ = ["kind_in", "system_kind"]

_SYNOLOGY_QNAP = ("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", ".@__thumb", "@tmp", "@Transcode")
_LINUX = (".thumbnails", ".Trash", "lost+found", ".xvpics", ".dtrash", ".comments")
_MACOS = (
    *("__MACOSX", ".DS_Store", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems"),
    ".DocumentRevisions-V100",
)
_WINDOWS = ("$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "ehthumbs.db", "desktop.ini")
_VERSIONS = (".stversions", ".stfolder", ".stignore", ".snapshot", ".snapshots", ".zfs", ".dropbox.cache", "_gsdata_")
_NAMES = {name.lower(): name for name in (*_SYNOLOGY_QNAP, *_LINUX, *_MACOS, *_WINDOWS, *_VERSIONS)}
_SUFFIXES = (".lrdata", ".cocatalogdb", ".lrcat-data")
"""Of what programs make anew from the pictures: previews of Lightroom and Capture One."""
_LIBRARIES = (".photoslibrary", ".aplibrary", ".migratedphotolibrary", ".photolibrary")
_OF_A_LIBRARY = frozenset({"originals", "masters"})
"""Folders of a photo library that hold a user's own pictures; all others hold what is made of them."""


def kind_in(path: str) -> str | None:
    """What kind of a system's file a path with slashes leads to, or through; None for a user's own."""
    folder = ""
    for name in path.split("/"):
        if (kind := system_kind(name, folder)) is not None:
            return kind
        folder = name
    return None


def _library_kind(name: str, folder: str) -> str | None:
    if folder.lower().endswith(_LIBRARIES) and name.lower() not in _OF_A_LIBRARY:
        return f"parts of *{folder[folder.rindex('.') :].lower()}"
    return None


def system_kind(name: str, folder: str = "") -> str | None:
    """What kind of a system's file or folder has this name, in a folder of that name; None for a user's own."""
    low = name.lower()
    if (known := _NAMES.get(low)) is not None:
        return known
    if low.startswith("._") and len(low) > 2:
        return "AppleDouble"
    if low.endswith(_SUFFIXES):
        return f"*{low[low.rindex('.') :]}"
    if name.startswith(".Trash-"):
        return ".Trash"
    return _library_kind(name, folder) if folder else None
