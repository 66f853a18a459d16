"""Break the code on purpose, one small fault at a time, and count how many of the faults the fast tests notice.

    python tests/mutants.py [--sample 150] [--seed 0] [--only 'semblant_search.where.*'] [--least 0.85]

mutmut makes the faults and runs the tests that reach each of them. Without `--sample` all are tried, which takes hours; with
it as many, drawn at random from all of them. Prints each survivor with its difference, then one JSON line; exit code 1 if less
than the asked share was noticed. Works in `.mutants/`, which may be deleted at any time.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".mutants"
PARTS = {"semblant_search": "search", "semblant_indexer": "indexer", "semblant_exporter": "exporter"}
MODULES = (
    "semblant_search/where/*.py",
    "semblant_search/store/*.py",
    "semblant_search/querying/*.py",
    "semblant_search/orb/verify.py",
    "semblant_search/orb/calibration.py",
    "semblant_search/orb/geometry.py",
    "semblant_indexer/ledger/*.py",
    "semblant_indexer/generations.py",
    "semblant_indexer/metadata.py",
    "semblant_exporter/whitening.py",
    "semblant_exporter/export.py",
)
"""Where a fault would hurt most."""
TESTS = (
    "tests/search",
    "tests/indexer/test_generations.py",
    "tests/indexer/test_ledger_file.py",
    "tests/indexer/test_ledger_questions.py",
    "tests/indexer/test_metadata_types.py",
    "tests/contract/test_server_collections.py",
    "tests/contract/test_server_grpc.py",
    "tests/contract/test_server_searches.py",
    "tests/contract/test_server_writes.py",
    "tests/contract/test_store_inputs.py",
    "tests/exporter/test_export_checks.py",
    "tests/exporter/test_whitening.py",
)
"""The fast tests that own those modules."""
NOTICED = {"killed", "timeout", "segfault", "caught by type check"}

_CONFIG = """
[tool.mutmut]
source_paths = {sources}
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly"]
# What an error says is tested for what it must name, not letter by letter. Whether it is raised is a fault of the condition.
do_not_mutate_patterns = ['^\\s*raise ']
process_isolation = "forkserver"
timeout_constant = 5.0
"""
_SITE = """
import os

# What a test's own processes reach is not recorded, and to record they would need mutmut's settings where they are.
if os.environ.get("MUTANT_UNDER_TEST") == "stats":
    os.environ["MUTANT_UNDER_TEST"] = ""
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="how many faults to try; all without it")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--only", default="*", help="faults whose module matches, such as 'semblant_search.where.*'")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="tests to try them on")
    parser.add_argument("--least", type=float, default=0.85, help="the share that has to be noticed")
    options = parser.parse_args()
    started = time.monotonic()
    lay_out(options.tests)
    os.chdir(WORK)  # mutmut reads its settings from where it is
    faults = [name for name in every_fault() if fnmatch.fnmatch(name, options.only)]
    if options.sample is not None and options.sample < len(faults):
        faults = sorted(random.Random(options.seed).sample(faults, options.sample))
    if not faults:
        parser.error(f"--only {options.only}: no fault is in such a module")
    mutmut("run", "--max-children", str(os.cpu_count() or 1), *faults)
    verdicts = {name: status for name, status in read_verdicts().items() if name in set(faults)}
    missed = sorted(name for name in faults if verdicts[name] not in NOTICED)
    for name in missed:
        print(f"\n{verdicts[name]}: {name}")
        mutmut("show", name)
    share = 1 - len(missed) / len(faults)
    result: dict[str, Any] = {
        "mutants": len(faults),
        "noticed": len(faults) - len(missed),
        "share": round(share, 4),
        "least": options.least,
        **Counter(verdicts.values()),
        "by_module": by_module(faults, set(missed)),
        "seconds": round(time.monotonic() - started),
        "ok": share >= options.least,
    }
    print(json.dumps(result))
    return 0 if result["ok"] else 1


def lay_out(tests: list[str] | tuple[str, ...]) -> None:
    """The three packages beside each other below `src`, as mutmut wants them, and the tests."""
    for package, part in PARTS.items():
        mirror(ROOT / part / package, WORK / "src" / package)
    mirror(ROOT / "tests", WORK / "tests")
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    mutated = [f"src/{module}" for module in MODULES]
    sources = [f"src/{package}" for package in PARTS]
    (WORK / "site").mkdir(exist_ok=True)
    (WORK / "site" / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    text = settings + _CONFIG.format(sources=sources, modules=mutated, tests=list(tests))
    (WORK / "pyproject.toml").write_text(text, encoding="utf-8")


def mirror(source: Path, target: Path) -> None:
    """Copy what changed and delete what is gone; times stay, so that mutmut sees what it has to make again."""
    ignored = shutil.ignore_patterns("__pycache__")
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    for path in list(target.rglob("*")) if target.exists() else []:
        if path.is_file() and path.relative_to(target) not in wanted:
            path.unlink()
    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)


def every_fault() -> list[str]:
    """The names of all faults that mutmut would make, in order."""
    names = []
    for pattern in MODULES:
        for path in sorted(Path("src").glob(pattern)):
            made = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
            names += [get_mutant_name(path, name) for name in made.mutant_names]
    return names


def mutmut(*arguments: str) -> None:
    """Run mutmut on the copy, whose code every process of a test has to load, too."""
    search_path = os.pathsep.join([str(WORK / "site"), str(WORK / "mutants" / "src")])
    environment = {**os.environ, "PYTHONPATH": search_path, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([Path(sys.executable).parent / "mutmut", *arguments], cwd=WORK, env=environment, check=arguments[0] == "run")


def read_verdicts() -> dict[str, str]:
    """What became of each fault."""
    verdicts = {}
    for path in (WORK / "mutants" / "src").rglob("*.py.meta"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        verdicts.update({name: status_by_exit_code[code] for name, code in kept["exit_code_by_key"].items()})
    return verdicts


def by_module(faults: list[str], missed: set[str]) -> dict[str, str]:
    """Noticed of tried, for each module."""
    tried = Counter(name.rpartition(".")[0] for name in faults)
    left = Counter(name.rpartition(".")[0] for name in missed)
    return {module: f"{count - left[module]}/{count}" for module, count in sorted(tried.items())}


if __name__ == "__main__":
    sys.exit(main())
