"""Fifty jobs killed with SIGKILL at random moments, run again, and compared with one that nobody disturbed.

Each trial indexes 800 pictures into a new directory, is killed one to three times, wherever it is, and then left to finish.
Its collection must equal that of the unbroken run: the same ids, vectors within 1e-6, the same payload but for the time of
indexing, and the account of the last run must add up. One JSON line.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Fit
from semblant_search.store import open_database

JOB = """
import json, sys
from semblant_indexer import IndexJob, run
report = run(IndexJob(*sys.argv[1:4], orb=None, batch=16))
print(json.dumps(report.to_json()))
"""


def start(source: Path, encoder: Path, db: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", JOB, str(source), str(encoder), str(db)], stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a job ended with {process.returncode}")
    return json.loads(output)


def content(db: Path) -> dict[str, tuple[np.ndarray | None, dict[str, Any]]]:
    store = open_database(str(db)).open("images")
    try:
        return {record.id: (record.image, {**record.payload, "_indexed_at": ""}) for record in store.scroll(with_image=True)}
    finally:
        store.close()


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(
        left[key][1] == right[key][1] and np.allclose(left[key][0], right[key][0], atol=1e-6) for key in left
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    arguments = parser.parse_args()
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    dice, kills, equal, moments = random.Random(0), 0, 0, []
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        source = root / "pictures"
        for category in ("bag", "coat"):
            (source / category).mkdir(parents=True)
            for picture in sorted((folder / "test" / category).iterdir())[:400]:
                (source / category / picture.name).write_bytes(picture.read_bytes())
        encoder = root / "encoder.onnx"
        encoder.write_bytes(pixel_encoder(Fit(28, 28, 1)))
        begin = time.perf_counter()
        whole = finish(start(source, encoder, root / "whole"))
        seconds = time.perf_counter() - begin
        expected = content(root / "whole")
        for trial in range(arguments.trials):
            db = root / f"trial-{trial}"
            for _ in range(dice.randint(1, 3)):
                process = start(source, encoder, db)
                moment = dice.uniform(0.1, 0.8) * seconds
                time.sleep(moment)
                if process.poll() is None:
                    kills += 1
                    moments.append(moment)
                process.kill()
                process.communicate()
            report = finish(start(source, encoder, db))
            equal += report["points"] == whole["points"] and same(content(db), expected)
        result = {
            "bench": "indexing_crashes",
            "pictures": whole["found"],
            "unbroken_s": round(seconds, 2),
            "trials": arguments.trials,
            "kills": kills,
            "equal": equal,
            "ok": equal == arguments.trials and kills >= arguments.trials,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
