"""Make the general vocabulary that ships with semblant-search: search/semblant_search/orb/general.npz.

    python bench/_make_general_vocabulary.py CLIPART_DIR

CLIPART_DIR is what `semblant data clipart DIR` writes (or the unpacked Debian package openclipart-png); photographs come from
scikit-image's wheel, cut into overlapping tiles. Prints one JSON line. The same pictures and seed give the same file.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import skimage
from semblant_search.errors import ImageError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import OrbSettings, Vocabulary, extract

WORDS = 30_625  # 175², the most that stays under 1 MB
DESCRIPTORS = 500_000
TARGET = Path(__file__).parents[1] / "search/semblant_search/orb/general.npz"


def descriptors_of(path: Path, settings: OrbSettings, tile: int | None = None) -> np.ndarray:
    try:
        image = open_image(path)
    except ImageError:
        return np.empty((0, 32), np.uint8)
    whole = to_grey(image, longest_side=settings.longest_side)
    greys = [whole]
    if tile is not None:
        full = to_grey(image, longest_side=1200)
        steps = [
            (y, x) for y in range(0, full.shape[0] - tile + 1, tile // 2) for x in range(0, full.shape[1] - tile + 1, tile // 2)
        ]
        greys += [np.ascontiguousarray(full[y : y + tile, x : x + tile]) for y, x in steps]
    return np.concatenate([extract(grey, settings).descriptors for grey in greys])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clipart", type=Path)
    settings, rng, started = OrbSettings(), np.random.default_rng(0), time.perf_counter()
    clipart = np.array(sorted(p for p in parser.parse_args().clipart.rglob("*.png") if not p.is_symlink()))
    drawn = [descriptors_of(path, settings) for path in rng.permutation(clipart)[:4000]]
    folder = Path(skimage.__file__).parent / "data"
    photographs = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg", ".jpeg"))
    taken = [descriptors_of(path, settings, tile=240) for path in photographs]
    halves = []
    for part, share in ((drawn, DESCRIPTORS * 4 // 5), (taken, DESCRIPTORS // 5)):
        rows = np.concatenate(part)
        halves.append(rows[rng.permutation(len(rows))[:share]])
    vocabulary = Vocabulary.train(np.concatenate(halves), WORDS, seed=0)
    TARGET.write_bytes(vocabulary.to_bytes())
    line = {
        "script": "make_general_vocabulary",
        "words": len(vocabulary),
        "clipart_descriptors": len(halves[0]),
        "photograph_descriptors": len(halves[1]),
        "photographs": len(photographs),
        "bytes": TARGET.stat().st_size,
        "fingerprint": vocabulary.fingerprint,
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
