"""Claim: asked for, a thing that two pictures share is found, outlined in both, and strangers share nothing: docs/searching.md.

    python bench/shared_parts.py

Collages: drawings of the Open Clip Art Library in which OpenCV's default ORB finds 150 key points are pasted into
photographs of 480 pixels and more, and into photographs of other scenes, which are asked for. The longest side of what is
pasted is two fifths, and three tenths, of the photograph's. Counted is how often the first hit is the picture that shares the
thing, how often it is so by default, how often its verdict is `shared part`, and in how many of these both outlines lie on the
thing.

Strangers: the photographs without the drawings, asked of a collection of other scenes: how many share a part with one.

On two cores: 3 minutes, with `--quick` 18 seconds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import at_least, at_most, finish, parser
from _transforms import flat, seed_of
from details import Collection, scenes, textured
from features import encoded
from PIL import Image
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.listing import list_pictures
from semblant_search import SearchClient
from semblant_search.errors import NoFeaturesError
from semblant_search.images import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search import FeatureHit

    Box = tuple[int, int, int, int]

SIZES = {"two_fifths": 0.4, "three_tenths": 0.3}
LARGE = 480
COLLAGES, STRANGERS = 100, 188
QUICK_COLLAGES, QUICK_STRANGERS = 10, 20
MARGIN = 0.05
LIMITS = (
    at_least("two_fifths/first", 0.8),
    at_least("two_fifths/outlined", 0.9),
    at_least("three_tenths/first", 0.6),
    at_least("three_tenths/shared_part", 0.1),
    at_least("three_tenths/outlined", 0.9),
    at_most("strangers/shared", 0.01),
)
QUICK_LIMITS = (
    at_least("three_tenths/first", 0.2),
    at_least("three_tenths/outlined", 0.9),
    at_most("strangers/shared", 0.01),
)


def pasted(thing: Image.Image, below: Image.Image, share: float, rng: np.random.Generator) -> tuple[Image.Image, Box]:
    """A thing in a picture, its longest side this share of the picture's, anywhere; and where."""
    picture = flat(below)
    scale = share * max(picture.size) / max(thing.size)
    width, height = (max(1, round(side * scale)) for side in thing.size)
    width, height = min(width, picture.width), min(height, picture.height)
    small = thing.resize((width, height), Image.Resampling.LANCZOS)
    x, y = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    picture.paste(small, (x, y))
    return picture, (x, y, width, height)


def lies_on(outline: Sequence[Sequence[float]] | None, box: Box) -> bool:
    """Whether all corners of an outline lie on the thing, or within a twentieth of its size of it."""
    if outline is None:
        return False
    x, y, width, height = box
    near = MARGIN * max(width, height)
    points = np.array(outline)
    return bool(((points >= (x - near, y - near)) & (points <= (x + width + near, y + height + near))).all())


def collages(things: Sequence[Path], below: Sequence[Path], beside: Sequence[Path], share: float, work: Path) -> dict[str, Any]:
    """Things pasted into pictures of an index, and into others that are asked for."""
    folder = work / f"collages-{share}"
    folder.mkdir()
    indexed: dict[Path, Box] = {}
    for number, thing in enumerate(things):
        rng = seed_of("indexed", thing.name, str(share))
        picture, box = pasted(flat(open_image(thing)), open_image(below[number % len(below)]), share, rng)
        path = folder / f"{number:04d}.png"
        picture.save(path)
        indexed[path] = box
    collection = Collection(folder, work)
    first = shared = outlined = by_default = 0
    with SearchClient(str(collection.db)) as client:
        for (path, there), (number, thing) in zip(indexed.items(), enumerate(things), strict=True):
            rng = seed_of("asked", thing.name, str(share))
            query, here = pasted(flat(open_image(thing)), open_image(beside[number % len(beside)]), share, rng)
            asked = encoded(query)
            plain = client.search_features(asked, limit=1)
            by_default += bool(plain) and plain[0].path == path
            hits: list[FeatureHit] = client.search_features(asked, limit=1, shared_parts=True)
            if hits and hits[0].path == path:
                first += 1
                if hits[0].verdict == "shared part":
                    shared += 1
                    outlined += lies_on(hits[0].part_in_query, here) and lies_on(hits[0].part_in_hit, there)
    count = len(things)
    return {
        "asked": count,
        "first": round(first / count, 4),
        "shared_part": round(shared / count, 4),
        "outlined": round(outlined / max(1, shared), 4),
        "by_default": round(by_default / count, 4),
    }


def strangers(collection: Collection, pictures: Sequence[Path]) -> dict[str, Any]:
    """How many of these pictures share a part with one of a collection of other scenes."""
    found = silent = 0
    with SearchClient(str(collection.db)) as client:
        for path in pictures:
            try:
                hits = client.search_features(path.read_bytes(), limit=1, shared_parts=True)
            except NoFeaturesError:
                silent += 1
                continue
            found += bool(hits)
    return {"asked": len(pictures), "without_details": silent, "shared": round(found / len(pictures), 4)}


def measure(work: Path, *, quick: bool) -> dict[str, Any]:
    below, beside = scenes()
    large, others = ([path for path in paths if max(open_image(path).size) >= LARGE] for paths in (below, beside))
    drawings = list_pictures(data.clipart(cache_dir() / "sets" / "clipart").directory).paths
    order = np.random.default_rng(7).permutation(len(drawings))
    count = QUICK_COLLAGES if quick else COLLAGES
    things = textured([drawings[i] for i in order[: 4 * count]])[:count]
    numbers: dict[str, Any] = {}
    for name, share in SIZES.items():
        if quick and name != "three_tenths":
            continue
        numbers[name] = collages(things, large, others, share, work)
        print(f"{name}: {numbers[name]}", file=sys.stderr, flush=True)
    (work / "scenes").mkdir()
    for number, path in enumerate(below[:: 8 if quick else 1]):
        (work / "scenes" / f"{number:05d}{path.suffix.lower()}").symlink_to(path)
    numbers["strangers"] = strangers(Collection(work / "scenes", work), beside[: QUICK_STRANGERS if quick else STRANGERS])
    return numbers


def main() -> None:
    chosen = parser(__doc__, quick="10 collages of the smaller size, 20 strangers").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(Path(folder), quick=chosen.quick)
    finish("shared_parts", numbers, QUICK_LIMITS if chosen.quick else LIMITS, quick=chosen.quick)


if __name__ == "__main__":
    main()
