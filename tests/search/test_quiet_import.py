"""No engine's text on a terminal, and no report home."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from semblant_search.quiet_import import no_telemetry
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_LOAD = "import sys; from semblant_search import Encoder; Encoder(sys.argv[1]); import os; print(os.environ.get(sys.argv[2]))"


def test_an_encoder_says_nothing_where_the_home_cannot_be_written(tmp_path: Path) -> None:
    encoder, home = tmp_path / "encoder.onnx", tmp_path / "home"
    encoder.write_bytes(encoder_bytes("grey-28"))
    home.write_text("a file, in which nothing can be written")
    switch = "ORT_DISABLE_TELEMETRY"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", switch))}
    command = [sys.executable, "-c", _LOAD, str(encoder), switch]
    done = subprocess.run(command, env={**environment, "HOME": str(home)}, capture_output=True, text=True, check=True)
    assert (done.stderr, done.stdout) == ("", "None\n")


def test_a_program_s_own_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    with no_telemetry():
        assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
