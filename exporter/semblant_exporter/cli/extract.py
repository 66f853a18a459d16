"""`semblant extract`: an encoder of a pretrained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("arch")
@click.argument("directory", type=_FILE)
@click.option("-o", "--output", required=True, type=_FILE, help="The file to write, such as encoder.onnx.")
@click.option(
    "--weights", type=_FILE, help="A file of weights.  [default: an installed package's, else torchvision's download]"
)
@click.option("--size", type=click.IntRange(32), help="Pixels of a side.  [default: what the network was trained with]")
@click.option(
    "--pool",
    "pooling",
    type=click.Choice(["gap", "gem", "flatten", "cls"]),
    default="gap",
    show_default=True,
    help="Mean over places, generalised mean, every place for itself, or the first token.",
)
@click.option(
    "--dim", type=click.IntRange(0), default=128, show_default=True, help="Reduce to so many numbers by PCA; 0 keeps all."
)
@click.option(
    "--whiten/--no-whiten",
    default=None,
    help="Let each direction of the PCA count the same, or leave them.  [default: as far as neighbours get better by it]",
)
@click.option("--policy", type=click.Choice(["pad", "crop", "stretch"]), default="pad", show_default=True, help="How to fit.")
@click.option("--mirror", is_flag=True, help="Take the mean with the mirror image: steadier, for twice the time.")
@click.option("--cells", is_flag=True, help="Also put out local vectors, for region queries.")
@click.option("--mean", nargs=3, type=float, help="Of red, green, blue in 0–1, as an ONNX expects.  [default: ImageNet's]")
@click.option("--std", nargs=3, type=float, help="Their deviations.  [default: ImageNet's]")
@click.option("--features", metavar="OUTPUT", help="The output of an ONNX to take.  [default: the first]")
@click.option("--name", help="For people.  [default: network and pooling]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def extract(size: int | None, dim: int, as_json: bool, **given: Any) -> None:
    """Make an encoder of a pretrained network, without training.

    ARCH is efficientnet-lite0, efficientnet-lite1 or efficientnet-lite2 (their packages carry the weights), vgg16, vgg19,
    resnet18, resnet50, convnext_tiny or efficientnet_b0, cut before its last layers, or the path of any ONNX that takes
    pictures and gives vectors, tokens or a map, such as an exported DINOv2 or CLIP. The pictures in DIRECTORY are only looked
    at to fit the PCA, which goes into the graph.
    """
    import json

    from semblant_exporter.extractors import ExtractJob
    from semblant_exporter.extractors import extract as run

    from .progress import progress_bar

    job = ExtractJob(size=(size, size) if size else None, dim=dim or None, **given)
    with progress_bar() as on_progress:
        report = run(job, on_progress)
    card = report.card
    text = (
        f"{report.path}: {card.name}, {card.fit.height}×{card.fit.width}×3 → {card.dim} numbers"
        f", {report.whitening}, {report.size / 1e6:.2f} MB; weights from {card.training['weights']}\n"
        f"differs from PyTorch by {report.difference:.1g} on {report.checked} real pictures; SHA-256 {report.fingerprint[:16]}…"
    )
    click.echo(json.dumps(report.to_json()) if as_json else text)
