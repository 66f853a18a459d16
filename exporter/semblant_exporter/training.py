"""Learning a model from an array of pictures, with everything that lets the model be used, judged and trained further.

A model directory holds `model.safetensors` (best weights), `state.safetensors` (to resume from), `sample.npy` (some of the
fitted training pictures, for the export's checks and whitening) and `training.json` (the facts for people).
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from semblant_search.errors import InvalidInput, TrainingError
from semblant_search.images import Fit
from semblant_search.shown import counted

from . import checkpoint, models, objectives
from .objectives import Task
from .pictures import spread_out
from .trainer import Epoch, Examples, Settings, State, Trainer, pick_precision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .models import Model
    from .trainer import Progress

__all__ = [
    "FEWEST_PICTURES",
    "Plan",
    "TrainedModel",
    "TrainingReport",
    "check_out",
    "kept_so_far",
    "learn",
    "load_model",
    "make_plan",
]

FEWEST_PICTURES = 4
"""Two to learn from in a step, and some to validate on."""
MOST_VALIDATION = 2000
SAMPLE_BYTES = 32_000_000
SAMPLE_FILE = "sample.npy"
_DIGESTED = 1000


@dataclass(frozen=True)
class Plan:
    """Everything that decides what comes out of a training, apart from the pictures.

    Attributes:
        arch: name in the registry of models.
        config: of the architecture, JSON values.
        fit: how pictures became arrays.
        objective: name in the registry of objectives.
        options: of the objective, JSON values.
        settings: of the trainer.
    """

    arch: str
    config: dict[str, Any]
    fit: Fit
    objective: str
    options: dict[str, Any]
    settings: Settings

    def to_json(self) -> dict[str, Any]:
        """The form that is kept beside the weights."""
        return {
            "arch": self.arch,
            "config": self.config,
            "fit": self.fit.to_json(),
            "objective": self.objective,
            "options": self.options,
            "settings": self.settings.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        return cls(**{**data, "fit": Fit.from_json(data["fit"]), "settings": Settings(**data["settings"])})


@dataclass(frozen=True)
class TrainedModel:
    """A model as its directory keeps it: `model` is in evaluation mode, on the CPU; `facts` are those of the training run."""

    model: Model
    objective: objectives.Objective
    plan: Plan
    facts: dict[str, Any]
    sample: np.ndarray


@dataclass(frozen=True)
class TrainingReport:
    """What a training run did.

    Attributes:
        out: the model directory.
        pictures, validation_pictures: how many were learned from and validated on.
        history: an entry for each epoch.
        best_epoch, best: the epoch whose weights were kept, and its validation loss: the lowest, where that tells.
        untrained: validation loss before the first step.
        seconds: of training and validation, over all runs that this one resumed.
    """

    out: Path
    pictures: int
    validation_pictures: int
    history: list[Epoch]
    best_epoch: int
    best: float
    untrained: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {**asdict(self), "out": str(self.out)}


def make_plan(
    fit: Fit,
    *,
    arch: str = "cae",
    dim: int | None = None,
    objective: str | None = None,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Plan:
    """The architecture's recipe with the user's changes.

    Args:
        fit: how pictures are fitted; its size and channels become the model's.
        arch: name in the registry of models.
        dim: numbers in an embedding, if the architecture leaves a choice; None takes its default.
        objective: name in the registry of objectives; None takes the recipe's.
        options: of the objective.
        settings: fields of `Settings` that replace the recipe's; None counts as not given, `minutes` replaces the epochs.

    Raises:
        InvalidInput: what was asked for does not exist or does not go together.
    """
    entry = models.architecture(arch)
    if entry.fit is not None and entry.fit.shape != fit.shape:
        raise InvalidInput(f"{arch} takes pictures of {_shape(entry.fit)} only, not {_shape(fit)}")
    if dim is not None and entry.dim is not None and dim != entry.dim:
        raise InvalidInput(f"{arch} always makes {entry.dim} numbers; leave --dim away, or choose another --arch than {arch}")
    config: dict[str, Any] = {}
    if entry.fit is None:
        config = {"height": fit.height, "width": fit.width, "channels": fit.channels}
    if dim is not None and entry.dim is None:
        config["dim"] = dim
    given = {name: value for name, value in settings.items() if value is not None}
    if "minutes" in given and "epochs" not in given:
        given["epochs"] = None
    if "epochs" in given and given["epochs"] is not None:
        given.setdefault("least_steps", 1)  # passes are what was asked for
    recipe = entry.recipe
    chosen = {**recipe.settings.to_json(), **given}
    chosen["precision"] = pick_precision(chosen["precision"])
    kept = recipe.options if objective in (None, recipe.objective) else {}
    model = models.build(arch, config)
    built = objectives.build(objective or recipe.objective, {**kept, **(options or {})}, model)
    return Plan(
        arch=arch,
        config=asdict(model.config),
        fit=fit,
        objective=objective or recipe.objective,
        options=objectives.options_json(built),
        settings=Settings(**chosen),
    )


def learn(
    plan: Plan,
    pictures: np.ndarray,
    out: Path,
    *,
    labels: np.ndarray | None = None,
    validation: np.ndarray | None = None,
    start_from: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> TrainingReport:
    """Train by a plan and keep the best model in a directory, which is written to after each epoch.

    Args:
        plan: from `make_plan`.
        pictures: uint8 `[n, h, w, c]`, memory-mapped or not, fitted as the plan says.
        out: the model directory; made if it is not there.
        labels: int64 `[n]`, -1 for none, for objectives that learn from labels.
        validation: other pictures to validate on, uint8 `[m, h, w, c]`; None splits a tenth off (at most 2,000).
        start_from: a model directory of the same architecture whose weights the training begins with.
        resume: go on from the state in `out`, if there is one, with the result of an unbroken run.
        on_progress: called after each step.

    Raises:
        InvalidInput: too few or identical pictures, another shape than the plan's, or resuming with another plan.
        TrainingError: the loss diverged, the disk is full, memory ran out, or the saved state is broken.
    """
    _check_pictures(pictures, plan)
    facts = {
        "pictures": len(pictures),
        "contents": _contents(pictures, labels),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    state_file = out / checkpoint.STATE_FILE
    saved = checkpoint.load(state_file) if resume and state_file.exists() else None
    if saved is not None:
        _check_same(plan, facts, saved[1], out)
    else:
        check_out(out, resume=resume)

    torch.manual_seed(plan.settings.seed)
    model = models.build(plan.arch, plan.config)
    task = Task(model, objectives.build(plan.objective, plan.options, model))
    train, held_out = _split(pictures, labels, validation, plan.settings.seed)
    train = train.select(task.objective.rows(train.row_labels, len(train)))
    judges = task.objective.judges(held_out.row_labels, len(held_out))
    held_out = held_out if judges is None else held_out.select(judges)

    def describe(state: State) -> dict[str, Any]:
        return {
            "plan": plan.to_json(),
            **facts,
            "learned_from": len(train),
            "validated_on": len(held_out),
            "state": {**asdict(state), "history": [asdict(epoch) for epoch in state.history]},
        }

    def keep_best(state: State) -> None:
        checkpoint.save(out / checkpoint.MODEL_FILE, task.state_dict(), describe(state))

    def keep_state(state: State) -> None:
        tensors = {**task.state_dict(), **checkpoint.optimizer_tensors(trainer.optimizer)}
        checkpoint.save(state_file, tensors, describe(state))
        text = json.dumps(describe(state), indent=1)
        checkpoint.write_atomically(out / "training.json", text.encode())

    trainer = Trainer(task, plan.settings, on_improvement=keep_best, on_epoch=keep_state, on_progress=on_progress)
    if saved is not None:
        tensors, known = saved
        _restore(task, tensors, state_file)
        checkpoint.load_optimizer(trainer.optimizer, tensors)
        trainer.state = _state(known)
    else:
        if start_from is not None:
            _start_from(start_from, model)
        else:
            with torch.random.fork_rng(devices=[]):
                model.begin(pictures)
        _keep_sample(pictures, out, plan.settings.seed)
    state = trainer.fit(train, held_out, judged=judges is not None)
    return TrainingReport(
        out, len(train), len(held_out), state.history, state.best_epoch, state.best, state.untrained, state.seconds
    )


def check_out(out: Path, *, resume: bool) -> None:
    """Whether a training may write to this model directory; best asked before pictures are decoded.

    Raises:
        InvalidInput: it holds a model, and is not to be gone on with.
        TrainingError: it cannot be written.
    """
    model = out / checkpoint.MODEL_FILE
    if model.exists() and not resume:
        raise InvalidInput(f"{str(out)!r} holds a model already; choose another --out, remove it, or go on with --resume")
    checkpoint.check_writable(model)


def kept_so_far(out: Path) -> State | None:
    """Where a training that was broken off can go on, and its best epoch until then; None before the end of the first."""
    file = out / checkpoint.STATE_FILE
    return _state(checkpoint.load(file)[1]) if file.exists() else None


def _state(facts: dict[str, Any]) -> State:
    known = facts["state"]
    return State(**{**known, "history": [Epoch(**epoch) for epoch in known["history"]]})


def load_model(folder: Path) -> TrainedModel:
    """The best model of a directory that `learn` wrote; `TrainingError` if there is none, or it is broken."""
    file = folder / checkpoint.MODEL_FILE
    tensors, facts = checkpoint.load(file)
    try:
        plan = Plan.from_json(facts["plan"])
        model = models.build(plan.arch, plan.config)
        objective = objectives.build(plan.objective, plan.options, model)
    except (KeyError, TypeError, InvalidInput) as error:
        raise TrainingError(f"{str(file)!r}: describes no model that this Semblant knows ({error})") from error
    task = Task(model, objective)
    _restore(task, tensors, file)
    task.eval()
    try:
        sample = np.load(folder / SAMPLE_FILE, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{str(folder / SAMPLE_FILE)!r}: cannot be read ({error}); train again") from error
    return TrainedModel(model, objective, plan, facts, sample)


def _check_pictures(pictures: np.ndarray, plan: Plan) -> None:
    if pictures.dtype != np.uint8 or pictures.shape[1:] != plan.fit.shape:
        raise InvalidInput(f"pictures of {pictures.dtype} {list(pictures.shape)}: expected uint8 [n, {_shape(plan.fit)}]")
    if len(pictures) < FEWEST_PICTURES:
        raise InvalidInput(
            f"{counted(len(pictures), 'usable picture')}: learning needs at least {FEWEST_PICTURES}, and is "
            "worth it from some dozens on"
        )
    if all(np.array_equal(pictures[0], picture) for picture in pictures):
        raise InvalidInput(f"all {len(pictures)} pictures are identical once fitted to {_shape(plan.fit)}: nothing to learn")


def _check_same(plan: Plan, facts: dict[str, Any], saved: dict[str, Any], out: Path) -> None:
    """Refuse to resume with anything changed that the result depends on."""

    def flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, value in data.items():
            result.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
        return result

    # States that were saved before contents were kept have nothing to compare.
    compared = ["pictures", *(["contents"] if "contents" in saved else [])]
    now = flat(json.loads(json.dumps({**{name: facts[name] for name in compared}, **plan.to_json()})))
    then = flat({**{name: saved[name] for name in compared}, **saved["plan"]})
    changed = [
        f"{name} was {then.get(name)}, is {now.get(name)}" for name in {**then, **now} if then.get(name) != now.get(name)
    ]
    if changed:
        raise InvalidInput(
            f"{str(out)!r} cannot be resumed with other settings or pictures: {'; '.join(changed)}. "
            "Give what was given before, or start afresh in another --out"
        )


def _contents(pictures: np.ndarray, labels: np.ndarray | None) -> str:
    """A digest of the pictures uint8 `[n, …]`, of a thousand of them if they are more, and of all labels."""
    digest = hashlib.sha256(spread_out(pictures, _DIGESTED).tobytes())
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()[:16]


def _split(
    pictures: np.ndarray, labels: np.ndarray | None, validation: np.ndarray | None, seed: int
) -> tuple[Examples, Examples]:
    if validation is not None:
        return Examples(pictures, labels), Examples(validation)
    count = len(pictures)
    # Two at least: batch normalisation has no statistics of one.
    held_out = max(2, min(count // 10, MOST_VALIDATION))
    rows = np.random.default_rng(seed).permutation(count)
    return Examples(pictures, labels, np.sort(rows[held_out:])), Examples(pictures, labels, np.sort(rows[:held_out]))


def _keep_sample(pictures: np.ndarray, out: Path, seed: int) -> None:
    import io

    count = max(1, min(len(pictures), SAMPLE_BYTES // max(1, int(np.prod(pictures.shape[1:])))))
    # The order of `_split`: pictures that were held out for validation, and so never learned from, come first.
    rows = np.random.default_rng(seed).permutation(len(pictures))[:count]
    file = io.BytesIO()
    np.save(file, pictures[rows], allow_pickle=False)
    checkpoint.write_atomically(out / SAMPLE_FILE, file.getvalue())


def _restore(task: Task, tensors: dict[str, torch.Tensor], file: Path) -> None:
    own = {name: value for name, value in tensors.items() if not name.startswith("optimizer.")}
    try:
        task.load_state_dict(own)
    except RuntimeError as error:
        raise TrainingError(
            f"{str(file)!r}: its weights are those of another model ({str(error).splitlines()[-1].strip()})"
        ) from error


def _start_from(folder: Path, model: Model) -> None:
    other = load_model(folder)
    try:
        model.load_state_dict(other.model.state_dict())
    except RuntimeError as error:
        raise InvalidInput(
            f"{str(folder)!r}: its {other.plan.arch} for pictures of {_shape(other.plan.fit)} with {other.model.dim} numbers "
            "is another model; give the same --arch, --size, --channels and --dim"
        ) from error


def _shape(fit: Fit) -> str:
    return f"{fit.height}×{fit.width}×{fit.channels}"
