"""The command `semblant` itself: what it lists, what it imports, how it fails."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from semblant_search.cli import command_errors, semblant
from semblant_search.cli.group import ENTRY_POINTS, KNOWN
from semblant_search.errors import SemblantError, StoreError, WhereError

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"
HEAVY = (
    "cv2",
    "fastapi",
    "grpc",
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "PIL",
    "qdrant_client",
    "qdrant_edge",
    "rich",
    "torch",
)


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SEMBLANT, *arguments], capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def loaded_by(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter has loaded after running some code."""
    script = f"{code}\nimport sys\nprint('\\nloaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.rsplit("loaded:", 1)[1].split())


def test_help_lists_every_command_of_every_part_with_what_it_is_for() -> None:
    done = run("--help")
    assert done.returncode == 0
    words = " ".join(done.stdout.split())  # a narrow terminal breaks lines
    for name, known in KNOWN.items():
        assert any(line.split()[:1] == [name] for line in done.stdout.splitlines()), name
        assert f" {name} {known.help}" in words


def test_help_and_version_import_nothing_heavy() -> None:
    for argument in ("--help", "--version"):
        code = (
            f"import sys; sys.argv = ['semblant', {argument!r}]\n"
            "from semblant_search.cli import main\n"
            "try: main()\nexcept SystemExit: pass"
        )
        assert loaded_by(code) == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import semblant_search") == set()
    assert loaded_by("from semblant_search import SemblantError, StoreLocked") == set()


def test_the_client_s_module_waits_with_the_engines() -> None:
    assert loaded_by("from semblant_search import SearchClient, Hit, F") <= {"numpy"}


@pytest.mark.parametrize("entry", entry_points(group=ENTRY_POINTS), ids=lambda entry: entry.name)
def test_the_listed_line_is_the_command_s_own(entry) -> None:  # type: ignore[no-untyped-def]
    command = entry.load()
    assert isinstance(command, click.Command)
    if entry.name in KNOWN:
        own = " ".join((command.help or "").split())
        assert own.startswith(KNOWN[entry.name].help.rstrip("."))


@pytest.mark.parametrize("entry", entry_points(group=ENTRY_POINTS), ids=lambda entry: entry.name)
def test_a_command_s_help_imports_nothing_heavy(entry) -> None:  # type: ignore[no-untyped-def]
    code = (
        "from click.testing import CliRunner\nfrom semblant_search.cli import semblant\n"
        f"assert CliRunner().invoke(semblant, [{entry.name!r}, '--help']).exit_code == 0"
    )
    assert not loaded_by(code) & {"cv2", "matplotlib", "onnx", "onnxruntime", "qdrant_client", "qdrant_edge", "torch"}


def test_a_command_whose_part_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_search.cli.group._entry_points", dict)
    result = CliRunner().invoke(semblant, ["train", "pictures", "--out", "x"])
    assert result.exit_code == 1
    assert "pip install semblant-exporter" in result.stderr
    listed = CliRunner().invoke(semblant, ["--help"]).stdout
    assert "[pip install semblant-indexer]" in " ".join(listed.split())


def test_a_command_that_lacks_a_module_names_it_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("train", "no_such_package.cli:train", ENTRY_POINTS)
    monkeypatch.setattr("semblant_search.cli.group._entry_points", lambda: {"train": broken})
    result = CliRunner().invoke(semblant, ["train", "pictures", "--out", "x", "--anything"])
    message = "Error: `semblant train` is not installed (no module named 'no_such_package'); install it with: pip install "
    assert (result.exit_code, result.stderr) == (1, f"{message}semblant-exporter\n")


def test_commands_of_other_packages_are_listed_last_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {
        name: EntryPoint(name, value, ENTRY_POINTS)
        for name, value in (("zoo", "semblant_search.cli.collection:count"), ("aaa", "semblant_search.cli.group:KNOWN"))
    }
    monkeypatch.setattr("semblant_search.cli.group._entry_points", lambda: others)
    assert semblant.list_commands(click.Context(semblant)) == [*KNOWN, "aaa", "zoo"]
    wrong = CliRunner().invoke(semblant, ["aaa"])
    assert (wrong.exit_code, "'semblant_search.cli.group:KNOWN' of command 'aaa'" in wrong.stderr) == (1, True)
    asked = CliRunner().invoke(semblant, ["zoo", "--help"])
    assert (asked.exit_code, "Count the pictures" in asked.stdout) == (0, True)
    del others["aaa"]
    listed = CliRunner().invoke(semblant, ["--help"]).stdout
    assert any(line.split()[:2] == ["zoo", "Count"] for line in listed.splitlines())


def test_version_and_short_help() -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"semblant {version('semblant-search')}\n"
    assert run("-h").stdout == run("--help").stdout
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some images could not be used." in " ".join(
        run("--help").stdout.split()
    )


@pytest.mark.parametrize(
    ("code", "ends", "words"),
    [
        ("context.exit(3)", 3, ""),
        ("return 3", 3, ""),
        ("return 'text'", 0, ""),
        ("raise KeyboardInterrupt", 130, "Interrupted."),
        ("raise click.Abort", 130, "Interrupted."),
        ("raise click.UsageError('so not')", 2, "so not"),
        ("raise StoreDenied('no key')", 1, "Error: no key"),
        ("raise MissingExtra('this', 'semblant-search[orb]')", 1, "pip install 'semblant-search[orb]'"),
    ],
)
def test_how_a_command_ends_is_the_exit_code_of_the_process(code: str, ends: int, words: str) -> None:
    script = (
        "import sys, click\n"
        "from semblant_search.cli import main, semblant\n"
        "from semblant_search.errors import MissingExtra, StoreDenied\n"
        "@click.command()\n@click.pass_context\n"
        f"def it(context):\n    {code}\n"
        "semblant.get_command = lambda context, name: it\n"
        "sys.argv = ['semblant', 'it']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (ends, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_wrong_usage() -> None:
    done = run("frobnicate")
    assert done.returncode == 2
    assert "frobnicate" in done.stderr


@pytest.mark.parametrize(("error", "code"), [(StoreError("the disk is gone"), 1), (WhereError("what is this"), 2)])
def test_library_errors_become_a_line_and_an_exit_code(error: SemblantError, code: int) -> None:
    @click.command()
    @command_errors()
    def failing() -> None:
        raise error

    result = CliRunner().invoke(failing)
    assert (result.exit_code, result.stderr, result.stdout) == (code, f"Error: {error}\n", "")


def test_a_programming_error_stays_visible() -> None:
    @click.command()
    @command_errors()
    def broken() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(broken).exception, ZeroDivisionError)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen([SEMBLANT, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("words", [["count"], ["facet", "label"], ["info"], ["search", "a.png"], ["jobs"], ["mcp"], ["serve"]])
def test_a_command_that_is_given_no_database_names_the_option(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEMBLANT_DB", raising=False)
    result = CliRunner().invoke(semblant, words)
    assert result.exit_code == 2
    assert "Missing option '--db'" in result.stderr
