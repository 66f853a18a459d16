"""Ctrl-C in a terminal: what is kept is said, and how to go on."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from semblant_exporter.cli.train import train
from semblant_exporter.training import load_model
from semblant_search.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SCRIPT = """
import os, signal, sys
sys.argv = ["semblant", *sys.argv[2:]]
import torch
torch.set_num_threads(1)
import semblant_exporter.checkpoint as checkpoint
import semblant_exporter.learners.learning as learning
from semblant_search.cli import main
def interrupt(times):
    for _ in range(times):
        os.kill(os.getpid(), signal.{signal})
{patch}
main()
"""
_SAVED = """
save, states = checkpoint.save, []
def saving(path, *arguments):
    save(path, *arguments)
    if path.name == checkpoint.STATE_FILE:
        states.append(path)
        if len(states) == {after}:
            interrupt(1)
checkpoint.save = saving
"""
_FIRST_STEP = """
from semblant_exporter.trainer import Trainer
Trainer._epoch = lambda *_: interrupt(1)
"""
_IN_FUSED = """
import semblant_exporter.learners.frozen as frozen
frozen.pixels_alone = frozen.pixels
def carried_out(*arguments):
    yield frozen.pixels_alone(frozen.look_through((), arguments[3], arguments[5], None), 8)
    interrupt(1)
learning._carry_out = carried_out
graph = learning._numbers
def slow(*arguments):
    interrupt(1)  # impatient, while the file is made
    return graph(*arguments)
learning._numbers = slow
"""
_BEFORE = """
learning.look_at = lambda *_: interrupt(1)
"""


def run(patch: str, words: Sequence[object], name: str = "SIGINT") -> subprocess.CompletedProcess[str]:
    script = _SCRIPT.format(patch=patch, signal=name)
    return subprocess.run(
        [sys.executable, "-c", script, "-", *map(str, words)], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_training_that_is_broken_off_says_what_it_keeps_and_goes_on(name: str, fashion_small: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    words = [
        "train",
        fashion_small / "train",
        "--out",
        out,
        "--arch",
        "simple-ae",
        "--dim",
        "8",
        "--epochs",
        "4",
        "--batch",
        "300",
    ]
    done = run(_SAVED.format(after=2), words, name)
    assert done.returncode == 130, done.stderr
    state = load_model(out).facts["state"]
    first, second = done.stderr.strip().splitlines()[:2]
    assert first == (
        f"broken off after 2 epochs: {out} keeps the best so far, of epoch {state['best_epoch']} with a validation loss of "
        f"{state['best']:.4g}"
    )
    assert second == f"to go on: the same command with --resume; to use it as it is: semblant export {out} -o encoder.onnx"
    again = CliRunner().invoke(train, [*map(str, words[1:]), "--resume"])
    assert again.exit_code == 0, again.output
    assert "4 epochs in" in again.stdout


def test_a_training_without_an_epoch_keeps_nothing_and_begins_afresh(fashion_small: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    words = ["train", fashion_small / "train", "--out", out, "--arch", "simple-ae", "--dim", "8", "--epochs", "1"]
    done = run(_FIRST_STEP, words)
    assert done.returncode == 130, done.stderr
    assert (
        f"broken off before the end of the first epoch: nothing is kept in {out}; the same command begins afresh" in done.stderr
    )
    assert CliRunner().invoke(train, [*map(str, words[1:])]).exit_code == 0


def test_a_second_signal_does_not_lose_what_the_first_has_kept(fashion_small: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.onnx"
    done = run(_IN_FUSED, ["learn", fashion_small / "test", "-o", out])
    assert done.returncode == 0, done.stderr
    assert "broken off already: what was best so far is being written; once more ends at once" in done.stderr
    assert f"broken off: what was best so far is kept in {out}" in done.stderr
    assert Encoder(out).card.quality["learned"]["way"] == "pixels"


def test_learning_that_has_nothing_to_keep_says_so(fashion_small: Path, tmp_path: Path) -> None:
    done = run(_BEFORE, ["learn", fashion_small / "test", "-o", tmp_path / "e.onnx"])
    assert done.returncode == 130
    assert "broken off before there was anything to keep: nothing was written" in done.stderr
    assert not list(tmp_path.iterdir())


def test_signals_are_as_before_afterwards() -> None:
    from semblant_exporter.cli.interrupting import one_interrupt

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), one_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_help_says_when_figures_are_drawn() -> None:
    text = " ".join(CliRunner().invoke(train, ["--help"]).stdout.split())
    assert "at the end also figures of the losses and of reconstructions" in text
