"""`semblant index` into a new collection without an encoder has one learned by the exporter, which it never imports."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from semblant_indexer.cli import learned
from semblant_search import SearchClient
from semblant_search.cli import semblant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def bags(fashion_small: Path, tmp_path: Path) -> Path:
    root = tmp_path / "bags"
    root.mkdir()
    for path in sorted((fashion_small / "train" / "bag").iterdir())[:12]:
        shutil.copy(path, root)
    return root


@pytest.fixture(autouse=True)
def _without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels are learned from in a second; whether a network is at hand is tested with `learn`."""
    find: Callable[..., object] = importlib.util.find_spec
    hidden = "efficientnet_lite_pytorch"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == hidden else find(name, *more))


def index(*words: object) -> Result:
    return CliRunner().invoke(semblant, ["index", *map(str, words), "--workers", "1", "--no-orb"])


def test_a_new_collection_without_an_encoder_has_one_learned(bags: Path, tmp_path: Path) -> None:
    done = index(bags, "--db", tmp_path / "db")
    assert done.exit_code == 0, done.output
    assert "has no collection 'images' yet, and no encoder: learning one from the pictures" in done.stderr
    assert done.stderr.count("  looking at pictures …") == 1
    assert ": pixels (16×16 pixels" in done.stderr
    assert "Why: 12 grey small pictures" in done.stderr
    with SearchClient(tmp_path / "db") as client:
        picture = sorted(bags.iterdir())[3]
        assert client.search(picture, limit=1, include_self=True)[0].score == pytest.approx(1, abs=1e-4)
        made = client.manifest
    again = index(bags, "--db", tmp_path / "db")  # the collection has its encoder now
    assert (again.exit_code, "learning" in again.stderr) == (0, False)
    with SearchClient(tmp_path / "db") as client:
        assert client.manifest == made


def test_without_the_exporter_the_message_names_the_line_that_brings_it(
    bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "entry_points", lambda group: [])
    done = index(bags, "--db", tmp_path / "db")
    assert done.exit_code == 1
    assert "say which encoder makes it (--encoder FILE)" in done.stderr
    assert "pip install 'semblant-exporter[pretrained]'" in done.stderr
    assert not (tmp_path / "db").exists()


def test_of_several_learners_the_default_is_asked(bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (default,) = entry_points(group="semblant.learners", name="default")
    other = EntryPoint("another", "nowhere:learn", "semblant.learners")
    monkeypatch.setattr(learned, "entry_points", lambda group: [other, default])
    assert index(bags, "--db", tmp_path / "db").exit_code == 0


def test_a_place_that_cannot_become_a_database_is_refused_before_anything_is_learned(bags: Path, tmp_path: Path) -> None:
    done = index(bags, "--db", bags)
    assert done.exit_code == 1
    assert "not a Semblant database" in done.stderr
    assert "learning" not in done.stderr
