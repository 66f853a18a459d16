"""Claim: jobs against a server that refuses, stalls, resets and answers 429 and 503 at random lose nothing, write nothing
twice.

Each of eight trials (with `--quick` two) indexes 400 pictures into a collection of its own on a server of which every
`--faults`-th request fails (`tests/support/qdrant_http`: qdrant-client's local mode behind HTTP). A job that meets too many
failures in a row stops with everything kept and is run again. In the end ids, vectors (1e-6) and payload must be those of a job
on a server that never fails, in every trial.

On two cores: 4 minutes, with `--quick` 40 seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import at_least, finish, parser
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import Fit
from semblant_search.errors import StoreUnavailable
from semblant_search.store.engines.qdrant.connection import RetryPolicy
from semblant_search.store.engines.qdrant.server import QdrantDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).parents[1] / "tests" / "support" / "qdrant_http"
MOST_RUNS = 20


@contextmanager
def server(*options: str) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, SERVER, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def content(url: str) -> dict[str, tuple[np.ndarray | None, dict[str, Any]]]:
    patient = RetryPolicy(attempts=50, first_wait=0.01, longest_wait=0.1, total_timeout=60)
    with closing(QdrantDatabase(url, timeout=2, retry=patient)) as database:
        records = database.open("images").scroll(with_image=True)
        return {record.id: (record.image, {**record.payload, "_indexed_at": ""}) for record in records}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(
        left[key][1] == right[key][1] and np.allclose(left[key][0], right[key][0], atol=1e-6) for key in left
    )


def until_done(job: IndexJob) -> int:
    """How many runs it took."""
    for number in range(1, MOST_RUNS + 1):
        try:
            report = run(job)
        except StoreUnavailable:
            continue
        assert report.adds_up
        return number
    raise SystemExit(f"not done after {MOST_RUNS} runs")


def main() -> None:
    options = parser(__doc__, quick="two trials")
    options.add_argument("--trials", type=int, help="8, with --quick 2")
    options.add_argument("--faults", type=float, default=0.25, help="share of the requests that fail")
    arguments = options.parse_args()
    trials = arguments.trials or (2 if arguments.quick else 8)
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    runs, equal = [], 0
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "bag").mkdir()
        for picture in sorted((folder / "test" / "bag").iterdir())[:400]:
            (root / "bag" / picture.name).write_bytes(picture.read_bytes())
        encoder = root / "encoder.onnx"
        encoder.write_bytes(pixel_encoder(Fit(28, 28, 1)))
        settings: dict[str, Any] = {"orb": None, "timeout": 1, "batch": 8}
        begin = time.perf_counter()
        with server() as url:
            until_done(IndexJob(str(root / "bag"), encoder, url, state=root / "state", **settings))
            expected = content(url)
        quiet = time.perf_counter() - begin
        begin = time.perf_counter()
        for trial in range(trials):
            with server("--faults", str(arguments.faults), "--seed", str(trial), "--stall", "1.3") as url:
                job = IndexJob(str(root / "bag"), encoder, url, state=root / f"state-{trial}", **settings)
                runs.append(until_done(job))
                equal += same(content(url), expected)
        numbers = {
            "pictures": len(expected),
            "faults": arguments.faults,
            "trials": trials,
            "runs": runs,
            "s_a_trial": round((time.perf_counter() - begin) / trials, 1),
            "s_without_faults": round(quiet, 1),
            "equal": equal,
        }
    limits = (at_least("equal", trials), at_least("pictures", 400))
    finish("indexing_faults", numbers, limits, quick=arguments.quick)


if __name__ == "__main__":
    main()
