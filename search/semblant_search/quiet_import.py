"""ONNX Runtime without its reports home: nobody was asked, and where the home cannot be written it warns on the terminal."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["no_telemetry"]

_SWITCH = "ORT_DISABLE_TELEMETRY"


@contextmanager
def no_telemetry() -> Iterator[None]:
    """Let an import of `onnxruntime` meanwhile report nothing: it looks at its switch only then. A program's choice stays."""
    if _SWITCH in os.environ:
        yield
        return
    os.environ[_SWITCH] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SWITCH, None)
