"""Claim: starting is cheap. `import semblant_search` adds less than a bare interpreter takes; `semblant --help` takes nine of
them.

Compared: a bare interpreter, the import, the import with the client, and the help of the command, 15 processes each (with
`--quick` 5), which take turns, so that a busy moment of the machine falls on all of them alike; medians. The limits are ratios
to the bare interpreter, for seconds do not travel: the README's numbers (+10 ms and .14 s at 16 ms) with half as much again.

On two cores: 8 seconds, with `--quick` 3 seconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from _report import at_most, finish, parser

RUNS, QUICK_RUNS = 15, 5
LIMITS = (at_most("import_ratio", 0.9), at_most("help_ratio", 13))


def seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    options = parser(__doc__, quick=f"{QUICK_RUNS} processes each").parse_args()
    runs = QUICK_RUNS if options.quick else RUNS
    commands = {
        "bare": [sys.executable, "-c", ""],
        "import": [sys.executable, "-c", "import semblant_search"],
        "client": [sys.executable, "-c", "from semblant_search import SearchClient"],
        "help": [str(Path(sysconfig.get_path("scripts")) / "semblant"), "--help"],
    }
    for command in commands.values():
        seconds(command)  # compiles to bytecode, fills the page cache
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            taken[name].append(seconds(command))
    median = {name: statistics.median(values) for name, values in taken.items()}
    added = median["import"] - median["bare"]
    numbers = {
        "runs": runs,
        "bare_s": round(median["bare"], 4),
        "import_added_s": round(added, 4),
        "client_added_s": round(median["client"] - median["bare"], 4),
        "help_s": round(median["help"], 4),
        "import_ratio": round(added / median["bare"], 3),
        "help_ratio": round(median["help"] / median["bare"], 2),
    }
    finish("startup", numbers, LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
