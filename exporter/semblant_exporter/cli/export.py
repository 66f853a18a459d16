"""`semblant export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("model_dir", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write, such as encoder.onnx.")
@click.option("--name", help="For people.  [default: architecture and model directory]")
@click.option(
    "--whiten",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="PCA whitening; auto: after learning without labels, if there are pictures enough to fit it.",
)
@click.option("--dim", type=click.IntRange(1), help="Reduce the embedding to so many numbers by PCA.")
@click.option("--cells", is_flag=True, help="Also put out local vectors, for region queries.")
@click.option("--npy", type=click.Path(path_type=Path), help="Also write the embeddings of --pictures as one array [n, D].")
@click.option("--quantize", type=click.Choice(["int8", "fp16"]), help="8-bit arithmetic, or weights in 16 bits.")
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="Refuse to lose more P@10 by --quantize."
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="The folder whose embeddings --npy writes, and that --quantize is measured on.  [default: the model's own sample]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export(
    model_dir: Path,
    output: Path,
    npy: Path | None,
    pictures: Path | None,
    quantize: str | None,
    max_drop: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a trained model as one file, encoder.onnx, with everything from decoded pixels to unit vectors inside.

    ONNX Runtime and PyTorch must agree on real pictures, or nothing is written.
    """
    import json

    from semblant_exporter.checkpoint import check_writable
    from semblant_exporter.export import ExportOptions
    from semblant_exporter.export import export as run

    if (npy is not None and pictures is None) or (pictures is not None and npy is None and quantize is None):
        raise click.UsageError("--npy and --pictures go together: the file to write, and the folder whose embeddings it holds")
    if npy is not None:
        check_writable(npy)
    facts, cost = {}, ""
    if quantize is None:
        report = run(model_dir, output, ExportOptions(**options))
    else:
        from semblant_exporter.quantize import export_quantized

        given = ExportOptions(**options)
        report, small = export_quantized(model_dir, output, quantize, options=given, max_drop=max_drop, pictures=pictures)
        facts, cost = {"quantized": small.to_json()}, f"\n{small.summary()}"
    failures: list[str] = []
    if npy is not None and pictures is not None:
        from semblant_exporter.arrays import write_embeddings

        failures = write_embeddings(output, pictures, npy)
    for failure in failures:
        click.echo(f"not used: {failure}", err=True)
    card = report.card
    text = (
        f"{report.path}: {card.name}, {card.fit.height}×{card.fit.width}×{card.fit.channels} → {card.dim} numbers"
        f", {report.size / 1e6:.2f} MB; {report.whitening}\n"
        f"differs from PyTorch by {report.difference:.1g} on {report.checked} real pictures; "
        f"SHA-256 {report.fingerprint[:16]}…{cost}"
    )
    click.echo(json.dumps({**report.to_json(), **facts}) if as_json else text)
    if failures:
        click.get_current_context().exit(3)
