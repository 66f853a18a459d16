"""Where Semblant keeps what it can make again: fetched packages and decoded pictures."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache_dir", "failures_named"]


def cache_dir() -> Path:
    """`$SEMBLANT_CACHE`, else `$XDG_CACHE_HOME/semblant`, else `~/.cache/semblant`. Not created here."""
    own = os.environ.get("SEMBLANT_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative values ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "semblant"


@contextmanager
def failures_named(what: str) -> Iterator[None]:
    """Turn an operating system's error into a `DataError` that begins with `what`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"{what}: no space left; free some, or name a folder on another disk") from error
        raise DataError(f"{what}: {error.strerror or error}; name a folder that you may write to") from error
