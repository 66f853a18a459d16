"""Which files of the machine jobs may read: those below the folders that the service was given, once links are followed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.collection import uri_path
from semblant_search.shown import shown_name
from semblant_search.web.problems import ServiceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["allowed_path"]


def allowed_path(given: str, roots: Sequence[Path], option: str) -> Path:
    """The file or folder of that name, as a path, or relative to one of the roots.

    What lies elsewhere is refused as what is not there: nobody learns what the machine holds.

    Args:
        given: as a request says it: a path, or a `file://` URI.
        roots: the folders.
        option: of the request, for the message.

    Raises:
        ServiceError: there is no such file below a root.
    """
    text = given
    if given.startswith("file://"):
        path = uri_path(given)
        text = "" if path is None else str(path)
    parts = Path(text).parts
    if text and "\0" not in text and "://" not in text and ".." not in parts:
        for root in roots:
            place = root.absolute() / text
            real = _real(place)
            if real is not None and any(_within(real, other) for other in roots):
                return place
    raise ServiceError(
        "source-refused",
        f"{option} {shown_name(given)}: there is nothing of that name below the folders that jobs may read: "
        f"{', '.join(str(root.absolute()) for root in roots)}",
        pointer=f"/{option}",
    )


def _within(real: Path, root: Path) -> bool:
    allowed = _real(root)
    return allowed is not None and (real == allowed or allowed in real.parents)


def _real(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True) if os.access(path, os.R_OK) else None
    except (OSError, RuntimeError, ValueError):
        return None
