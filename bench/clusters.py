"""Claim: clusters of the default encoder's vectors agree better with the categories than those of pixels and of PCA.

Fashion-MNIST's 60,000 training pictures (with `--quick` 3,000) as pixels, as PCA of these in 128 numbers, and by a `cae` of the
default objective, trained for `epochs`; each clustered by k-means into ten, as `semblant cluster -k 10` does. `purity`: the
share of pictures whose cluster's most frequent category is theirs. `nmi`: normalised mutual information of both. `elbow`: the
number of clusters that is chosen without `-k`; ten categories need not be ten clusters: sandals and boots are two heaps each,
shirts and coats one. `map`: the same by HDBSCAN on the map, which leaves a share out.

`within`: 1,000 test pictures are asked of the collection whole, and within the 1, 2 and 3 clusters nearest to each: recall@10
against an exact search, and the median time of a call. It is no faster than the graph over all pictures; it is for asking
inside a group.

`--pictures DIR --encoder FILE` takes a folder of one's own, with a folder for each category, and the encoder that was made for
such pictures (`semblant learn`, or `semblant pretrained`), in place of Fashion-MNIST; pixels and PCA are of 64 × 64 in colour,
every tenth picture asks and is not indexed.

On two cores: 8 minutes, with `--quick` 15 seconds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded

import numpy as np
from _report import at_least, finish, parser
from baselines import pca_whitened, unit
from search_speed import FIT, build
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import embed
from semblant_exporter.export import export
from semblant_exporter.listing import list_pictures
from semblant_exporter.training import learn, make_plan
from semblant_indexer.analysis import cluster_collection, fit_clusters, fit_dense_clusters, fit_map
from semblant_search import SearchClient
from semblant_search.encoder import Encoder
from semblant_search.images import Fit
from semblant_search.store import open_database
from sklearn.metrics import normalized_mutual_info_score

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK_STEP = 20
QUERIES, QUICK_QUERIES = 1000, 100
EPOCHS, QUICK_EPOCHS = 6, 2
LIMITS = (
    at_least("over_pixels/purity", 0.0),
    at_least("over_pixels/nmi", 0.0),
    at_least("over_pca/purity", 0.0),
    at_least("over_pca/nmi", 0.0),
    at_least("within/3/recall@10", 0.9),
)
QUICK_LIMITS = (at_least("encoder/purity", 0.4), at_least("within/3/recall@10", 0.75))


def load(split: str, step: int) -> pictures.PictureArray:
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    listing = list_pictures(folder / split)
    return pictures.load(listing.take(range(0, len(listing.paths), step)), FIT)


def agreement(labels: np.ndarray, categories: Sequence[str]) -> dict[str, float]:
    """How far clusters are categories; pictures in no cluster are a cluster of their own."""
    names = np.unique(np.asarray(categories), return_inverse=True)[1]
    counts = np.zeros((labels.max() + 2, names.max() + 1), np.int64)
    np.add.at(counts, (labels, names), 1)
    nmi = normalized_mutual_info_score(names, labels)
    return {"purity": round(float(counts.max(axis=1).sum() / len(names)), 4), "nmi": round(float(nmi), 4)}


def trained(array: pictures.PictureArray, folder: Path, epochs: int) -> Encoder:
    """The default kind of encoder, that learned from these pictures."""
    learn(make_plan(FIT, epochs=epochs, precision="float32"), np.ascontiguousarray(array.pixels), folder / "model")
    export(folder / "model", folder / "encoder.onnx")
    return Encoder(folder / "encoder.onnx")


def within(client: SearchClient, asked: np.ndarray) -> dict[str, Any]:
    """Recall and time of searches within clusters and of whole ones."""
    exact = [{hit.id for hit in client.search_vector(vector, 10, exact=True)} for vector in asked]
    told = {}
    for probes in (0, 1, 2, 3):
        times, found = [], 0
        for vector, wanted in zip(asked, exact, strict=True):
            begun = time.perf_counter()
            hits = client.search_vector(vector, 10, within_cluster=probes or False)
            times.append(time.perf_counter() - begun)
            found += len(wanted & {hit.id for hit in hits})
        name = str(probes) if probes else "whole"
        told[name] = {"recall@10": round(found / (10 * len(asked)), 4), "p50_ms": round(statistics.median(times) * 1000, 3)}
    return told


def whitened(flat: np.ndarray, dim: int) -> np.ndarray:
    """PCA in `dim` numbers of variance 1; of pictures wider than there are many, by the products of these with each other."""
    if flat.shape[1] <= len(flat):
        return pca_whitened(flat, flat, dim)[0]
    centred = flat - flat.mean(axis=0)
    _, directions = np.linalg.eigh(centred @ centred.T)
    return np.ascontiguousarray(directions[:, ::-1][:, :dim] * np.sqrt(len(flat)), np.float32)


def compared(flat: np.ndarray, there: np.ndarray, categories: Sequence[str]) -> dict[str, Any]:
    """Clusters, as many as categories, of pixels, of their PCA and of an encoder's vectors, beside each other."""
    dim = min(128, len(flat) - 1)
    vectors = {"pixels": unit(flat), "pca": unit(whitened(flat, dim)), "encoder": there}
    count = len(set(categories))
    numbers: dict[str, Any] = {name: agreement(fit_clusters(one, count).labels, categories) for name, one in vectors.items()}
    for other in ("pixels", "pca"):
        numbers[f"over_{other}"] = {
            kind: round(numbers["encoder"][kind] - numbers[other][kind], 4) for kind in ("purity", "nmi")
        }
    return numbers


def of_collection(
    folder: Path, there: np.ndarray, categories: Sequence[str], encoder: Encoder, asked: np.ndarray
) -> dict[str, Any]:
    """The elbow's own clusters, and searches within them."""
    build(folder, there, list(categories), encoder.fingerprint, encoder.card)
    with closing(open_database(folder)) as database:
        found = cluster_collection(database, encoder.card.name)
        assert found.clustering is not None
        labels = _in_order(found.uris, categories)
        elbow = {"k": found.clustering.k, **agreement(found.clustering.labels, labels)}
    with SearchClient(folder, encoder, encoder.card.name) as client:
        return {"elbow": elbow, "within": within(client, asked)}


def of_folder(folder: Path, encoder: Encoder) -> dict[str, Any]:
    """The same of photographs, say."""
    listing = list_pictures(folder)
    small, fitted = (pictures.load(listing, fit) for fit in (Fit(64, 64, 3), encoder.card.fit))
    every = np.arange(len(fitted))
    asking = every % 10 == 0
    vectors = embed(encoder, fitted.pixels)[0]
    categories = [str(fitted.labels[row]) for row in every[~asking]]
    flat = small.pixels.reshape(len(small), -1)[~asking].astype(np.float32) / 255
    numbers: dict[str, Any] = {"indexed": len(categories), "queries": int(asking.sum()), "categories": len(set(categories))}
    numbers |= compared(flat, vectors[~asking], categories)
    with tempfile.TemporaryDirectory() as temporary:
        return numbers | of_collection(Path(temporary) / "db", vectors[~asking], categories, encoder, vectors[asking])


def main() -> None:
    given = parser(__doc__, quick="3,000 pictures, two epochs, 100 queries")
    given.add_argument("--pictures", type=Path, help="a folder of folders, in place of Fashion-MNIST")
    given.add_argument("--encoder", type=Path, help="encoder.onnx, for these")
    options = given.parse_args()
    if options.pictures is not None:
        finish("clusters", of_folder(options.pictures, Encoder(options.encoder)), LIMITS[:4], quick=False)
        return
    step = QUICK_STEP if options.quick else 1
    index = load("train", step)
    queries = load("test", 10_000 // (QUICK_QUERIES if options.quick else QUERIES))
    categories = [str(label) for label in index.labels]
    numbers: dict[str, Any] = {"indexed": len(index), "queries": len(queries)}
    flat = index.pixels.reshape(len(index), -1).astype(np.float32) / 255
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        epochs = numbers["epochs"] = QUICK_EPOCHS if options.quick else EPOCHS
        encoder = trained(index, work, epochs)
        there = embed(encoder, index.pixels)[0]
        numbers |= compared(flat, there, categories)
        if not options.quick:
            places = fit_map(there[::6])
            dense = fit_dense_clusters(places, there[::6])
            left_out = round(float((dense.labels < 0).mean()), 4)
            numbers["map"] = {"k": dense.k, "left_out": left_out, **agreement(dense.labels, categories[::6])}
        numbers |= of_collection(work / "db", there, categories, encoder, embed(encoder, queries.pixels)[0])
    finish("clusters", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


def _in_order(uris: Sequence[str], categories: Sequence[str]) -> list[str]:
    """Of the pictures in the order of a collection: their addresses end with their numbers."""
    return [categories[int(Path(uri).stem)] for uri in uris]


if __name__ == "__main__":
    main()
