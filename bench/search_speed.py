"""Claim: on top of Qdrant Edge the client costs little, and its graph finds what an exact search finds.

60,000 pictures of Fashion-MNIST with the payload that the indexer writes, in 128 numbers by whitened PCA of their pixels. Each
of 1,000 queries (with `--quick` 10,000 pictures, 300 queries) is asked by vector, and by vector with a filter. In a second
collection of as many, by a `cae` that learned from 6,000 of them, it is asked by the path of a picture that is not indexed.

Compared: `SearchClient` and a bare `EdgeShard.query` of the same request on the same open shard, whose hits nobody looks at: an
id and a payload become Python's when they are looked at, here as there. With `looked_at` every payload is read, too, which the
client parts into URI, metadata and facts. For a path the bare way is to decode and fit the file, to encode it with the same
ONNX Runtime session, and to ask the shard; each of the parts is timed.

Both take turns, and turns at going first, as often as each other; 50 queries warm up; medians. Recall@10 is measured against
`exact=True`, with the same filter. Wanted are 1.2 × for a vector and 1.1 × with a filter; a quiet machine gave 1.33, 1.14 and,
for a path, 1.38 ×, to which the limits add an eighth for noise. What is left is Python: a fifth of it makes hits, twice, and
the rest are many lines, slow after the engine, which fills the processor's caches with vectors. Recall of queries from all
categories is .9953 to .9957, and the limit is .002 less, for a graph is built by several threads and is never the same twice.
With few pictures the engine is faster and the client is not: the quick limits on time are looser.

On two cores: 3 minutes, with `--quick` 30 seconds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: its threads must not spin while others are timed

import numpy as np
from _bare_engine import LIMIT, PRICE_BELOW, WARM_UP, bare_request, shard_of, take_turns
from _report import at_least, at_most, finish, parser
from baselines import pca_whitened, unit
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import embed
from semblant_exporter.export import export
from semblant_exporter.listing import list_pictures
from semblant_exporter.training import learn, make_plan
from semblant_search.client import SearchClient
from semblant_search.collection import RESERVED_FIELDS, FieldType, Manifest, point_id, uri_path
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.images import Fit
from semblant_search.store import Point, open_database

FIT = Fit(28, 28, 1)
QUERIES, QUICK_QUERIES = 1000, 300
QUICK_STEP = 6  # every sixth picture is indexed
LABEL = "Sneaker"
WHERE = f"label == '{LABEL}' and price < {PRICE_BELOW}"
RECALL = (at_least("plain/recall@10", 0.993), at_least("filtered/recall@10", 0.998))
LIMITS = (at_most("plain/ratio", 1.5), at_most("filtered/ratio", 1.3), at_most("picture/ratio", 1.55), *RECALL)
QUICK_LIMITS = (at_most("plain/ratio", 2), at_most("filtered/ratio", 2.5), at_most("picture/ratio", 2), *RECALL)


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


def make_cae(array: pictures.PictureArray, folder: Path) -> Encoder:
    learn(
        make_plan(FIT, epochs=1, precision="float32"),
        np.ascontiguousarray(array.pixels[:: max(1, len(array) // 6000)]),
        folder / "model",
    )
    export(folder / "model", folder / "encoder.onnx")
    return Encoder(folder / "encoder.onnx")


def build(folder: Path, there: np.ndarray, labels: list[str | None], fingerprint: str, card: EncoderCard) -> float:
    """Index everything into a collection that has the name of its encoder; seconds."""
    fields = {**RESERVED_FIELDS, "label": FieldType.KEYWORD, "price": FieldType.FLOAT, "split": FieldType.KEYWORD}
    manifest = Manifest(card.name, "g0001", fingerprint, card, fields, None, "2024-05-01T12:00:00Z")
    started = time.perf_counter()
    with closing(open_database(folder, create=True)) as database:
        with closing(database.create(manifest)) as store:
            for start in range(0, len(there), 1000):
                numbers = range(start, min(start + 1000, len(there)))
                store.upsert([Point(point_id(str(n)), there[n], payload(n, str(labels[n]))) for n in numbers])
            store.optimize()
        database.publish(card.name, "g0001")
    return time.perf_counter() - started


def by_vector(client: SearchClient, shard: Any, asked: np.ndarray, *, filtered: bool) -> dict[str, Any]:
    """Times of both ways, and recall@10 of the client."""
    where, label = (WHERE, LABEL) if filtered else (None, None)
    measured = take_turns(
        len(asked),
        lambda number: client.search_vector(asked[number], LIMIT, where=where),
        lambda number: list(shard.query(bare_request(asked[number], label=label))),
    )
    looked_at = take_turns(
        len(asked),
        lambda number: [hit for hit in client.search_vector(asked[number], LIMIT, where=where) if hit.uri and hit.metadata],
        lambda number: [hit for hit in shard.query(bare_request(asked[number], label=label)) if hit.id and hit.payload],
    )
    found = 0
    for vector in asked:
        exact = {hit.id for hit in client.search_vector(vector, LIMIT, where=where, exact=True)}
        found += len(exact & {hit.id for hit in client.search_vector(vector, LIMIT, where=where)})
    return {**measured, "looked_at": looked_at, "recall@10": round(found / LIMIT / len(asked), 4)}


def by_path(client: SearchClient, shard: Any, encoder: Encoder, paths: list[Path]) -> dict[str, float]:
    """Times of `client.search(path)` and of its parts one after the other; and of each part."""
    parts: dict[str, list[float]] = {"decode": [], "encode": [], "knn": []}

    def bare(number: int) -> list[Any]:
        begin = time.perf_counter()
        pixels = encoder.prepare(paths[number])
        decoded = time.perf_counter()
        vector = encoder.encode(pixels[None])[0]
        encoded = time.perf_counter()
        answer = list(shard.query(bare_request(vector)))
        moments = (begin, decoded, encoded, time.perf_counter())
        for name, first, second in zip(parts, moments, moments[1:], strict=False):
            parts[name].append(second - first)
        return answer

    measured = take_turns(len(paths), lambda number: list(client.search(paths[number], LIMIT)), bare)
    medians = {f"{name}_p50_ms": statistics.median(taken[WARM_UP:]) * 1000 for name, taken in parts.items()}
    return {**measured, **{name: round(value, 4) for name, value in medians.items()}}


def main() -> None:
    options = parser(__doc__, quick="10,000 pictures and 300 queries").parse_args()
    count = QUICK_QUERIES if options.quick else QUERIES
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    listing = list_pictures(folder / "train")
    index = pictures.load(listing.take(range(0, len(listing.paths), QUICK_STEP if options.quick else 1)), FIT)
    listing = list_pictures(folder / "test")
    queries = pictures.load(listing.take(range(0, len(listing.paths), len(listing.paths) // count)), FIT)
    paths = [path for uri in queries.uris if (path := uri_path(uri)) is not None]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        flat = [array.pixels.reshape(len(array), -1).astype(np.float32) / 255 for array in (index, queries)]
        there, asked = (unit(vectors) for vectors in pca_whitened(flat[0], flat[1], 128))
        numbers: dict[str, Any] = {"indexed": len(index), "queries": len(asked)}
        pca = EncoderCard("pca", "pca", FIT, there.shape[1], "none")
        numbers["build_s"] = round(build(work / "db", there, index.labels, "0" * 64, pca), 1)
        with SearchClient(work / "db", collection="pca") as client:
            numbers["plain"] = by_vector(client, shard_of(client), asked, filtered=False)
            numbers["filtered"] = by_vector(client, shard_of(client), asked, filtered=True)
        cae = make_cae(index, work)
        build(work / "db", embed(cae, index.pixels)[0], index.labels, cae.fingerprint, replace(cae.card, name="cae"))
        with SearchClient(work / "db", cae, "cae") as client:
            numbers["picture"] = by_path(client, shard_of(client), cae, paths)
    finish("search_speed", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
