"""Other Pythons on this machine, and distributions built from this repository."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

__all__ = ["PARTS", "UV", "Built", "build", "call", "interpreter"]

UV = Path(sysconfig.get_path("scripts")) / "uv"
PARTS = ("search", "indexer", "exporter")


class Built(NamedTuple):
    """What `uv build` makes of a part: a source distribution, and the wheel that is built from it."""

    sdist: Path
    wheel: Path


def call(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; its failure is an assertion."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(part: Path, out: Path) -> Built:
    """Build a part as it is released."""
    call(UV, "build", "--quiet", "--out-dir", out, part)
    name = f"semblant_{part.name}-"
    return Built(next(out.glob(f"{name}*.tar.gz")), next(out.glob(f"{name}*.whl")))


def interpreter(version: str) -> Path | None:
    """A Python of this version (`3.13`) that runs: on the path, of pyenv, or of uv; None where there is none."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    found = [path for path in (shutil.which(f"python{version}"), *map(str, pyenv)) if path is not None]
    managed = subprocess.run(
        [UV, "python", "find", "--no-python-downloads", version], capture_output=True, text=True, check=False, timeout=60
    )
    if managed.returncode == 0:
        found.append(managed.stdout.strip())
    for path in found:
        asked = [path, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return Path(path)
    return None
