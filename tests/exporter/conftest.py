"""Real pictures as arrays, and models that learned a little from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import torch
from semblant_exporter import pictures
from semblant_exporter.training import learn, make_plan
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GREY28 = Fit(28, 28, 1)


class Fashion(NamedTuple):
    """2,000 pictures to learn from and 500 others: uint8 `[n, 28, 28, 1]`, and labels int64 `[n]`."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks gain nothing from a second thread, and tests of other parts run beside these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def fashion(fashion_mnist: Path) -> Fashion:
    arrays = []
    for split, each in (("train", 200), ("test", 50)):
        paths = [path for folder in sorted((fashion_mnist / split).iterdir()) for path in sorted(folder.iterdir())[:each]]
        loaded = pictures.load(paths, GREY28, metadata=fashion_mnist / "metadata.csv")
        arrays += [np.array(loaded.pixels), loaded.label_ids]
    return Fashion(*arrays)


@pytest.fixture(scope="session")
def trained(fashion: Fashion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of the default recipe after 4 epochs. Not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "cae"
    learn(make_plan(GREY28, epochs=4, batch=100, precision="float32"), fashion.train, out)
    return out
