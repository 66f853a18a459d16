"""Where Semblant keeps what it can make again: fetched packages and decoded pictures."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """`$SEMBLANT_CACHE`, else `$XDG_CACHE_HOME/semblant`, else `~/.cache/semblant`. Not created here."""
    own = os.environ.get("SEMBLANT_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative values ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "semblant"
