"""Claim: a search by details finds a picture again after what people do to pictures, and strangers get no hit:
docs/details-measured.md.

    python bench/features.py [clipart] [photographs] [ceiling] [scale]

clipart: the Open Clip Art Library, all pictures that decode within the default limits, indexed by `semblant index` itself.
photographs: tiles of scikit-image's photographs and of the wallpapers in six Debian packages.
ceiling: OpenCV's brute-force matcher against every picture, Semblant's verification of every picture, and the published
projection of descriptors onto embeddings; all get the same 21 queries, once each, on one process and one after the other.
scale: the shortlist's time with 100,000 synthetic pictures beside that with as many as the library has.

How hits are judged. Before anything is asked, pictures that are the same as a whole are grouped: exact copies, and pairs whose
48 × 48 thumbnails, trimmed of white, correlate above 0.97 with aspect ratios within 10 %. A hit in the query's group is right.
`shown` adds one more chance to a first hit outside of the group: its pixels, brought by its transform into the query, correlate
above 0.95 with the whole query, so that it does show all that was asked for (a muffin with and without raisins, asked for by
a quarter without any). Queries are pictures in which OpenCV's default ORB finds 150 key points, outside of the one computed
series of 900 star polygons. `r10_unproven` also counts queries whose picture comes among the first ten where hits below the
default confidence are asked for. Crops are drawn until they hold their share of the picture's edges.

Floors are R@1 and R@10 of the README's second table less .015. That table is from before details were weighed for and
against, when strangers were proven, too; what is claimed today is its first one, by `details.py`. So some of these floors are
missed, and stay as what there is to win back. Queries and words are seeded, and what another version of OpenCV or Pillow
rounds otherwise moved three to five of 320 queries. The target that is missed (crop 25 %: .85 / .93) is not a limit, what is
measured (.80 / .887) is. Strangers: one in a hundred. Times are ratios in one run: a query takes 11 × what extracting the
features of a picture does, 1/200 of brute force, and its shortlist among 100,000 takes 9 × that among 6,885. `--quick` takes
every twentieth drawing and 20 queries; its floors allow two queries more to miss than one run did.

On two cores: 20 minutes, with `--quick` 20 seconds.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import skimage
from _report import Limit, at_least, at_most, finish, parser
from _samples import sampled
from _transforms import TRANSFORMS, flat, seed_of
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.data import debian
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import Encoder, Fit, SearchClient
from semblant_search.collection import Manifest, point_id, uri_path
from semblant_search.errors import ImageError, NoFeaturesError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import DEFAULT_MIN_CONFIDENCE, FEATURE_BYTES, OrbSettings, Verifier, Vocabulary, extract, pack
from semblant_search.store import Point, SearchRequest, Sparse, SparseVector, open_database

if TYPE_CHECKING:
    from PIL import Image

SETTINGS = OrbSettings()
QUERIES, QUICK_QUERIES = 320, 20
QUICK_STEP = 20
PARTS = ("clipart", "photographs", "ceiling", "scale")
STATED = {
    "crop 50%": (0.950, 0.994, 0.995, 0.995),
    "crop 25%": (0.800, 0.887, 0.941, 0.951),
    "rotate 30°": (0.984, 0.991, 1, 1),
    "half size": (1, 1, 1, 1),
    "JPEG 15": (1, 1, 0.995, 0.995),
    "pasted at 60%": (0.922, 0.934, 0.985, 0.985),
    "perspective": (0.947, 0.959, 0.985, 0.985),
    "blur 2 px": (0.994, 1, 1, 1),
    "brightness/contrast ±40%": (0.997, 0.997, 0.990, 0.995),
    "screenshot": (0.994, 0.994, 0.995, 0.995),
    "flipped": (0.884, 0.928, 0.985, 0.985),
}
"""R@1 and R@10 on clip art, then on photographs, as docs/details-measured.md says."""
SLACK = 0.015
WALLPAPERS = (
    "gnome-backgrounds",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
    "ukui-wallpapers",
)
NOT_PICTURES = {"chessboard_GRAY.png", "chessboard_RGB.png", "horse.png", "logo.png", "phantom.png", "color.png", "text.png"}


def row_of(transform: str) -> str:
    """Its name among the numbers, where a stroke parts names."""
    return transform.replace("/", " and ")


def limits(part: str) -> list[Limit]:
    """Those of one of PARTS."""
    if part == "ceiling":
        return [
            at_least("ceiling/semblant", 0.9),  # one of 21 queries less than the .952 of all three
            at_least("ceiling/brute_force", 0.9),
            at_most("ceiling/projection_r1", 0.05),
            at_least("ceiling/times_as_fast", 100),
        ]
    if part == "scale":
        return [at_most("scale/growth", 12)]
    first, bytes_mean = (0, 7400) if part == "clipart" else (2, 5400)
    found = []
    for name, stated in STATED.items():
        row = f"{part}/transforms/{row_of(name)}"
        for measure, value in zip(("r1", "r10"), stated[first : first + 2], strict=True):
            found.append(at_least(f"{row}/{measure}", round(value - SLACK, 3)))
    return [
        *found,
        at_most(f"{part}/strangers/share_with_a_hit", 0.01),
        at_most(f"{part}/cost/all/bytes_mean", bytes_mean),
        at_most(f"{part}/query_ratio", 16),
    ]


def quick_limits() -> list[Limit]:
    floors = dict.fromkeys(STATED, 0.9) | {"crop 25%": 0.85, "flipped": 0.85}
    rows = [at_least(f"clipart/transforms/{row_of(name)}/r1", floor) for name, floor in floors.items()]
    return [*rows, at_most("clipart/strangers/share_with_a_hit", 0.02), at_most("clipart/cost/all/bytes_mean", 7400)]


@dataclass
class Library:
    """An indexed folder of pictures: its database, and what is the same as what in it."""

    db: Path
    greys: dict[str, np.ndarray]
    same: dict[str, set[str]]
    seconds: float


def wallpapers(folder: Path) -> list[Path]:
    """The photographs and paintings of six Debian packages, once each, at most 1,600 pixels wide."""
    if not folder.exists():
        making = folder.with_suffix(".part")
        making.mkdir(parents=True, exist_ok=True)
        for package in WALLPAPERS:
            for name, content in debian.files(debian.fetch(package)):
                if Path(name).suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
                    try:
                        picture = open_image(content, at_least=(1600, 1600))
                    except ImageError:
                        continue
                    if picture.width >= 1000:
                        picture = flat(picture)
                        picture.thumbnail((1600, 1600))
                        picture.save(making / (package + "-" + Path(name).as_posix().replace("/", "_") + ".png"))
        making.rename(folder)
    return sorted(folder.glob("*.png"))


def tiles(folder: Path, papers: list[Path]) -> Path:
    """Quarters of wallpapers and of scikit-image's larger photographs, as PNG files; the same scene once."""
    if folder.exists():
        return folder
    making = folder.with_suffix(".part")
    making.mkdir(parents=True, exist_ok=True)
    shipped = Path(skimage.__file__).parent / "data"
    named = [path for path in sorted(shipped.iterdir()) if path.suffix in (".png", ".jpg") and path.name not in NOT_PICTURES]
    seen: list[np.ndarray] = []
    for path in [*papers, *named]:
        picture = flat(open_image(path))
        look = thumbnail(np.asarray(picture.convert("L")))[0]
        if any(float(look @ other) > 0.95 for other in seen):
            continue
        seen.append(look)
        width, height = picture.width // 2, picture.height // 2
        if width < 120 or height < 120:
            continue
        for number, (left, top) in enumerate(((0, 0), (width, 0), (0, height), (width, height))):
            picture.crop((left, top, left + width, top + height)).save(making / f"{path.stem[:80]}-{number}.png")
    making.rename(folder)
    return folder


def thumbnail(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """A unit vector that is alike for like pictures, and the logarithm of the aspect ratio, both without white borders."""
    ink = grey < 250
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) > 3 and len(columns) > 3:
        grey = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return small / (np.linalg.norm(small) + 1e-6), float(np.log(grey.shape[1] / grey.shape[0]))


def grouped(greys: dict[str, np.ndarray]) -> dict[str, set[str]]:
    """For each picture those that are the same as a whole, itself included."""
    names = list(greys)
    looks, aspects = zip(*map(thumbnail, greys.values()), strict=True)
    look, aspect = np.array(looks), np.array(aspects)
    same: dict[str, set[str]] = {}
    for start in range(0, len(names), 500):
        near = (look[start : start + 500] @ look.T > 0.97) & (np.abs(aspect[start : start + 500, None] - aspect[None]) < 0.1)
        for row, picture in enumerate(names[start : start + 500]):
            same[picture] = {picture} | {names[i] for i in np.flatnonzero(near[row])}
    return same


def index(source: Path, work: Path) -> Library:
    encoder = work / "encoder.onnx"
    encoder.write_bytes(pixel_encoder(Fit(64, 64, 1), grid=8))
    db = work / f"{source.name}.db"
    report = run(IndexJob(source=str(source), encoder=encoder, db=str(db)))
    greys = {}
    with closing(open_database(str(db))) as database, closing(database.open("images")) as store:
        for record in store.scroll(fields=["_uri"]):
            picture = open_image(path_of(record.payload["_uri"]))
            greys[record.payload["_uri"]] = to_grey(picture, longest_side=SETTINGS.longest_side)
    return Library(db, greys, grouped(greys), report.seconds)


def path_of(uri: str) -> Path:
    path = uri_path(uri)
    assert path is not None
    return path


def textured(greys: dict[str, np.ndarray], count: int) -> list[str]:
    detector = cv2.ORB.create(nfeatures=500)
    rich = [uri for uri, grey in sorted(greys.items()) if "/stars/" not in uri and len(detector.detect(grey, None)) >= 150]
    return [rich[i] for i in np.random.default_rng(1).permutation(len(rich))[:count]]


def encoded(picture: Image.Image) -> bytes:
    """The query as a file: end to end begins with decoding."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def shows(query: bytes, hit: Any) -> bool:
    """Whether a hit's own pixels, where the hit says that the query lies, are the query's, all of them."""
    return hit.transform is not None and not hit.mirrored and _shown(query, hit, np.asarray(hit.transform, np.float64))


def shows_either(query: bytes, hit: Any) -> bool:
    """The same, mirrored as well; or all of the hit is in the query."""
    if hit.transform is None:
        return False
    transform = np.asarray(hit.transform, np.float64)
    return _shown(query, hit, transform) or (hit.verdict == "contains" and _shown(query, hit, transform, all_of_hit=True))


def _shown(query: bytes, hit: Any, transform: np.ndarray, *, all_of_hit: bool = False) -> bool:
    one = np.asarray(flat(open_image(query)).convert("L"))
    other = np.asarray(flat(open_image(path_of(hit.uri))).convert("L"))
    if all_of_hit:
        one, other, transform = other, one, np.linalg.inv(transform)
    moved = cv2.warpPerspective(
        other, transform, (one.shape[1], one.shape[0]), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP, borderValue=255
    )
    here, there = (cv2.GaussianBlur(array, (0, 0), 2).astype(np.float32) for array in (one, moved))
    here, there = here - here.mean(), there - there.mean()
    return float((here * there).sum()) > 0.95 * float(np.sqrt((here * here).sum() * (there * there).sum()) + 1e-6)


def ask(client: SearchClient, query: bytes, **options: Any) -> tuple[list[Any], float]:
    began = time.perf_counter()
    try:
        hits = client.search_features(query, limit=10, **options)
    except NoFeaturesError:
        hits = []
    return hits, (time.perf_counter() - began) * 1000


def photographs_below() -> list[Image.Image]:
    """What clip-art is pasted into: nothing that its library holds."""
    return [
        flat(open_image(Path(skimage.__file__).parent / "data" / name))
        for name in ("astronaut.png", "coffee.png", "rocket.jpg")
    ]


def drawings_below(clipart: Path) -> list[Image.Image]:
    """What photographs are pasted into: three busy drawings."""
    detector, paths = cv2.ORB.create(nfeatures=500), sorted(clipart.rglob("*.png"))
    found: list[Image.Image] = []
    for number in np.random.default_rng(4).permutation(len(paths)):
        try:
            picture = flat(open_image(paths[number]))
        except ImageError:
            continue
        if len(detector.detect(to_grey(picture, longest_side=SETTINGS.longest_side), None)) >= 400:
            found.append(picture)
        if len(found) == 3:
            break
    return found


def table(library: Library, count: int, others: list[Image.Image]) -> dict[str, Any]:
    """For each transform: visual words alone, verified R@1 and R@10, and the time of a query.

    `others` are pictures outside of the library, which queries are pasted into.
    """
    uris, rows = textured(library.greys, count), {}
    every: list[float] = []
    with SearchClient(str(library.db)) as client:
        for name, transform in TRANSFORMS.items():
            words, first, shown, ten, unproven, times = 0, 0, 0, 0, 0, []
            for uri in uris:
                picture = flat(open_image(path_of(uri)))
                picture.thumbnail((2000, 2000))
                query, right = encoded(transform(picture, seed_of(name, Path(uri).name), others)), library.same[uri]
                plain, _ = ask(client, query, verify=False)
                hits, milliseconds = ask(client, query)
                times.append(milliseconds)
                words += bool(plain) and plain[0].uri in right
                is_first = bool(hits) and hits[0].uri in right
                first += is_first
                shown += is_first or (bool(hits) and shows(query, hits[0]))
                among = any(hit.uri in right for hit in hits)
                ten += among
                unproven += among or any(hit.uri in right for hit in ask(client, query, min_confidence=0)[0])
            rows[row_of(name)] = {
                "words_r1": round(words / len(uris), 3),
                "r1": round(first / len(uris), 3),
                "r1_shown": round(shown / len(uris), 3),
                "r10": round(ten / len(uris), 3),
                "r10_unproven": round(unproven / len(uris), 3),
                "ms_p50": round(float(np.median(times)), 1),
            }
            every += times
            print(f"{name}: {rows[row_of(name)]}", file=sys.stderr, flush=True)
    return {
        "pictures": len(library.greys),
        "queries": len(uris),
        "index_seconds": round(library.seconds, 1),
        "query_ms_p50": round(float(np.median(every)), 1),
        "query_ms_p95": round(float(np.percentile(every, 95)), 1),
        "transforms": rows,
    }


def false_hits(library: Library, strangers: Path, count: int) -> dict[str, Any]:
    """How many pictures that are not in the collection get a hit at the default confidence."""
    paths = sorted(strangers.rglob("*.png"))
    drawn = [paths[i] for i in np.random.default_rng(2).permutation(len(paths))[:count]]
    times, hit = [], 0
    with SearchClient(str(library.db)) as client:
        for path in drawn:
            picture = flat(open_image(path))
            picture.thumbnail((600, 600))
            hits, milliseconds = ask(client, encoded(picture))
            hit += bool(hits)
            times.append(milliseconds)
    return {"asked": len(drawn), "share_with_a_hit": round(hit / len(drawn), 4), "ms_p50": round(float(np.median(times)), 1)}


def cost(library: Library) -> dict[str, Any]:
    """Milliseconds a picture on one thread: key points, packing and words, without decoding; and bytes stored."""
    vocabulary = Vocabulary.general()
    drawn = list(library.greys.values())[::5]
    medium = [grey for grey in drawn if 300 <= max(grey.shape) <= 480]
    out = {}
    for name, greys in (("all", drawn), ("300_to_480_pixels", medium)):
        began = time.perf_counter()
        features = [extract(grey, SETTINGS) for grey in greys]
        middle = time.perf_counter()
        packed = [(pack(one), vocabulary.sparse(one)) for one in features]
        end = time.perf_counter()
        out[name] = {
            "extract_ms": round((middle - began) / len(greys) * 1000, 2),
            "pack_and_words_ms": round((end - middle) / len(greys) * 1000, 2),
            "bytes_mean": round(float(np.mean([rows.nbytes for rows, _ in packed]))),
        }
    return {**out, "bytes_most": SETTINGS.features * FEATURE_BYTES}


def ceiling(library: Library, count: int) -> dict[str, Any]:
    """OpenCV's brute force (mutual nearest, RANSAC similarity, most inliers) over all, Semblant's verification over all
    pictures instead of a shortlist, and the published projection.
    """
    others = [flat(open_image(Path(skimage.__file__).parent / "data" / "astronaut.png"))]
    uris = textured(library.greys, count)
    names = ("crop 25%", "pasted at 60%", "perspective")
    stored = {uri: extract(grey, SETTINGS) for uri, grey in library.greys.items()}
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    projected, encoder_uris = projection(library)
    right = {"brute_force": 0, "semblant": 0, "semblant_exhaustive": 0, "projection_r1": 0, "projection_r10": 0}
    seconds, own, exhaustive, asked = 0.0, 0.0, 0.0, 0
    sizes = {uri: (grey.shape[1], grey.shape[0]) for uri, grey in library.greys.items()}
    with SearchClient(str(library.db)) as client:
        for name in names:
            for uri in uris:
                picture = flat(open_image(path_of(uri)))
                picture.thumbnail((2000, 2000))
                query = encoded(TRANSFORMS[name](picture, seed_of(name, Path(uri).name), others))
                grey = to_grey(open_image(query), longest_side=SETTINGS.longest_side)
                mine = extract(grey, SETTINGS, limit=SETTINGS.query_features)
                asked += 1
                hits, milliseconds = ask(client, query)
                own += milliseconds / 1000
                right["semblant"] += bool(hits) and hits[0].uri in library.same[uri]
                began = time.perf_counter()
                best = max(stored, key=lambda other: brute_force(matcher, mine, stored[other]))
                seconds += time.perf_counter() - began
                right["brute_force"] += best in library.same[uri]
                began = time.perf_counter()
                verifier = Verifier(mine, (grey.shape[1], grey.shape[0]))
                matches = verifier.verify_many(list(stored.values()), [sizes[other] for other in stored])
                evidence = {other: match.evidence for other, match in zip(stored, matches, strict=True) if match is not None}
                exhaustive += time.perf_counter() - began
                right["semblant_exhaustive"] += max(evidence, key=evidence.__getitem__, default="") in library.same[uri]
                near = (mine.descriptors.astype(np.float32) @ projected.T - (projected**2).sum(axis=1) / 2).argmax(axis=1)
                votes = np.bincount(near, minlength=len(encoder_uris)).argsort()[::-1][:10]
                found = [encoder_uris[i] in library.same[uri] for i in votes]
                right["projection_r1"] += found[0]
                right["projection_r10"] += any(found)
    shares = {key: round(value / asked, 3) for key, value in right.items()}
    return {
        "asked": asked,
        "transforms": names,
        **shares,
        "semblant_seconds": round(own / asked, 4),
        "times_as_fast": round(seconds / own),
        "brute_force_seconds": round(seconds / asked, 2),
        "exhaustive_seconds": round(exhaustive / asked, 2),
    }


def brute_force(matcher: Any, mine: Any, theirs: Any) -> int:
    """Inliers of the usual recipe; a transform that shrinks or enlarges absurdly puts all points on one spot, and is none."""
    if len(mine) < 4 or len(theirs) < 4:
        return 0
    good = [match for match in matcher.match(mine.descriptors, theirs.descriptors) if match.distance <= 64]
    if len(good) < 4:
        return 0
    here = np.array([mine.keypoints[match.queryIdx, :2] for match in good], np.float32)
    there = np.array([theirs.keypoints[match.trainIdx, :2] for match in good], np.float32)
    cv2.setRNGSeed(0)
    transform, mask = cv2.estimateAffinePartial2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=4.0)
    sane = transform is not None and 0.2 < float(np.hypot(transform[0, 0], transform[1, 0])) < 5
    return int(mask.sum()) if sane else 0


def projection(library: Library) -> tuple[np.ndarray, list[str]]:
    """System 5 as published: embeddings reduced to the 32 numbers of a descriptor, whose nearest ones are looked up."""
    with closing(open_database(str(library.db))) as database, closing(database.open("images")) as store:
        records = list(store.scroll(fields=["_uri"], with_image=True))
    vectors = np.array([record.image for record in records], np.float32)
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:32]
    reduced = centred @ axes.T
    low, high = reduced.min(axis=0), reduced.max(axis=0)
    return (reduced - low) / (high - low + 1e-9) * 255, [record.payload["_uri"] for record in records]


def scale(library: Library, work: Path, count: int = 100_000) -> dict[str, Any]:
    """The shortlist's time among synthetic pictures, as many as in the library and `count`, with the library's words."""
    vocabulary = Vocabulary.general()
    vectors = [vocabulary.sparse(extract(grey, SETTINGS)) for grey in list(library.greys.values())[::3]]
    pool = np.concatenate([vector.indices for vector in vectors])
    lengths = [len(vector.indices) for vector in vectors]
    rng, encoder = np.random.default_rng(3), Encoder(pixel_encoder(Fit(28, 28, 1)), threads=1)
    facts = {"settings": SETTINGS.to_json(), "vocabulary": vocabulary.fingerprint, "feature_bytes": FEATURE_BYTES}
    out: dict[str, Any] = {}
    medians: list[float] = []
    queries = [vectors[i] for i in rng.integers(len(vectors), size=200)]
    with closing(open_database(str(work / "scale.db"), create=True)) as database:
        for size in (len(library.greys), count):
            manifest = Manifest("images", f"g{size:04d}", encoder.fingerprint, encoder.card, orb=facts)
            store = database.create(manifest)
            image = np.full(encoder.card.dim, encoder.card.dim**-0.5, np.float32)
            for start in range(0, size, 5000):
                points = []
                for number in range(start, min(size, start + 5000)):
                    words = np.unique(rng.choice(pool, lengths[int(rng.integers(len(lengths)))])).astype(np.uint32)
                    sparse = SparseVector(words, np.ones(len(words), np.float32))
                    points.append(Point(point_id(f"mem://{number}"), image, {"_uri": f"mem://{number}"}, sparse))
                store.upsert(points)
            store.optimize()
            for query in queries[:20]:
                store.query(SearchRequest(Sparse(query), limit=48, fields=["_uri"]))  # warms up
            times = []
            for query in queries:
                began = time.perf_counter()
                store.query(SearchRequest(Sparse(query), limit=48, fields=["_uri"]))
                times.append((time.perf_counter() - began) * 1000)
            medians.append(float(np.median(times)))
            out[f"shortlist_ms_p50_at_{size}"] = round(medians[-1], 2)
            store.close()
    return {**out, "growth": round(medians[1] / medians[0], 2)}


def measure(library: Library, queries: int, others: list[Image.Image], strangers: Path) -> dict[str, Any]:
    """All about one library; a query's time also as a multiple of extracting the features of a picture, in the same run."""
    found, price = table(library, queries, others), cost(library)
    ratio = found["query_ms_p50"] / price["all"]["extract_ms"]
    return {**found, "query_ratio": round(ratio, 1), "cost": price, "strangers": false_hits(library, strangers, 400)}


def main() -> None:
    options = parser(__doc__, quick="350 drawings, 20 queries, scikit-image's photographs as strangers")
    options.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all without")
    arguments = options.parse_args()
    if strange := set(arguments.parts) - set(PARTS):
        options.error(f"no such part: {', '.join(sorted(strange))}; expected {', '.join(PARTS)}")
    if arguments.quick and arguments.parts:
        options.error("parts are of the full version; leave --quick or them away")
    parts = arguments.parts or PARTS
    sets = cache_dir() / "sets"
    drawings = data.clipart(sets / "clipart").directory
    numbers: dict[str, Any] = {"min_confidence": DEFAULT_MIN_CONFIDENCE}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.quick:
            library = index(sampled(drawings, work / "drawings", QUICK_STEP), work)
            photographs = tiles(work / "photographs", [])
            numbers["clipart"] = measure(library, QUICK_QUERIES, photographs_below(), photographs)
            finish("features", numbers, quick_limits(), quick=True)
            return
        photographs = tiles(sets / "photograph-tiles", wallpapers(sets / "wallpapers"))
        if {"clipart", "ceiling", "scale"} & set(parts):
            library = index(drawings, work)
            if "clipart" in parts:
                numbers["clipart"] = measure(library, QUERIES, photographs_below(), photographs)
            if "ceiling" in parts:
                numbers["ceiling"] = ceiling(library, 7)
            if "scale" in parts:
                numbers["scale"] = scale(library, work)
        if "photographs" in parts:
            library = index(photographs, work)
            numbers["photographs"] = measure(library, QUERIES, drawings_below(drawings), drawings)
    finish("features", numbers, [limit for part in parts for limit in limits(part)])


if __name__ == "__main__":
    main()
