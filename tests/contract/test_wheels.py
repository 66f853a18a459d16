"""What a stranger gets: `semblant-search` as a wheel in an empty environment, without torch, searching a real database."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.interpreters import UV, build, call

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT / "search", tmp_path_factory.mktemp("dist")).wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, its extra `edge`, and nothing else."""
    environment = tmp_path_factory.mktemp("empty") / "env"
    call(UV, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    # In the repository's root, so that the pinned versions, which the cache of this machine holds, are the ones installed.
    call(UV, "pip", "install", "--quiet", "--directory", ROOT, "--python", python, f"semblant-search[edge] @ {wheel.as_uri()}")
    return python


@pytest.fixture(scope="module")
def database(fashion_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that this workspace's own job wrote."""
    from semblant_exporter.pixels import pixel_encoder
    from semblant_search import Fit

    out = tmp_path_factory.mktemp("database")
    (out / "encoder.onnx").write_bytes(pixel_encoder(Fit(28, 28, 1)))
    semblant = Path(sysconfig.get_path("scripts")) / "semblant"
    call(semblant, "index", fashion_small / "train", "--encoder", out / "encoder.onnx", "--db", out / "pictures.db")
    return out / "pictures.db"


def test_the_wheel_holds_only_the_package(wheel: Path) -> None:
    from zipfile import ZipFile

    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"semblant_search", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert "semblant_search/py.typed" in names
    assert wheel.stat().st_size < 2_000_000


def test_the_client_alone_brings_no_torch(python: Path) -> None:
    installed = {row["name"] for row in json.loads(call(UV, "pip", "list", "--format", "json", "--python", python))}
    assert "semblant-search" in installed
    assert not installed & {"torch", "torchvision", "onnx", "opencv-python-headless", "semblant-indexer", "semblant-exporter"}


def test_the_command_searches(python: Path, database: Path, fashion_small: Path) -> None:
    query = sorted((fashion_small / "test" / "trouser").glob("*.png"))[0]
    command: list[str | Path] = [python.parent / "semblant", "search", query, "--db", database, "-k", "5", "--json"]
    hits = json.loads(call(*command, "--where", 'label != "Dress"'))["hits"]
    assert len(hits) == 5
    assert hits[0]["metadata"]["label"] == "Trouser"
    gallery = database.parent / "gallery.png"
    call(*command, "--gallery", gallery)
    assert gallery.stat().st_size > 10_000


def test_the_client_searches(python: Path, database: Path, fashion_small: Path) -> None:
    query = sorted((fashion_small / "test" / "bag").glob("*.png"))[0]
    code = (
        "import semblant_search\n"
        f"with semblant_search.SearchClient({str(database)!r}) as client:\n"
        f"    print(client.count(), [hit.metadata['label'] for hit in client.search({str(query)!r}, limit=3)])"
    )
    assert call(python, "-I", "-c", code).startswith("600 [")


def test_what_is_not_installed_is_named_with_its_pip_line(python: Path, database: Path, fashion_small: Path) -> None:
    query = next((fashion_small / "test").rglob("*.png"))
    missing: list[tuple[list[str | Path], str]] = [
        (["train", fashion_small], "pip install semblant-exporter"),
        (["index", fashion_small], "pip install semblant-indexer"),
        (["search", query, "--db", database, "--features"], "pip install 'semblant-search[orb]'"),
    ]
    for arguments, line in missing:
        command = [str(argument) for argument in (python.parent / "semblant", *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert line in done.stderr
        assert "Traceback" not in done.stderr
