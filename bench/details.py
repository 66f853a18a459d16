"""Claim: what a search by details proves is so, and what a collection does not hold is not proven: docs/details-measured.md.

    python bench/details.py [--photographs FOLDER] [SET…]

Strangers: pictures that a collection does not hold are asked of it, and the share that gets a hit is counted at the default
confidence of .99 and at .9. One drawing in ten of the library of clip art has itself in another colour, or as a part, in the
other half: there, a hit whose own pixels, brought into the query, correlate above .95 with all of it shows what was asked for,
and is counted as `showing` instead; so is one that all of is in the query, where that is what the hit says.

SETs: `tiles` (quarters of photographs and paintings, other scenes), `clipart` (the other half of the Open Clip Art Library,
without what is the same in both), both of them also asked of each other, `forms` and `icons` (one template with another text,
one family with another sign), `invoices`, `tables` and `calendars` (one page with three other lines of text, one ruled table
with other numbers, one layout with other months), and `photographs`, `photographs-200`, `photographs-96` (of FOLDER, whose
`validation` is asked of its `train`, as they are and with 200 and 96 pixels on their longest side).

Proven: pictures of the collection in which OpenCV's default ORB finds 150 key points are changed and asked for
(`_transforms.py`): R@1 of proven hits, and how often the verdict of a right hit is what was done.

On two cores: 70 minutes, with `--quick` 30 seconds.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from _lookalikes import calendars, forms, icons, invoices, tables
from _report import Limit, at_least, at_most, finish, parser
from _transforms import TRANSFORMS, flat, seed_of
from features import encoded, grouped, row_of, shows_either, tiles, wallpapers
from PIL import Image
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.listing import list_pictures
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import Fit, SearchClient
from semblant_search.errors import ImageError, NoFeaturesError
from semblant_search.images import open_image, to_grey

if TYPE_CHECKING:
    from collections.abc import Sequence

MADE = {"forms": forms, "icons": icons, "invoices": invoices, "tables": tables, "calendars": calendars}
SETS = ("tiles", "clipart", *MADE)
SIZES = {"photographs": 0, "photographs-200": 200, "photographs-96": 96}
CONFIDENT, LESS = 0.99, 0.9
VERDICTS = {
    "crop 50%": {"crop"},
    "crop 25%": {"crop"},
    "rotate 30°": {"rotated/scaled"},
    "half size": {"rotated/scaled"},
    "JPEG 15": {"copy"},
    "pasted at 60%": {"contains"},
    "perspective": {"rotated/scaled", "contains"},
    "blur 2 px": {"copy"},
    "brightness/contrast ±40%": {"copy"},
    "screenshot": {"contains"},
    "flipped": {"copy"},
}
# What the verification before this one reached, less .01; crops of a quarter of a drawing have their own floor.
FLOORS = {"crop 50%": 0.99, "crop 25%": 0.97, "rotate 30°": 0.99, "half size": 0.99, "JPEG 15": 0.99, "screenshot": 0.98}
CROP_OF_DRAWINGS = 0.85
MEASURED_ON = {"tiles", "photographs"}
STRANGERS, QUERIES = 340, 100
QUICK_STRANGERS, QUICK_QUERIES = 40, 8


class Collection:
    """An indexed folder."""

    def __init__(self, folder: Path, work: Path) -> None:
        encoder = work / "encoder.onnx"
        if not encoder.exists():
            encoder.write_bytes(pixel_encoder(Fit(64, 64, 1), grid=8))
        self.folder = folder
        self.db = work / f"{folder.name}.db"
        self.report = run(IndexJob(source=str(folder), encoder=encoder, db=str(self.db)))


def strangers(collection: Collection, pictures: Sequence[bytes], *, related: bool = False) -> dict[str, Any]:
    """The shares of queries that get a hit, and the verdicts of those of the default confidence; `related` looks at hits."""
    found = {CONFIDENT: 0, LESS: 0}
    verdicts: dict[str, int] = {}
    silent = showing = 0
    with SearchClient(str(collection.db)) as client:
        for picture in pictures:
            try:
                hits = client.search_features(picture, limit=1, min_confidence=LESS)
            except NoFeaturesError:
                silent += 1
                continue
            if not hits:
                continue
            if related and shows_either(picture, hits[0]):
                showing += 1
                continue
            found[LESS] += 1
            if hits[0].probability >= CONFIDENT:
                found[CONFIDENT] += 1
                verdicts[hits[0].verdict] = verdicts.get(hits[0].verdict, 0) + 1
    count = len(pictures)
    return {
        "asked": count,
        "without_details": silent,
        "showing": round(showing / count, 4),
        "hit_at_99": round(found[CONFIDENT] / count, 4),
        "hit_at_90": round(found[LESS] / count, 4),
        "verdicts": verdicts,
    }


def proven(collection: Collection, paths: Sequence[Path], others: list[Image.Image]) -> dict[str, Any]:
    """R@1 of proven hits for each transform, and the share of right verdicts among right hits."""
    rows: dict[str, Any] = {}
    right_verdicts = right_hits = 0
    with SearchClient(str(collection.db)) as client:
        for name, transform in TRANSFORMS.items():
            first = named = 0
            for path in paths:
                picture = flat(open_image(path))
                picture.thumbnail((2000, 2000))
                query = encoded(transform(picture, seed_of(name, path.name), others))
                try:
                    hits = client.search_features(query, limit=3)
                except NoFeaturesError:
                    hits = []
                if hits and hits[0].path == path:
                    first += 1
                    named += hits[0].verdict in VERDICTS[name]
            right_hits += first
            right_verdicts += named
            rows[row_of(name)] = {"r1": round(first / len(paths), 3), "verdict": round(named / max(1, first), 3)}
            print(f"{name}: {rows[row_of(name)]}", file=sys.stderr, flush=True)
    return {"changed": len(paths), "transforms": rows, "right_verdicts": round(right_verdicts / max(1, right_hits), 4)}


def shrunk(source: Path, target: Path, side: int) -> Path:
    """The pictures of a folder, of at most `side` pixels a side, as PNG files."""
    for path in list_pictures(source).paths:
        picture = flat(open_image(path))
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        (target / path.relative_to(source).parent).mkdir(parents=True, exist_ok=True)
        picture.save(target / path.relative_to(source).with_suffix(".png"))
    return target


def linked(paths: Sequence[Path], folder: Path) -> Path:
    """A folder of these pictures."""
    folder.mkdir(parents=True)
    for number, path in enumerate(paths):
        (folder / f"{number:05d}{path.suffix.lower()}").symlink_to(path)
    return folder


def bytes_of(paths: Sequence[Path], count: int, seed: int = 3) -> list[bytes]:
    chosen = [paths[i] for i in np.sort(np.random.default_rng(seed).permutation(len(paths))[:count])]
    return [path.read_bytes() for path in chosen]


def halves(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """To be indexed, and to be asked: the second without what is the same as one of the first."""
    greys: dict[str, np.ndarray] = {}
    for path in paths:
        try:
            greys[str(path)] = to_grey(open_image(path), longest_side=480)
        except ImageError:
            continue
    same = grouped(greys)
    kept = sorted(greys)
    order = np.random.default_rng(5).permutation(len(kept))
    indexed = {kept[i] for i in order[: len(kept) // 2]}
    asked = [name for name in kept if name not in indexed and not same[name] & indexed]
    return [Path(name) for name in sorted(indexed)], [Path(name) for name in asked]


def textured(paths: Sequence[Path]) -> list[Path]:
    """The pictures that have details to ask for."""
    detector = cv2.ORB.create(nfeatures=500)
    return [path for path in paths if len(detector.detect(to_grey(open_image(path), longest_side=480), None)) >= 150]


def made(name: str, work: Path, *, quick: bool) -> tuple[Path, list[Path]]:
    """A folder to index, and what to ask of it."""
    make = MADE[name]
    make(work / name, 120 if quick else 300)
    make(work / f"{name}-asked", QUICK_STRANGERS if quick else 200, first=5000)
    return work / name, list_pictures(work / f"{name}-asked").paths


def scenes() -> tuple[list[Path], list[Path]]:
    """Tiles of photographs, of other scenes on either side."""
    paths = list_pictures(
        tiles(cache_dir() / "sets" / "photograph-tiles", wallpapers(cache_dir() / "sets" / "wallpapers"))
    ).paths
    # One wallpaper in several shapes and lights, and a stereo pair, are one scene.
    scene = {path: re.sub(r"(_contents_images.*|_(left|right)|(-[dl])?\.\w+|)(-\d)$", "", path.stem) for path in paths}
    names = sorted(set(scene.values()))
    kept = {names[i] for i in np.random.default_rng(5).permutation(len(names))[: 2 * len(names) // 3]}
    return [path for path in paths if scene[path] in kept], [path for path in paths if scene[path] not in kept]


def drawings() -> tuple[list[Path], list[Path]]:
    return halves(list_pictures(data.clipart(cache_dir() / "sets" / "clipart").directory).paths)


def photographs(name: str, folder: Path, work: Path) -> tuple[Path, list[Path]]:
    side = SIZES[name]
    train, asked = (
        shrunk(folder / part, work / f"{name}-{part}", side) if side else folder / part for part in ("train", "validation")
    )
    return train, list_pictures(asked).paths


def measure(names: Sequence[str], folder: Path | None, work: Path, *, quick: bool) -> dict[str, Any]:
    count, queries = (QUICK_STRANGERS, QUICK_QUERIES) if quick else (STRANGERS, QUERIES)
    numbers: dict[str, Any] = {}
    crossed: dict[str, tuple[Collection, list[Path]]] = {}
    for name in names:
        if name in ("tiles", "clipart"):
            indexed, asked = scenes() if name == "tiles" else drawings()
            source = linked(indexed[:: 8 if quick else 1], work / name)
        elif name in SIZES:
            assert folder is not None
            source, asked = photographs(name, folder, work)
        else:
            source, asked = made(name, work, quick=quick)
        collection = Collection(source, work)
        crossed[name] = collection, asked
        result = {
            "pictures": collection.report.points,
            **strangers(collection, bytes_of(asked, count), related=name == "clipart"),
        }
        own = textured(list_pictures(source).paths)
        chosen = [own[i] for i in np.random.default_rng(1).permutation(len(own))[:queries]]
        others = [flat(open_image(path)) for path in asked[:20]]
        numbers[name] = {
            **result,
            **(proven(collection, chosen, others) if chosen else {}),
        }  # few key points fit into 96 pixels
        print(f"{name}: {result}", file=sys.stderr, flush=True)
    if {"tiles", "clipart"} <= set(names):
        for one, other in (("tiles", "clipart"), ("clipart", "tiles")):
            result = strangers(crossed[one][0], bytes_of(crossed[other][1], count))
            numbers[f"{one} asked by {other}"] = result
            print(f"{one} asked by {other}: {result}", file=sys.stderr, flush=True)
    return numbers


def main() -> None:
    options = parser(__doc__, quick="40 icons asked of 120")
    options.add_argument("--photographs", type=Path, metavar="FOLDER", help="with `train` and `validation` below it")
    options.add_argument("sets", nargs="*", metavar="SET")
    chosen = options.parse_args()
    names = chosen.sets or ["icons"] if chosen.quick else chosen.sets or [*SETS, *(SIZES if chosen.photographs else ())]
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(names, chosen.photographs, Path(folder), quick=chosen.quick)
    asked = [*names, "tiles asked by clipart", "clipart asked by tiles"] if {"tiles", "clipart"} <= set(names) else names
    limits: list[Limit] = []
    for name in asked:
        limits += [at_most(f"{name}/hit_at_99", 0.01), at_most(f"{name}/hit_at_90", 0.1)]
    for name in sorted(MEASURED_ON & set(names)):
        limits.append(at_least(f"{name}/right_verdicts", 0.97))
        limits += [at_least(f"{name}/transforms/{row_of(change)}/r1", floor) for change, floor in FLOORS.items()]
    if "clipart" in names:
        limits.append(at_least(f"clipart/transforms/{row_of('crop 25%')}/r1", CROP_OF_DRAWINGS))
    finish("details", numbers, limits, quick=chosen.quick)


if __name__ == "__main__":
    main()
