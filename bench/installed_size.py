"""Claim: `semblant-search` is two megabytes of its own; with all that it stands on, 190, and 380 with both extras.

Each is built and installed into an empty folder, as pip would for a service, and its files are added up. Nearly all of it is
other people's: ONNX Runtime, NumPy with its BLAS, gRPC; the engine of `[edge]`; OpenCV of `[orb]`. Limits are a tenth more, for
the versions that fit change.

On two cores: 1 minute, with `--quick` 5 seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _report import at_most, finish, parser

SEARCH = Path(__file__).parent.parent / "search"
INSTALLED = {"plain": "", "edge": "[edge]", "edge_orb": "[edge,orb]"}
LIMITS = (
    at_most("own_mb", 2.2),
    at_most("plain/mb", 210),
    at_most("edge/mb", 245),
    at_most("edge_orb/mb", 415),
)
QUICK_LIMITS = LIMITS[:2]


def megabytes(folder: Path) -> float:
    """Of all files below a folder."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)


def installed(extras: str, folder: Path) -> dict[str, Any]:
    """Megabytes in all, and the five largest folders of it."""
    uv = Path(sys.executable).parent / "uv"
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), f"{SEARCH}{extras}"]
    subprocess.run(command, check=True)
    sizes = {path.name: megabytes(path) for path in folder.iterdir() if path.is_dir()}
    largest = dict(sorted(sizes.items(), key=lambda one: -one[1])[:5])
    return {"mb": megabytes(folder), "largest": largest, "own": sizes["semblant_search"]}


def main() -> None:
    options = parser(__doc__, quick="without the extras").parse_args()
    numbers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, extras in INSTALLED.items():
            if name == "plain" or not options.quick:
                numbers[name] = installed(extras, Path(temporary) / name)
    numbers["own_mb"] = numbers["plain"]["own"]
    finish("installed_size", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
