"""JPEG files of 12 megapixels decoded at a reduced scale, against a full decode: time, and what it does to the embeddings.

The photographs are scikit-image's, enlarged to 4000×3000. Both ways take turns on the same files, and end with pixels that an
encoder of 64×64 takes. The embeddings are those of a `cae` trained for a minute on the Open Clip Art Library. One JSON line.
"""

from __future__ import annotations

import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.export import export
from semblant_exporter.training import learn, make_plan
from semblant_search import Encoder, Fit
from semblant_search.images import fit_image, open_image

FIT = Fit(64, 64, 3)
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "retina.jpg", "rocket.jpg")
ROUNDS = 3


def photographs() -> list[bytes]:
    files = []
    for name in NAMES:
        image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
        buffer = io.BytesIO()
        image.resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
        files.append(buffer.getvalue())
    return files


def trained_encoder(folder: Path) -> Encoder:
    clipart = cache_dir() / "sets" / "clipart"
    data.clipart(clipart)
    sample = np.ascontiguousarray(pictures.load(clipart, FIT).pixels[::3])
    learn(make_plan(FIT, epochs=2), sample, folder / "model")
    export(folder / "model", folder / "encoder.onnx")
    return Encoder(folder / "encoder.onnx")


def main() -> None:
    files = photographs()
    full_s, reduced_s, full, reduced = [], [], [], []
    for round_ in range(ROUNDS):
        for content in files:
            begin = time.perf_counter()
            whole = fit_image(open_image(content), FIT)
            middle = time.perf_counter()
            small = fit_image(open_image(content, at_least=(FIT.height, FIT.width)), FIT)
            end = time.perf_counter()
            full_s.append(middle - begin)
            reduced_s.append(end - middle)
            if round_ == 0:
                full.append(whole)
                reduced.append(small)
    with tempfile.TemporaryDirectory() as temporary:
        encoder = trained_encoder(Path(temporary))
        cosine = np.sum(encoder.encode(np.stack(full)) * encoder.encode(np.stack(reduced)), axis=1)
    ratio = statistics.median(full_s) / statistics.median(reduced_s)
    print(
        json.dumps(
            {
                "bench": "indexing_jpeg",
                "megapixels": 12,
                "full_ms": round(1000 * statistics.median(full_s), 1),
                "reduced_ms": round(1000 * statistics.median(reduced_s), 1),
                "ratio": round(ratio, 2),
                "ratio_limit": 3.0,
                "cosine_mean": round(float(cosine.mean()), 4),
                "cosine_min": round(float(cosine.min()), 4),
                "ok": ratio >= 3 and float(cosine.mean()) >= 0.99,
            }
        )
    )


if __name__ == "__main__":
    main()
