"""What the indexing job costs on top of decoding and encoding: 60,000 PNG files of 28×28, end to end, against both alone.

Alone means: decode and fit all files with a pool of as many processes as the job has workers, then encode them all with as
many ONNX Runtime threads, one after the other. The job does that, hashes, writes points with typed metadata and payload
indexes, keeps its ledger, and builds the search graph. ORB is off for the ratio; its own cost is a second job. Memory is the
sum of the resident memory of the job and all its workers. `engine_s` is what bare Qdrant Edge takes for the same points, to
write them and to build the graph, without any Semblant around it. One JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import qdrant_edge
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.export import export
from semblant_exporter.training import learn, make_plan
from semblant_search import Encoder, Fit

FIT = Fit(28, 28, 1)
BATCH = 256
JOB = """
import json, sys
from semblant_indexer import IndexJob, run
from semblant_search.orb import OrbSettings
source, encoder, db, orb = sys.argv[1:]
report = run(IndexJob(source, encoder, db, orb=OrbSettings() if orb == "orb" else None))
print(json.dumps(report.to_json()))
"""


def make_encoder(folder: Path, train: Path) -> Path:
    """A `cae` as `semblant train` makes it; one short epoch, for its cost does not depend on what it learned."""
    sample = pictures.load(train, FIT).pixels[::20]
    learn(make_plan(FIT, epochs=1), np.ascontiguousarray(sample), folder / "model")
    export(folder / "model", folder / "encoder.onnx")
    return folder / "encoder.onnx"


def decode(paths: list[str]) -> np.ndarray:
    from semblant_search.images import fit_image, open_image

    return np.stack([fit_image(open_image(path, at_least=(FIT.height, FIT.width)), FIT) for path in paths])


def alone(train: Path, encoder_file: Path, cores: int) -> tuple[float, float]:
    """Seconds of decoding, and of encoding."""
    paths = sorted(map(str, train.rglob("*.png")))
    encoder = Encoder(encoder_file, threads=cores)
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(decode, [paths[:1]] * 2 * cores))  # the processes are up before the clock starts
        begin = time.perf_counter()
        chunks = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
        pixels = np.concatenate(list(pool.map(decode, chunks)))
        decoding = time.perf_counter() - begin
    begin = time.perf_counter()
    for start in range(0, len(pixels), BATCH):
        encoder.encode(pixels[start : start + BATCH])
    return decoding, time.perf_counter() - begin


def engine(train: Path, encoder_file: Path, cores: int, folder: Path) -> float:
    """Seconds that bare Edge takes for as many vectors with such a payload: upsert, user fields indexed, optimize."""
    encoder = Encoder(encoder_file, threads=cores)
    vectors = encoder.encode(pictures.load(train, FIT).pixels[:])
    edge = qdrant_edge
    points = [
        edge.Point(
            str(uuid.UUID(int=number)),
            {"image": vector.tolist()},
            {"label": f"label {number % 10}", "label_id": number % 10, "split": "train", "_uri": f"file:///train/{number}.png"},
        )
        for number, vector in enumerate(vectors)
    ]
    config = edge.EdgeConfig(vectors={"image": edge.EdgeVectorParams(size=encoder.dim, distance=edge.Distance.Cosine)})
    folder.mkdir()
    with closing(edge.EdgeShard.create(str(folder), config)) as shard:
        for name, index in (("label", edge.KeywordIndexParams()), ("label_id", edge.IntegerIndexParams())):
            shard.update(edge.UpdateOperation.create_field_index(name, index))
        begin = time.perf_counter()
        for start in range(0, len(points), 2048):
            shard.update(edge.UpdateOperation.upsert_points(points[start : start + 2048]))
        shard.optimize()
        shard.flush()
        return time.perf_counter() - begin


def job(train: Path, encoder: Path, db: Path, orb: bool) -> tuple[dict[str, Any], float, float]:
    """The report, seconds from start to exit of the process, and peak memory of its tree in MB."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", JOB, str(train), str(encoder), str(db), "orb" if orb else "no"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    root, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        total = 0
        try:
            for each in [root, *root.children(recursive=True)]:
                total += each.memory_info().rss
        except psutil.Error:
            pass
        peak = max(peak, total)
        time.sleep(0.1)
    seconds = time.perf_counter() - begin
    assert process.stdout is not None
    if process.returncode:
        raise SystemExit(f"the job ended with {process.returncode}")
    return json.loads(process.stdout.read()), seconds, peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    parser.add_argument("--no-orb", action="store_true", help="leave out the job with ORB, which takes minutes")
    arguments = parser.parse_args()
    data.fashion_mnist(arguments.data)
    train, cores = arguments.data / "train", len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        encoder = make_encoder(folder, train)
        decoding, encoding = alone(train, encoder, cores)
        bare = engine(train, encoder, cores, folder / "bare")
        plain, seconds, peak = job(train, encoder, folder / "plain", orb=False)
        _, again, _ = job(train, encoder, folder / "plain", orb=False)
        result = {
            "bench": "indexing",
            "pictures": plain["found"],
            "cores": cores,
            "decode_s": round(decoding, 2),
            "encode_s": round(encoding, 2),
            "job_s": round(seconds, 2),
            "stages": plain["stages"],
            "ratio": round(seconds / (decoding + encoding), 2),
            "ratio_limit": 2.0,
            "engine_s": round(bare, 2),
            "ratio_with_engine": round(seconds / (decoding + encoding + bare), 2),
            "pictures_per_s": round(plain["found"] / seconds),
            "peak_mb": round(peak),
            "peak_limit_mb": 1500,
            "second_run_s": round(again, 2),
            "ok": seconds <= 2 * (decoding + encoding) and peak < 1500,
        }
        if not arguments.no_orb:
            with_orb, orb_seconds, orb_peak = job(train, encoder, folder / "orb", orb=True)
            result |= {
                "orb_job_s": round(orb_seconds, 2),
                "orb_ms_a_picture": round(1000 * (orb_seconds - seconds) / with_orb["found"], 2),
                "orb_peak_mb": round(orb_peak),
                "orb_stages": with_orb["stages"],
            }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
