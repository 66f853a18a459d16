"""Files and folders that a system, a camera or a synchronizing program keeps beside a user's own."""

from __future__ import annotations

__all__ = ["system_kind"]

_SYNOLOGY_QNAP = ("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", ".@__thumb")
_LINUX = (".thumbnails", ".Trash", "lost+found", ".xvpics", ".dtrash", ".comments")
_MACOS = ("__MACOSX", ".DS_Store", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems")
_WINDOWS = ("$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "ehthumbs.db", "desktop.ini")
_VERSIONS = (".stversions", ".stfolder", ".snapshot", ".snapshots")
_NAMES = {name.lower(): name for name in (*_SYNOLOGY_QNAP, *_LINUX, *_MACOS, *_WINDOWS, *_VERSIONS)}


def system_kind(name: str) -> str | None:
    """What kind of a system's file or folder has this name; None for a user's own."""
    known = _NAMES.get(name.lower())
    if known is not None:
        return known
    if name.startswith("._") and len(name) > 2:
        return "AppleDouble"
    return ".Trash" if name.startswith(".Trash-") else None
