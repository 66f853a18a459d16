"""Weights that are published at an address: fetched once, compared with the hash in their name, and kept."""

from __future__ import annotations

import hashlib
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from semblant_search.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, int, int | None], None]

__all__ = ["fetch"]

_CHUNK = 2**20
_TIMEOUT_S = 60
_HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""As PyTorch names files: before the ending, the first digits of their SHA-256."""


def fetch(url: str, what: str, on_progress: Progress | None = None) -> Path:
    """The file at an address, in PyTorch's own folder for such (`$TORCH_HOME/hub/checkpoints`), where others may have put it.

    Args:
        url: `https://…/name-0123abcd.pth`; a name without a hash is taken as it is.
        what: for people, such as `resnet18`.
        on_progress: called with what is being fetched, megabytes done and megabytes in all, where the server says how many.

    Raises:
        TrainingError: it cannot be fetched or kept, or is not the file that its name says.
    """
    import torch

    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    said = _HASH.search(name)
    begins = said.group(1) if said else ""
    if path.exists():
        if begins and not _digest(path).startswith(begins):
            raise TrainingError(
                f"{str(path)!r}: is cut short or damaged, its SHA-256 does not begin with {begins}; remove it, so "
                "that it is fetched anew, or give a local file with --weights"
            )
        return path
    part = path.with_name(f"{name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = _download(url, part, f"fetching {what} (MB)", on_progress)
        if not digest.startswith(begins):
            raise TrainingError(
                f"{what}: what came from {urlparse(url).netloc} is not {name}: its SHA-256 begins with "
                f"{digest[: len(begins)]}; nothing was kept. Try again, or give a local file with --weights"
            )
        part.replace(path)
    except OSError as error:  # urllib's errors are some, too
        raise TrainingError(f"{what}: its weights cannot be downloaded ({error}); give a local file with --weights") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return path


def _download(url: str, part: Path, step: str, on_progress: Progress | None) -> str:
    """Its SHA-256."""
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    digest, done = hashlib.sha256(), 0
    try:
        with urlopen(Request(url, headers={"User-Agent": "semblant"}), timeout=_TIMEOUT_S) as answer, part.open("wb") as file:
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if on_progress is not None:
                    on_progress(step, done // 10**6, None if total is None else max(1, total // 10**6))
    except HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    if total is not None and done < total:
        raise OSError(f"the connection ended after {done:,} of {total:,} bytes")
    return digest.hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise TrainingError(f"{str(path)!r}: the weights cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
