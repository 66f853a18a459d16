"""The large sets of real pictures, written once into the cache folder that outlives a run.

The exporter's own code writes them, from the source tree and in a process of its own: the tests of the other parts run where
the exporter is not installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

__all__ = ["shared_cache", "write_set"]

_EXPORTER = Path(__file__).parents[2] / "exporter"


def shared_cache() -> Path:
    """`$SEMBLANT_CACHE`, else `$XDG_CACHE_HOME/semblant`, else `~/.cache/semblant`."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SEMBLANT_CACHE") or base / "semblant").absolute()


def write_set(name: Literal["fashion_mnist", "clipart"], cache: Path) -> Path:
    """The folder of a set; fetched and written unless it is there."""
    folder = cache / "sets" / name.replace("_", "-")
    search_path = os.pathsep.join([str(_EXPORTER), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(
        [sys.executable, "-c", f"from semblant_exporter import data; data.{name}({str(folder)!r})"],
        check=True,
        env={**os.environ, "SEMBLANT_CACHE": str(cache), "PYTHONPATH": search_path},
    )
    return folder
