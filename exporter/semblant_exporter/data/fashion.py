"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747): 70,000 grey pictures of 28×28 in 10 categories."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import DataError

from semblant_exporter.cache import cache_dir

from . import debian
from .folder import DataReport, NewFolder, write_once

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from .folder import Progress

__all__ = ["FASHION_MNIST_CATEGORIES", "fashion_mnist"]

FASHION_MNIST_CATEGORIES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Real names, in the order of `label_id`."""

_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Of the unpacked idx files: how they were compressed differs from source to source."""
_PACKAGE = "dataset-fashion-mnist"
_SPLITS = (("train", "train", 60_000), ("test", "t10k", 10_000))


def fashion_mnist(directory: str | os.PathLike[str], *, on_progress: Progress | None = None) -> DataReport:
    """Write `directory/{train,test}/<category>/<number>.png` and `metadata.csv` (file, label, label_id, split).

    Folder names are lower-case with dashes (`t-shirt-top`); the column `label` keeps the real name (`T-shirt/top`). Taken from
    idx files on this machine, else Debian's package, else torchvision's download; each file is checked against its SHA-256.

    Raises:
        InvalidInput: `directory` holds something else.
        DataError: it cannot be written, or no source can be reached.
    """
    progress: Progress = on_progress or (lambda *_: None)

    def fill(new: NewFolder) -> None:
        new.source, idx = _find(progress)
        for split, prefix, count in _SPLITS:
            images = np.frombuffer(idx[f"{prefix}-images-idx3-ubyte"], np.uint8, offset=16).reshape(count, 28, 28)
            labels = np.frombuffer(idx[f"{prefix}-labels-idx1-ubyte"], np.uint8, offset=8)
            for number in range(count):
                label_id = int(labels[number])
                label = FASHION_MNIST_CATEGORIES[label_id]
                file = f"{split}/{_folder_name(label)}/{number:05d}.png"
                new.add(file, _png(images[number]), {"label": label, "label_id": label_id, "split": split})
                if len(new) % 1000 == 0:
                    progress("writing Fashion-MNIST", len(new), 70_000)

    return write_once(directory, "fashion-mnist", fill)


def _folder_name(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _find(progress: Progress) -> tuple[str, dict[str, bytes]]:
    """The four idx files, unpacked and checked, and where they came from."""
    tried = []
    sources: list[tuple[str, Callable[[], dict[str, bytes]]]] = [
        (f"idx files in {folder}", partial(_from_folder, folder)) for folder in _usual_places() if folder.is_dir()
    ]
    sources += [(f"Debian package {_PACKAGE}", _from_debian), ("torchvision's download", _from_torchvision)]
    for name, read in sources:
        progress(f"reading {name}", 0, None)
        try:
            return name, _checked(read())
        except DataError as error:
            tried.append(f"  {name}: {error}")
    raise DataError(
        "Fashion-MNIST: no source can be reached; put the four idx files into "
        f"{str(cache_dir() / 'FashionMNIST' / 'raw')!r}. Tried:\n" + "\n".join(tried)
    )


def _usual_places() -> list[Path]:
    """Folders of the Debian package, torchvision and Keras."""
    roots = [cache_dir(), Path.home() / "data", Path.home() / ".cache" / "torchvision", Path.cwd() / "data", Path.cwd()]
    return [
        Path("/usr/share/datasets/fashion-mnist"),
        Path("/usr/share/dataset-fashion-mnist"),
        *(root / "FashionMNIST" / "raw" for root in roots),
        Path.home() / ".keras" / "datasets" / "fashion-mnist",
    ]


def _from_folder(folder: Path) -> dict[str, bytes]:
    found = {}
    for name in _SHA256:
        plain, packed = folder / name, folder / f"{name}.gz"
        try:
            found[name] = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    return found


def _from_debian() -> dict[str, bytes]:
    found = {}
    for path, content in debian.files(debian.fetch(_PACKAGE)):
        name = path.rpartition("/")[2].removesuffix(".gz")
        if name in _SHA256:
            found[name] = gzip.decompress(content)
    return found


def _from_torchvision() -> dict[str, bytes]:
    from torchvision.datasets import FashionMNIST

    root = cache_dir()
    try:
        FashionMNIST(str(root), download=True)
    except Exception as error:  # whatever the network or urllib says
        raise DataError(f"{error}") from error
    return _from_folder(root / "FashionMNIST" / "raw")


def _checked(idx: dict[str, bytes]) -> dict[str, bytes]:
    for name, expected in _SHA256.items():
        if name not in idx:
            raise DataError(f"{name} is missing")
        if hashlib.sha256(idx[name]).hexdigest() != expected:
            raise DataError(f"{name} is damaged: its SHA-256 is not {expected}")
    return idx
