"""Where something is to be written is tried before pictures are decoded and networks trained, and left as it was."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from semblant_exporter import checkpoint
from semblant_exporter.checkpoint import check_writable, write_atomically
from semblant_exporter.export import export
from semblant_exporter.extractors import ExtractJob, extract
from semblant_exporter.folder import TrainJob, train
from semblant_exporter.learners import LearnJob, learn
from semblant_exporter.pixels import pixel_encoder
from semblant_exporter.quantize import export_quantized, quantize_file
from semblant_search.errors import DataError, InvalidInput, TrainingError
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, int, int | None], None]

COMMANDS: dict[str, Callable[[Path, Path, Path, Progress], object]] = {
    "learn": lambda photos, _, out, step: learn(LearnJob(photos, out, way="pixels"), step),
    "extract": lambda photos, _, out, step: extract(ExtractJob("resnet18", photos, out), step),
    "quantize": lambda photos, encoder, out, step: quantize_file(encoder, photos, out, "fp16", on_progress=step),
    "train": lambda photos, _, out, step: train(TrainJob(photos, out), on_decoding=step),
}


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    path.write_bytes(pixel_encoder(Fit(14, 14, 3)))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_that_cannot_be_written_costs_no_work(
    command: str, photos: Path, encoder_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    (tmp_path / "file").write_bytes(b"mine")
    steps: list[str] = []
    for out in (tmp_path / "file" / "e.onnx", tmp_path / "file" / "more" / "e.onnx"):
        with pytest.raises(TrainingError, match=r"cannot be written \(.*name another place"):
            COMMANDS[command](photos, encoder_file, out, lambda step, *_: steps.append(step))
    if command != "train":
        with pytest.raises(TrainingError, match=r"it is a folder, expected a file, such as .*encoder\.onnx"):
            COMMANDS[command](photos, encoder_file, tmp_path, lambda step, *_: steps.append(step))
    assert not steps
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"mine")]


def test_exports_try_their_place_before_they_compute(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_exporter.export._graph", None)  # what computes
    with pytest.raises(TrainingError, match="it is a folder"):
        export(trained, tmp_path)
    with pytest.raises(TrainingError, match="it is a folder"):
        export_quantized(trained, tmp_path, "int8")


def test_a_model_that_is_there_is_refused_before_pictures_are_decoded(photos: Path, tmp_path: Path) -> None:
    (tmp_path / checkpoint.MODEL_FILE).write_bytes(b"yesterday's")
    steps: list[str] = []
    with pytest.raises(InvalidInput, match="holds a model already"):
        train(TrainJob(photos, tmp_path), on_decoding=lambda step, *_: steps.append(step))
    assert not steps


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "new" / "deep" / "e.onnx"
    check_writable(out)
    assert not list(tmp_path.iterdir())
    with pytest.raises(TrainingError, match="cannot be written"):
        check_writable(tmp_path / "new" / ("long" * 100) / "e.onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "one").mkdir()
    with pytest.raises(DataError):
        learn(LearnJob(tmp_path / "one", out, way="pixels"))
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    there = tmp_path / "e.onnx"
    there.write_bytes(b"yesterday's")
    before = there.stat()
    check_writable(there)
    assert (there.read_bytes(), there.stat().st_mtime_ns, there.stat().st_ino) == (
        b"yesterday's",
        before.st_mtime_ns,
        before.st_ino,
    )


def test_a_full_disk_is_noticed_first(tmp_path: Path) -> None:
    """A limit on the size of files acts as a disk that fills up."""
    script = """
import resource, sys
from pathlib import Path
from semblant_exporter.checkpoint import check_writable
from semblant_search.errors import TrainingError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    check_writable(Path(sys.argv[1]) / "e.onnx")
except TrainingError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert "e.onnx': cannot be written (File too large); free some space" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_signal_while_a_file_is_written_leaves_the_old_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "e.onnx"
    path.write_bytes(b"yesterday's")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"today's")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("e.onnx", b"yesterday's")]
