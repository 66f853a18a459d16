"""Smaller folders of pictures for quick versions."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

from semblant_exporter.listing import list_pictures

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["sampled"]


def sampled(source: Path, out: Path, step: int) -> Path:
    """Every `step`-th picture of a folder in a new one, `out`, with its subfolders and its lines of metadata."""
    kept = set()
    for path in list_pictures(source).paths[::step]:
        name = path.relative_to(source)
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / name)
        kept.add(name.as_posix())
    with (
        (source / "metadata.csv").open(encoding="utf-8", newline="") as there,
        (out / "metadata.csv").open("w", encoding="utf-8", newline="") as here,
    ):
        rows = csv.DictReader(there)
        writer = csv.DictWriter(here, fieldnames=rows.fieldnames or [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["file"] in kept)
    return out
