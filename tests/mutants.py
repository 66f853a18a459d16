"""Break the code on purpose, one small fault at a time, and count how many of the faults the tests notice that own it.

    python tests/mutants.py [GROUP…] [--sample 150] [--seed 0] [--least 0.85]

mutmut makes the faults and runs the tests that reach each of them. Without `--sample` all are tried, which takes hours; with
it as many, drawn at random from all of them. Prints each survivor with its difference, then one JSON line; exit code 1 if less
than the asked share was noticed, of a sample if so little that luck is no excuse. Works in `.mutants/`, which may be deleted
at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".mutants"
PARTS = {"semblant_search": "search", "semblant_indexer": "indexer", "semblant_exporter": "exporter"}


class Group(NamedTuple):
    """Modules below `src`, and the tests below `tests` that own them; both as patterns."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    "where": Group(("semblant_search/where/*.py",), ("search/test_where*.py",)),
    "orb": Group(
        ("semblant_search/orb/verify.py", "semblant_search/orb/calibration.py", "semblant_search/orb/geometry.py"),
        ("search/test_orb_*.py",),
    ),
    "querying": Group(
        ("semblant_search/querying/*.py",),
        ("search/test_client.py", "search/test_client_[fop]*.py", "search/test_fusion.py", "search/test_re*.py"),
    ),
    "server": Group(
        ("semblant_search/store/*.py", "semblant_search/store/engines/*.py", "semblant_search/store/engines/qdrant/*.py"),
        ("contract/test_server_*.py", "contract/test_store*.py"),
    ),
    "directory": Group(
        ("semblant_search/store/engines/edge/*.py", "semblant_search/store/files.py"),
        ("search/test_store_*.py", "contract/test_store*.py"),
    ),
    "ledger": Group(
        ("semblant_indexer/ledger/*.py", "semblant_indexer/generations.py"),
        ("indexer/test_ledger*.py", "indexer/test_generations.py"),
    ),
    "metadata": Group(
        ("semblant_search/writing/metadata.py", "semblant_search/writing/looks.py"),
        (
            "indexer/test_metadata_types.py",
            "indexer/test_odd_values.py",
            "indexer/test_sources.py",
            "indexer/test_times_elsewhere.py",
        ),
    ),
    "export": Group(
        ("semblant_exporter/export.py", "semblant_exporter/whitening.py"),
        ("exporter/test_export*.py", "exporter/test_whitening.py"),
    ),
}
"""Where a fault would hurt most."""
NOTICED = {"killed", "uncollectable", "timeout", "segfault"}
PRELOADED = ("numpy", "PIL.Image", "onnxruntime", "qdrant_client", "qdrant_edge", "cv2")
"""What takes long to load, starts no threads, and is no plugin of pytest's."""
_LUCK = 0.02
"""How improbable a sample's result must be, with tests that notice as much as asked, before it counts as too little."""
NOT_RUN = 255
"""mutmut's exit code where pytest ran no test."""

_CONFIG = """
[tool.mutmut]
source_paths = {sources}
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly"]
# What an error says is tested for what it must name, not letter by letter. Whether it is raised is a fault of the condition.
do_not_mutate_patterns = ['^\\s*raise ']
process_isolation = "forkserver"
# Not the tests themselves: a module that failed to load once would be taken for an empty one from then on.
forkserver_warmup = "import"
preload_modules_file = "preloaded.txt"
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
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all without it")
    parser.add_argument("--sample", type=int, help="how many faults to try; all without it")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--least", type=float, default=0.85, help="the share that has to be noticed")
    options = parser.parse_args()
    chosen = options.groups or list(GROUPS)
    if strangers := sorted(set(chosen) - set(GROUPS)):
        parser.error(f"group {strangers[0]!r}: expected one of {', '.join(GROUPS)}")
    started = time.monotonic()
    faults = [(group, fault) for group in chosen for fault in lay_out(group)]
    if options.sample is not None and options.sample < len(faults):
        faults = sorted(random.Random(options.seed).sample(faults, options.sample))
    verdicts: dict[str, str] = {}
    for group in chosen:
        drawn = [fault for owner, fault in faults if owner == group]
        if drawn:
            mutmut(group, "run", "--max-children", str(os.cpu_count() or 1), *drawn)
            known = read_verdicts(group)
            verdicts.update({fault: known[fault] for fault in drawn})
    missed = [(group, fault) for group, fault in faults if verdicts[fault] not in NOTICED]
    for group, fault in missed:
        print(f"\n{verdicts[fault]}: {fault}", flush=True)
        mutmut(group, "show", fault)
    noticed, share = len(faults) - len(missed), 1 - len(missed) / len(faults)
    sampled = options.sample is not None
    tried, left = Counter(group for group, _ in faults), Counter(group for group, _ in missed)
    result: dict[str, Any] = {
        "mutants": len(faults),
        "noticed": noticed,
        "share": round(share, 4),
        "least": options.least,
        "groups": {group: f"{count - left[group]}/{count}" for group, count in tried.items()},
        "verdicts": Counter(verdicts.values()),
        "seconds": round(time.monotonic() - started),
        "ok": share >= options.least or (sampled and luck(noticed, len(faults), options.least) > _LUCK),
    }
    print(json.dumps(result))
    return 0 if result["ok"] else 1


def luck(noticed: int, tried: int, share: float) -> float:
    """How probable it is that at most so many of a sample are noticed where this share of all would be."""
    return sum(comb(tried, count) * share**count * (1 - share) ** (tried - count) for count in range(noticed + 1))


def lay_out(group: str) -> list[str]:
    """Copy the packages side by side below `src`, as mutmut wants them, and the tests; returns the names of all faults."""
    work = WORK / group
    for package, part in PARTS.items():
        mirror(ROOT / part / package, work / "src" / package)
    mirror(ROOT / "tests", work / "tests")
    for folder in ("site", "mutants/src"):  # Python overlooks a folder on its path that is not there when it starts
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "site" / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    (work / "preloaded.txt").write_text("\n".join(PRELOADED), encoding="utf-8")
    modules = matching(work / "src", GROUPS[group].modules)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8") + _CONFIG.format(
        sources=[f"src/{package}" for package in PARTS],
        modules=[f"src/{module}" for module in modules],
        tests=[f"tests/{test}" for test in matching(work / "tests", GROUPS[group].tests)],
    )
    (work / "pyproject.toml").write_text(text, encoding="utf-8")
    os.chdir(work)  # mutmut reads its settings from where it is
    faults = []
    for module in modules:
        path = Path("src") / module
        made = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
        faults += [get_mutant_name(path, name) for name in made.mutant_names]
    return faults


def matching(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """The files below a folder that match one of the patterns."""
    return sorted({path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern)})


def mirror(source: Path, target: Path) -> None:
    """Copy what changed and delete what is gone; times stay, so that mutmut sees what it has to make again."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    for path in list(target.rglob("*")) if target.exists() else []:
        if path.is_file() and path.relative_to(target) not in wanted:
            path.unlink()
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


def mutmut(group: str, *arguments: str) -> None:
    """Run mutmut on a group's copy, whose code every process of a test has to load, too."""
    work = WORK / group
    search_path = os.pathsep.join([str(work / "site"), str(work / "mutants" / "src")])
    environment = {**os.environ, "PYTHONPATH": search_path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(Path(sys.executable).parent / "mutmut"), *arguments]
    subprocess.run(command, cwd=work, env=environment, check=arguments[0] == "run")


def read_verdicts(group: str) -> dict[str, str]:
    """What became of each fault."""
    verdicts = {}
    for path in (WORK / group / "mutants" / "src").rglob("*.py.meta"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        for name, code in kept["exit_code_by_key"].items():
            verdicts[name] = verdict_of_failure(group, name) if code == NOT_RUN else status_by_exit_code[code]
    return verdicts


def verdict_of_failure(group: str, fault: str) -> str:
    """`uncollectable` where a fault keeps the tests from loading, for some call the code then; else something is broken."""
    mutants = WORK / group / "mutants"
    environment = {**os.environ, "PYTHONPATH": str(mutants / "src"), "MUTANT_UNDER_TEST": fault}
    tests = [f"tests/{test}" for test in matching(mutants / "tests", GROUPS[group].tests)]
    command = [sys.executable, "-m", "pytest", "--rootdir=.", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=mutants, env=environment, check=False, capture_output=True)
    return "uncollectable" if done.returncode else "not run"


if __name__ == "__main__":
    sys.exit(main())
