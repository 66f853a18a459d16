"""Benches tell the truth: each states limits, prints `ok` by them, exits with 1 if one is missed, and `make bench` runs it."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.documents import GUIDES

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
PAGES = ("README.md", "docs/benchmarks.md", "docs/details.md", *GUIDES)
DOCUMENTS = [ROOT / page for page in PAGES]
SCRIPTS = sorted(path.name for path in BENCH.glob("*.py") if not path.name.startswith("_"))
BENCHES = [name for name in SCRIPTS if name not in ("demo.py", "run_all.py")]
SEVENTEEN_MINUTES = 17 * 60


def load(name: str) -> ModuleType:
    """A module of bench/ as its scripts see it."""
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    source = (BENCH / f"{name}.py").read_text(encoding="utf-8")
    exec(compile(source, str(BENCH / f"{name}.py"), "exec"), module.__dict__)
    return module


@pytest.fixture(autouse=True)
def beside_the_benches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import each other from their folder, and set what only matters before PyTorch is loaded."""
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delitem(sys.modules, "_report", raising=False)
    return load("_report")


def finished(report: ModuleType, capsys: pytest.CaptureFixture[str], numbers: Any, *limits: Any) -> tuple[dict[str, Any], int]:
    """The printed line, and the exit code."""
    code = 0
    try:
        report.finish("some", numbers, limits)
    except SystemExit as stop:
        code = int(str(stop.code))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    answer: dict[str, Any] = json.loads(lines[0], parse_constant=pytest.fail)
    return answer, code


def asked_for_help(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What `python bench/SCRIPT --help` prints, in this process, where PyTorch is loaded once for all."""
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(BENCH / script), run_name="__main__")
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "measured", "ok"),
    [
        ("at_most", 1.4, True),
        ("at_most", 1.5, True),
        ("at_most", 1.6, False),
        ("at_least", 1.6, True),
        ("at_least", 1.5, True),
        ("at_least", 1.4, False),
        ("at_most", float("nan"), False),
        ("at_least", float("nan"), False),
        ("at_most", -float("inf"), False),
        ("at_least", float("inf"), False),
        ("at_most", None, False),
        ("at_least", None, False),
        ("at_most", "fast", False),
    ],
)
def test_a_missed_limit_is_not_ok_and_exits_with_1(
    report: ModuleType, capsys: pytest.CaptureFixture[str], kind: str, measured: Any, ok: bool
) -> None:
    answer, code = finished(report, capsys, {"plain": {"ratio": measured}}, getattr(report, kind)("plain/ratio", 1.5))
    assert answer["ok"] is ok
    assert code == (0 if ok else 1)
    (row,) = answer["limits"]
    assert row["name"] == "plain/ratio"
    assert row[kind.replace("_", " ")] == 1.5
    assert row["ok"] is ok


@pytest.mark.parametrize("name", ["ratio", "plain", "plain/other", "plain/ratio/deeper", "filtered/ratio"])
def test_what_was_not_measured_misses_its_limit(report: ModuleType, capsys: pytest.CaptureFixture[str], name: str) -> None:
    answer, code = finished(report, capsys, {"plain": {"ratio": 1.0}}, report.at_most(name, 1.5))
    assert (answer["ok"], code) == (False, 1)
    assert answer["limits"][0]["measured"] is None


def test_one_missed_limit_among_many_is_enough(report: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for values in ((2, 1), (1, 2)):
        numbers = dict(zip(("a", "b"), values, strict=True))
        answer, code = finished(report, capsys, numbers, *(report.at_most(name, 1) for name in "ab"))
        assert (answer["ok"], code) == (False, 1)


def test_a_bench_without_limits_claims_nothing_and_is_not_ok(report: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    answer, code = finished(report, capsys, {"a": 1})
    assert (answer["ok"], code) == (False, 1)


def test_the_line_holds_all_numbers_the_seconds_and_valid_json(report: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"a": 1, "rows": {"b": [float("nan"), 2.5]}}
    answer, code = finished(report, capsys, numbers, report.at_least("a", 1))
    assert code == 0
    assert answer["bench"] == "some"
    assert answer["a"] == 1
    assert answer["rows"] == {"b": [None, 2.5]}
    assert answer["seconds"] >= 0


def test_wrong_usage_exits_with_2(report: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    parser = report.parser("What it claims.", quick="fewer")
    assert parser.parse_args([]).quick is False
    assert parser.parse_args(["--quick"]).quick is True
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--slow"])
    assert stop.value.code == 2


@pytest.mark.parametrize("script", BENCHES)
def test_a_bench_says_what_it_claims_and_how_long_it_takes_and_ends_with_its_limits(script: str, report: ModuleType) -> None:
    source = (BENCH / script).read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(source))
    assert doc is not None
    assert doc.startswith("Claim: ")
    full, quick = (report.stated_seconds(doc, quick=quick) for quick in (False, True))
    assert 0 < quick <= full
    assert quick <= 60
    assert f'    finish("{script.removesuffix(".py")}", ' in source
    assert "json.dumps(result)" not in source


def test_a_docstring_without_a_duration_is_an_error(report: ModuleType) -> None:
    with pytest.raises(ValueError, match="On two cores"):
        report.stated_seconds("Claim: fast. It takes a while.", quick=False)
    doc = "Claim: fast.\n\nOn two cores: 3 minutes, with\n`--quick` 20 seconds.\n"
    assert report.stated_seconds(doc, quick=False) == 180
    assert report.stated_seconds(doc, quick=True) == 20


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_answers_help(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = asked_for_help(script, monkeypatch, capsys)
    assert text.startswith("usage: ")
    assert ("--quick" in text) == (script != "demo.py")


def run_all(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "run_all.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_run_all_names_every_bench_and_says_how_long_it_takes_before_it_starts() -> None:
    for arguments, most in (([], float("inf")), (["--quick"], SEVENTEEN_MINUTES)):
        done = run_all("--list", *arguments)
        *lines, last = done.stdout.splitlines()
        assert done.returncode == 0, done.stderr
        assert [line.split()[0] for line in lines] == [script.removesuffix(".py") for script in BENCHES]
        seconds = sum(float(line.split()[1]) * (60 if line.endswith("min") else 1) for line in lines)
        assert seconds <= most
        assert re.fullmatch(rf"{len(BENCHES)} benches take about [\d.]+ (s|min) on two cores", last)


def test_run_all_runs_a_bench_keeps_its_line_and_refuses_what_is_none(tmp_path: Path) -> None:
    done = run_all("--quick", "--results", str(tmp_path / "results.jsonl"), "startup")
    answer = json.loads((tmp_path / "results.jsonl").read_text())
    assert answer["bench"] == "startup"
    assert answer["quick"] is True
    assert {row["name"] for row in answer["limits"]} == {"import_ratio", "help_ratio"}
    # On a busy machine its limits may be missed; either way everybody says the same.
    assert done.returncode == (0 if answer["ok"] else 1)
    assert ("1 of 1 ok" in done.stdout) == answer["ok"]
    assert ("not ok: startup" in done.stdout) == (not answer["ok"])
    assert run_all("--quick", "nonsense").returncode == 2


@pytest.mark.parametrize(
    ("script", "verdict", "code"),
    [
        ("raise SystemExit(3)", "FAILED", 1),
        ("raise ValueError('broken')", "FAILED", 1),
        ("print('no JSON')", "FAILED", 1),
        ("finish('fake', {'a': 1}, [at_most('a', 1)])\nraise SystemExit(3)", "FAILED", 1),
        ("finish('fake', {'a': 2}, [at_most('a', 1)])", "MISSED", 1),
        ("print('on the way')\nfinish('fake', {'a': 1}, [at_most('a', 1)])", "ok", 0),
    ],
)
def test_run_all_fails_where_a_bench_fails_and_says_why(tmp_path: Path, script: str, verdict: str, code: int) -> None:
    for name in ("_report.py", "run_all.py"):
        (tmp_path / name).write_bytes((BENCH / name).read_bytes())
    head = '"""Claim: none.\n\nOn two cores: 1 second, with `--quick` 1 second.\n"""\nfrom _report import at_most, finish\n'
    (tmp_path / "fake.py").write_text(head + script + "\n")
    (tmp_path / "good.py").write_text(head + "finish('good', {'a': 1}, [at_most('a', 1)])\n")
    done = subprocess.run([sys.executable, str(tmp_path / "run_all.py")], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert re.search(rf"^{verdict} +fake ", done.stdout, re.M), done.stdout + done.stderr
    assert re.search(r"^ok +good ", done.stdout, re.M)  # one that fails does not keep the others from running
    assert ("not ok: fake" in done.stdout) == (code == 1)
    if verdict == "MISSED":
        assert "a: 2.0, expected at most 1" in done.stdout
    if "broken" in script:
        assert "ValueError: broken" in done.stdout


def named_in_documents() -> list[tuple[str, str]]:
    """Every `python bench/SCRIPT OPTIONS` of the READMEs, without its comment."""
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    found = re.findall(r"python bench/(\w+\.py)([^`\n#]*)", text)
    return sorted({(script, options.strip()) for script, options in found})


@pytest.mark.parametrize(("script", "options"), named_in_documents())
def test_every_bench_command_of_the_documents_exists(
    script: str, options: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = asked_for_help(script, monkeypatch, capsys)
    for option in re.findall(r"(?:^| )(--[a-z-]+)", options):
        assert option in text
    for value in re.findall(r'"([^"]+)"', options):  # such as the rows of quality.py
        assert value in " ".join(text.split())


def test_the_documents_name_benches() -> None:
    assert len(named_in_documents()) >= 12
