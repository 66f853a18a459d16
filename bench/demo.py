"""The main job on real pictures, as `make demo` runs it: data → train → export → index → evaluate → two searches
(what looks like it; the same among some categories). Pictures of 28 pixels are too small for a search by details.

Every step is the `semblant` command that a user would type, printed before it runs. A step whose result is there and newer
than what it was made from is not run again. Ends with a table of numbers and `summary.json`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"
console = Console()


def semblant(*arguments: str | Path, ok: tuple[int, ...] = (0,), capture: bool = False) -> str:
    """Run one command as a user would, show it, and stop the demo where it fails."""
    words = [str(argument) for argument in arguments]
    console.print(f"\n[bold cyan]$ semblant {shlex.join(words)}[/]", highlight=False, soft_wrap=True)
    done = subprocess.run([SEMBLANT, *words], text=True, stdout=subprocess.PIPE if capture else None, check=False)
    if done.returncode not in ok:
        console.print(f"[red]semblant {words[0]} ended with exit code {done.returncode}; the demo stops here[/]")
        raise SystemExit(done.returncode)
    return done.stdout if capture else ""


def stale(result: Path, *sources: Path) -> bool:
    """Whether `result` must be made again, as `make` sees it."""
    return not result.exists() or any(source.stat().st_mtime > result.stat().st_mtime for source in sources)


def run(out: Path, data: Path | None, train_options: list[str], query_category: str) -> dict[str, Any]:
    """All steps; returns the numbers of the closing table."""
    out.mkdir(parents=True, exist_ok=True)
    model, encoder, db = out / "model", out / "encoder.onnx", out / "pictures.db"
    took: dict[str, float] = {}

    def timed(step: str, *arguments: str | Path, ok: tuple[int, ...] = (0,)) -> None:
        begin = time.perf_counter()
        semblant(*arguments, ok=ok)
        took[step] = round(time.perf_counter() - begin, 1)

    if data is None:
        data = out / "fashion-mnist"
        timed("data", "data", "fashion-mnist", data)
    if stale(encoder):
        broken_off = ["--resume"] if (model / "state.safetensors").exists() else []
        timed("train", "train", data / "train", "--out", model, *train_options, *broken_off)
        timed("export", "export", model, "-o", encoder)
    timed("index", "index", data / "train", "--encoder", encoder, "--db", db, "--report", out / "index.json")
    evaluation = out / "evaluation.json"
    if stale(evaluation, encoder):
        timed("evaluate", "evaluate", encoder, "--index", data / "train", "--queries", data / "test", "--out", evaluation)

    query = sorted((data / "test" / query_category).glob("*.png"))[0]
    galleries = out / "galleries"
    galleries.mkdir(exist_ok=True)
    semblant("search", query, "--db", db, "-k", "10", "--gallery", galleries / "knn.png")
    semblant(
        "search", query, "--db", db, "-k", "10", "--where", 'label in ["Ankle boot", "Sandal"]',
        "--gallery", galleries / "filtered.png",
    )  # fmt: skip
    return summarise(out, took, json.loads(evaluation.read_text()), json.loads((out / "index.json").read_text()))


def summarise(out: Path, took: dict[str, float], evaluation: dict[str, Any], index: dict[str, Any]) -> dict[str, Any]:
    """Print the closing table and write `summary.json`."""
    summary = {"seconds": took, "evaluation": evaluation, "index": index}
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    table = Table(title="Semblant on these pictures", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for step, seconds in took.items():
        table.add_row(f"{step}, seconds", f"{seconds:.1f}")
    for name, value in evaluation["metrics"].items():
        table.add_row(name, f"{value:.3f}")
    for name in ("found", "indexed", "unchanged", "failed"):
        table.add_row(f"pictures {name}", f"{index[name]:,}")
    console.print()
    console.print(table)
    console.print(f"\nLook at: {out}/galleries, {out}/model/figures. Search it:")
    console.print(f"semblant search PICTURE --db {out}/pictures.db", soft_wrap=True)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything that the demo makes")
    parser.add_argument(
        "--data", type=Path, help="a folder like that of `semblant data fashion-mnist`, instead of all 70,000 pictures"
    )
    parser.add_argument(
        "--query",
        default="sneaker",
        help="the category folder whose first test picture is the query",
    )
    arguments, train_options = parser.parse_known_args()
    run(arguments.out, arguments.data, train_options, arguments.query)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
