"""`semblant train`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from semblant_search.shown import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_exporter.folder import TrainResult
    from semblant_exporter.trainer import Progress


def _size(text: str) -> tuple[int, int]:
    """`28` or `28x40` (height first), in pixels, as `(height, width)`."""
    parts = text.lower().replace("×", "x").split("x")
    if not 1 <= len(parts) <= 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r}: expected a side in pixels, such as 64, or HEIGHTxWIDTH, such as 48x64")
    return int(parts[0]), int(parts[-1])


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The model directory to write.")
@click.option(
    "--arch",
    default="cae",
    show_default=True,
    help="cae, cae-512, cae-spatial, efficientnet-lite0, fashion-mnist-2018 or simple-ae.",
)
@click.option("--dim", type=click.IntRange(1, 65536), help="Numbers in an embedding.  [default: 128]")
@click.option(
    "--objective",
    help="contrastive, reconstruct, denoise, inpaint, colorize, superres or triplet.  [default: the architecture's own]",
)
@click.option("--option", "pairs", multiple=True, metavar="NAME=VALUE", help="Of the objective, such as loss=mse; repeatable.")
@click.option("--label", help="The metadata column that triplet learns from.  [default: label, else the folder's name]")
@click.option("--from", "start_from", type=click.Path(path_type=Path), help="Begin with the weights of this model directory.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the pictures.  [default: the architecture's own]")
@click.option("--minutes", type=float, help="Train for so long; the schedule follows the clock.")
@click.option("--batch", type=click.IntRange(2), help="Pictures in a step.")
@click.option("--lr", "learning_rate", type=float, help="Highest learning rate.")
@click.option("--schedule", type=click.Choice(["one-cycle", "cosine", "constant"]), help="Of the learning rate.")
@click.option("--patience", type=click.IntRange(1), help="Stop after so many epochs without a better validation loss.")
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), help="Of the forward pass.  [default: auto]")
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes all that is random.")
@click.option(
    "--size", type=_size, metavar="SIZE", help="Fit pictures to SIDE or HEIGHTxWIDTH pixels.  [default: their own, or 64]"
)
@click.option("--channels", type=click.Choice(["1", "3"]), help="Grey or RGB.  [default: as the pictures are]")
@click.option("--policy", type=click.Choice(["pad", "crop", "stretch"]), default="pad", show_default=True, help="How to fit.")
@click.option("--metadata", type=click.Path(path_type=Path), help="A table about the pictures.  [default: metadata.csv]")
@click.option("--resume", is_flag=True, help="Go on where the training in --out was broken off.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def train(directory: Path, out: Path, as_json: bool, **given: Any) -> None:
    """Train an encoder on a folder of pictures, without labels.

    Writes the best model, and what it takes to go on, to the directory --out after each epoch; at the end also figures of the
    losses and of reconstructions. A training that was broken off (Ctrl-C) goes on with --resume. Then `semblant export` makes
    an encoder.onnx of it.
    """
    import json
    import os

    # Before torch is loaded: threads that spin while they wait take the cores from whatever else runs on the machine, and
    # a training beside other work then takes twice as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from semblant_exporter.folder import TrainJob
    from semblant_exporter.folder import train as run

    from .interrupting import one_interrupt

    names = ("epochs", "minutes", "batch", "learning_rate", "schedule", "patience", "precision", "seed")
    channels = given.pop("channels")
    job = TrainJob(
        directory,
        out,
        settings={name: given.pop(name) for name in names},
        options=dict(_option(pair) for pair in given.pop("pairs")),
        channels=int(channels) if channels else None,
        **given,
    )
    try:
        with one_interrupt(), _progress() as (on_decoding, on_progress):
            result = run(job, on_decoding=on_decoding, on_progress=on_progress)
    except KeyboardInterrupt:
        click.echo(_kept(out), err=True)
        raise
    for failure in result.failures:
        click.echo(f"not used: {failure.message}", err=True)
    click.echo(json.dumps(result.to_json()) if as_json else _summary(result))
    if result.failures:
        click.get_current_context().exit(3)


def _option(pair: str) -> tuple[str, Any]:
    """`loss=mse` as a name and a value: JSON where it is that, else text."""
    import json

    name, equals, text = pair.partition("=")
    if not equals:
        raise click.BadParameter(f"{pair!r}: expected NAME=VALUE, such as loss=mse", param_hint="--option")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str, int, int | None], None], Callable[[Progress], None]]]:
    """Callbacks for decoding and for training, drawn as one bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("reading pictures", total=None)
        training = False

        def on_decoding(step: str, done: int, total: int | None) -> None:
            bars.update(bar, description=step, completed=done, total=total)

        def on_progress(progress: Progress) -> None:
            nonlocal training
            if not training:  # the time that remains must not be judged by the speed of decoding
                bars.reset(bar)
                training = True
            validation = "" if progress.validation is None else f", validation {progress.validation:.4g}"
            text = f"epoch {progress.epoch}: loss {progress.loss:.4g}{validation}"
            bars.update(bar, description=text, completed=progress.done, total=1.0)

        yield on_decoding, on_progress


def _kept(out: Path) -> str:
    """What a training that was broken off leaves, and how to go on."""
    from semblant_exporter.training import kept_so_far

    kept = kept_so_far(out)
    if kept is None:
        return f"broken off before the end of the first epoch: nothing is kept in {out}; the same command begins afresh"
    return (
        f"broken off after {counted(len(kept.history), 'epoch')}: {out} keeps the best so far, of epoch {kept.best_epoch} "
        f"with a validation loss of {kept.best:.4g}\n"
        f"to go on: the same command with --resume; to use it as it is: semblant export {out} -o encoder.onnx"
    )


def _summary(result: TrainResult) -> str:
    report, plan = result.report, result.plan
    size = "×".join(map(str, plan.fit.shape))
    return (
        f"{plan.arch}, {plan.objective}: {counted(report.pictures, 'picture')} of {size}, "
        f"{counted(len(report.history), 'epoch')} in {report.seconds:.0f} s\n"
        f"validation loss {report.untrained:.4g} untrained, {report.best:.4g} in epoch {report.best_epoch}, which is kept in "
        f"{report.out}\n"
        f"next: semblant export {report.out} -o encoder.onnx"
    )
