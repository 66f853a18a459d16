"""How long Semblant takes to start: `import semblant_search` over a bare interpreter, and `semblant --help`.

Medians of runs that take turns, so that a busy moment of the machine falls on all of them alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

RUNS = 15


def seconds(command: list[str | Path]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    commands: dict[str, list[str | Path]] = {
        "bare": [sys.executable, "-c", ""],
        "import": [sys.executable, "-c", "import semblant_search"],
        "client": [sys.executable, "-c", "from semblant_search import SearchClient"],
        "help": [Path(sysconfig.get_path("scripts")) / "semblant", "--help"],
    }
    for command in commands.values():
        seconds(command)  # compiles to bytecode, fills the page cache
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            taken[name].append(seconds(command))
    median = {name: statistics.median(values) for name, values in taken.items()}
    added, shown = median["import"] - median["bare"], median["help"]
    print(
        json.dumps(
            {
                "bench": "startup",
                "runs": RUNS,
                "bare_s": round(median["bare"], 4),
                "import_added_s": round(added, 4),
                "import_limit_s": 0.15,
                "client_added_s": round(median["client"] - median["bare"], 4),
                "help_s": round(shown, 4),
                "help_limit_s": 0.4,
                "ok": added <= 0.15 and shown <= 0.4,
            }
        )
    )


if __name__ == "__main__":
    main()
