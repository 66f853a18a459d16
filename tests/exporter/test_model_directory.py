"""What a model directory holds after a training, and what is made of one that is damaged."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from semblant_exporter import checkpoint
from semblant_exporter.cache import cache_dir, failures_named
from semblant_exporter.objectives import Task
from semblant_exporter.trainer import Examples, Trainer
from semblant_exporter.training import learn, load_model, make_plan
from semblant_search.errors import DataError, InvalidInput, TrainingError
from semblant_search.images import Fit

if TYPE_CHECKING:
    from semblant_exporter.training import Plan, TrainingReport

    from .conftest import Fashion

GREY28 = Fit(28, 28, 1)
SMALL: dict[str, Any] = {"arch": "simple-ae", "dim": 8, "precision": "float32"}


def small_plan(**settings: Any) -> Plan:
    return make_plan(GREY28, **{**SMALL, **settings})


def measured(folder: Path, held_out: np.ndarray) -> float:
    """The validation loss of the weights in a model directory."""
    trained = load_model(folder)
    task = Task(trained.model, trained.objective)
    return Trainer(task, trained.plan.settings).validate(Examples(held_out))["loss"]


class Learned:
    """A training of 60 pictures whose last epochs are worse than the best: it learns them by heart."""

    def __init__(self, folder: Path, pictures: np.ndarray) -> None:
        self.folder, self.pictures = folder, pictures
        plan = small_plan(epochs=12, batch=18, learning_rate=0.02, schedule="constant", patience=None)
        self.report: TrainingReport = learn(plan, pictures, folder)


@pytest.fixture(scope="module")
def learned(fashion: Fashion, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    return Learned(tmp_path_factory.mktemp("learned") / "model", fashion.train[::33][:60])


def test_the_weights_kept_are_those_of_the_best_epoch(learned: Learned) -> None:
    report = learned.report
    losses = [epoch.validation for epoch in report.history]
    assert report.best == min(losses)
    assert report.best_epoch == losses.index(min(losses)) + 1 < 12  # else this test would tell nothing
    held_out = np.load(learned.folder / "sample.npy")[:6]
    assert measured(learned.folder, held_out) == pytest.approx(report.best, rel=1e-5)
    _, facts = checkpoint.load(learned.folder / checkpoint.MODEL_FILE)
    assert len(facts["state"]["history"]) == facts["state"]["best_epoch"] == report.best_epoch
    tensors, facts = checkpoint.load(learned.folder / checkpoint.STATE_FILE)
    assert len(facts["state"]["history"]) == 12  # to go on from, the last one is kept as well
    best = load_model(learned.folder).model.state_dict()
    assert any(not torch.equal(value, tensors[f"model.{name}"]) for name, value in best.items())


def test_the_pictures_kept_are_those_learned_from_after_those_that_were_not(learned: Learned) -> None:
    """The export checks and draws unseen pictures first."""
    sample = np.load(learned.folder / "sample.npy")
    assert (learned.report.pictures, learned.report.validation_pictures) == (54, 6)
    assert sorted(picture.tobytes() for picture in sample) == sorted(picture.tobytes() for picture in learned.pictures)
    assert not np.array_equal(sample, learned.pictures)


def test_the_facts_are_there_for_people_too(learned: Learned) -> None:
    _, facts = checkpoint.load(learned.folder / checkpoint.STATE_FILE)
    written = json.loads((learned.folder / "training.json").read_text())
    assert written == {name: value for name, value in facts.items() if name != "format_version"}
    assert (written["pictures"], written["learned_from"], written["validated_on"]) == (60, 54, 6)
    assert written["versions"]["torch"] == torch.__version__
    assert written["plan"]["settings"]["learning_rate"] == 0.02
    assert written["state"]["finished"]
    report = learned.report.to_json()
    assert report["out"] == str(learned.folder)
    assert report["history"][3] == written["state"]["history"][3]
    assert report["seconds"] == written["state"]["seconds"]
    assert sorted(path.name for path in learned.folder.iterdir()) == [
        "model.safetensors", "sample.npy", "state.safetensors", "training.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "held_out"), [(19, 2), (39, 3), (40, 4)])
def test_a_tenth_is_held_out_and_two_at_least(count: int, held_out: int, fashion: Fashion, tmp_path: Path) -> None:
    report = learn(small_plan(epochs=1), fashion.train[::50][:count], tmp_path)
    assert (report.pictures, report.validation_pictures) == (count - held_out, held_out)


def test_2000_are_held_out_at_most(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20_100, 4, 4, 1), dtype=np.uint8)
    plan = make_plan(Fit(4, 4, 1), arch="simple-ae", dim=2, epochs=1, batch=4000, precision="float32")
    report = learn(plan, pictures, tmp_path)
    assert (report.pictures, report.validation_pictures) == (18_100, 2000)
    assert len(load_model(tmp_path).sample) == 20_100


def test_pictures_of_ones_own_can_be_validated_on(fashion: Fashion, tmp_path: Path) -> None:
    report = learn(small_plan(epochs=2), fashion.train[::50], tmp_path, validation=fashion.test[::10])
    assert (report.pictures, report.validation_pictures) == (40, 50)
    assert measured(tmp_path, fashion.test[::10]) == pytest.approx(report.best, rel=1e-5)


def test_a_training_may_begin_with_the_weights_of_another(learned: Learned, tmp_path: Path) -> None:
    plan = small_plan(epochs=1, batch=18, learning_rate=1e-9)
    report = learn(plan, learned.pictures, tmp_path, start_from=learned.folder)
    assert report.untrained == pytest.approx(learned.report.best, rel=1e-5)
    for name, value in load_model(learned.folder).model.state_dict().items():
        torch.testing.assert_close(load_model(tmp_path).model.state_dict()[name], value, atol=1e-6, rtol=0)
    with pytest.raises(InvalidInput, match=r"its simple-ae for pictures of 28×28×1 with 8 numbers is another model"):
        learn(replace(small_plan(dim=9), settings=plan.settings), learned.pictures, tmp_path / "b", start_from=learned.folder)


def test_resume_without_anything_to_go_on_from_begins(fashion: Fashion, tmp_path: Path) -> None:
    plan = small_plan(epochs=1)
    assert len(learn(plan, fashion.train[::50], tmp_path, resume=True).history) == 1
    with pytest.raises(InvalidInput, match="holds a model already; choose another --out, remove it, or go on with --resume"):
        learn(plan, fashion.train[::50], tmp_path)
    (tmp_path / checkpoint.STATE_FILE).unlink()
    assert len(learn(plan, fashion.train[::50], tmp_path, resume=True).history) == 1


@pytest.mark.parametrize("lost", ["model", "plan"])
def test_a_checkpoint_that_describes_no_model_is_named(lost: str, learned: Learned, tmp_path: Path) -> None:
    tensors, facts = checkpoint.load(learned.folder / checkpoint.MODEL_FILE)
    if lost == "plan":
        del facts["plan"]
    else:
        facts["plan"]["arch"] = "resnet9000"
    checkpoint.save(tmp_path / checkpoint.MODEL_FILE, tensors, facts)
    with pytest.raises(TrainingError, match="describes no model that this Semblant knows"):
        load_model(tmp_path)


def test_a_model_without_its_pictures_is_named(learned: Learned, tmp_path: Path) -> None:
    model = (learned.folder / checkpoint.MODEL_FILE).read_bytes()
    (tmp_path / checkpoint.MODEL_FILE).write_bytes(model)
    with pytest.raises(TrainingError, match=r"sample\.npy.*train again"):
        load_model(tmp_path)
    (tmp_path / "sample.npy").write_bytes(b"no array")
    with pytest.raises(TrainingError, match=r"sample\.npy.*train again"):
        load_model(tmp_path)


def test_a_checkpoint_keeps_tensors_and_facts(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6).view(2, 3), "b.c": torch.tensor([0.1, float("nan")]).requires_grad_()}
    path = tmp_path / "folder" / "x.safetensors"
    checkpoint.save(path, tensors, {"ü": [1, None], "nested": {"x": 0.1}})
    found, facts = checkpoint.load(path)
    assert facts == {"format_version": 1, "ü": [1, None], "nested": {"x": 0.1}}
    assert set(found) == {"a", "b.c"}
    assert torch.equal(found["a"], tensors["a"])
    torch.testing.assert_close(found["b.c"], tensors["b.c"].detach(), equal_nan=True)
    assert os.listdir(path.parent) == ["x.safetensors"]  # noqa: PTH208


def test_a_checkpoint_of_another_version_or_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"a": torch.ones(1)}, {"format_version": 2})
    with pytest.raises(TrainingError, match=r"format version 2, this Semblant reads 1; train again"):
        checkpoint.load(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(TrainingError, match="not a whole checkpoint of Semblant"):
        checkpoint.load(path)
    with pytest.raises(TrainingError, match=r"cannot be read .*semblant train"):
        checkpoint.load(tmp_path / "none")


def test_the_moments_of_an_optimizer_survive(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1)

    def step(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer, seed: float) -> None:
        optimizer.zero_grad()
        loss = (layer(torch.full((1, 3), seed)) - 1).square().sum()
        loss.backward()
        optimizer.step()

    whole, first = made()
    broken, second = made()
    for layer, optimizer in ((whole, first), (broken, second)):
        for number in range(3):
            step(layer, optimizer, number + 0.5)
    tensors = checkpoint.optimizer_tensors(second)
    assert sorted(tensors) == [f"optimizer.{number}.{name}" for number in (0, 1) for name in ("exp_avg", "exp_avg_sq", "step")]
    checkpoint.save(tmp_path / "x", {**tensors, "model.weight": torch.ones(1)}, {})
    fresh = torch.optim.AdamW(broken.parameters(), lr=0.1)
    checkpoint.load_optimizer(fresh, checkpoint.load(tmp_path / "x")[0])
    step(whole, first, 9.0)
    step(broken, fresh, 9.0)
    torch.testing.assert_close(whole.weight, broken.weight, rtol=0, atol=0)
    torch.testing.assert_close(whole.bias, broken.bias, rtol=0, atol=0)


def test_a_file_is_replaced_as_a_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "file"
    checkpoint.write_atomically(path, b"first")
    checkpoint.write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    full = OSError(errno.ENOSPC, "No space left on device")

    def refuse(self: Path, target: Path) -> None:
        raise full

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(TrainingError, match=r"No space left on device\); the one that was there before is untouched; free"):
        checkpoint.write_atomically(path, b"third")
    assert [entry.read_bytes() for entry in path.parent.iterdir()] == [b"second"]
    full = OSError(errno.EACCES, "Permission denied")
    with pytest.raises(TrainingError, match=r"\(Permission denied\); name another place"):
        checkpoint.write_atomically(tmp_path / "other", b"x")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/own", "/shared", "/own"),
        (None, "/shared", "/shared/semblant"),
        ("", "/shared", "/shared/semblant"),
        (None, "relative", "/home/me/.cache/semblant"),
        (None, None, "/home/me/.cache/semblant"),
    ],
)
def test_where_the_cache_lies(own: str | None, shared: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("SEMBLANT_CACHE", own), ("XDG_CACHE_HOME", shared)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_dir() == Path(expected)


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.ENOSPC, "no space left; free some"), (errno.EDQUOT, "no space left"), (errno.EACCES, "Permission denied; name a")],
)
def test_a_cache_that_cannot_be_written_says_why(code: int, advice: str) -> None:
    with pytest.raises(DataError, match=f"the set: {advice}"), failures_named("the set"):
        raise OSError(code, os.strerror(code))
    with pytest.raises(ValueError, match="mine"), failures_named("the set"):
        raise ValueError("mine")
