"""Claim: a job that is killed with SIGKILL at any moment and run again makes the collection of one that nobody disturbed.

Fifty trials for each store (with `--quick` three). Each indexes 800 pictures into a new directory, or a new collection of a
server, is killed one to three times, wherever it is, and then left to finish. Its collection must equal that of the unbroken
run: the same ids, vectors within 1e-6, the same payload but for the time of indexing, and the account of the last run must add
up. The server is qdrant-client's local mode behind HTTP (`tests/support/qdrant_http`), or the one at QDRANT_URL, where the
trials' collections are removed again. All trials must be equal, and on average each must have been killed at least once.

On two cores: 12 minutes, with `--quick` 45 seconds.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import Limit, at_least, finish, parser
from qdrant_client import QdrantClient
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Fit
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).parents[1] / "tests" / "support" / "qdrant_http"
JOB = """
import json, sys
from semblant_indexer import IndexJob, run
source, encoder, db, collection, state = sys.argv[1:]
report = run(IndexJob(source, encoder, db, collection, orb=None, batch=16, state=state or None))
print(json.dumps(report.to_json()))
"""


@dataclass(frozen=True)
class Target:
    """Where a trial writes to: a directory of its own, or a collection of its own on the server."""

    db: str
    collection: str
    state: str


def start(source: Path, encoder: Path, target: Target) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", JOB, str(source), str(encoder), target.db, target.collection, target.state]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def outcome(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a job ended with {process.returncode}")
    report: dict[str, Any] = json.loads(output)
    return report


def content(target: Target) -> dict[str, tuple[np.ndarray | None, dict[str, Any]]]:
    with closing(open_database(target.db)) as database, closing(database.open(target.collection)) as store:
        return {record.id: (record.image, {**record.payload, "_indexed_at": ""}) for record in store.scroll(with_image=True)}


@contextmanager
def a_server() -> Iterator[str]:
    if url := os.environ.get("QDRANT_URL"):
        yield url
        return
    process = subprocess.Popen([sys.executable, SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(
        left[key][1] == right[key][1] and np.allclose(left[key][0], right[key][0], atol=1e-6) for key in left
    )


def crash(source: Path, encoder: Path, targets: Iterator[Target], trials: int) -> dict[str, Any]:
    """Runs the trials, each on a target of its own; the first target is for the unbroken run."""
    dice, kills, equal = random.Random(0), 0, 0
    unbroken = next(targets)
    begin = time.perf_counter()
    whole = outcome(start(source, encoder, unbroken))
    seconds = time.perf_counter() - begin
    expected = content(unbroken)
    for target in itertools.islice(targets, trials):
        for _ in range(dice.randint(1, 3)):
            process = start(source, encoder, target)
            time.sleep(dice.uniform(0.1, 0.8) * seconds)
            kills += process.poll() is None
            process.kill()
            process.communicate()
        report = outcome(start(source, encoder, target))
        equal += report["points"] == whole["points"] and same(content(target), expected)
    return {"pictures": whole["found"], "unbroken_s": round(seconds, 2), "trials": trials, "kills": kills, "equal": equal}


def limits(stores: list[str], trials: int) -> list[Limit]:
    """Every trial ends equal; each was killed once on average, or there was nothing to survive."""
    return [limit for store in stores for limit in (at_least(f"{store}/equal", trials), at_least(f"{store}/kills", trials))]


def remove(target: Target) -> None:
    """What a trial left on a server that is not ours."""
    with closing(QdrantClient(url=target.db)) as client:
        for collection in client.get_collections().collections:
            if collection.name.startswith(target.collection):
                client.delete_collection(collection.name)


def main() -> None:
    options = parser(__doc__, quick="three trials for each store")
    options.add_argument("--trials", type=int, help="for each store; 50, with --quick 3")
    options.add_argument("--store", choices=["directory", "server", "both"], default="both")
    arguments = options.parse_args()
    trials = arguments.trials or (3 if arguments.quick else 50)
    stores = ["directory", "server"] if arguments.store == "both" else [arguments.store]
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    numbers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary, a_server() as url:
        root = Path(temporary)
        source = root / "pictures"
        for category in ("bag", "coat"):
            (source / category).mkdir(parents=True)
            for picture in sorted((folder / "test" / category).iterdir())[:400]:
                (source / category / picture.name).write_bytes(picture.read_bytes())
        encoder = root / "encoder.onnx"
        encoder.write_bytes(pixel_encoder(Fit(28, 28, 1)))
        prefix = f"crash-{time.strftime('%H%M%S')}-"
        directories = (Target(str(root / f"trial-{number}"), "images", "") for number in itertools.count())
        collections = (Target(url, f"{prefix}{number}", str(root / f"state-{number}")) for number in itertools.count())
        try:
            for store in stores:
                numbers[store] = crash(source, encoder, directories if store == "directory" else collections, trials)
        finally:
            if "server" in stores and os.environ.get("QDRANT_URL"):
                remove(Target(url, prefix, ""))
    finish("indexing_crashes", numbers, limits(stores, trials), quick=arguments.quick)


if __name__ == "__main__":
    main()
