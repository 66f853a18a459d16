"""`semblant doctor`: what it says of this machine, of a database that is there or not, and what it ends with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_search import doctor
from semblant_search.cli import semblant

if TYPE_CHECKING:
    from pathlib import Path


def _asked(*words: str, ends: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    done = CliRunner().invoke(semblant, ["doctor", *words, "--json"], env={"SEMBLANT_DB": None, "SEMBLANT_API_KEY": None})
    assert done.exit_code == ends, done.output
    document = json.loads(done.stdout)
    assert document["healthy"] is (ends == 0)
    return {(found["area"], found["name"]): found for found in document["findings"]}


def test_it_says_what_is_installed_and_what_the_machine_has() -> None:
    found = _asked()
    assert found["versions", "semblant-search"]["said"] == version("semblant-search")
    assert found["engine", "ONNX Runtime"]["said"].startswith(version("onnxruntime"))
    assert {"processors", "memory", "GPU"} <= {name for area, name in found if area == "machine"}
    assert found["extras", "semblant-search[edge]"]["verdict"] == "good"


def test_what_is_absent_has_its_pip_line_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> str:
        if name in ("semblant-indexer", "opencv-python-headless"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", without)
    found = _asked()
    assert found["versions", "semblant-indexer"]["advice"] == "pip install semblant-indexer"
    orb = found["extras", "semblant-search[orb]"]
    assert (orb["verdict"], orb["advice"]) == ("absent", "pip install 'semblant-search[orb]'")


def test_parts_of_two_versions_and_another_engine_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"semblant-indexer": "0.0.1", "qdrant-edge-py": "0.1.0"}
    monkeypatch.setattr(doctor, "version", lambda name: others.get(name) or version(name))
    found = _asked(ends=1)
    assert "they belong together" in found["versions", "semblant-indexer"]["said"]
    assert found["extras", "semblant-search[edge]"]["verdict"] == "bad"


def test_it_counts_what_a_database_holds(golden_copy: Path) -> None:
    found = _asked("--db", str(golden_copy))
    assert found["database", str(golden_copy)]["said"] == "a directory, 1 collection"
    assert " pictures by " in found["database", "collection golden"]["said"]
    assert _asked("--db", str(golden_copy), "--collection", "none", ends=1)["database", "collection none"]["said"] == (
        "CollectionNotFound"
    )


@pytest.fixture
def golden_copy(tmp_path: Path) -> Path:
    """A database of tests/golden."""
    from support.golden import unpack_database

    return unpack_database(2, tmp_path)


def test_a_database_that_is_in_use_or_none_is_a_failure_with_its_advice(golden_copy: Path, tmp_path: Path) -> None:
    code = "import semblant_search, sys\n"
    code += f"with semblant_search.SearchClient({str(golden_copy)!r}, collection='golden') as client:\n"
    code += "    print(client.count(), flush=True)\n    sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        locked = [found for found in _asked("--db", str(golden_copy), ends=1).values() if found["verdict"] == "bad"]
        other.communicate()
    assert [found["said"] for found in locked] == ["StoreLocked"]
    shutil.rmtree(golden_copy)
    golden_copy.mkdir()
    (golden_copy / "file").write_text("of somebody else")
    assert _asked("--db", str(golden_copy), ends=1)["database", str(golden_copy)]["said"] == "NotADatabase"


@pytest.mark.parametrize("scheme", ["http", "semblant"])
def test_who_does_not_answer_is_a_failure_and_no_password_is_shown(scheme: str) -> None:
    found = _asked("--db", f"{scheme}://me:secret@127.0.0.1:9", "--timeout", "0.2", ends=1)
    (failed,) = [finding for finding in found.values() if finding["verdict"] == "bad"]
    assert failed["area"] == ("service" if scheme == "semblant" else "database")
    assert "secret" not in json.dumps(failed)


def test_for_people_each_area_is_a_heading() -> None:
    lines = CliRunner().invoke(semblant, ["doctor"], env={"SEMBLANT_DB": None}).output.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["versions", "extras", "machine", "engine"]
