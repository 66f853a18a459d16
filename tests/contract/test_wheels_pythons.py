"""All three parts as they are released: what is in them, on which Pythons they install, and that they answer there."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from email.parser import Parser
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from PIL import Image
from semblant_search.cli.group import KNOWN
from support.interpreters import PARTS, UV, Built, build, call, interpreter

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # of pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "search" / "semblant_search" / "web" / "static"
"""The built page; `make test` builds it first."""
PYTHONS = tuple(os.environ.get("SEMBLANT_PYTHONS", "3.10").split(","))
"""The oldest alone, which fails first; `make test-wheels` names all of them."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Built]:
    out = tmp_path_factory.mktemp("dist")
    return {part: build(ROOT / part, out) for part in PARTS}


@pytest.mark.parametrize("part", PARTS)
def test_a_wheel_holds_its_package_typed_with_licence_and_commands(part: str, built: Mapping[str, Built]) -> None:
    wheel, package = built[part].wheel, f"semblant_{part}"
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.split("/")[0] for name in names if ".dist-info/" in name)
        licence = archive.read(f"{info}/licenses/LICENSE")
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    assert {name.split("/")[0] for name in names} == {package, info}
    here = {str(path.relative_to(ROOT / part)) for path in (ROOT / part / package).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == here
    assert f"{package}/py.typed" in names
    if part == "search" and (STATIC / "index.html").is_file():
        page = {str(path.relative_to(ROOT / part)) for path in STATIC.rglob("*") if path.is_file()}
        assert {name for name in names if "/static/" in name} == page
    assert licence == (ROOT / "LICENSE").read_bytes()
    told = {name: metadata[name] for name in ("Name", "License-Expression", "License-File", "Requires-Python")}
    assert told == {
        "Name": f"semblant-{part}",
        "License-Expression": "Apache-2.0",
        "License-File": "LICENSE",
        "Requires-Python": ">=3.10",
    }
    commands = {line.split(" = ")[0] for line in entry_points.partition("[semblant.commands]")[2].split("\n\n")[0].split("\n")}
    assert commands - {""} == {name for name, known in KNOWN.items() if known.distribution == f"semblant-{part}"}


@pytest.mark.parametrize("part", PARTS)
def test_a_source_distribution_has_licence_and_description_and_makes_the_same_wheel(
    part: str, built: Mapping[str, Built], tmp_path: Path
) -> None:
    with tarfile.open(built[part].sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", f"semblant_{part}/py.typed"} <= files
    assert not any(name.startswith(("tests", "bench")) for name in files)
    call(UV, "build", "--wheel", "--quiet", "--out-dir", tmp_path, ROOT / part)
    with ZipFile(next(tmp_path.glob("*.whl"))) as direct, ZipFile(built[part].wheel) as released:
        assert {item.filename: item.CRC for item in direct.infolist()} == {
            item.filename: item.CRC for item in released.infolist()
        }


@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_pinned_can_be_installed_on_every_python(python: str, tmp_path: Path) -> None:
    """Every part with every extra, from wheels alone, at the versions of the root's pyproject.toml."""
    wanted = []
    for part in PARTS:
        project = tomllib.loads((ROOT / part / "pyproject.toml").read_text())["project"]
        extras = ",".join(project.get("optional-dependencies", {}))
        wanted.append(f"semblant-{part}[{extras}] @ {(ROOT / part).as_uri()}")
    (tmp_path / "all.in").write_text("\n".join(wanted))
    options = ["--quiet", "--no-header", "--no-annotate", "--python-version", python, "--only-binary", ":all:"]
    found = call(UV, "pip", "compile", *options, tmp_path / "all.in", cwd=ROOT)
    versions = dict(line.split("==") for line in found.splitlines() if "==" in line)
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    for pin in map(Requirement, pins):
        if pin.name in versions and (pin.marker is None or pin.marker.evaluate({"python_version": python})):
            assert versions[pin.name] in pin.specifier, pin
    assert {"torch", "numpy", "qdrant-client", "qdrant-edge-py", "ray", "pyarrow"} <= set(versions)


@pytest.mark.parametrize("python", PYTHONS)
def test_what_the_tests_need_can_be_installed_on_every_python(python: str) -> None:
    options = ["--quiet", "--no-header", "--no-annotate", "--python-version", python]
    found = call(UV, "pip", "compile", *options, "--group", "dev", cwd=ROOT)
    assert "pytest-randomly==" in found


@pytest.fixture(scope="module", params=PYTHONS)
def environment(request: pytest.FixtureRequest, built: Mapping[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheels of all parts; PyTorch and what else the exporter computes with is left out.

    On the oldest Python with the oldest versions that the parts say they can live with, elsewhere with the pinned ones.
    """
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} on this machine; install it, such as by: uv python install {request.param}")
    path = tmp_path_factory.mktemp("environment")
    call(UV, "venv", "--quiet", "--clear", "--python", python, path)
    wheels = [f"semblant-search[edge,orb] @ {built['search'].wheel.as_uri()}", str(built["indexer"].wheel)]
    if request.param == "3.10":
        # As requirements of their own, so that they are taken at their lowest while what they bring is not.
        project = tomllib.loads((ROOT / "search" / "pyproject.toml").read_text())["project"]
        ranges = [*project["dependencies"], *project["optional-dependencies"]["orb"]]
        options = ["--no-config", "--resolution", "lowest-direct", *ranges]
    else:
        options = ["--directory", str(ROOT)]  # where the pinned versions are
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", path / "bin" / "python"]
    call(*install, *options, *wheels)
    call(*install, "--no-deps", built["exporter"].wheel)
    return path


def test_every_command_of_all_parts_answers_help(environment: Path) -> None:
    listed = call(environment / "bin" / "semblant", "--help")
    assert "pip install" not in listed
    code = (
        "from semblant_search.cli import semblant\n"
        "from semblant_search.cli.group import KNOWN\n"
        "for name in KNOWN:\n"
        "    try: semblant.main([name, '--help'], prog_name='semblant')\n"
        "    except SystemExit as end: assert not end.code, name\n"
    )
    printed = call(environment / "bin" / "python", "-I", "-c", code)
    assert [line.split()[2] for line in printed.splitlines() if line.startswith("Usage: ")] == list(KNOWN)


def test_it_indexes_and_searches(environment: Path, fashion_small: Path, tmp_path: Path) -> None:
    from semblant_exporter.pixels import pixel_encoder
    from semblant_search import Fit

    (tmp_path / "encoder.onnx").write_bytes(pixel_encoder(Fit(28, 28, 1)))
    source, db, semblant = tmp_path / "bags", tmp_path / "db", environment / "bin" / "semblant"
    source.mkdir()
    for path in (fashion_small / "test" / "bag").iterdir():  # enlarged, for details of 28 pixels prove nothing
        with Image.open(path) as picture:
            picture.resize((112, 112), Image.Resampling.BICUBIC).save(source / path.name)
    job: list[str | Path] = ["--encoder", tmp_path / "encoder.onnx", "--db", db, "--workers", "1", "--threads", "1"]
    assert call(semblant, "index", source, *job).startswith("found 20 = 20 indexed")
    query = sorted(source.iterdir())[0]
    gallery: list[str | Path] = ["--features", "--include-self", "--gallery", tmp_path / "hits.png"]
    document = json.loads(call(semblant, "search", query, "--db", db, "-k", "1", "--json", *gallery))
    assert [(hit["uri"], hit["verdict"]) for hit in document["hits"]] == [(query.as_uri(), "copy")]


def test_this_environment_has_each_part_at_the_version_of_its_wheel(built: Mapping[str, Built]) -> None:
    for part in PARTS:
        assert f"-{Distribution.from_name(f'semblant-{part}').version}-" in built[part].wheel.name
