"""The training loop. It knows arrays, a task that turns a batch into losses, and settings; nothing of models or files.

Every epoch draws its randomness from `(seed, epoch)`, so a run that was broken after any epoch and resumed from that epoch's
state does what the unbroken run does.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from semblant_search.errors import InvalidInput, TrainingError
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["Epoch", "Examples", "Progress", "Settings", "State", "Trainer", "pick_device", "pick_precision"]

VALIDATION_SEED = 0x5EED
_SCHEDULES = ("one-cycle", "cosine", "constant")
_OPTIMIZERS = ("adamw", "adam")
_PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: at most this many passes over the training pictures; None: as many as `minutes` allow.
        minutes: stop after this long; the schedule then follows the clock, so it always reaches its end. None: no limit.
        least_steps: steps between two validations at least: an epoch of a small collection is several passes over it.
        batch: pictures in a step at most; the steps of a pass share its pictures evenly.
        learning_rate: the highest of the schedule.
        optimizer: `adamw` or `adam`.
        schedule: `one-cycle` (up for a tenth, then down a cosine), `cosine` (down only) or `constant`.
        weight_decay: on matrices and kernels only, never on biases and normalisation.
        clip_norm: largest norm of all gradients together, or None.
        patience: stop after this many epochs without a better validation loss, or None: never. The epochs that bring most come
            at the end of a schedule, so that a training which stops before has lost them.
        precision: of the forward pass: `float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes in it.
        seed: fixes initialisation, split, order and augmentation.
    """

    epochs: int | None = 20
    minutes: float | None = None
    least_steps: int = 1
    batch: int = 256
    learning_rate: float = 2e-3
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    weight_decay: float = 1e-4
    clip_norm: float | None = 5.0
    patience: int | None = None
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs is None and self.minutes is None:
            raise InvalidInput("neither epochs nor minutes are set: training would never end; set one of them")
        for name, value in (
            ("epochs", self.epochs),
            ("minutes", self.minutes),
            ("least_steps", self.least_steps),
            ("batch", self.batch),
            ("patience", self.patience),
        ):
            if value is not None and not 0 < value < math.inf:
                raise InvalidInput(f"{name} {value}: expected a number above 0")
        if not 0 <= self.seed < 2**32:
            raise InvalidInput(f"seed {self.seed}: expected 0 to {2**32 - 1}")
        if self.batch < 2:
            raise InvalidInput(f"batch {self.batch}: batch normalisation needs at least 2 pictures in a step")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InvalidInput(f"learning rate {self.learning_rate}: expected a number above 0, such as 0.001")
        for name, choice, choices in (
            ("schedule", self.schedule, _SCHEDULES),
            ("optimizer", self.optimizer, _OPTIMIZERS),
            ("precision", self.precision, _PRECISIONS),
        ):
            if choice not in choices:
                raise InvalidInput(f"{name} {choice!r}: expected one of {', '.join(choices)}")

    def to_json(self) -> dict[str, Any]:
        """The form that is kept beside the weights."""
        return asdict(self)


@dataclass(frozen=True)
class Examples:
    """What to learn from.

    Attributes:
        pictures: uint8 `[n, h, w, c]`, memory-mapped or not.
        labels: int64 `[n]`, -1 where there is none, or None.
        rows: which of the pictures are meant; None: all.
    """

    pictures: np.ndarray
    labels: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pictures) if self.rows is None else len(self.rows)

    @property
    def row_labels(self) -> np.ndarray | None:
        """The labels of the examples, `[N]`, or None."""
        return self.labels if self.labels is None or self.rows is None else self.labels[self.rows]

    def select(self, places: np.ndarray) -> Examples:
        """The examples at some places of 0 to N - 1, as often as each is named."""
        return replace(self, rows=places if self.rows is None else self.rows[places])

    def batch(self, chosen: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Pictures uint8 `[N, h, w, c]` and labels `[N]` on the device, in the order in which they were chosen.

        An objective may learn from a part of a batch, which must not be that of the first folders.
        """
        rows = chosen if self.rows is None else self.rows[chosen]
        ascending = np.argsort(rows, kind="stable")  # kinder to a memory-mapped file
        read = np.empty((len(rows), *self.pictures.shape[1:]), dtype=self.pictures.dtype)
        read[ascending] = self.pictures[rows[ascending]]
        pictures = torch.from_numpy(read).to(device, non_blocking=True)
        return pictures, None if self.labels is None else torch.from_numpy(self.labels[rows]).to(device)


@dataclass(frozen=True)
class Epoch:
    """One line of the history: mean losses of an epoch (`train`, `validation`), and seconds since the start of training."""

    number: int
    train: float
    validation: float
    terms: dict[str, float]
    learning_rate: float
    seconds: float


@dataclass
class State:
    """All that resuming needs beside the weights and the optimizer."""

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    best: float = math.inf
    best_epoch: int = 0
    untrained: float = math.nan
    seconds: float = 0.0
    finished: bool = False


@dataclass(frozen=True)
class Progress:
    """For a progress bar: `done` is the share of the whole training, 0–1; `loss` is the mean of the epoch so far."""

    epoch: int
    done: float
    loss: float
    validation: float | None


class Trainer:
    """Trains `task(pictures uint8 [N, h, w, c], labels) -> {"loss": scalar, …}`.

    Args:
        task: the module whose parameters are trained.
        settings: how.
        on_improvement, on_epoch: called with the state after an epoch, when what they save is consistent.
        on_progress: called after every step.
    """

    def __init__(
        self,
        task: nn.Module,
        settings: Settings,
        *,
        on_improvement: Callable[[State], None] = lambda _: None,
        on_epoch: Callable[[State], None] = lambda _: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.device = pick_device()
        self.task = task.to(self.device)
        if self.device.type == "cuda" or pick_precision(settings.precision) == "bfloat16":
            self.task = self.task.to(memory_format=torch.channels_last)  # slower than plain for float32 on a CPU
        self.settings = settings
        self.optimizer = _optimizer(task, settings)
        self.state = State()
        self._on_improvement, self._on_epoch, self._on_progress = on_improvement, on_epoch, on_progress

    def fit(self, train: Examples, validation: Examples, *, judged: bool = True) -> State:
        """Train from the present state to the end.

        Args:
            train: what is learned from.
            validation: what each epoch is measured on.
            judged: whether that tells which epoch is best; if not, every epoch counts as better than the one before.

        Raises:
            TrainingError: the loss is no number any more, or memory ran out.
        """
        state, settings = self.state, self.settings
        a_pass = _steps(len(train), settings.batch)
        steps = a_pass * math.ceil(settings.least_steps / a_pass)
        began = time.monotonic() - state.seconds
        if not state.history:
            with self._memory_advice(validation):
                state.untrained = self.validate(validation)["loss"]
        while not state.finished:
            number = len(state.history) + 1
            _seed(settings.seed, number)
            with self._memory_advice(train):
                mean = self._epoch(train, a_pass, steps, number, began)
                terms = self.validate(validation)
            state.seconds = time.monotonic() - began
            loss = terms.pop("loss")
            state.history.append(Epoch(number, mean, loss, terms, self.optimizer.param_groups[0]["lr"], state.seconds))
            if improved := loss < state.best or not judged:
                state.best, state.best_epoch = loss, number
            stale = settings.patience is not None and number - state.best_epoch >= settings.patience
            state.finished = stale or self._done(steps, began) >= 1
            if improved:
                self._on_improvement(state)
            self._on_epoch(state)
        return state

    @torch.no_grad()
    def validate(self, examples: Examples) -> dict[str, float]:
        """Mean losses over the examples, with the same random batches and views every time.

        Examples often come ordered by their folders; a batch of one label has no neighbours of another.
        """
        self.task.eval()
        batch = min(self.settings.batch, len(examples))
        order = np.random.default_rng(VALIDATION_SEED).permutation(len(examples))
        sums: dict[str, float] = {}
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(VALIDATION_SEED)
            for start in range(0, len(examples), batch):
                chosen = order[start : start + batch]
                losses = self._losses(examples, chosen)
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(chosen)
        means = {name: value / len(examples) for name, value in sums.items()}
        self._check(means["loss"], "validation loss")
        return means

    def _epoch(self, train: Examples, a_pass: int, steps: int, number: int, began: float) -> float:
        """Mean loss of `steps` steps, `a_pass` of which show every picture once."""
        self.task.train()
        total = torch.zeros((), device=self.device)
        batches: list[np.ndarray] = []
        for step in range(steps):
            if not batches:
                batches = np.array_split(torch.randperm(len(train)).numpy(), a_pass)[::-1]
            chosen = batches.pop()
            done = self._done(steps, began)
            if done >= 1 and step:
                return float(total) / step
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * _schedule(self.settings.schedule, done)
            loss = self._losses(train, chosen)["loss"]
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if self.settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.task.parameters(), self.settings.clip_norm)
            self.optimizer.step()
            self.state.step += 1
            total += loss.detach()
            if step % 10 == 9 or step == steps - 1:  # reading a loss waits for the GPU
                mean = float(total) / (step + 1)
                self._check(mean, "training loss")
                last = self.state.history[-1].validation if self.state.history else None
                self._on_progress(Progress(number, min(1.0, self._done(steps, began)), mean, last))
        return float(total) / steps

    def _losses(self, examples: Examples, chosen: np.ndarray) -> dict[str, Tensor]:
        pictures, labels = examples.batch(chosen, self.device)
        with _autocast(self.device, self.settings.precision):
            losses: dict[str, Tensor] = self.task(pictures, labels)
        return losses

    @contextmanager
    def _memory_advice(self, examples: Examples) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError) as error:  # PyTorch has a class of its own for the GPU, and none for the CPU
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            batch = min(self.settings.batch, len(examples))
            raise TrainingError(
                f"out of memory with {batch} pictures of {'×'.join(map(str, examples.pictures.shape[1:]))} in a step; "
                f"choose a smaller --batch (such as {max(2, batch // 2)}) or a smaller --size"
            ) from error

    def _done(self, steps: int, began: float) -> float:
        """The share of the whole training that is done: by steps or by the clock, whichever is further."""
        by_steps = self.state.step / (self.settings.epochs * steps) if self.settings.epochs else 0.0
        by_clock = (time.monotonic() - began) / (self.settings.minutes * 60) if self.settings.minutes else 0.0
        return max(by_steps, by_clock)

    def _check(self, loss: float, what: str) -> None:
        if not math.isfinite(loss):
            saved = (
                f"the weights of epoch {self.state.best_epoch} are kept" if self.state.best_epoch else "nothing was saved yet"
            )
            raise TrainingError(
                f"the {what} became {loss} in epoch {len(self.state.history) + 1}: the training diverged ({saved}); "
                f"choose a learning rate below {self.settings.learning_rate:g} (--lr {self.settings.learning_rate / 10:g})"
            )


def pick_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision(wanted: str) -> str:
    """`bfloat16` for `auto` where it is computed in hardware (half the time of float32 there), else `float32`."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def _steps(pictures: int, batch: int) -> int:
    """Steps of a pass over all pictures; each has two at least, as batch normalisation needs."""
    return max(1, min(math.ceil(pictures / batch), pictures // 2))


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    if pick_precision(precision) == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _optimizer(task: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind([group for group in groups if group["params"]], lr=settings.learning_rate, fused=True)


def _schedule(name: str, done: float) -> float:
    """Factor on the learning rate at a share of the training, 0–1."""
    warm = 0.1 if name == "one-cycle" else 0.0
    if name == "constant":
        return 1.0
    if done < warm:
        return max(done / warm, 0.01)
    return max(0.5 * (1 + math.cos(math.pi * min(1.0, (done - warm) / (1 - warm)))), 1e-3)


def _seed(seed: int, epoch: int) -> None:
    torch.manual_seed(seed * 1_000_003 + epoch)
