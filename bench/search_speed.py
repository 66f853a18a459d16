"""What the client costs on top of Qdrant Edge: kNN by vector with payload on 60,000 × 128, plain and filtered, and its recall.

The vectors are Fashion-MNIST's, PCA-whitened to 128 numbers. The client and a bare `EdgeShard.query` of the same request take
turns on the same open shard. Recall@10 is measured against `exact=True`, with the same filter. One JSON line.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from baselines import pca_whitened, unit
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_search.client import SearchClient
from semblant_search.collection import RESERVED_FIELDS, FieldType, Manifest, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.images import Fit
from semblant_search.store import Point, open_database

QUERIES = 1000
LIMIT = 10
WHERE = 'label == "Sneaker" and price < 50'
PRICE_BELOW = 50.0


def vectors() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Unit vectors of the 60,000 and of the queries, and the labels of the 60,000."""
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    index, queries = (pictures.load(folder / split, Fit(28, 28, 1)) for split in ("train", "test"))
    raw = [array.pixels.reshape(len(array), -1).astype(np.float32) / 255 for array in (index, queries)]
    there, asked = pca_whitened(*raw, 128)
    return unit(there), unit(asked)[:QUERIES], list(index.labels or [])


def payload(number: int, label: str) -> dict[str, Any]:
    """As the indexer writes it: seven facts and three columns."""
    return {
        "_uri": f"file:///pictures/train/{label}/{number:05d}.png",
        "_sha256": f"{number:064x}",
        "_width": 28,
        "_height": 28,
        "_format": "PNG",
        "_bytes": 500 + number % 300,
        "_indexed_at": "2024-05-01T12:00:00Z",
        "label": label,
        "price": float(number % 100),
        "split": "train",
    }


def build(folder: Path, there: np.ndarray, labels: list[str]) -> float:
    """Index everything; seconds."""
    card = EncoderCard("bench", "pca", Fit(28, 28, 1), there.shape[1], "none")
    fields = {**RESERVED_FIELDS, "label": FieldType.KEYWORD, "price": FieldType.FLOAT, "split": FieldType.KEYWORD}
    database = open_database(folder, create=True)
    started = time.perf_counter()
    store = database.create(Manifest("images", "g0001", "0" * 64, card, fields, None, "2024-05-01T12:00:00Z"))
    for start in range(0, len(there), 1000):
        numbers = range(start, min(start + 1000, len(there)))
        store.upsert([Point(point_id(str(n)), there[n], payload(n, labels[n])) for n in numbers])
    store.optimize()
    store.close()
    database.publish("images", "g0001")
    return time.perf_counter() - started


def bare_request(vector: np.ndarray, *, filtered: bool) -> Any:
    """What one would write without Semblant."""
    chosen = None
    if filtered:
        label = edge.FieldCondition(key="label", match=edge.MatchValue(value="Sneaker"))
        chosen = edge.Filter(must=[label, edge.FieldCondition(key="price", range=edge.RangeFloat(lt=PRICE_BELOW))])
    nearest = edge.Query.Nearest(vector.tolist(), using="image")
    return edge.QueryRequest(limit=LIMIT, query=nearest, with_payload=True, filter=chosen)


def compare(client: SearchClient, shard: Any, asked: np.ndarray, *, filtered: bool) -> dict[str, float]:
    """Medians in milliseconds of client and bare engine, taking turns, and recall@10 of the client."""
    where = WHERE if filtered else None
    times: dict[str, list[float]] = {"client": [], "bare": []}
    found = 0
    for number, vector in enumerate(np.concatenate([asked[:50], asked])):  # the first 50 warm up
        answers: dict[str, list[Any]] = {}
        # Whoever asks second finds the graph's nodes in the cache, so that they take turns at going first.
        for name in ("client", "bare") if number % 2 else ("bare", "client"):
            begin = time.perf_counter()
            if name == "client":
                answers[name] = client.search_vector(vector, LIMIT, where=where)
            else:
                answers[name] = shard.query(bare_request(vector, filtered=filtered))
            if number >= 50:
                times[name].append(time.perf_counter() - begin)
        ids = [hit.id for hit in answers["client"]]
        assert ids == [str(point.id) for point in answers["bare"]]
        if number >= 50:
            exact = client.search_vector(vector, LIMIT, where=where, exact=True)
            found += len(set(ids) & {hit.id for hit in exact})
    client_ms, bare_ms = (statistics.median(times[name]) * 1000 for name in ("client", "bare"))
    return {
        "client_p50_ms": round(client_ms, 4),
        "bare_p50_ms": round(bare_ms, 4),
        "ratio": round(client_ms / bare_ms, 3),
        "recall@10": round(found / LIMIT / len(asked), 4),
    }


def main() -> None:
    there, asked, labels = vectors()
    with tempfile.TemporaryDirectory() as folder:
        seconds = build(Path(folder) / "db", there, labels)
        with SearchClient(Path(folder) / "db") as client:
            shard = client._store._shard  # type: ignore[union-attr]  # the engine under the client, to ask it directly
            plain = compare(client, shard, asked, filtered=False)
            filtered = compare(client, shard, asked, filtered=True)
    ok = all(part["ratio"] <= 1.5 and part["recall@10"] >= 0.99 for part in (plain, filtered))
    result = {
        "bench": "search_speed",
        "indexed": len(there),
        "build_s": round(seconds, 1),
        "plain": plain,
        "filtered": filtered,
    }
    print(json.dumps({**result, "limits": {"ratio": 1.5, "recall@10": 0.99}, "ok": ok}))
    if not ok:
        sys.exit(1)


if __name__ == "__main__":
    main()
