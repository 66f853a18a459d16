"""Run every benchmark in this folder, one after the other, and pass on its JSON line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"run_all.py", "demo.py"}


def main() -> None:
    failed = []
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.name not in NOT_BENCHMARKS and not script.name.startswith("_"):
            print(f"# {script.name}", file=sys.stderr, flush=True)
            if subprocess.run([sys.executable, script], check=False).returncode != 0:
                failed.append(script.name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
