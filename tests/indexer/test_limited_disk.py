"""A disk, or a limit of the shell, that takes no more: one plain sentence, and the same command goes on once there is room."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


MAIN = "import sys; from semblant_search.cli import main; sys.exit(main())"


@pytest.mark.parametrize("blocks", [200, 2000, 20000])
def test_a_limit_of_file_sizes_is_said_in_plain_words(pictures: Path, encoder_file: Path, tmp_path: Path, blocks: int) -> None:
    command = [sys.executable, "-c", MAIN, "index", str(pictures), "--encoder", str(encoder_file)]
    command += ["--db", str(tmp_path / "db"), "--no-orb", "--quiet", "--workers", "1"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (blocks * 1024, resource.RLIM_INFINITY))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "a file would become larger than this process may make one; raise the limit (ulimit -f unlimited" in done.stderr
    for foreign in ("Traceback", "WAL", "runtime", "Os {", "Warning"):
        assert foreign not in done.stderr
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("found 30 = 30 indexed")
