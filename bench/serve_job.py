"""Claim: while a service indexes pictures, it goes on answering.

60,000 pictures of Fashion-MNIST in 49 numbers in a directory (with `--quick` 2,000), served by `semblant serve` in a process
of its own on the same two cores as what asks it. Four connections search for the ten pictures nearest to an indexed one, every
second time with a filter: for some seconds while nothing else goes on (`alone`), and as long as a job of the service indexes
10,000 other pictures, and builds what makes them fast to search (`meanwhile`; with `--quick` 200). Requests a second, median
and 99th percentile of milliseconds, and the longest.

`job`: seconds of the job, and, not with `--quick`, those of the same job where nobody asks (`unasked_s`), on a copy. `errors`:
answers other than 200. `missing`: pictures of the job that the collection does not hold afterwards. `p50_ratio`: of medians,
`meanwhile` to `alone`.

On two cores: 6 minutes, with `--quick` 15 seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _report import at_most, finish, parser
from semblant_exporter.cache import cache_dir
from serve import ask_together, build_served, in_ms, question, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 4
QUICK_STEP = 30
ALONE_S, QUICK_ALONE_S = 15.0, 2.0
_ROUND = 200
"""Requests after which is asked whether the job has ended."""
PICTURES, QUICK_PICTURES = 10_000, 200
LIMITS = (at_most("errors", 0), at_most("missing", 0), at_most("meanwhile/p99_ms", 1000))


def main() -> None:
    options = parser(__doc__, quick="2,000 pictures, and 200 more").parse_args()
    more = QUICK_PICTURES if options.quick else PICTURES
    with tempfile.TemporaryDirectory() as temporary:
        db, folder = Path(temporary) / "db", Path(temporary) / "more"
        name, indexed = build_served(db, QUICK_STEP if options.quick else 1)
        _copy_some(cache_dir() / "sets" / "fashion-mnist" / "test", folder, more)
        numbers: dict[str, Any] = {"indexed": indexed, "connections": CONNECTIONS, "job_pictures": more}
        unasked = None
        if not options.quick:
            shutil.copytree(db, Path(temporary) / "other")
            unasked, _ = _indexed(Path(temporary) / "other", name, folder, 0)
        numbers |= _indexed(db, name, folder, QUICK_ALONE_S if options.quick else ALONE_S)[1]
        numbers["job"]["unasked_s"] = unasked
        numbers["p50_ratio"] = round(numbers["meanwhile"]["p50_ms"] / numbers["alone"]["p50_ms"], 2)
    finish("serve_job", numbers, LIMITS, quick=options.quick)


def _indexed(db: Path, name: str, folder: Path, alone: float) -> tuple[float, dict[str, Any]]:
    """Seconds of a job in a service, and what those saw who asked meanwhile, and for `alone` seconds before; 0: nobody asks."""
    numbers: dict[str, Any] = {}
    with serving(db, name, "--jobs-root", str(folder)) as (_, port):
        ids = [one["id"] for one in _said(port, f"/v1/pictures?collection={name}&limit=1000")["pictures"]]
        before = _said(port, f"/v1/count?collection={name}")["count"]
        rng, errors = random.Random(1), 0
        if alone:
            numbers["alone"], errors = _asked(port, name, ids, rng, until=time.perf_counter() + alone)
        job = _said(port, "/v1/jobs", {"source": str(folder), "collection": name, "orb": False})["id"]
        begun = time.perf_counter()
        if alone:
            numbers["meanwhile"], more = _asked(port, name, ids, rng, job=job)
            errors += more
        while _said(port, f"/v1/jobs/{job}")["state"] == "running":
            time.sleep(0.1)
        seconds = round(time.perf_counter() - begun, 1)
        ended = _said(port, f"/v1/jobs/{job}")
        assert ended["state"] == "done", ended
        there = _said(port, f"/v1/count?collection={name}")["count"]
    missing = before + ended["progress"]["total"] - there
    return seconds, numbers | {"job": {"seconds": seconds}, "errors": errors, "missing": missing}


def _asked(
    port: int, name: str, ids: Sequence[str], rng: random.Random, *, until: float | None = None, job: str = ""
) -> tuple[dict[str, float], int]:
    """Searches until a moment or the end of a job: what they took, and how many failed."""
    taken: list[float] = []
    begun, errors = time.perf_counter(), 0
    while True:
        questions = [question(name, rng.choice(ids), filtered=number % 2 == 1) for number in range(_ROUND)]
        seconds, failed, _ = asyncio.run(ask_together(port, questions, CONNECTIONS))
        taken += seconds
        errors += failed
        if time.perf_counter() > until if until is not None else _said(port, f"/v1/jobs/{job}")["state"] != "running":
            break
    whole = time.perf_counter() - begun
    found = {"requests_per_s": round(len(taken) / whole, 1), **in_ms(taken), "longest_ms": round(max(taken) * 1000, 1)}
    return found, errors


def _said(port: int, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(sent, timeout=60) as answer:
        return json.load(answer)


def _copy_some(source: Path, folder: Path, count: int) -> None:
    """As many files of each category."""
    kinds = sorted(path for path in source.iterdir() if path.is_dir())
    for kind in kinds:
        (folder / kind.name).mkdir(parents=True)
        for path in sorted(kind.iterdir())[: count // len(kinds)]:
            shutil.copy(path, folder / kind.name)


if __name__ == "__main__":
    main()
