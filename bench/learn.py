"""Claim: of a folder of photographs `semblant learn` makes an encoder that finds far more of the same kind than pixels do.

Photographs of clothing in ten folders (3,068 indexed, 341 others asked, exact search by cosine, 128 numbers), which are no
part of the repository: `--photographs` names them. Every row that `learn` tries: P@1, P@10 and 10-NN accuracy by labels,
beside the guide without labels that the choice is made by; the choice, and the best by labels; and the frozen networks' own
features, pooled, with nothing learned of the pictures. Then sets of 6 × 6 of these photographs, each of six folders: the
share of the five nearest of each picture that are of its folder, mean over the sets, for the encoder that `learn` makes of
the 36 and for the frozen features.

The pictures that are asked were looked at four times: what was changed between, such as the pictures' size and the graph of
neighbours, was chosen on parts of those that are indexed. The floors are one run's numbers less .01. `--distilled` adds
the network that learns from the chosen one, in so many minutes. `--quick`
takes drawings, which everybody can fetch, every
twentieth of them, and looks at their pixels alone, which needs no minutes; its floor is one run's number less .02.

On two cores: 12 minutes, with `--quick` 10 seconds.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _report import at_least, finish, parser
from _samples import sampled
from semblant_exporter import data, metrics, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import embed, measure_labels
from semblant_exporter.learners import LearnJob, frozen, learn
from semblant_exporter.learners.guide import two_views
from semblant_exporter.learners.rows import best
from semblant_exporter.learners.sample import take
from semblant_exporter.learners.stem import LearnedGraph, Network, Raster, Stem, features, networks_at_hand
from semblant_exporter.listing import list_pictures
from semblant_search.encoder import Encoder
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from semblant_exporter.learners.frozen import Seen
    from semblant_exporter.learners.rows import Made
    from semblant_exporter.pictures import PictureArray

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared" / "pictures" / "clothing"
"""Where a checkout has them beside it."""
SETS, FOLDERS, EACH, POOL, NEAREST = 50, 6, 6, 40, 5
DIM = 128
MEASURES = ("P@1", "P@10", "10-NN accuracy")
LIMITS = (
    at_least("photographs/chosen/P@10", 0.817),
    at_least("photographs/chosen/10-NN accuracy", 0.863),
    at_least("sets/learned", 0.649),
    at_least("sets/ratio to frozen", 1.14),
)
QUICK_LIMITS = (at_least("drawings/chosen/P@10", 0.208),)


def main() -> None:
    parsing = parser(__doc__, quick="every twentieth drawing of the Open Clip Art Library, and their pixels alone")
    parsing.add_argument("--photographs", type=Path, default=PHOTOGRAPHS, help="folder with train/ and validation/")
    parsing.add_argument("--drawings", type=Path, default=cache_dir() / "sets" / "clipart")
    parsing.add_argument("--keep", type=Path, help="folder for the features; those that are there are not computed again")
    parsing.add_argument("--distilled", type=float, metavar="MINUTES", help="also teach a smaller network, for so long")
    arguments = parsing.parse_args()
    if arguments.quick:
        data.clipart(arguments.drawings)
        with tempfile.TemporaryDirectory() as folder:
            some = sampled(arguments.drawings, Path(folder) / "drawings", 20)
            finish("learn", {"drawings": measured(some, None, (), None)}, QUICK_LIMITS, quick=True)
        return
    if not (arguments.photographs / "train").is_dir():
        parsing.error(f"{str(arguments.photographs)!r}: no folder train/ there; name the photographs with --photographs")
    networks = networks_at_hand()
    numbers = {
        "networks": list(networks),
        "photographs": measured(
            arguments.photographs / "train", arguments.photographs / "validation", networks, arguments.keep
        ),
        "sets": small_sets(arguments.photographs / "train", networks, arguments.keep),
    }
    if arguments.distilled:
        numbers["distilled"] = distilled(
            arguments.photographs / "train", arguments.photographs / "validation", arguments.distilled
        )
    finish("learn", numbers, LIMITS)


def measured(train: Path, asked: Path | None, networks: tuple[str, ...], keep: Path | None) -> dict[str, Any]:
    """Every row on one collection; without pictures to ask with, those are asked that `learn` itself has held out."""
    listing = list_pictures(train)
    sample = take(listing, sample_fit(networks))
    seen = kept(
        keep, "photographs", lambda: frozen.look_through(built(networks), sample, sample_fit(networks), None), sample, networks
    )
    made = frozen.pixels(seen, DIM)
    if networks:
        made += (base := frozen.pretrained(seen, DIM)) + frozen.fused(seen, base[0])
    chosen = best(made)
    index = pictures.load(sample.listing, seen.fit)
    queries = index if asked is None else pictures.load(asked, seen.fit)
    plain = seen.plain if asked is None else of(keep, "validation", seen, queries)
    rows = {}
    for one in made:
        graph = one.graph()
        assert isinstance(graph, LearnedGraph)
        there, found = (vectors_of(graph, seen, one, part) for part in (seen.plain, plain))
        rows[f"{one.row.way}: {one.row.what}"] = {**by_labels(there, found, index, queries), **one.row.guide.to_json()}
        print(rows, file=sys.stderr, flush=True)
    for number, pooled in enumerate(("GeM", "centred") if networks else ()):
        own = [np.concatenate([unit(blocks[b]) for b in range(number, len(blocks) - 1, 2)], 1) for blocks in split(seen, plain)]
        there, found = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in own)
        rows[f"frozen networks, {pooled}, {there.shape[1]:,} numbers"] = by_labels(there, found, index, queries)
    best_by_labels = max(rows, key=lambda name: rows[name]["P@10"])
    name = f"{chosen.row.way}: {chosen.row.what}"
    return {
        "indexed": len(index),
        "asked": len(queries),
        "ms a picture": round(sum(seen.ms), 1),
        "rows": rows,
        "chosen": {"row": name, **rows[name]},
        "best by labels": {"row": best_by_labels, **rows[best_by_labels]},
    }


def distilled(train: Path, asked: Path, minutes: float) -> dict[str, Any]:
    """What `learn --way distilled` makes of the collection, as it is written to the file."""
    with tempfile.TemporaryDirectory() as folder:
        report = learn(LearnJob(train, Path(folder) / "encoder.onnx", way="distilled", minutes=minutes))
        encoder = Encoder(report.path)
        index, queries = (pictures.load(source, encoder.card.fit) for source in (train, asked))
        there, found = (embed(encoder, array.pixels)[0] for array in (index, queries))
    teacher = next(row for row in report.rows if row.way == "pretrained")
    faster = round(teacher.ms / report.chosen.ms, 1)
    return {"what": report.chosen.what, **by_labels(there, found, index, queries), "times as fast as its teacher": faster}


def small_sets(train: Path, networks: tuple[str, ...], keep: Path | None) -> dict[str, Any]:
    """Sets of 6 × 6: the five nearest of each picture among the other 35, by an encoder that was learned of the 36."""
    listing = list_pictures(train)
    labels = np.array(listing.labels())
    random = np.random.default_rng(0)
    pool = np.sort(np.concatenate([random.permutation(np.flatnonzero(labels == name))[:POOL] for name in np.unique(labels)]))
    fit = sample_fit(networks)
    sample = take(listing.take(pool), fit)
    whole = kept(keep, "pool", lambda: frozen.look_through(built(networks), sample, fit, None), sample, networks)
    changed = changed_of(keep, whole)
    learned, own = [], []
    ids = sample.labels
    for _ in range(SETS):
        names = random.permutation(np.unique(ids))[:FOLDERS]
        rows = np.concatenate([random.permutation(np.flatnonzero(ids == name))[:EACH] for name in names])
        asked = random.permutation(len(rows))[: len(rows) // 5]
        part = replace(
            sample,
            listing=sample.listing.take(rows.tolist()),
            labels=ids[rows],
            learned=np.setdiff1d(np.arange(len(rows)), asked),
            asked=np.sort(asked),
        )
        seen = replace(whole, sample=part, plain=whole.plain[rows], changed=changed[rows[np.sort(asked)]])
        made = best(frozen.pretrained(seen, DIM))  # of so few photographs nothing else is taken
        learned.append(of_its_folder(vectors_of(made.graph(), seen, made, seen.plain), ids[rows]))
        blocks = seen.stem.split(seen.plain)
        frozen_features = np.concatenate([unit(blocks[b]) for b in range(0, len(blocks) - 1, 2)], 1)
        own.append(of_its_folder(frozen_features / np.linalg.norm(frozen_features, axis=1, keepdims=True), ids[rows]))
    return {
        "sets": SETS,
        "learned": round(float(np.mean(learned)), 4),
        "learned, lowest and highest": [round(float(np.min(learned)), 4), round(float(np.max(learned)), 4)],
        "frozen": round(float(np.mean(own)), 4),
        "ratio to frozen": round(float(np.mean(learned) / np.mean(own)), 4),
    }


def of_its_folder(vectors: np.ndarray, ids: np.ndarray) -> float:
    near = metrics.nearest(vectors, vectors, NEAREST, exclude=np.arange(len(vectors)))
    return float(metrics.precision_at(metrics.matches(near, ids, ids), NEAREST).mean())


def sample_fit(networks: tuple[str, ...]) -> Any:
    return frozen.fit_of(networks, 64, fine=True)


def built(networks: tuple[str, ...]) -> list[Network]:
    return [Network(one) for one in networks]


def unit(block: torch.Tensor) -> np.ndarray:
    return normalize(block, dim=1).numpy()


def split(seen: Seen, plain: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    return [seen.stem.split(part) for part in (seen.plain, plain)]


@torch.no_grad()
def vectors_of(graph: Any, seen: Seen, made: Made, plain: torch.Tensor) -> np.ndarray:
    """What the encoder makes of pictures whose features are known: float32 `[n, D]`."""
    blocks = seen.stem.split(plain)
    last = len(blocks) - 1
    which = {"pixels": [last], "pretrained": list(range(last))}.get(made.row.way, list(range(last + 1)))
    found: np.ndarray = normalize(graph.head([blocks[number] for number in which]), dim=1).numpy()
    return found


def by_labels(there: np.ndarray, asked: np.ndarray, index: PictureArray, queries: PictureArray) -> dict[str, float]:
    found = measure_labels(there, index, asked, queries).metrics
    return {name: round(found[name], 4) for name in MEASURES}


def kept(keep: Path | None, name: str, look: Any, sample: Any, networks: tuple[str, ...]) -> Seen:
    """What `look` has seen; its features are read again from `keep` where they are there."""
    file = None if keep is None else keep / f"{name}-{'-'.join(networks)}.npz"
    if file is None or not file.exists():
        seen: Seen = look()
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, plain=seen.plain.numpy(), changed=seen.changed.numpy(), ms=seen.ms)
        return seen
    with np.load(file) as arrays:
        plain, changed, ms = (
            torch.from_numpy(arrays["plain"]),
            torch.from_numpy(arrays["changed"]),
            tuple(arrays["ms"].tolist()),
        )
    stem = Stem([*built(networks), Raster()]).eval()
    return frozen.Seen(stem, sample_fit(networks), sample, plain, changed, ms)


def of(keep: Path | None, name: str, seen: Seen, queries: PictureArray) -> torch.Tensor:
    file = None if keep is None else keep / f"{name}.npy"
    if file is not None and file.exists():
        return torch.from_numpy(np.load(file))
    found, _ = features(seen.stem, seen.fit, queries.pixels)
    if file is not None:
        np.save(file, found.numpy())
    return found


def changed_of(keep: Path | None, seen: Seen) -> torch.Tensor:
    """Features of a changed view of every picture: in each set, others are asked."""
    file = None if keep is None else keep / "pool-changed.npy"
    if file is not None and file.exists():
        return torch.from_numpy(np.load(file))
    found, _ = features(seen.stem, seen.fit, two_views(seen.sample.load(seen.fit)))
    if file is not None:
        np.save(file, found.numpy())
    return found


if __name__ == "__main__":
    main()
