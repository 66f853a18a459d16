"""A million vectors with metadata through the writer: upsert rate, search speed, recall and memory, against 60,000.

1. The store and bare Qdrant Edge take turns at writing the same batches (the first 200,000 vectors): ratio of their rates.
2. `--count` vectors are indexed twice, as they are and with scalar quantization on disk, and 60,000 as they are.
3. Each is opened by a fresh process, which searches (recall@10 against exact search by NumPy) and tells its resident memory.

The vectors are synthetic: 128 numbers that vary in 16 directions, about as many as Fashion-MNIST's do, with some noise in all.
One JSON line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from semblant_search.client import SearchClient
from semblant_search.collection import RESERVED_FIELDS, FieldType, Manifest, StorageOptions, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.images import Fit
from semblant_search.store import Point, open_database
from semblant_search.store.files import bytes_on_disk

DIM = 128
DIRECTIONS = 16
BATCH = 1000
SMALL = 60_000
COMPARED = 200_000
QUERIES = 300
PLAIN = StorageOptions()
SMALLEST = StorageOptions(quantize="scalar", on_disk=True)
PARTS = ["writing", "small", "plain", "scalar"]
LIMITS = {"writing ratio": 0.7, "slowdown": 4, "recall": 0.99, "scalar recall": 0.98, "scalar resident_gb": 1.2}


def make_vectors(count: int, seed: int) -> np.ndarray:
    """float32 `[count, DIM]` of unit length."""
    directions = np.random.default_rng(0).normal(size=(DIRECTIONS, DIM)).astype(np.float32)
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, DIRECTIONS), dtype=np.float32) @ directions
    vectors += 0.5 * rng.standard_normal((count, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def payload(number: int) -> dict[str, Any]:
    return {
        "_uri": f"file:///pictures/{number // 1000:04d}/{number:07d}.jpg",
        "_sha256": f"{number:064x}",
        "_width": 640 + number % 1000,
        "_height": 480,
        "_format": "JPEG",
        "_bytes": 100_000 + number,
        "_indexed_at": "2024-05-01T12:00:00Z",
        "label": f"label {number % 50}",
        "price": number % 1000 / 10,
    }


def batches(vectors: np.ndarray) -> Any:
    """`(ids, vectors, payloads)` of each batch."""
    for start in range(0, len(vectors), BATCH):
        numbers = range(start, min(start + BATCH, len(vectors)))
        yield [point_id(str(n)) for n in numbers], vectors[numbers.start : numbers.stop], [payload(n) for n in numbers]


def manifest(storage: StorageOptions) -> Manifest:
    card = EncoderCard("bench", "synthetic", Fit(28, 28, 1), DIM, "none")
    fields = {**RESERVED_FIELDS, "label": FieldType.KEYWORD, "price": FieldType.FLOAT}
    return Manifest("images", "g0001", "0" * 64, card, fields, None, "2024-05-01T12:00:00Z", storage)


def write(store: Any, ids: list[str], vectors: np.ndarray, payloads: list[dict[str, Any]]) -> float:
    begin = time.perf_counter()
    store.upsert([Point(id, vector, data) for id, vector, data in zip(ids, vectors, payloads, strict=True)])
    return time.perf_counter() - begin


def write_bare(shard: Any, ids: list[str], vectors: np.ndarray, payloads: list[dict[str, Any]]) -> float:
    begin = time.perf_counter()
    rows = zip(ids, vectors.tolist(), payloads, strict=True)
    shard.update(edge.UpdateOperation.upsert_points([edge.Point(id, {"image": vector}, data) for id, vector, data in rows]))
    return time.perf_counter() - begin


def compare_writers(folder: Path, vectors: np.ndarray) -> dict[str, float]:
    """Vectors a second of the store and of a bare shard with the same vectors and payload indexes, batch by batch in turn."""
    store, other = (open_database(folder / name, create=True).create(manifest(PLAIN)) for name in ("store", "bare"))
    taken = {"store": 0.0, "bare": 0.0}
    for number, batch in enumerate(batches(vectors)):
        for name in ("store", "bare") if number % 2 else ("bare", "store"):
            taken[name] += write(store, *batch) if name == "store" else write_bare(other._shard, *batch)
    store.close()
    other.close()
    rates = {name: len(vectors) / seconds for name, seconds in taken.items()}
    return {**{f"{name}_per_s": round(rate) for name, rate in rates.items()}, "ratio": round(rates["store"] / rates["bare"], 3)}


def build(folder: Path, vectors: np.ndarray, storage: StorageOptions) -> dict[str, float]:
    database = open_database(folder, create=True)
    store = database.create(manifest(storage))
    upserting = sum(write(store, *batch) for batch in batches(vectors))
    begin = time.perf_counter()
    store.optimize()
    optimizing = time.perf_counter() - begin
    store.close()
    database.publish("images", "g0001")
    return {"vectors": len(vectors), "upsert_s": round(upserting, 1), "optimize_s": round(optimizing, 1)}


def measure(folder: Path) -> None:
    """In a process of its own: search, then print the answers, the times and the memory."""
    queries = make_vectors(QUERIES, seed=2)
    with SearchClient(folder) as client:
        for vector in queries[:50]:
            client.search_vector(vector)
        answers, taken = [], []
        for vector in queries:
            begin = time.perf_counter()
            hits = client.search_vector(vector)
            taken.append(time.perf_counter() - begin)
            answers.append([hit.id for hit in hits])
        status = Path("/proc/self/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    print(json.dumps({"answers": answers, "p50_ms": statistics.median(taken) * 1000, "resident_gb": resident / 1e6}))


def search(folder: Path, vectors: np.ndarray) -> dict[str, float]:
    """p50, recall@10 and resident memory of a fresh process."""
    command = [sys.executable, __file__, "--measure", folder]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = 0
    for ids, query in zip(answer["answers"], make_vectors(QUERIES, seed=2), strict=True):
        nearest = np.argpartition(-(vectors @ query), 10)[:10]
        found += len({point_id(str(n)) for n in nearest} & set(ids))
    return {
        "p50_ms": round(answer["p50_ms"], 4),
        "recall@10": round(found / 10 / QUERIES, 4),
        "resident_gb": round(answer["resident_gb"], 3),
    }


def judge(result: dict[str, Any]) -> bool:
    """Whether what was measured is within the limits."""
    checks = []
    if "writing" in result:
        checks.append(result["writing"]["ratio"] >= LIMITS["writing ratio"])
    if "plain" in result:
        checks.append(result["plain"]["recall@10"] >= LIMITS["recall"])
    if "slowdown" in result:
        checks.append(result["slowdown"] <= LIMITS["slowdown"])
    if "scalar" in result:
        checks.append(result["scalar"]["recall@10"] >= LIMITS["scalar recall"])
        checks.append(result["scalar"]["resident_gb"] <= LIMITS["scalar resident_gb"])
    return all(checks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; all take twenty minutes")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    vectors = make_vectors(options.count, seed=1)
    result: dict[str, Any] = {"bench": "scale", "count": options.count}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "writing" in options.parts:
            result["writing"] = compare_writers(folder, vectors[:COMPARED])
        for key, part, storage in (
            ("small", vectors[:SMALL], PLAIN),
            ("plain", vectors, PLAIN),
            ("scalar", vectors, SMALLEST),
        ):
            if key in options.parts:
                result[key] = build(folder / key, part, storage) | search(folder / key, part)
                result[key]["disk_gb"] = round(bytes_on_disk(folder / key) / 1e9, 3)
                shutil.rmtree(folder / key)
                print(json.dumps({key: result[key]}), file=sys.stderr, flush=True)
    if {"small", "plain"} <= result.keys():
        result["slowdown"] = round(result["plain"]["p50_ms"] / result["small"]["p50_ms"], 2)
    result["limits"] = LIMITS
    result["ok"] = judge(result)
    print(json.dumps(result))
    if not result["ok"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
