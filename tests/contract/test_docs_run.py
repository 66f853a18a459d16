"""Every code block of the READMEs, of the quick start and of the guides does what it says, on a few real pictures."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Fit, SearchClient, canonical_uri, draw_matches
from semblant_search.cli import semblant
from semblant_search.cli.group import KNOWN
from support.documents import GUIDES, READMES
from support.markdown_blocks import Block, blocks
from support.servers import server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
START = "docs/index.md"
DOCUMENTS = (*READMES, *GUIDES)
BLOCKS = [block for name in DOCUMENTS for block in blocks(ROOT / name, name)]
SERVER = "http://localhost:6333"

NOT_RUN = {
    "pictures ─▶ exporter": "a drawing",
    "make page": "makes what this runs in; tests/page/test_build.py builds the page",
    "make demo": "takes minutes; tests/e2e runs it, smaller",
    "make test": "is what runs this",
    "QDRANT_URL=http://localhost:6333 make test": "is what runs this",
    "docker compose -f deploy/compose.yaml": "needs Docker; a stand-in for the server is there",
    "cp deploy/.env.example deploy/.env": "is for Docker; test_deploy_files.py holds each setting to its default",
    "kubectl ": "needs a cluster; tests/contract/test_chart.py holds what is installed to Kubernetes' schemas",
    "helm ": "needs a cluster; the same",
    "python bench/": "a measurement of minutes to hours; that the script is there is tested",
    "semblant index s3://bucket/pictures": "needs a cluster and a bucket; tests/indexer/test_servers.py has two workers",
    "semblant sources remove NAME": "takes away what the other lines search; tests/indexer/test_source_changes.py does it",
    "semblant sources relocate NAME": "needs pictures that moved; tests/indexer/test_source_changes.py has some",
    "semblant sources rename NAME": "the other lines know it by its name; tests/indexer/test_source_changes.py does it",
    "semblant open": "runs until it is stopped; tests/indexer/test_open.py starts and stops it",
    "semblant serve": "runs until it is stopped; tests/search/test_serve_command.py starts and stops it",
    "semblant mcp": "runs until its input ends; tests/search/test_mcp.py talks to it",
    "semblant jobs": "asks a service that is running; tests/contract/test_client_jobs.py does so",
    "curl": "asks that service; tests/search/test_web_readme.py does what these lines do",
    "semblant extract vgg16": "its weights are half a gigabyte",
    "semblant extract dinov2.onnx": "brought by the user; tests/exporter/test_onnx_networks.py makes some",
}
"""Lines that are not run, by how they begin."""

INSTEAD = {
    "semblant train PICTURES --out model": "semblant train PICTURES --out model --epochs 1 --batch 10 --size 32",
    "semblant train pictures/ --out model ": "semblant train pictures/ --out model --epochs 1 --batch 10 ",
    '{"minutes": 10}': '{"epochs": 1, "batch": 10}',
    "semblant learn pictures/": "semblant learn pictures/ --way pixels",
    "efficientnet-lite0 pictures/": "efficientnet-lite0 pictures/ --size 32 --dim 8",
}
"""What is said otherwise, so that it takes seconds."""

MAKES = {START: ("encoder.onnx", "pictures.db"), "exporter/README.md": ("encoder.onnx",), "docs/encoders.md": ("encoder.onnx",)}
"""What is prepared for the others, and these make themselves."""

FIRST = {"semblant rollback": "semblant index PICTURES --db pictures.db --rebuild --no-orb --quiet"}
"""What has to happen before a line can do what it says."""

LEAVES = {
    "semblant train PICTURES": "model/model.safetensors",
    "semblant train pictures/": "model/model.safetensors",
    "semblant learn": "encoder.onnx",
    "semblant export": "encoder.onnx",
    "semblant extract": "encoder.onnx",
    "semblant evaluate": "encoder.evaluation.json",
    "semblant compare": "comparison/comparison.png",
    "semblant search query.jpg --db pictures.db -k 10": "hits.png",
    "semblant search crop.png": "matches.png",
    "semblant search screenshot.png": "matches.png",
}
"""The file that a line leaves behind, which is not there before."""


def _name(block: Block) -> str:
    return f"{block.file}:{block.line}"


def _lines(block: Block) -> list[str]:
    """The lines that are run; for Python all or none."""
    lines = block.text.splitlines()
    return [] if lines[0].startswith("pictures ─▶") else [line for line in lines if not line.startswith(tuple(NOT_RUN))]


@pytest.fixture(scope="module")
def prepared(fashion_small: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that they speak of: pictures, an encoder, a database, pictures to ask with."""
    root = tmp_path_factory.mktemp("docs")
    for category in ("bag", "coat", "sneaker"):
        for split, folder in (("train", "pictures/train"), ("test", "pictures/test"), ("train", "PICTURES")):
            (root / folder / category).mkdir(parents=True)
            for path in sorted((fashion_small / split / category).iterdir())[:18]:
                shutil.copyfile(path, root / folder / category / path.name)
    (root / "PICTURES" / "shoes").mkdir()
    query = next((fashion_small / "test" / "sneaker").iterdir())
    for name in ("PICTURES/shoes/1.jpg", "query.jpg", "a.jpg", "b.jpg"):
        with Image.open(query) as picture:
            picture.save(root / name, quality=95)
    for name in ("camera.png", "text.png"):
        shutil.copyfile(photos / name, root / "PICTURES" / name)
    with Image.open(photos / "camera.png") as picture:
        for name in ("crop.png", "screenshot.png"):
            picture.crop((100, 50, 400, 350)).save(root / name)
    for name, grid in (("encoder.onnx", 7), ("mine.onnx", 7), ("other.onnx", 14)):
        (root / name).write_bytes(pixel_encoder(Fit(28, 28, 1), grid=grid, name=name))
    table = next(block.text for block in BLOCKS if block.text.startswith("file,"))
    (root / "PICTURES" / "metadata.csv").write_text(table)
    (root / ".venv").symlink_to(sys.prefix)
    job = ["--encoder", str(root / "encoder.onnx"), "--db", str(root / "pictures.db"), "--workers", "1", "--quiet"]
    assert CliRunner().invoke(semblant, ["index", str(root / "PICTURES"), *job]).exit_code == 0
    clusters = ["cluster", "--db", str(root / "pictures.db"), "-k", "3", "--quiet"]
    assert CliRunner().invoke(semblant, clusters).exit_code == 0
    return root


@pytest.fixture(scope="module", name="server")
def stand_in() -> Iterator[str]:
    """The address of a stand-in for a Qdrant server."""
    with server() as url:
        yield url


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder. The database goes along: it knows pictures by where they are."""
    root = tmp_path / "work"
    shutil.copytree(prepared, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


def _run(block: Block, server: str, names: dict[str, Any]) -> None:
    """Do what a block says."""
    if block.text.startswith("file,"):
        Path("PICTURES/metadata.csv").write_text(block.text)
    elif block.text.startswith("found "):
        found, *parts = (int(word.replace(",", "")) for word in block.text.split() if word[0].isdigit())
        assert sum(parts) == found
    elif block.text.startswith("source = "):
        Path("job.toml").write_text(block.text)
        done = CliRunner().invoke(semblant, ["index", "--config", "job.toml", "--dry-run"])
        assert done.exit_code == 0, done.output
    elif block.kind == "python":
        if "train(TrainJob(" in block.text:
            shutil.rmtree("model")  # the other way to what the commands have made
        text = _instead(block.text, {"file:///pictures/1.jpg": canonical_uri(names["picture"])})
        exec(compile(text, _name(block), "exec"), names)
    else:
        assert block.kind == "shell", f"{_name(block)}: of no kind that this test knows"
        for line in _lines(block):
            _shell(line, server)


def _shell(line: str, server: str) -> None:
    """Run a line: in a shell, or in this process where loading PyTorch once more would take longer than what it does."""
    leaves = next((Path(name) for begins, name in LEAVES.items() if line.startswith(begins)), None)
    if leaves is not None:
        leaves.unlink(missing_ok=True)
    before = [words for begins, words in FIRST.items() if line.startswith(begins)]
    text = "\n".join([*before, _instead(line, {SERVER: server})])
    words = shlex.split(text, comments=True)
    if words[0] == "semblant" and KNOWN[words[1]].distribution == "semblant-exporter":
        result = CliRunner().invoke(semblant, words[1:])
        code, output = result.exit_code, f"{result.output}{result.exception}"
    else:
        environment = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-euc", text], capture_output=True, text=True, check=False, timeout=120, env=environment)
        code, output = done.returncode, done.stdout + done.stderr
    assert code == 0, f"{text}\n{output}"
    assert leaves is None or leaves.stat().st_size > 0, f"{text}\n{output}"


def _instead(text: str, more: dict[str, str]) -> str:
    for words, others in {**INSTEAD, **more}.items():
        text = text.replace(words, others)
    return text


@pytest.mark.parametrize("file", DOCUMENTS)
def test_the_blocks_of_a_document_do_what_it_says(file: str, folder: Path, prepared: Path, server: str) -> None:
    given: dict[str, Any] = {"picture": prepared / "PICTURES" / "shoes" / "1.jpg", "vector": np.ones(49)}
    for name in MAKES.get(file, ()):
        shutil.rmtree(name) if Path(name).is_dir() else Path(name).unlink()
    for block in (block for block in BLOCKS if block.file == file and _lines(block)):
        if block.kind == "python" and "client." in block.text and "SearchClient" not in block.text:
            with SearchClient("pictures.db") as client:  # the one of the block before
                _run(block, server, {**given, "client": client, "draw_matches": draw_matches})
        else:
            _run(block, server, dict(given))


def test_the_metadata_of_the_quick_start_is_found_by_its_filter(folder: Path) -> None:
    (search,) = [block.text for block in BLOCKS if block.file == START and " --where " in block.text]
    result = CliRunner().invoke(semblant, shlex.split(search)[1:])
    assert [Path(line.split("\t")[1]).name for line in result.stdout.splitlines()] == ["1.jpg"]


def test_what_is_not_run_is_there_and_has_its_reason() -> None:
    lines = [line for block in BLOCKS for line in block.text.splitlines()]
    for begins in (*NOT_RUN, *FIRST, *LEAVES):
        assert any(line.startswith(begins) for line in lines), begins
    for words in INSTEAD:
        assert any(words in line for line in lines), words


def test_every_measurement_that_is_named_is_a_script() -> None:
    for line in [line for block in BLOCKS for line in block.text.splitlines() if line.startswith("python ")]:
        assert (ROOT / line.split()[1]).is_file(), line
