"""What a test needs of the system that it runs on, where that is not all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

__all__ = ["needs_posix", "needs_proc"]

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork, named pipes, signals or owners of files")
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at the process by /proc, as Linux shows it")
