"""Folders of pictures: smaller ones for quick versions, and photographs that everybody has."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from semblant_exporter.listing import list_pictures

__all__ = ["sampled", "windows_of_photographs"]

_PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "hubble_deep_field.jpg"),
    *("motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
)


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


def windows_of_photographs(out: Path, count: int, size: tuple[int, int] = (400, 533)) -> Path:
    """`count` JPEG files of this width and height: windows of scikit-image's photographs, of any place and direction.

    They cost what photographs cost to index; being cut from so few, they say nothing about what is found.
    """
    out.mkdir(parents=True, exist_ok=True)
    shipped = Path(skimage.__file__).parent / "data"
    photographs = [Image.open(path).convert("RGB") for path in map(shipped.joinpath, _PHOTOGRAPHS) if path.exists()]
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = photographs[int(rng.integers(len(photographs)))]
        share = rng.uniform(0.6, 1) * min(picture.width / size[0], picture.height / size[1])
        width, height = (side * share for side in size)
        left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
        window = picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        if rng.random() < 0.5:
            window = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        window.save(out / f"{number:05d}.jpg", quality=90)
    return out
