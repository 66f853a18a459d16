"""Models learn from real pictures, and a training that is broken, resumed or impossible behaves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from semblant_exporter import metrics, models
from semblant_exporter.checkpoint import MODEL_FILE, STATE_FILE
from semblant_exporter.models.cae import CaeConfig
from semblant_exporter.trainer import Examples, Settings, Trainer
from semblant_exporter.training import learn, load_model, make_plan
from semblant_exporter.whitening import embed, fit_whitening
from semblant_search.errors import InvalidInput, TrainingError
from semblant_search.images import Fit
from support.examples import examples

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_exporter.models import Model
    from semblant_exporter.trainer import Progress

    from .conftest import Fashion

GREY28 = Fit(28, 28, 1)


def precision_at_10(model: Model, fashion: Fashion) -> float:
    """Share of the 10 nearest training pictures that have a test picture's category, with whitened latents."""
    there, asked = embed(model.eval(), fashion.train), embed(model, fashion.test)
    whitening = fit_whitening(there)
    indexed, queries = (torch.nn.functional.normalize(whitening(latents)).numpy() for latents in (there, asked))
    found = metrics.nearest(indexed, queries, 10)
    return float(metrics.precision_at(metrics.matches(found, fashion.train_labels, fashion.test_labels), 10).mean())


def test_the_default_recipe_finds_more_of_the_same_category_than_an_untrained_network(trained: Path, fashion: Fashion) -> None:
    learned = load_model(trained)
    torch.manual_seed(0)
    untrained = models.build(learned.plan.arch, learned.plan.config)
    assert precision_at_10(learned.model, fashion) > precision_at_10(untrained, fashion) + 0.03


@pytest.mark.parametrize(
    ("arch", "options", "share"),
    [("cae", {"loss": "bce"}, 0.75), ("cae", {"loss": "mse"}, 0.5), ("fashion-mnist-2018", {"loss": "bce"}, 0.85)],
)
def test_reconstruction_loss_falls(arch: str, options: dict[str, str], share: float, fashion: Fashion, tmp_path: Path) -> None:
    plan = make_plan(GREY28, arch=arch, objective="reconstruct", options=options, epochs=3, batch=50)
    report = learn(plan, fashion.train, tmp_path / "model")
    assert report.best < share * report.untrained
    assert [epoch.number for epoch in report.history] == [1, 2, 3]


def test_the_published_network_is_the_published_one() -> None:
    plan = make_plan(GREY28, arch="fashion-mnist-2018")
    assert (plan.objective, plan.options) == ("reconstruct", {"loss": "bce", "flip": 0.0})
    chosen = plan.settings
    assert (chosen.batch, chosen.epochs, chosen.learning_rate, chosen.optimizer) == (400, 20, 1e-3, "adam")
    model = models.build(plan.arch, plan.config)
    # 3×3 kernels of 1→16→8→8 and 8→8→8→16→1 channels, with biases.
    assert sum(parameter.numel() for parameter in model.parameters()) == 160 + 1160 + 584 + 584 + 584 + 1168 + 145


@given(height=st.integers(4, 70), width=st.integers(4, 70), channels=st.sampled_from([1, 3]), dim=st.integers(1, 40))
@settings(max_examples=examples(15))
def test_cae_takes_pictures_of_any_size(height: int, width: int, channels: int, dim: int) -> None:
    model = models.build("cae", {"height": height, "width": width, "channels": channels, "dim": dim, "base": 4}).eval()
    assert isinstance(model, models.Autoencoder)
    images = torch.rand(2, channels, height, width)
    latent = model.encode(images)
    assert latent.shape == (2, dim)
    assert model.decode(latent).shape == images.shape
    assert max(CaeConfig(height, width, channels).sizes()[-1]) <= 6


class BrokenOffError(Exception):
    pass


@pytest.mark.parametrize(
    ("objective", "precision"), [("reconstruct", "float32"), ("contrastive", "float32"), ("reconstruct", "bfloat16")]
)
def test_a_broken_training_resumes_to_the_result_of_an_unbroken_one(
    objective: str, precision: str, fashion: Fashion, tmp_path: Path
) -> None:
    plan = make_plan(GREY28, objective=objective, epochs=3, batch=64, seed=5, precision=precision)
    few = fashion.train[:: 4 if precision == "float32" else 12]
    whole = learn(plan, few, tmp_path / "whole")

    def break_off(progress: Progress) -> None:
        if progress.epoch == 3:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        learn(plan, few, tmp_path / "broken", on_progress=break_off)
    resumed = learn(plan, few, tmp_path / "broken", resume=True)

    assert [epoch.validation for epoch in resumed.history] == pytest.approx(
        [epoch.validation for epoch in whole.history], rel=1e-5
    )
    one, other = (load_model(tmp_path / name).model.state_dict() for name in ("whole", "broken"))
    for name, values in one.items():
        torch.testing.assert_close(other[name], values, rtol=1e-4, atol=1e-5)
    again = learn(plan, few, tmp_path / "broken", resume=True)
    assert again.history == resumed.history  # a finished training is not trained further


def test_another_seed_gives_another_model(fashion: Fashion, tmp_path: Path) -> None:
    losses = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        plan = make_plan(GREY28, objective="reconstruct", epochs=1, seed=seed, precision="float32")
        losses.append(learn(plan, fashion.train[::8], tmp_path / name).best)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert abs(losses[0] - losses[2]) > 1e-5


def test_resuming_with_other_settings_is_refused_and_says_what_changed(trained: Path, fashion: Fashion) -> None:
    before = (trained / MODEL_FILE).read_bytes()
    changed = make_plan(GREY28, epochs=9, batch=100, learning_rate=0.5, precision="float32")
    with pytest.raises(InvalidInput, match=r"settings\.epochs was 4, is 9.*settings\.learning_rate was 0\.002, is 0\.5"):
        learn(changed, fashion.train, trained, resume=True)
    same = make_plan(GREY28, epochs=4, batch=100, precision="float32")
    with pytest.raises(InvalidInput, match="pictures was 2000, is 1999"):
        learn(same, fashion.train[1:], trained, resume=True)
    others = np.concatenate([fashion.train[:-1], fashion.test[:1]])  # as many, but not the same
    with pytest.raises(InvalidInput, match="contents was"):
        learn(same, others, trained, resume=True)
    with pytest.raises(InvalidInput, match="contents was"):
        learn(same, fashion.train, trained, labels=fashion.train_labels, resume=True)
    with pytest.raises(InvalidInput, match="holds a model already"):
        learn(same, fashion.train, trained)
    assert (trained / MODEL_FILE).read_bytes() == before


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_checkpoint_cut_short_is_named(keep: int, trained: Path, fashion: Fashion, tmp_path: Path) -> None:
    copied = tmp_path / "cut"
    shutil.copytree(trained, copied)
    for name in (MODEL_FILE, STATE_FILE):
        data = (copied / name).read_bytes()
        (copied / name).write_bytes(data[:keep])
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        load_model(copied)
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        learn(make_plan(GREY28, epochs=4, batch=100, precision="float32"), fashion.train, copied, resume=True)


def test_weights_of_another_model_are_refused(trained: Path, tmp_path: Path) -> None:
    from semblant_exporter import checkpoint

    copied = tmp_path / "other"
    shutil.copytree(trained, copied)
    _, facts = checkpoint.load(copied / MODEL_FILE)
    other = models.build("fashion-mnist-2018", {})
    checkpoint.save(copied / MODEL_FILE, {f"model.{name}": value for name, value in other.state_dict().items()}, facts)
    with pytest.raises(TrainingError, match="another model"):
        load_model(copied)


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="semblant train"):
        load_model(tmp_path)


def test_a_diverging_training_stops_with_advice_and_keeps_the_last_good_model(fashion: Fashion, tmp_path: Path) -> None:
    plan = make_plan(GREY28, objective="reconstruct", epochs=3, batch=50, learning_rate=1e18, precision="float32")
    with pytest.raises(TrainingError, match=r"diverged.*--lr 1e\+17"):
        learn(plan, fashion.train[:500], tmp_path / "model")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_pictures(count: int, fashion: Fashion, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"{count} usable picture"):
        learn(make_plan(GREY28), fashion.train[:count], tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_identical_pictures(fashion: Fashion, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="all 40 pictures are identical"):
        learn(make_plan(GREY28), np.repeat(fashion.train[:1], 40, axis=0), tmp_path / "model")


@pytest.mark.parametrize("count", [4, 5, 36])
def test_fewer_pictures_than_a_batch(count: int, fashion: Fashion, tmp_path: Path) -> None:
    report = learn(make_plan(GREY28, epochs=2), fashion.train[:: 2000 // count][:count], tmp_path / "model")
    assert report.pictures + report.validation_pictures == count
    assert np.isfinite(report.best)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"arch": "resnet9000"}, "expected one of cae"),
        ({"objective": "guess"}, "expected one of .*contrastive"),
        ({"objective": "reconstruct", "options": {"loss": "l3"}}, "expected bce or mse"),
        ({"options": {"speed": 3}}, "speed"),
        ({"arch": "fashion-mnist-2018", "dim": 64}, "always makes 128"),
        ({"learning_rate": float("nan")}, "learning rate nan"),
        ({"batch": 1}, "at least 2"),
        ({"epochs": 0}, "epochs 0"),
        ({"minutes": -1.0}, "minutes -1"),
        ({"minutes": float("nan")}, "minutes nan"),
        ({"seed": -5}, "seed -5"),
        ({"dim": 0}, "dim 0"),
    ],
)
def test_settings_that_cannot_work(asked: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_plan(GREY28, **asked)  # type: ignore[arg-type]


def test_minutes_end_the_training_with_its_schedule_complete(fashion: Fashion, tmp_path: Path) -> None:
    plan = make_plan(GREY28, objective="reconstruct", minutes=0.02, batch=50)
    report = learn(plan, fashion.train, tmp_path / "model")
    assert report.seconds >= 1.2
    assert len(report.history) < 100
    assert report.history[-1].learning_rate < 0.1 * plan.settings.learning_rate


def test_a_full_disk_leaves_the_last_good_model(fashion: Fashion, tmp_path: Path) -> None:
    """A limit on the size of files acts as a disk that fills up."""
    np.save(tmp_path / "few.npy", fashion.train[:100])
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from semblant_exporter.training import learn, make_plan
from semblant_search.errors import SemblantError
from semblant_search.images import Fit
folder = Path(sys.argv[1])
def fill(progress):
    if progress.epoch == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    plan = make_plan(Fit(28, 28, 1), objective="reconstruct", epochs=4, batch=20)
    learn(plan, np.load(folder / "few.npy"), folder / "model", on_progress=fill)
except SemblantError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("TrainingError")
    assert "untouched" in done.stdout
    assert load_model(tmp_path / "model").facts["state"]["best_epoch"] == 1
    assert not list((tmp_path / "model").glob(".*"))
    assert json.loads((tmp_path / "model" / "training.json").read_text())["state"]["history"]


def test_a_killed_training_resumes_to_the_result_of_an_unbroken_one(fashion: Fashion, tmp_path: Path) -> None:
    """`kill -9` in the middle of writing the state after the second epoch."""
    np.save(tmp_path / "few.npy", fashion.train[::8])
    plan = make_plan(GREY28, objective="reconstruct", epochs=4, batch=50, precision="float32")
    script = """
import os, signal, sys
from pathlib import Path
import numpy as np
from semblant_exporter import checkpoint
from semblant_exporter.training import learn, make_plan
from semblant_search.images import Fit
folder = Path(sys.argv[1])
replace, written = Path.replace, []
def dying(self, target):
    written.append(target)
    if [path.name for path in written].count(checkpoint.STATE_FILE) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = dying
import torch
torch.set_num_threads(1)
plan = make_plan(Fit(28, 28, 1), objective="reconstruct", epochs=4, batch=50, precision="float32")
learn(plan, np.load(folder / "few.npy"), folder / "killed")
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert done.returncode == -9
    resumed = learn(plan, fashion.train[::8], tmp_path / "killed", resume=True)
    whole = learn(plan, fashion.train[::8], tmp_path / "whole")
    assert len(resumed.history) == 4
    validation, expected = ([epoch.validation for epoch in report.history] for report in (resumed, whole))
    assert validation == pytest.approx(expected, rel=1e-5)
    assert load_model(tmp_path / "killed").facts["state"]["best_epoch"] == whole.best_epoch


def test_running_out_of_memory_says_what_to_change(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
import numpy as np
import torch
from semblant_exporter.training import learn, make_plan
from semblant_search.errors import TrainingError
from semblant_search.images import Fit
torch.set_num_threads(1)
pictures = np.random.default_rng(0).integers(0, 255, (70, 256, 256, 3), dtype=np.uint8)
plan = make_plan(Fit(256, 256, 3), objective="reconstruct", batch=64, precision="float32")
torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # loads what PyTorch loads late
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, used + 300_000_000))
try:
    learn(plan, pictures, Path(sys.argv[1]) / "model")
except TrainingError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert "out of memory with 63 pictures of 256×256×3" in done.stdout, done.stderr
    assert "--batch (such as 31)" in done.stdout


class _CountsLabels(torch.nn.Module):
    """A task whose loss is the number of different labels in a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, pictures: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": torch.tensor(float(len(set(labels.tolist()))))}


def test_validation_mixes_pictures_that_come_in_the_order_of_their_labels(fashion: Fashion) -> None:
    order = np.argsort(fashion.train_labels, kind="stable")
    examples = Examples(fashion.train[order], fashion.train_labels[order])
    assert Trainer(_CountsLabels(), Settings(batch=100)).validate(examples)["loss"] > 9


def test_few_pictures_are_gone_through_often_enough_to_learn_from() -> None:
    assert make_plan(GREY28).settings.least_steps == 50  # 12 epochs of 50 steps, where 12 passes over 36 pictures are 12
    assert make_plan(GREY28, minutes=1).settings.least_steps == 50
    assert make_plan(GREY28, epochs=3).settings.least_steps == 1  # passes were asked for


def test_minutes_are_used_to_the_end_of_the_schedule(fashion: Fashion, tmp_path: Path) -> None:
    """Epochs that bring nothing while the learning rate is high do not end the training."""
    plan = make_plan(GREY28, arch="simple-ae", epochs=14, batch=20, learning_rate=1.0, least_steps=1)
    report = learn(plan, fashion.train[:40], tmp_path / "model")
    assert plan.settings.patience is None
    assert len(report.history) == 14
    assert report.history[-1].learning_rate < 0.1
