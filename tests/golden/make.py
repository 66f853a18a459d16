"""Make the golden files again: python tests/golden/make.py pictures|fitted|encoder|formats|database ...

They say what Semblant writes and computes, so that a change of either is noticed. Run this only

- for a new format version: then `database` is made under the new version's name, and the old one stays, because later
  versions must open it or refuse it by name;
- for new golden pictures, which go beside the old ones;
- where fitted pixels change on purpose: all encoders then see other pictures, so the card gets a new version, too.

Never run it to make a failing test pass. The scikit-image of the development environment holds the photographs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from PIL import Image, ImageCms
from semblant_search import Encoder, EncoderCard, FieldType, Fit, Manifest, SearchClient, point_id
from semblant_search.collection import FORMAT_VERSION, RESERVED_FIELDS, StorageOptions
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.images import fit_image, open_image, open_picture, to_grey
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.orb import (
    CALIBRATION_ASSET,
    FEATURE_BYTES,
    Calibration,
    Features,
    OrbSettings,
    Vocabulary,
    extract,
    pack,
    thumbnail,
)
from semblant_search.orb.calibration import Tail
from semblant_search.querying.background import Background
from semblant_search.store import Point, open_database
from support.golden import CREATED_AT, FITS, GOLDEN, GREY_SIDE, indexed_files, picture_files, uri_of

if TYPE_CHECKING:
    from collections.abc import Callable

ORB = OrbSettings(features=40)
BACKGROUND = Background(2000, (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8), 0.5, -0.125)
CALIBRATION = Calibration(Tail(-2.5, 2.75), Tail(-6.5, 3.0), Tail(-3.5, 2.25), 160)
FIELDS = {
    "label": FieldType.KEYWORD,
    "tags": FieldType.KEYWORD,
    "camera.model": FieldType.KEYWORD,
    "stock": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "place": FieldType.GEO,
}


def photo(name: str, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> Image.Image:
    """A photograph of scikit-image, cut and shrunk."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    with Image.open(Path(spec.origin).parent / "data" / name) as image:
        return image.resize(size, Image.Resampling.LANCZOS, box=box)


def make_pictures() -> None:
    """Small files of all modes; decoders of other versions give them the same pixels, or nearly."""
    folder = GOLDEN / "pictures"
    folder.mkdir(exist_ok=True)

    def save(name: str, image: Image.Image, **options: Any) -> None:
        image.save(folder / name, **options)

    save("grey.png", photo("camera.png", (96, 90)))
    grey_alpha = photo("moon.png", (70, 90)).convert("LA")
    grey_alpha.putalpha(Image.linear_gradient("L").resize(grey_alpha.size))
    save("grey-alpha.png", grey_alpha)
    save("palette.png", photo("coffee.png", (120, 80)).quantize(32))
    clear = photo("chelsea.png", (111, 74)).quantize(32)
    save("palette-clear.png", clear, transparency=clear.getpixel((50, 40)))
    save("colour.png", photo("color.png", (64, 65)).quantize(48).convert("RGB"))
    alpha = photo("astronaut.png", (80, 80), (100, 0, 350, 250)).quantize(32).convert("RGBA")
    alpha.putalpha(Image.radial_gradient("L").resize(alpha.size).point(lambda value: 255 - value))
    save("alpha.png", alpha)
    save("colour-key.png", photo("phantom.png", (60, 44)).quantize(16).convert("RGB"), transparency=(0, 0, 0))
    save("two-levels.png", photo("page.png", (300, 149)).convert("1"))
    wide = np.asarray(photo("clock_motion.png", (100, 75)).resize((40, 30)), np.uint16)
    save("grey-16.png", Image.fromarray(wide * 251 + 3))
    save("grey-16.tiff", Image.fromarray(wide[:, ::-1] * 101), compression="tiff_adobe_deflate")
    save("colour.tiff", photo("ihc.png", (50, 40)), compression="tiff_lzw")
    save("cmyk.jpg", photo("rocket.jpg", (150, 100)).convert("CMYK"), quality=70)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.jpg", photo("astronaut.png", (150, 203), (60, 0, 390, 446)), quality=75, exif=exif)
    save("progressive.jpg", photo("motorcycle_left.png", (240, 162)), quality=70, progressive=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    save("profile.jpg", photo("coffee.png", (200, 133)), quality=70, icc_profile=profile)
    frames = [photo(name, (64, 48)).convert("RGB").quantize(32) for name in ("coins.png", "grass.png")]
    save("animated.gif", frames[0], save_all=True, append_images=frames[1:])
    save("lossy.webp", photo("chelsea.png", (180, 120)), quality=60)
    save("letters.png", photo("text.png", (224, 86)).quantize(8))
    save("strip.png", photo("brick.png", (150, 11), (0, 0, 510, 38)).quantize(16))
    save("tiny.bmp", photo("coffee.png", (7, 5)))


def make_fitted() -> None:
    """What the encoders see of each picture by each of the `FITS`, one after the other, and last what features see."""
    arrays: dict[str, Any] = {}
    for path in picture_files():
        image = open_image(path)
        seen = [fit_image(image, fit) for fit in FITS.values()]
        arrays[path.name] = np.concatenate([pixels.ravel() for pixels in [*seen, to_grey(image, longest_side=GREY_SIDE)]])
    np.savez_compressed(GOLDEN / "fitted.npz", **arrays)


def make_encoder() -> None:
    """An encoder with cells, and the vectors that it makes of the golden pictures."""
    from semblant_exporter.pixels import pixel_encoder

    path = GOLDEN / "encoder.onnx"
    path.write_bytes(pixel_encoder(Fit(6, 6, 3, background=(20, 90, 160)), grid=3, name="golden", cells=True))
    encoder = Encoder(path)
    names = np.array([path.name for path in picture_files()])
    pixels = np.stack([encoder.prepare(path) for path in picture_files()])
    embedding, cells = encoder.encode_with_cells(pixels)
    np.savez_compressed(GOLDEN / "vectors.npz", names=names, pixels=pixels, embedding=embedding, cells=cells)


def make_formats() -> None:
    """The files that a database is made of, one by one."""
    card = EncoderCard(
        name="größe",
        architecture="cae",
        fit=Fit(28, 20, 1, policy="crop", interpolation="area", background=(1, 2, 3)),
        dim=128,
        objective="reconstruct",
        training={"pictures": 60000, "seed": 1},
        quality={"P@10": 0.864},
        cells=(49, 16),
    )
    write_json("card.json", card.to_json())
    manifest = Manifest(
        collection="images",
        generation="g0007",
        encoder_fingerprint="0123456789abcdef" * 4,
        encoder=card,
        fields={**RESERVED_FIELDS, **FIELDS},
        orb={"settings": ORB.to_json(), "vocabulary": "f" * 64, "feature_bytes": FEATURE_BYTES},
        created_at=CREATED_AT,
        storage=StorageOptions("scalar", on_disk=True),
    )
    write_json("manifest.json", manifest.to_json())
    write_json("calibration-3.json", json.loads(CALIBRATION.to_bytes()))
    write_json("background-1.json", json.loads(BACKGROUND.to_bytes()))
    photograph = open_image(GOLDEN / "pictures" / "progressive.jpg")
    grey = to_grey(photograph, longest_side=ORB.longest_side)
    features, small = extract(grey, ORB), thumbnail(grey, ORB.thumbnail)
    np.savez_compressed(
        GOLDEN / "features.npz", keypoints=features.keypoints, descriptors=features.descriptors, packed=pack(features)
    )
    np.savez_compressed(GOLDEN / "thumbnail.npz", thumbnail=small, packed=pack(Features.empty(), small))
    (GOLDEN / "vocabulary.npz").write_bytes(vocabulary().to_bytes())


def make_database() -> None:
    """A database of the present format, with all that a collection can keep, and what it answers."""
    encoder = Encoder(GOLDEN / "encoder.onnx", threads=1)
    words = vocabulary()
    manifest = Manifest(
        collection="golden",
        generation="g0001",
        encoder_fingerprint=encoder.fingerprint,
        encoder=encoder.card,
        orb={"settings": ORB.to_json(), "vocabulary": words.fingerprint, "feature_bytes": FEATURE_BYTES},
        created_at=CREATED_AT,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.db"
        database = open_database(path, create=True)
        store = database.create(manifest)
        store.add_fields({**RESERVED_FIELDS, **FIELDS})
        store.put_asset(ENCODER_ASSET, encoder.to_bytes())
        store.put_asset(VOCABULARY_ASSET, words.to_bytes())
        store.put_asset(CALIBRATION_ASSET, CALIBRATION.to_bytes())
        points = [make_point(encoder, words, number, file) for number, file in enumerate(indexed_files())]
        store.upsert(points)
        store.optimize()
        store.close()
        database.publish("golden", "g0001")
        with SearchClient(path, collection="golden") as client:
            answers = {
                uri_of(file): [[hit.uri, round(hit.score, 6)] for hit in client.search(uri_of(file), 3)]
                for file in indexed_files()[::4]
            }
        facts = {
            "payloads": {point.id: dict(point.payload) for point in points},
            "features": {
                point.id: hashlib.sha256(point.features.tobytes()).hexdigest() for point in points if point.features is not None
            },
            "answers": answers,
        }
        write_json(f"database-{FORMAT_VERSION}.json", facts)
        # The engine's files are large and almost empty, which only GNU tar writes in few bytes; Python's reads it.
        options = ["--sparse", "--hole-detection=raw", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--mtime=@0"]
        target = GOLDEN / f"database-{FORMAT_VERSION}.tar.xz"
        environment = {**os.environ, "XZ_OPT": "-9e"}
        subprocess.run(["tar", *options, "-C", folder, "-cJf", target, "golden.db"], check=True, env=environment)


def make_point(encoder: Encoder, words: Vocabulary, number: int, path: Path) -> Point:
    """A golden picture as a point, with payload of all types: every field is sometimes missing, null or a list."""
    opened = open_picture(path)
    embedding, cells = encoder.encode_with_cells(encoder.prepare(path)[None])
    grey = to_grey(opened.image, longest_side=ORB.longest_side)
    features = extract(grey, ORB)
    data, uri = path.read_bytes(), uri_of(path)
    payload: dict[str, Any] = {
        "label": path.stem,
        "tags": [["small", "grün"], ["small"], [], None][number % 4],
        "camera": {"model": ["X100", "Z 5"][number % 2], "iso": 100 * number},
        "stock": number - 5,
        "price": number / 4,
        "on_sale": number % 3 == 0,
        "taken": f"2024-05-{1 + number:02d}T23:30:00+02:00",
        "place": {"lon": number - 9.5, "lat": 47.25},
        "unindexed": {"note": ["kept", number]},
        "_uri": uri,
        "_sha256": hashlib.sha256(data).hexdigest(),
        "_width": opened.width,
        "_height": opened.height,
        "_format": opened.format,
        "_bytes": len(data),
        "_indexed_at": CREATED_AT,
    }
    if number % 5 == 0:
        del payload["price"]
    packed = pack(features, thumbnail(grey, ORB.thumbnail)) if len(features) else None
    return Point(point_id(uri), embedding[0], payload, words.sparse(features), packed, cells[0])


def vocabulary() -> Vocabulary:
    """A few visual words of the golden pictures themselves."""
    greys = [to_grey(open_image(path), longest_side=ORB.longest_side) for path in picture_files()]
    return Vocabulary.train(np.concatenate([extract(grey, ORB).descriptors for grey in greys]), size=64)


def write_json(name: str, data: object) -> None:
    """As people read it."""
    (GOLDEN / name).write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


STEPS: dict[str, Callable[[], None]] = {
    "pictures": make_pictures,
    "fitted": make_fitted,
    "encoder": make_encoder,
    "formats": make_formats,
    "database": make_database,
}

if __name__ == "__main__":
    for step in sys.argv[1:]:
        STEPS[step]()
