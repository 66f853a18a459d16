"""Claim: what details cost, as multiples within one run: indexing with them beside indexing without, and a shortlist's growth.

    python bench/details_cost.py [--photographs FOLDER]

Photographs are windows of 400×533 pixels of scikit-image's, or those of FOLDER; small pictures are the 10,000 tests of
Fashion-MNIST, which are too small for details, so that only finding that out costs time. Each is indexed with and without
details in turns, and the faster job of each kind counts. `words_seconds` is the clustering alone, `extract_ms` and `words_ms`
are of a picture on one thread. The shortlist is a sparse query for 48 among synthetic pictures, whose words are drawn from
those of the photographs; `growth_to_N` is its median time beside that among 10,000.

Wanted are 4 × for photographs, 1.5 × for small pictures, 4 seconds for words, and a shortlist that grows ten times slower
than its collection. Small pictures reach it. Photographs took 6.5 × on two cores
that others kept busy, and words 10 seconds, of products of matrices then; with `--quick` a quiet machine gave 6.0 ×.
The shortlist took 3.2 times as long among ten times as many pictures, and 23 times among a hundred times as many: a third of
the collection's growth, and a quarter. Limits leave a third for noise; on cores that other work fills, multiples double.

On two cores: 30 minutes, with `--quick` 60 seconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import at_most, finish, parser
from _samples import windows_of_photographs
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.listing import list_pictures
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_indexer.job import cores
from semblant_search import Encoder, Fit
from semblant_search.collection import Manifest, point_id
from semblant_search.images import open_image, to_grey
from semblant_search.orb import FEATURE_BYTES, OrbSettings, Vocabulary, extract
from semblant_search.store import Point, SearchRequest, Sparse, SparseVector, open_database

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = OrbSettings()
WINDOWS, QUICK_WINDOWS = 3000, 400
SAMPLE, QUICK_SAMPLE = 2000, 150
SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (10_000, 30_000)
QUERIES, WARM_UP = 100, 10
LIMITS = (
    at_most("photographs/ratio", 8.7),
    at_most("small/ratio", 1.5),
    at_most("words_seconds", 12),
    at_most("shortlist/growth_to_100000", 4.5),
    at_most("shortlist/growth_to_1000000", 31),
)
QUICK_LIMITS = (at_most("photographs/ratio", 8.7), at_most("small/ratio", 2), at_most("shortlist/growth_to_30000", 4))


def indexed(source: Path, fit: Fit, work: Path, rounds: int) -> dict[str, Any]:
    """Seconds of jobs with details and without, the stages of the fastest one with, and what it remarks."""
    encoder = work / "encoder.onnx"
    encoder.write_bytes(pixel_encoder(fit, grid=7 if fit.height == 28 else 8))
    taken: dict[bool, float] = {}
    report: Any = None
    for number in range(2 * rounds):
        details = number % 2 == 1
        job = IndexJob(str(source), encoder, str(work / f"{source.name}-{number}.db"), orb=SETTINGS if details else None)
        done = run(job)
        if done.seconds < taken.get(details, float("inf")):
            taken[details] = done.seconds
            report = done if details else report
    return {
        "pictures": report.points,
        "without_seconds": round(taken[False], 2),
        "with_seconds": round(taken[True], 2),
        "ratio": round(taken[True] / taken[False], 2),
        "stages": report.stages,
        "notes": report.notes,
    }


def learned(paths: Sequence[Path]) -> tuple[dict[str, float], list[np.ndarray]]:
    """What a picture's features, the words of all and a picture's words take, and the words of each picture."""
    greys = [to_grey(open_image(path), longest_side=SETTINGS.longest_side) for path in paths]
    began = time.perf_counter()
    features = [extract(grey, SETTINGS) for grey in greys]
    extracted = time.perf_counter()
    vocabulary = Vocabulary.train(np.concatenate([one.descriptors for one in features]), seed=0, threads=cores())
    clustered = time.perf_counter()
    words = [vocabulary.sparse(one).indices for one in features]
    assigned = time.perf_counter()
    numbers = {
        "descriptors": sum(map(len, features)),
        "words": len(vocabulary),
        "words_seconds": round(clustered - extracted, 2),
        "extract_ms": round((extracted - began) / len(paths) * 1000, 2),
        "words_ms": round((assigned - clustered) / len(paths) * 1000, 2),
    }
    return numbers, words


def shortlists(words: list[np.ndarray], sizes: Sequence[int], work: Path) -> dict[str, float]:
    """Median milliseconds of a sparse query among synthetic pictures, which have words as often as the real ones do."""
    encoder, rng, pool = Encoder(pixel_encoder(Fit(28, 28, 1)), threads=1), np.random.default_rng(3), np.concatenate(words)
    facts = {"settings": SETTINGS.to_json(), "vocabulary": "0" * 64, "feature_bytes": FEATURE_BYTES}
    image = np.full(encoder.card.dim, encoder.card.dim**-0.5, np.float32)
    lengths = np.array([len(one) for one in words])
    asked = [words[row] for row in rng.integers(len(words), size=QUERIES)]
    numbers: dict[str, float] = {}
    with closing(open_database(str(work / "shortlists.db"), create=True)) as database:
        for generation, size in enumerate(sizes):
            store = database.create(Manifest("images", f"g{generation:04d}", encoder.fingerprint, encoder.card, orb=facts))
            with closing(store):
                for start in range(0, size, 5000):
                    store.upsert([_synthetic(number, image, pool, lengths, rng) for number in range(start, start + 5000)])
                store.optimize()
                taken = []
                for query in [*asked[:WARM_UP], *asked]:
                    vector = SparseVector(query, np.ones(len(query), np.float32))
                    began = time.perf_counter()
                    store.query(SearchRequest(Sparse(vector), limit=48, fields=()))
                    taken.append((time.perf_counter() - began) * 1000)
            numbers[f"ms_p50_at_{size}"] = round(float(np.median(taken[WARM_UP:])), 3)
            if generation:
                numbers[f"growth_to_{size}"] = round(numbers[f"ms_p50_at_{size}"] / numbers[f"ms_p50_at_{sizes[0]}"], 2)
            print(f"shortlist among {size:,}: {numbers[f'ms_p50_at_{size}']} ms", file=sys.stderr, flush=True)
    return numbers


def _synthetic(number: int, image: np.ndarray, pool: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> Point:
    words = np.unique(pool[rng.integers(len(pool), size=int(rng.choice(lengths)))])
    uri = f"mem://{number}"
    return Point(point_id(uri), image, {"_uri": uri}, SparseVector(words, np.ones(len(words), np.float32)))


def main() -> None:
    options = parser(__doc__, quick="400 photographs, one round, shortlists among 10,000 and 30,000")
    given = os.environ.get("SEMBLANT_PHOTOGRAPHS")
    options.add_argument("--photographs", type=Path, default=Path(given) if given else None, help="a folder of photographs")
    arguments = options.parse_args()
    quick: bool = arguments.quick
    small = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(small)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        count = QUICK_WINDOWS if quick else WINDOWS
        photographs = arguments.photographs or windows_of_photographs(work / "windows", count)
        paths = list_pictures(photographs).paths
        sample = [paths[i] for i in np.random.default_rng(1).permutation(len(paths))[: QUICK_SAMPLE if quick else SAMPLE]]
        rounds = 1 if quick else 2
        numbers: dict[str, Any] = {"cores": len(os.sched_getaffinity(0))}
        numbers["small"] = indexed(small / "test", Fit(28, 28, 1), work, rounds)
        numbers["photographs"] = indexed(photographs, Fit(64, 64, 1), work, rounds)
        facts, words = learned(sample)
        numbers |= facts
        numbers["shortlist"] = shortlists(words, QUICK_SIZES if quick else SIZES, work)
    finish("details_cost", numbers, QUICK_LIMITS if quick else LIMITS, quick=quick)


if __name__ == "__main__":
    main()
