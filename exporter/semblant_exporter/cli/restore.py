"""`semblant restore`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("model_dir", type=click.Path(path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write to.")
@click.option("--degrade", is_flag=True, help="The pictures are sound: spoil them first, as the training did, and measure.")
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes the spoiling.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def restore(model_dir: Path, pictures: tuple[Path, ...], out: Path, degrade: bool, seed: int, as_json: bool) -> None:
    """Write what a trained decoder makes of pictures: noise gone, holes filled, colour added, twice the resolution.

    The model was trained with --objective denoise, inpaint, colorize or superres; any other one just draws the pictures again.
    For inpaint, the transparent parts of a picture are its holes.
    """
    import json

    from semblant_exporter.restoring import restore as run

    report = run(model_dir, pictures, out, degrade=degrade, seed=seed)
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        for item in report.restored:
            gain = "" if item.psnr_after is None else f"  {item.psnr_before:.1f} dB → {item.psnr_after:.1f} dB"
            click.echo(f"{item.source} → {item.path}{gain}")
        click.echo(f"beside each other: {report.figure}")
    for failure in report.failures:
        click.echo(f"not used: {failure}", err=True)
    if report.failures:
        click.get_current_context().exit(3)
