"""Run every bench in this folder, one after the other: `make bench`, or with `--quick` `make bench-quick`.

Says first how long that takes. A line for each script, a summary at the end, and exit code 1 if one missed a limit or failed.
Each script also runs alone, prints one JSON line with all its numbers, and has `--help`.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _report import stated_seconds

FOLDER = Path(__file__).parent
NOT_BENCHES = {"run_all.py", "demo.py"}


def benches() -> dict[str, Path]:
    """Every bench by its name."""
    scripts = (script for script in sorted(FOLDER.glob("*.py")) if not script.name.startswith("_"))
    return {script.stem: script for script in scripts if script.name not in NOT_BENCHES}


def stated(script: Path, *, quick: bool) -> float:
    """Seconds that a script says it takes; it is read, not imported."""
    return stated_seconds(ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))), quick=quick)


def told(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def run(name: str, script: Path, results: Path | None, *, quick: bool) -> bool:
    """One bench in a process of its own; prints its line, and what went wrong."""
    begin = time.perf_counter()
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    line = (done.stdout.splitlines() or [""])[-1]
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        answer = {}
    ok = done.returncode == 0 and answer.get("ok") is True
    verdict = "ok" if ok else "MISSED" if answer.get("ok") is False else "FAILED"
    print(f"{verdict:7} {name:22} {told(seconds):>7}", flush=True)
    if verdict == "FAILED":
        print("\n".join(f"        {text}" for text in [f"exit code {done.returncode}", *done.stderr.splitlines()[-20:]]))
    for row in answer.get("limits", []):
        if not row["ok"]:
            kind = "at most" if "at most" in row else "at least"
            print(f"        {row['name']}: {row['measured']}, expected {kind} {row[kind]}", flush=True)
    if results is not None and answer:
        with results.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return ok


def main() -> None:
    known = benches()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="the quick version of each: seventeen minutes for all")
    parser.add_argument("--list", action="store_true", help="only say what would run, and how long it takes")
    parser.add_argument("--results", type=Path, help="a file to which each JSON line is added")
    options = parser.parse_args()
    if strangers := set(options.names) - known.keys():
        parser.error(f"no such bench: {', '.join(sorted(strangers))}")
    chosen = {name: script for name, script in known.items() if not options.names or name in options.names}
    expected = {name: stated(script, quick=options.quick) for name, script in chosen.items()}
    for name, seconds in expected.items():
        print(f"        {name:22} {told(seconds):>7}")
    print(f"{len(chosen)} benches take about {told(sum(expected.values()))} on two cores", flush=True)
    if options.list:
        return
    begin = time.perf_counter()
    failed = [name for name, script in chosen.items() if not run(name, script, options.results, quick=options.quick)]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} ok in {told(time.perf_counter() - begin)}", flush=True)
    if failed:
        print(f"not ok: {', '.join(failed)}")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
