"""The loop itself, with tasks small enough to know what must come out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from semblant_exporter.checkpoint import load_optimizer, optimizer_tensors
from semblant_exporter.trainer import Epoch, Examples, Progress, Settings, State, Trainer, pick_precision
from semblant_search.errors import InvalidInput, TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN = Settings(
    epochs=3, batch=4, learning_rate=0.1, schedule="constant", weight_decay=0.0, precision="float32", patience=None
)


def numbered(count: int) -> Examples:
    """Pictures of one pixel, which is their number."""
    return Examples(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1))


class Noting(torch.nn.Module):
    """Notes which pictures it was shown; its losses in evaluation are those given, one after the other."""

    def __init__(self, judged: Sequence[float] = (), gradient: float = 0.0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, 1))
        self.bias = torch.nn.Parameter(torch.ones(1))
        self.judged, self.gradient = list(judged), gradient
        self.seen: list[list[int]] = []
        self.validated: list[list[int]] = []
        self.noise: list[float] = []

    def forward(self, pictures: torch.Tensor, labels: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """`loss`, and in evaluation the mean number of the pictures."""
        numbers = pictures.flatten().tolist()
        if self.training:
            self.seen.append(numbers)
            return {"loss": (self.weight.sum() + self.bias.sum()) * self.gradient}
        self.validated.append(numbers)
        self.noise.append(float(torch.rand(1)))
        loss = self.judged.pop(0) if self.judged else 1.0
        return {"loss": torch.tensor(loss), "mean": pictures.float().mean()}


def fit(task: torch.nn.Module, settings: Settings, train: int = 8, held_out: int = 4, **more: bool) -> State:
    return Trainer(task, settings).fit(numbered(train), numbered(held_out), **more)


def test_the_epoch_with_the_lowest_validation_loss_is_kept() -> None:
    improved: list[tuple[int, float]] = []
    task = Noting([9, 5, 3, 4, 3, 2, 8])
    trainer = Trainer(
        task, replace(PLAIN, epochs=6), on_improvement=lambda state: improved.append((state.best_epoch, state.best))
    )
    state = trainer.fit(numbered(8), numbered(4))
    assert improved == [(1, 5), (2, 3), (5, 2)]  # as good as before is no improvement
    assert (state.best, state.best_epoch, state.untrained, state.finished) == (2, 5, 9, True)
    assert [epoch.validation for epoch in state.history] == [5, 3, 4, 3, 2, 8]
    assert [epoch.number for epoch in state.history] == [1, 2, 3, 4, 5, 6]
    assert all(epoch.terms == {"mean": 1.5} for epoch in state.history)


def test_where_nothing_can_tell_the_last_epoch_is_kept() -> None:
    state = fit(Noting([9, 1, 2, 3]), PLAIN, judged=False)
    assert (state.best, state.best_epoch) == (3, 3)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 8), (None, 9)])
def test_epochs_that_bring_nothing_end_the_training(patience: int | None, epochs: int) -> None:
    state = fit(Noting([9, 5, 4, 6, 6, 3, 7, 8, 9, 9]), replace(PLAIN, epochs=9, patience=patience))
    assert len(state.history) == epochs
    assert state.finished


def test_each_epoch_shows_every_picture_once_in_an_order_of_its_own() -> None:
    task = Noting()
    state = fit(task, PLAIN, train=8)
    assert state.step == 6
    assert [len(batch) for batch in task.seen] == [4] * 6
    epochs = [[*task.seen[2 * number], *task.seen[2 * number + 1]] for number in range(3)]
    assert all(sorted(numbers) == list(range(8)) for numbers in epochs)
    assert len({tuple(sorted(task.seen[2 * number])) for number in range(3)}) > 1
    again, other = Noting(), Noting()
    fit(again, PLAIN, train=8)
    fit(other, replace(PLAIN, seed=1), train=8)
    assert again.seen == task.seen
    assert other.seen != task.seen


def test_validation_sees_every_picture_once_with_the_same_chance_each_time() -> None:
    task = Noting()
    trainer = Trainer(task, PLAIN)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = trainer.validate(numbered(10))
    assert torch.equal(torch.get_rng_state(), before)  # measuring does not change what is learned next
    assert sorted(number for batch in task.validated for number in batch) == list(range(10))
    assert [len(batch) for batch in task.validated] == [4, 4, 2]
    assert found["mean"] == pytest.approx(4.5)  # of pictures, not of batches
    torch.manual_seed(4)
    trainer.validate(numbered(10))
    assert task.noise[:3] == task.noise[3:]
    assert not task.training


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1.0] * 20),
        ("cosine", [0.5 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]),
        ("one-cycle", [0.01, 0.5, *(0.5 * (1 + math.cos(math.pi * (step / 20 - 0.1) / 0.9)) for step in range(2, 20))]),
    ],
)
def test_the_learning_rate_follows_its_schedule(schedule: str, factors: list[float]) -> None:
    state = fit(Noting(), replace(PLAIN, epochs=20, schedule=schedule), train=4)
    assert [epoch.learning_rate for epoch in state.history] == pytest.approx([0.1 * max(factor, 1e-3) for factor in factors])


@pytest.mark.parametrize(("clip", "norm"), [(5.0, 5.0), (0.5, 0.5), (None, 1000 * 2**0.5)])
def test_gradients_are_clipped_by_their_norm_together(clip: float | None, norm: float) -> None:
    task = Noting(gradient=1000.0)
    fit(task, replace(PLAIN, clip_norm=clip))
    assert task.weight.grad is not None
    assert task.bias.grad is not None
    assert math.hypot(float(task.weight.grad), float(task.bias.grad)) == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize(("optimizer", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_only_matrices_decay(optimizer: str, kind: type[torch.optim.Optimizer]) -> None:
    task = Noting(gradient=0.0)
    settings = replace(PLAIN, optimizer=optimizer, weight_decay=0.5)
    trainer = Trainer(task, settings)
    assert type(trainer.optimizer) is kind
    assert [(len(group["params"]), group["weight_decay"]) for group in trainer.optimizer.param_groups] == [(1, 0.5), (1, 0.0)]
    trainer.fit(numbered(8), numbered(4))
    assert float(task.bias.detach()) == 1
    if optimizer == "adamw":
        assert float(task.weight.detach()) == pytest.approx((1 - 0.1 * 0.5) ** 6)
    else:
        assert float(task.weight.detach()) < 0.6  # a gradient like any other, which Adam makes steps of the learning rate of


def test_what_is_frozen_is_not_trained() -> None:
    task = Noting(gradient=1.0)
    task.bias.requires_grad = False
    trainer = Trainer(task, PLAIN)
    assert sum(len(group["params"]) for group in trainer.optimizer.param_groups) == 1
    trainer.fit(numbered(8), numbered(4))
    assert (float(task.bias.detach()), float(task.weight.detach()) < 1) == (1, True)


def test_progress_tells_the_share_that_is_done_and_the_losses() -> None:
    steps: list[Progress] = []
    task = Noting([9, 8, 7], gradient=1.0)
    state = Trainer(task, replace(PLAIN, epochs=2, batch=2), on_progress=steps.append).fit(numbered(50), numbered(2))
    assert [(step.epoch, round(step.done, 3)) for step in steps] == [(1, 0.2), (1, 0.4), (1, 0.5), (2, 0.7), (2, 0.9), (2, 1.0)]
    assert [step.validation for step in steps] == [None] * 3 + [8] * 3
    assert steps[2].loss == pytest.approx(state.history[0].train)
    assert steps[0].loss > steps[1].loss > steps[2].loss  # the mean of the epoch so far


def test_minutes_end_the_training_within_an_epoch_and_with_its_schedule() -> None:
    settings = replace(PLAIN, epochs=None, minutes=0.003, batch=2, schedule="cosine")
    train = Examples(np.zeros((200_000, 1, 1, 1), np.uint8))
    state = Trainer(Noting(), settings).fit(train, numbered(4))
    assert len(state.history) == 1
    assert 1 <= state.step < 100_000
    assert state.history[0].learning_rate < 0.05
    assert state.seconds >= 0.18


def test_epochs_end_a_training_that_has_minutes_left() -> None:
    assert len(fit(Noting(), replace(PLAIN, epochs=2, minutes=60.0)).history) == 2


def test_a_state_goes_on_where_it_was_left() -> None:
    whole, parts = Noting(), Noting()
    fit(whole, replace(PLAIN, epochs=4))
    first = fit(parts, replace(PLAIN, epochs=2))
    trainer = Trainer(parts, replace(PLAIN, epochs=4))
    trainer.state = State(list(first.history), first.step, first.best, first.best_epoch, first.untrained, 100.0)
    state = trainer.fit(numbered(8), numbered(4))
    assert parts.seen == whole.seen
    assert [epoch.number for epoch in state.history] == [1, 2, 3, 4]
    assert state.untrained == first.untrained
    assert state.seconds > 100  # all that was trained, and not only since
    assert state.history[-1].seconds > 100
    assert len(parts.validated) == 5  # what was untrained is not measured again


class Failing(torch.nn.Module):
    """Fails from a certain step on."""

    def __init__(self, error: Exception | None, loss: float = 1.0, *, training: bool = True, after: int = 0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.error, self.loss, self.when, self.left = error, loss, training, after

    def forward(self, pictures: torch.Tensor, labels: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """The loss."""
        if self.training is self.when:
            self.left -= 1
            if self.left < 0:
                if self.error is not None:
                    raise self.error
                return {"loss": self.weight.sum() * 0 + self.loss}
        return {"loss": self.weight.sum() * 0 + 1.0}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("training", "after", "said"),
    [
        (True, 0, r"the training loss became (nan|inf) in epoch 1: .*nothing was saved yet"),
        (True, 2, r"the training loss became (nan|inf) in epoch 2: .*the weights of epoch 1 are kept"),
        (False, 0, r"the validation loss became (nan|inf) in epoch 1: .*\(nothing was saved yet\)"),
        (False, 2, r"the validation loss became (nan|inf) in epoch 2: .*the weights of epoch 1 are kept"),
    ],
)
def test_a_loss_that_is_no_number_ends_the_training_with_advice(loss: float, training: bool, after: int, said: str) -> None:
    with pytest.raises(TrainingError, match=said + r".*below 0\.1 \(--lr 0\.01\)"):
        fit(Failing(None, loss, training=training, after=after), PLAIN)


@pytest.mark.parametrize(
    ("error", "training", "batch"),
    [
        (MemoryError(), True, "out of memory with 8 pictures of 1×1×1 in a step; .*such as 4"),
        (RuntimeError("CUDA out of memory"), True, "with 8 pictures"),
        (RuntimeError("not enough memory: you tried"), False, "with 3 pictures of 1×1×1 in a step; .*such as 2"),
    ],
)
def test_memory_that_runs_out_brings_advice(error: Exception, training: bool, batch: str) -> None:
    with pytest.raises(TrainingError, match=batch):
        fit(Failing(error, training=training), replace(PLAIN, batch=10), held_out=3)


def test_other_failures_are_not_taken_for_missing_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        fit(Failing(RuntimeError("shapes do not fit")), PLAIN)


def test_examples_are_rows_with_their_labels() -> None:
    pictures = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    examples = Examples(pictures, np.arange(20) * 10, np.array([3, 5, 5, 9]))
    assert len(examples) == 4
    assert examples.row_labels is not None
    assert examples.row_labels.tolist() == [30, 50, 50, 90]
    chosen = examples.select(np.array([3, 0, 0]))
    shown, labels = chosen.batch(np.arange(3), torch.device("cpu"))
    assert labels is not None
    assert dict(zip(shown.flatten().tolist(), labels.tolist(), strict=True)) == {3: 30, 9: 90}
    assert len(Examples(pictures).select(np.array([1, 1]))) == 2
    assert Examples(pictures).row_labels is None
    assert Examples(pictures).batch(np.array([7]), torch.device("cpu"))[1] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": None}, "neither epochs nor minutes"),
        ({"patience": 0}, "patience 0: expected a number above 0"),
        ({"minutes": math.inf}, "minutes inf"),
        ({"learning_rate": 0.0}, "learning rate 0.0"),
        ({"learning_rate": math.inf}, "learning rate inf"),
        ({"schedule": "linear"}, "schedule 'linear': expected one of one-cycle, cosine, constant"),
        ({"optimizer": "sgd"}, "optimizer 'sgd': expected one of adamw, adam"),
        ({"precision": "float16"}, "precision 'float16': expected one of auto, float32, bfloat16"),
        ({"seed": 2**32}, "seed 4294967296"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(PLAIN, **change)  # type: ignore[arg-type]


def test_the_settings_without_any_given() -> None:
    assert Settings().to_json() == {
        "epochs": 20,
        "minutes": None,
        "least_steps": 1,
        "batch": 256,
        "learning_rate": 2e-3,
        "optimizer": "adamw",
        "schedule": "one-cycle",
        "weight_decay": 1e-4,
        "clip_norm": 5.0,
        "patience": None,
        "precision": "auto",
        "seed": 0,
    }
    assert pick_precision("float32") == "float32"
    assert pick_precision("bfloat16") == "bfloat16"
    assert pick_precision("auto") in ("float32", "bfloat16")


def test_bfloat16_is_what_was_asked_for() -> None:
    class Kinds(Noting):
        def forward(self, pictures: torch.Tensor, labels: torch.Tensor | None) -> dict[str, torch.Tensor]:
            """The loss of a product, in the precision that products have."""
            product = pictures.flatten(1).float() @ self.weight
            self.noise.append(product.dtype.itemsize)
            return {"loss": product.float().mean()}

    for precision, size in (("float32", 4), ("bfloat16", 2)):
        task = Kinds()
        fit(task, replace(PLAIN, precision=precision))
        assert set(task.noise) == {size}


def test_an_epoch_is_a_line_of_the_history() -> None:
    state = fit(Noting([4.0, 3.0], gradient=0.5), replace(PLAIN, epochs=1), train=4)
    (epoch,) = state.history
    assert epoch == Epoch(1, epoch.train, 3.0, {"mean": 1.5}, 0.1, state.seconds)
    assert epoch.train == pytest.approx(1.0)  # before the step: 2 × 0.5


def test_a_batch_keeps_the_order_in_which_it_was_drawn() -> None:
    """An objective may learn from the first part of a batch: sorted, that would be the first folders, always."""
    ten = numbered(10)
    labelled = replace(ten, labels=np.arange(10, dtype=np.int64) * 10)
    for examples, expected in ((labelled, [7, 2, 9, 0]), (labelled.select(np.arange(9, -1, -1)), [2, 7, 0, 9])):
        pictures, labels = examples.batch(np.array([7, 2, 9, 0]), torch.device("cpu"))
        assert pictures.flatten().tolist() == expected
        assert labels is not None
        assert labels.tolist() == [10 * number for number in expected]


@pytest.mark.parametrize(("pictures", "sizes"), [(11, {3, 4}), (3, {3}), (5, {2, 3}), (9, {3})])
def test_a_pass_shows_every_picture_in_batches_of_about_one_size(pictures: int, sizes: set[int]) -> None:
    task = Noting()
    fit(task, replace(PLAIN, epochs=1), train=pictures)
    assert {len(batch) for batch in task.seen} == sizes
    assert sorted(number for batch in task.seen for number in batch) == list(range(pictures))


def test_an_epoch_of_few_pictures_is_several_passes() -> None:
    task = Noting()
    state = fit(task, replace(PLAIN, epochs=2, least_steps=5), train=8)
    assert (state.step, len(state.history)) == (12, 2)  # three passes of two steps each
    assert all(sorted(task.seen[2 * number] + task.seen[2 * number + 1]) == list(range(8)) for number in range(6))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_an_optimizer_that_was_saved_goes_on_with_its_own_moments(memory_format: torch.memory_format) -> None:
    """Weights of bfloat16 trainings are kept channels-last in memory; files hold rows."""

    def step(layer: torch.nn.Conv2d, optimizer: torch.optim.Optimizer) -> None:
        torch.manual_seed(4)
        layer.weight.grad = torch.rand_like(layer.weight)
        optimizer.step()

    torch.manual_seed(1)
    layer = torch.nn.Conv2d(3, 4, 3, bias=False).to(memory_format=memory_format)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
    step(layer, optimizer)
    saved = {name: value.contiguous().clone() for name, value in optimizer_tensors(optimizer).items()}
    other = torch.nn.Conv2d(3, 4, 3, bias=False).to(memory_format=memory_format)
    other.load_state_dict({name: value.contiguous().clone() for name, value in layer.state_dict().items()})
    resumed = torch.optim.Adam(other.parameters(), lr=0.1, fused=True)
    load_optimizer(resumed, saved)
    step(layer, optimizer)
    step(other, resumed)
    torch.testing.assert_close(other.weight, layer.weight)
