"""`semblant learn`: the encoder that suits the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semblant_exporter.learners import LearnReport

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("directory", type=_FILE)
@click.option("-o", "--output", required=True, type=_FILE, help="The file to write, such as encoder.onnx.")
@click.option(
    "--way",
    type=click.Choice(["pretrained", "fused", "distilled", "scratch", "pixels"]),
    help="Take this one.  [default: the best of those that suit the pictures]",
)
@click.option("--minutes", type=float, default=5.0, show_default=True, help="Of training, for ways that train.")
@click.option("--dim", type=click.IntRange(1), default=128, show_default=True, help="Numbers of a vector, at most.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="Pretrained network, or several beside each other, or the path of any ONNX that takes pictures.  "
    "[default: the best at hand]",
)
@click.option(
    "--weights",
    "given_weights",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Weights of a --network, with its name where there are several.  [default: an installed package's, else "
    "torchvision's download]",
)
@click.option("--mean", nargs=3, type=float, help="Of red, green, blue in 0–1, as an ONNX expects.  [default: ImageNet's]")
@click.option("--std", nargs=3, type=float, help="Their deviations.  [default: ImageNet's]")
@click.option("--features", metavar="OUTPUT", help="The output of an ONNX to take.  [default: the first]")
@click.option(
    "--label", metavar="COLUMN", help="Metadata column with labels, to show P@10 by.  [default: label, else folder names]"
)
@click.option("--name", help="For people.  [default: that of the way]")
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes all that is random.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def learn(as_json: bool, given_weights: tuple[str, ...], **given: Any) -> None:
    """Make the encoder that suits your pictures, in one command.

    Looks at the pictures in DIRECTORY, tries the ways that suit them, measures each on pictures that it did not learn from,
    without labels, and writes the best as one file, with the whole table in its card. Ctrl-C keeps the best so far.
    """
    import json
    import os

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does
    from semblant_exporter.learners import LearnJob
    from semblant_exporter.learners import learn as run

    from .interrupting import one_interrupt
    from .progress import progress_bar

    job = LearnJob(weights=dict(_weights(one, given["networks"]) for one in given_weights), **given)
    try:
        with one_interrupt(), progress_bar() as on_progress:
            report = run(job, on_progress)
    except KeyboardInterrupt:
        click.echo("broken off before there was anything to keep: nothing was written", err=True)
        raise
    for failure in report.failures:
        click.echo(f"not used: {failure.message}", err=True)
    if report.interrupted:
        click.echo(f"broken off: what was best so far is kept in {report.path}", err=True)
    click.echo(json.dumps(report.to_json(), ensure_ascii=False) if as_json else summary(report))
    if report.failures:
        click.get_current_context().exit(3)


def _weights(text: str, networks: tuple[str, ...]) -> tuple[str, Path]:
    """`resnet18=file.pth` as a name and a path; a path alone is of the one network that is named."""
    name, equals, file = text.partition("=")
    if equals and name in networks:
        return name, Path(file)
    if len(networks) == 1:
        return networks[0], Path(text)
    raise click.BadParameter(
        f"{text!r}: expected NAME=FILE with the name of a --network ({', '.join(networks) or 'none is given'}), such as "
        f"{networks[0] if networks else 'resnet18'}=weights.pth",
        param_hint="--weights",
    )


def summary(report: LearnReport) -> str:
    """What was chosen, and why, in two lines."""
    fit, chosen = report.card.fit, report.chosen
    return (
        f"{report.path}: {chosen.way} ({chosen.what}), {fit.height}×{fit.width}×{fit.channels} → {report.card.dim} numbers, "
        f"{report.size / 1e6:.1f} MB, {report.ms:.1f} ms a picture\n"
        f"Why: {report.look}; {report.why}"
    )
