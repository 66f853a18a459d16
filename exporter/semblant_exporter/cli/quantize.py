"""`semblant quantize`: a smaller encoder."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("encoder", type=_FILE)
@click.argument("directory", type=_FILE)
@click.option("-o", "--output", required=True, type=_FILE, help="The file to write.")
@click.option(
    "--kind",
    type=click.Choice(["int8", "fp16"]),
    default="int8",
    show_default=True,
    help="8-bit arithmetic, or 16-bit weights.",
)
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="Refuse to lose more P@10 than this."
)
@click.option("--label", metavar="COLUMN", help="Metadata column with labels.  [default: label, else folder names]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def quantize(
    encoder: Path, directory: Path, output: Path, kind: str, max_drop: float, label: str | None, as_json: bool
) -> None:
    """Make a smaller encoder of an encoder.onnx, and say what that costs.

    The pictures in DIRECTORY calibrate it, and show what it has lost: P@10 where they have labels, else how often changed
    copies find their originals. int8 is faster on processors with 8-bit arithmetic; fp16 halves the file and computes as
    before. The new file is another encoder: an index is built with one or the other.
    """
    import json

    from semblant_exporter.quantize import quantize_file

    from .progress import progress_bar

    with progress_bar() as on_progress:
        report, failures = quantize_file(
            encoder, directory, output, kind, max_drop=max_drop, label=label, on_progress=on_progress
        )
    click.echo(json.dumps(report.to_json()) if as_json else f"{output}\n{report.summary()}")
    for failure in failures:
        click.echo(f"not used: {failure.message}", err=True)
    if failures:
        click.get_current_context().exit(3)
