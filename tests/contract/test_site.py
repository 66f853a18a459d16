"""The pages of docs/: they build, what they show works, and what they list is complete."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image
from semblant_exporter import checkpoint
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer.ledger import schema
from semblant_search import Encoder, Fit, encoder, errors, formats, point_id
from semblant_search.cli import semblant
from semblant_search.collection import FieldType, Manifest
from semblant_search.encoder import EncoderCard
from semblant_search.images import kinds
from semblant_search.images.opening import open_picture
from semblant_search.images.strangers import of_strangers
from semblant_search.orb import calibration
from semblant_search.store import Point, Store, open_database
from semblant_search.web import KeyFile, ServiceSettings, create_app, problems
from semblant_search.where import F, Where, parse_where
from support.documents import GUIDES, READMES
from support.servers import server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md") if path.name != "commands.md")  # which a script writes
RUN_ELSEWHERE = {Path(name).name for name in (*READMES, *GUIDES) if name.startswith("docs/")}
"""By tests/contract/test_docs_run.py, with training."""


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs comes with the group `release`")
def test_the_site_is_built_and_no_link_leads_nowhere(tmp_path: Path) -> None:
    """Without the classes from docstrings, which take most of the time: `make docs` has them."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "SEMBLANT_SITE_API": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "pictures" / "knn.png").is_file()
    assert "POST /v1/search" in (tmp_path / "site" / "http.html").read_text(encoding="utf-8")
    asked = re.findall(r'(?:src|href)="(https?://[^"]*\.(?:js|css|woff2?))"', (tmp_path / "site" / "index.html").read_text())
    assert asked == [], "a page asks another server"


class Block(NamedTuple):
    page: str
    kind: str
    text: str


def _blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(page.name, kind, text) for kind, text in found]


BLOCKS = {page.name: _blocks(page) for page in PAGES}
NOT_RUN = {
    "semblant serve": "runs until it is stopped; tests/search/test_serve_command.py starts and stops it",
    "curl": "asks that service; tests/search/test_web_readme.py does what these lines do",
}
"""Lines that are not run here, by how they begin."""


@pytest.fixture(scope="module")
def prepared(fashion_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages speak of."""
    root = tmp_path_factory.mktemp("site")
    for category in ("bag", "sneaker"):
        (root / "PICTURES" / category).mkdir(parents=True)
        for path in sorted((fashion_small / "train" / category).iterdir())[:8]:
            shutil.copyfile(path, root / "PICTURES" / category / path.name)
    query = next((fashion_small / "test" / "sneaker").iterdir())
    with Image.open(query) as picture:
        picture.save(root / "query.jpg", quality=95)
        picture.resize((112, 112), Image.Resampling.BICUBIC).save(root / "crop.png")
    for name, grid in (("encoder.onnx", 7), ("better.onnx", 14)):
        (root / name).write_bytes(pixel_encoder(Fit(28, 28, 1), grid=grid, name=name))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        _command("index PICTURES --encoder encoder.onnx --db pictures.db --workers 1 --quiet", root)
    return root


def _command(words: str, folder: Path, url: str = "") -> None:
    """A line of `semblant` in this process."""
    done = CliRunner().invoke(semblant, shlex.split(words.replace("http://localhost:6333", url)), env={"HOME": str(folder)})
    assert done.exit_code == 0, f"{words}\n{done.output}{done.exception}"


@pytest.fixture(scope="module", name="url")
def stand_in() -> Iterator[str]:
    """The address of a stand-in for a Qdrant server."""
    with server() as url:
        yield url


def _lines(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if not line.startswith(tuple(NOT_RUN))]


RUN = {
    f"{page}-{number}": block
    for page, blocks in BLOCKS.items()
    if page not in RUN_ELSEWHERE
    for number, block in enumerate(blocks, 1)
    if block.kind == "python" or (block.kind == "sh" and _lines(block))
}


@pytest.mark.parametrize("name", RUN)
def test_a_block_does_what_it_says(
    name: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    block, root = RUN[name], tmp_path / "work"
    shutil.copytree(prepared, root)
    monkeypatch.chdir(root)
    if block.kind == "python":
        exec(compile(block.text, name, "exec"), {})
        return
    url = request.getfixturevalue("url") if "localhost:6333" in block.text else ""
    for line in _lines(block):
        assert line.startswith("semblant "), line
        _command(line.removeprefix("semblant "), tmp_path, url)


def test_what_is_neither_run_nor_shown_is_nowhere() -> None:
    assert {block.kind for blocks in BLOCKS.values() for block in blocks} <= {"python", "sh", "text", "jsonl", "toml"}


def test_what_is_not_run_is_on_a_page() -> None:
    lines = [line for blocks in BLOCKS.values() for block in blocks for line in block.text.splitlines()]
    for begins in NOT_RUN:
        assert any(line.startswith(begins) for line in lines), begins


def _defined(word: str) -> dict[str, Any]:
    """What the block of `extending.md` that has this word defines."""
    (text,) = [block.text for block in BLOCKS["extending.md"] if block.kind == "python" and word in block.text]
    names: dict[str, Any] = {}
    exec(compile(text, "extending.md", "exec", dont_inherit=True), names)
    return names


def test_the_command_that_shows_how_to_extend_does_its_work(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    done = CliRunner().invoke(_defined("click.command")["oldest"], ["--db", "pictures.db"])
    assert done.output.startswith("file://")


def test_the_routes_that_show_how_to_extend_are_the_service_s(prepared: Path) -> None:
    with open_database(prepared / "pictures.db") as database:
        keys = KeyFile(prepared / "keys.json")
        key, _ = keys.create("me", where='_uri != ""')
        app = create_app(database, keys=keys)
        _defined("add_oldest")["add_oldest"](app, app.state.service)
        with TestClient(app) as http:
            assert http.get("/v1/oldest").json()["code"] == "key-required"
            answer = http.get("/v1/oldest", headers={"Authorization": f"Bearer {key}"})
            assert answer.json().get("uri", "").startswith("file://"), answer.json()


def test_the_learner_that_shows_how_to_extend_writes_an_encoder(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    made = prepared / "made.onnx"
    assert _defined("encoder_of_the_house")["encoder_of_the_house"](prepared / "PICTURES", made)
    assert Encoder(made).card.fit == Fit(28, 28, 1)


def test_every_group_of_entry_points_is_named_with_an_example() -> None:
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    parts = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("*/pyproject.toml"))
    declared, shown = (set(re.findall(r'entry-points\."([a-z.]+)"', each)) for each in (parts, text))
    table = set(re.findall(r"^\| `(semblant\.[a-z]+)` \|", text, re.MULTILINE))
    assert declared == shown == table


_TYPES = {
    "label": FieldType.KEYWORD,
    "price": FieldType.FLOAT,
    "stock": FieldType.INTEGER,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "place": FieldType.GEO,
    "tags": FieldType.KEYWORD,
    "camera.model": FieldType.KEYWORD,
    "odd name": FieldType.INTEGER,
}
_FILTERS = (DOCS / "filters.md").read_text(encoding="utf-8")


def _rows(heading: str, text: str = _FILTERS) -> list[list[str]]:
    """The cells of the table below a heading, without the marks of code."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in section.splitlines() if line.startswith("| ")]
    return [[re.sub(r"^`(.*)`$", r"\1", cell.replace("\\|", "|")) for cell in row] for row in rows[1:]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The five pictures of the page."""
    (block,) = [block for block in BLOCKS["filters.md"] if block.kind == "jsonl"]
    card = EncoderCard("test", "test", Fit(4, 4, 1), 4, "none")
    database = open_database(tmp_path_factory.mktemp("filters") / "db", create=True)
    store = database.create(Manifest("images", "g0001", "f" * 64, card, fields=_TYPES))
    rows = [json.loads(line) for line in block.text.splitlines()]
    vectors = np.eye(4, dtype=np.float32)
    store.upsert([Point(point_id(f"file:///{row['file']}"), vectors[at % 4], row) for at, row in enumerate(rows)])
    yield store
    store.close()


_FOUND = [
    (heading, row[0], row[1])
    for heading in re.findall(r"^## (.*)$", _FILTERS, re.MULTILINE)
    if heading not in ("What Semblant noted", "From Python", "What is refused", "Limits")
    for row in _rows(heading)
]


def _found(shop: Store, where: Where) -> str:
    return ", ".join(sorted(record.payload["file"].removesuffix(".jpg") for record in shop.scroll(where=where))) or "–"


@pytest.mark.parametrize(("heading", "expression", "expected"), _FOUND)
def test_an_example_finds_what_the_page_says(heading: str, expression: str, expected: str, shop: Store) -> None:
    assert _found(shop, parse_where(expression)) == expected


def test_every_operator_is_shown_on_every_type_that_has_it() -> None:
    shown: dict[str, list[str]] = {}
    for heading, expression, _ in _FOUND:
        shown.setdefault(heading, []).append(expression)
    for heading, signs in {
        "Text": ["==", "!=", " in [", "not in [", "startswith(", "contains(", '" in '],
        "Numbers": ["==", "!=", " < ", "<=", " > ", ">=", " in [", "not in ["],
        "Truth values": ["not ", "==", "!=", " in ["],
        "Times": ["==", "!=", " < ", "<=", " > ", ">=", " in [", "date("],
        "Places": ["exists(", "is null", "within(", "near("],
        "Lists": ["==", "!=", " in [", "contains(", "exists("],
    }.items():
        for sign in signs:
            assert any(sign in expression for expression in shown[heading]), f"{heading}: {sign}"


@pytest.mark.parametrize(("expression", "python"), _rows("From Python"))
def test_the_python_form_is_the_same_filter(expression: str, python: str) -> None:
    assert eval(python, {"F": F}) == parse_where(expression)


@pytest.mark.parametrize(("expression", "answer"), _rows("What is refused"))
def test_what_is_refused_has_the_answer_of_the_page(expression: str, answer: str, shop: Store) -> None:
    with pytest.raises(errors.WhereError) as caught:
        list(shop.scroll(where=parse_where(expression)))
    assert str(caught.value).splitlines()[0] == answer


_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="32" height="64"/></svg>'
_TROUBLE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")


def test_troubleshooting_has_every_code_of_the_service_with_its_status() -> None:
    kinds = [*(kind for _, kind in problems._PROBLEMS), *problems._SERVICE.values()]
    told = {row[0]: row[1] for row in _rows("Over HTTP", _TROUBLE)}
    assert told == {kind.code: str(kind.status) for kind in kinds}


def test_troubleshooting_has_every_exception_and_every_reason() -> None:
    assert {row[0] for row in _rows("By exception", _TROUBLE)} == set(errors.__all__)
    told = {row[0] for row in _rows("By the reason of a picture", _TROUBLE)}
    documented = re.findall(r"`([a-z-]+)`", (errors.ImageError.__doc__ or "").partition("index:")[0])
    assert set(documented) <= told
    guide = (DOCS / "indexing.md").read_text(encoding="utf-8")
    reasons = guide.partition("Reasons: ")[2].partition("Those that may")[0]
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", reasons)) <= told


def test_the_security_policy_promises_what_is_so() -> None:
    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    active = {kind.name for _, _, kind in kinds._KINDS if kind.is_active} | {kinds._SVG.name}
    assert active == {"an SVG drawing", "a PDF document", "a camera's raw file", "a video"}
    assert "(SVG, PDF, raw files, videos), are read by jobs and commands where you have installed their extra" in text
    for sent in (_SVG, b"%PDF-1.7\n"):
        with of_strangers(), pytest.raises(errors.ImageError, match="which a service does not read"):
            open_picture(sent)
    assert open_picture(_SVG).format == "SVG"
    with pytest.raises(errors.ImageError, match="PostScript"):
        open_picture(b"%!PS-Adobe-3.0\n")
    assert "unless `--allow-urls` names their hosts" in text
    assert ServiceSettings().allow_urls == ()


def test_the_versions_of_the_formats_are_those_of_the_code() -> None:
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1:3] for row in _rows("What is read", text)}
    written = {what: row[0] for what, row in rows.items() if row[0].isdigit()}
    assert written["a collection's manifest"] == str(formats.FORMAT_VERSION)
    assert rows["a collection's manifest"][1] == ", ".join(map(str, [*formats.UPGRADES, formats.FORMAT_VERSION]))
    assert written["an encoder's card"] == str(encoder.FORMAT_VERSION)
    assert written["calibration of details"] == str(calibration._FORMAT)
    assert written["the indexer's ledger"] == str(schema.VERSION)
    assert written["a training to be resumed"] == str(checkpoint.FORMAT_VERSION)


PUBLIC = (
    "semblant_search",
    "semblant_search.moving",
    "semblant_search.web",
    "semblant_indexer",
    "semblant_indexer.analysis",
    "semblant_exporter.compare",
    "semblant_exporter.extractors",
    "semblant_exporter.learners",
)
"""The packages that a program imports from; all others are how these are made."""


@pytest.mark.parametrize("package", PUBLIC)
def test_the_reference_has_every_public_name(package: str) -> None:
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    shown: list[object] = []
    for path in re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE):
        module, _, name = path.rpartition(".")
        found = getattr(import_module(module), name, None)
        if found is not None and not isinstance(found, ModuleType):
            shown.append(found)
        else:
            shown += [getattr(import_module(path), each) for each in import_module(path).__all__]
    there = {id(value) for value in shown}
    public = import_module(package)
    assert [name for name in public.__all__ if id(getattr(public, name)) not in there] == []


def test_the_change_log_has_this_version() -> None:
    from importlib.metadata import version

    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version("semblant-search")]


def test_completion_is_described_as_it_works() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for line in re.findall(r"_SEMBLANT_COMPLETE=(\w+)_source semblant", text):
        assert line in ("bash", "zsh", "fish")
    assert Path(sysconfig.get_path("scripts"), "semblant").exists()
