"""Real pictures for every part. The large sets are written once into the cache folder and shared between runs."""

from __future__ import annotations

import csv
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import sets
from support.examples import choose_profile
from support.scratch import FolderKeeper, choose_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

choose_profile()
choose_scratch()
_SHARED_CACHE = sets.shared_cache()
# What takes longest, of which many hold few tests.
_LONG = {
    "test_compare.py",
    "test_demo.py",
    "test_docs_run.py",
    "test_export.py",
    "test_extractors.py",
    "test_index.py",
    "test_learn.py",
    "test_map.py",
    "test_one_name.py",
    "test_quantize.py",
    "test_servers.py",
    "test_site.py",
    "test_stores_agree.py",
    "test_training.py",
    "test_wheels.py",
    "test_wheels_pythons.py",
}
_PHOTOS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)


def pytest_configure(config: pytest.Config) -> None:
    """Databases of modules go with them."""
    config.pluginmanager.register(FolderKeeper())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files begin first, in whatever order: at the end one process would wait for the other."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests keep in Semblant's cache, and the commands that they start, is not left in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEMBLANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _nursery_of_workers(_cache_of_this_run: None) -> Iterator[None]:
    """Jobs in this process get decode workers that have loaded already; commands start theirs themselves."""
    if sys.platform != "linux" or find_spec("semblant_indexer") is None:
        yield
        return
    from semblant_indexer import pool
    from support.nursery import Nursery

    nursery = Nursery(pool.start_worker)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "start_worker", nursery.start_worker)
        yield
    nursery.close()


@pytest.fixture(scope="session")
def shared_cache(_cache_of_this_run: None) -> Path:
    """The cache folder that outlives the run: fetched packages and the large sets."""
    return _SHARED_CACHE


@pytest.fixture(scope="session")
def fashion_mnist(shared_cache: Path) -> Path:
    """All of Fashion-MNIST: `{train,test}/<category>/<number>.png` and `metadata.csv` (file, label, label_id, split)."""
    return sets.write_set("fashion_mnist", shared_cache)


@pytest.fixture(scope="session")
def clipart(shared_cache: Path) -> Path:
    """All 6,900 drawings: `<category>/<name>.png` and `metadata.csv` (file, label, category, title, artist, description)."""
    return sets.write_set("clipart", shared_cache)


@pytest.fixture(scope="session")
def fashion_small(fashion_mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 train and 200 test pictures of Fashion-MNIST, as many of each category, laid out like the whole set."""
    root = tmp_path_factory.mktemp("fashion-small")
    with (fashion_mnist / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    left = {(split, str(label_id)): count for split, count in (("train", 60), ("test", 20)) for label_id in range(10)}
    kept = []
    for row in rows:
        if left[row["split"], row["label_id"]]:
            left[row["split"], row["label_id"]] -= 1
            (root / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fashion_mnist / row["file"], root / row["file"])
            kept.append(row)
    with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    return root


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-image's photographs: 19 PNG and JPEG files, grey and in colour, from 191 to 1411 pixels wide."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    root = tmp_path_factory.mktemp("photos")
    for name in _PHOTOS:
        shutil.copyfile(Path(spec.origin).parent / "data" / name, root / name)
    return root
