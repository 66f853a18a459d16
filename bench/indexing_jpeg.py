"""Claim: JPEG files of 12 megapixels decode 7 times as fast at a reduced scale, and their embeddings stay the same.

The photographs are scikit-image's, enlarged to 4000×3000. Both ways take turns on the same files, and turns at going first,
end with pixels that an encoder of 64×64 takes, and are warmed up on one file; medians of three rounds. The embeddings are
those of a `cae` that learned from a third of the Open Clip Art Library for two epochs.

Limits: docs/scaling.md's 7.4 × less a fifth for noise; the mean cosine, 1.000 there, rounds to that. `--quick` takes two
photographs once, and a `cae` that learned from fewer drawings.

On two cores: 60 seconds, with `--quick` 15 seconds.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
import skimage
from _report import at_least, finish, parser
from PIL import Image
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.export import export
from semblant_exporter.listing import list_pictures
from semblant_exporter.training import learn, make_plan
from semblant_search import Encoder, Fit
from semblant_search.images import fit_image, open_image

FIT = Fit(64, 64, 3)
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "retina.jpg", "rocket.jpg")
QUICK_NAMES = NAMES[:2]
ROUNDS = 3
LIMITS = (at_least("ratio", 5.9), at_least("cosine_mean", 0.9995))
QUICK_LIMITS = (at_least("ratio", 3.7), at_least("cosine_mean", 0.999))


def photographs(names: tuple[str, ...]) -> list[bytes]:
    files = []
    for name in names:
        image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
        buffer = io.BytesIO()
        image.resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
        files.append(buffer.getvalue())
    return files


def trained_encoder(folder: Path, *, step: int, epochs: int) -> Encoder:
    clipart = cache_dir() / "sets" / "clipart"
    data.clipart(clipart)
    listing = list_pictures(clipart)
    sample = pictures.load(listing.take(range(0, len(listing.paths), step)), FIT).pixels
    learn(make_plan(FIT, epochs=epochs, precision="float32"), sample, folder / "model")
    export(folder / "model", folder / "encoder.onnx")
    return Encoder(folder / "encoder.onnx")


def decode(content: bytes, *, reduced: bool) -> tuple[np.ndarray, float]:
    """Fitted pixels, and seconds."""
    begin = time.perf_counter()
    pixels = fit_image(open_image(content, at_least=(FIT.height, FIT.width)) if reduced else open_image(content), FIT)
    return pixels, time.perf_counter() - begin


def main() -> None:
    options = parser(__doc__, quick="two photographs once").parse_args()
    files = photographs(QUICK_NAMES if options.quick else NAMES)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    pixels: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for reduced in (True, False):
        decode(files[0], reduced=reduced)
    for number, content in enumerate(files * (1 if options.quick else ROUNDS)):
        for reduced in (False, True) if number % 2 else (True, False):
            fitted, taken = decode(content, reduced=reduced)
            seconds[reduced].append(taken)
            if number < len(files):
                pixels[reduced].append(fitted)
    with tempfile.TemporaryDirectory() as temporary:
        encoder = trained_encoder(Path(temporary), **({"step": 20, "epochs": 1} if options.quick else {"step": 3, "epochs": 2}))
        full, reduced_scale = (encoder.encode(np.stack(pixels[reduced])) for reduced in (False, True))
        cosine = np.sum(full * reduced_scale, axis=1)
    full_s, reduced_s = statistics.median(seconds[False]), statistics.median(seconds[True])
    numbers = {
        "megapixels": 12,
        "photographs": len(files),
        "full_ms": round(1000 * full_s, 1),
        "reduced_ms": round(1000 * reduced_s, 1),
        "ratio": round(full_s / reduced_s, 2),
        "cosine_mean": round(float(cosine.mean()), 5),
        "cosine_min": round(float(cosine.min()), 5),
    }
    finish("indexing_jpeg", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
