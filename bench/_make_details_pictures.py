"""Make the pictures of docs/details.md and of the README's section on details: bench/pictures/details-*.

    python bench/_make_details_pictures.py [--work FOLDER] [NAME…]

Indexes photographs of scikit-image, drawings of the Open Clip Art Library and filled-in forms (`_lookalikes.py`), asks for
changed ones and for others that look like them, and draws what `search_features` answers. Ends with an error where an answer is
not the verdict that the page says. Prints each hit's numbers. `--work` keeps the collection for the next time.

Half a minute on two cores; the first time the library is fetched, which takes longer.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage
from _lookalikes import forms, icons
from _transforms import flat
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.listing import list_pictures
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import FeatureHit, Fit, SearchClient, draw_matches
from semblant_search.images import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TARGET = Path(__file__).parent / "pictures"
LIBRARY = cache_dir() / "sets" / "clipart"
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
# All of them CC0, public domain or without known restrictions by what scikit-image says of each.
PHOTOGRAPH_NAMES = (
    *("astronaut.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg", "text.png"),
)
DRAWINGS = ("animals", "buildings", "food", "people", "plants", "tools")
FAMILIES = ("recreation/games/cards/ornamental", "signs_and_symbols")
CARD = "recreation/games/cards/ornamental/ornamental_h_k.png"
INSECT = "animals/bugs/butterfly_jonathan_dietr_01.png"
OF_A_FAMILY, NOT_INDEXED_NUMBER = 100, 5003
MOST_BYTES = 150_000
SHORTLIST = 48
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Figure:
    """A query, and what a search by details has to answer.

    Attributes:
        query: draws it.
        verdict: of the hit that is shown.
        hit: its file, from the folder that is indexed; None takes the first hit, whichever it is.
        collection: that is asked.
        shared_parts: of `search_features`.
        proven: whether the hit comes at the default confidence; False for what is shown although it does not.
        photograph: kept as JPEG, else as PNG with a palette.
    """

    query: Callable[[], Image.Image]
    verdict: str
    hit: str | None
    collection: str = "pictures"
    shared_parts: bool = False
    proven: bool = True
    photograph: bool = True


def photograph(name: str) -> Image.Image:
    return open_image(PHOTOGRAPHS / name).convert("RGB")


def drawing(name: str) -> Image.Image:
    return flat(open_image(LIBRARY / name))


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def in_perspective(picture: Image.Image, corners: list[tuple[float, float]], size: tuple[int, int]) -> Image.Image:
    """RGBA of this size, with the picture's corners, clockwise from the top left, at these places; edges are smooth."""
    width, height = picture.size
    rows = []
    for (x, y), (u, v) in zip(2 * np.array(corners), [(0, 0), (width, 0), (width, height), (0, height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    there = np.array([0, 0, width, 0, width, height, 0, height], np.float64)
    matrix = np.linalg.solve(np.array(rows), there).tolist()
    double = size[0] * 2, size[1] * 2
    large = picture.convert("RGBA").transform(double, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC)
    return large.resize(size, Image.Resampling.BOX)


def with_shadow(below: Image.Image, above: Image.Image, offset: tuple[int, int]) -> Image.Image:
    """What is opaque in RGBA `above`, laid over `below` with a soft shadow."""
    shade = Image.new("L", below.size, 0)
    shade.paste(above.getchannel("A").point(lambda value: value * 0.6), offset)
    out = below.copy()
    out.paste((10, 8, 6), mask=shade.filter(ImageFilter.GaussianBlur(9)))
    out.paste(above, mask=above.getchannel("A"))
    return out


def cup(scale: float) -> Image.Image:
    """The cup and its saucer of `coffee.png`, cut out: RGBA."""
    picture = photograph("coffee.png")
    mask = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(mask)
    for x, y, across, down in ((278, 228, 196, 153), (289, 113, 114, 95)):
        draw.ellipse((x - across, y - down, x + across, y + down), fill=255)
    picture.putalpha(mask.filter(ImageFilter.GaussianBlur(1.5)))
    picture = picture.crop((70, 8, 490, 392))
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def lying_under_a_cup() -> Image.Image:
    """A print of the astronaut on a pavement, seen from the side, with a cup on it, in uneven light."""
    size = 840, 700
    ground = photograph("brick.png").resize((840, 840), Image.Resampling.BICUBIC).crop((0, 0, *size))
    print_ = Image.new("RGB", (552, 552), "white")
    print_.paste(photograph("astronaut.png"), (20, 20))
    corners = [(126.0, 128.0), (596.0, 34.0), (792.0, 508.0), (216.0, 668.0)]
    scene = with_shadow(ground, in_perspective(print_, corners, size), (5, 9))
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    layer.paste(cup(0.72), (16, 408))
    scene = with_shadow(scene, layer, (8, 12))
    light = np.linspace(1.12, 0.72, size[0])[None, :, None] * np.linspace(1.0, 0.88, size[1])[:, None, None]
    noise = np.random.default_rng(0).normal(0, 5, (size[1], size[0], 3))
    lit = np.clip(np.asarray(scene) * light + noise, 0, 255).astype(np.uint8)
    return recompressed(Image.fromarray(lit).filter(ImageFilter.GaussianBlur(0.8)), 70)


def copy() -> Image.Image:
    """Darker, and recompressed until it shows."""
    return recompressed(ImageEnhance.Brightness(photograph("chelsea.png")).enhance(0.65), 12)


def turned() -> Image.Image:
    picture = photograph("coffee.png").resize((420, 280), Image.Resampling.LANCZOS)
    return picture.rotate(24, Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE)


def crop() -> Image.Image:
    return photograph("camera.png").crop((120, 60, 360, 300))


def mirrored() -> Image.Image:
    return photograph("chelsea.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def on_gravel(name: str, at: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
    """A drawing that lies on the gravel of which a part is seen."""
    picture = photograph("gravel.png").crop((*corner, corner[0] + 440, corner[1] + 360))
    thing = open_image(LIBRARY / name).convert("RGBA")
    thing = thing.crop(thing.getbbox())
    thing.thumbnail((270, 270), Image.Resampling.LANCZOS)
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    layer.paste(thing, at)
    return with_shadow(picture, layer, (5, 7))


def rooster_on_gravel() -> Image.Image:
    return on_gravel("animals/birds/gallo_di_profilo_archite_01.png", (120, 90), (40, 24))


def swan_on_gravel() -> Image.Image:
    return on_gravel("animals/birds/cigno_di_spalle_architet_01.png", (110, 45), (0, 0))


def other(family: Callable[..., None]) -> Image.Image:
    """One of `forms` or `icons` that is not indexed."""
    with tempfile.TemporaryDirectory() as folder:
        family(Path(folder), 1, first=NOT_INDEXED_NUMBER)
        (path,) = Path(folder).iterdir()
        return open_image(path).convert("RGB")


def pavement(corner: tuple[int, int]) -> Image.Image:
    return photograph("brick.png").crop((*corner, corner[0] + 256, corner[1] + 256))


def silhouette() -> Image.Image:
    picture = open_image(LIBRARY / INSECT).convert("RGBA")
    out = Image.new("RGB", picture.size, "white")
    out.paste((0, 0, 0), mask=picture.getchannel("A"))
    return out


FIGURES = {
    "contains": Figure(lying_under_a_cup, "contains", "photographs/astronaut.png"),
    "copy": Figure(copy, "copy", "photographs/chelsea.png"),
    "turned": Figure(turned, "rotated/scaled", "photographs/coffee.png"),
    "crop": Figure(crop, "crop", "photographs/camera.png"),
    "mirrored": Figure(mirrored, "copy", "photographs/chelsea.png"),
    "part": Figure(rooster_on_gravel, "shared part", "made/swan.png", shared_parts=True),
    "form": Figure(lambda: other(forms), "lookalike", None, "families", proven=False, photograph=False),
    "card": Figure(lambda: drawing(CARD), "lookalike", None, "families", proven=False, photograph=False),
    "icon": Figure(lambda: other(icons), "lookalike", None, "families", proven=False, photograph=False),
    "ground": Figure(lambda: pavement((0, 0)), "lookalike", "made/pavement.png", proven=False),
    "silhouette": Figure(silhouette, "lookalike", INSECT, proven=False, photograph=False),
}


def fill(folder: Path, parts: Sequence[str]) -> None:
    """Drawings of these folders of the library."""
    for part in parts:
        for path in list_pictures(LIBRARY / part).paths:
            name = path.relative_to(LIBRARY)
            if name.as_posix() != CARD:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)


def collections(work: Path) -> dict[str, Path]:
    """Two databases: of pictures that have little in common, and of families of pictures that have nearly all in common."""
    pictures, families, encoder = work / "pictures", work / "families", work / "encoder.onnx"
    if not encoder.exists():
        fill(pictures, DRAWINGS)
        (pictures / "photographs").mkdir()
        for name in PHOTOGRAPH_NAMES:
            shutil.copyfile(PHOTOGRAPHS / name, pictures / "photographs" / name)
        (pictures / "made").mkdir()
        swan_on_gravel().save(pictures / "made" / "swan.png")
        pavement((0, 256)).save(pictures / "made" / "pavement.png")
        fill(families, FAMILIES)
        forms(families / "forms", OF_A_FAMILY)
        icons(families / "icons", OF_A_FAMILY)
        encoder.write_bytes(pixel_encoder(Fit(64, 64, 1), grid=8))
    for folder in (pictures, families):
        report = run(IndexJob(source=str(folder), encoder=encoder, db=str(folder.with_suffix(".db"))))
        print(f"{folder.name}: {report.points}")
    return {folder.name: folder for folder in (pictures, families)}


def answer(client: SearchClient, figure: Figure, query: Image.Image, folder: Path) -> FeatureHit:
    """The hit that a figure shows; raises where it is not what the page says."""
    hits = client.search_features(query, shared_parts=figure.shared_parts)
    if bool(hits) != figure.proven:
        raise SystemExit(f"{figure.verdict!r} expected, and {hits or 'nothing'} is proven")
    if not figure.proven:
        hits = client.search_features(query, min_confidence=0, limit=SHORTLIST)
        hits = [hit for hit in hits if figure.hit is None or hit.path == folder / figure.hit]
    hit = hits[0] if hits else None
    if hit is None or hit.verdict != figure.verdict or figure.hit not in (None, relative(hit, folder)):
        raise SystemExit(f"{figure.verdict!r} of {figure.hit} expected: {hit}")
    return hit


def relative(hit: FeatureHit, folder: Path) -> str | None:
    return hit.path.relative_to(folder).as_posix() if hit.path else None


def save(picture: Image.Image, name: str, *, photograph: bool) -> Path:
    path = TARGET / f"details-{name}.{'jpg' if photograph else 'png'}"
    if photograph:
        picture.save(path, quality=84, optimize=True, progressive=True)
    else:
        picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, expected at most {MOST_BYTES}")
    return path


def make(names: list[str], work: Path) -> None:
    data.clipart(LIBRARY)
    folders = collections(work)
    for name in names:
        figure = FIGURES[name]
        query, folder = figure.query(), folders[figure.collection]
        with SearchClient(folder.with_suffix(".db")) as client:
            hit = answer(client, figure, query, folder)
        path = save(draw_matches(query, [hit]), name, photograph=figure.photograph)
        numbers = {key: value for key, value in hit.to_json().items() if isinstance(value, (int, float, str, bool))}
        print(json.dumps({"picture": path.name, "bytes": path.stat().st_size, **numbers}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where the collection is made, and kept")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    chosen = parser.parse_args()
    if strangers := set(chosen.names) - set(FIGURES):
        parser.error(f"no such picture: {', '.join(sorted(strangers))}")
    with tempfile.TemporaryDirectory() as folder:
        work = chosen.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        make(chosen.names or list(FIGURES), work)


if __name__ == "__main__":
    main()
