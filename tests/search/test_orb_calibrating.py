"""A collection measures itself: its pictures are asked for, and neither they nor their copies are lookalikes."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image
from semblant_search import SearchClient
from semblant_search.collection import point_id
from semblant_search.errors import NotIndexed
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.images import open_image, to_grey
from semblant_search.orb import (
    CALIBRATION_ASSET,
    FEATURE_BYTES,
    Calibration,
    OrbSettings,
    Verifier,
    Vocabulary,
    calibrate,
    extract,
    pack,
    thumbnail,
    unpack,
    unpack_thumbnail,
)
from semblant_search.orb.weighing import strength
from semblant_search.store import Point, open_database
from support.small_stores import FOLDER, manifest, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from semblant_search.store import Store

SETTINGS = OrbSettings()
WORDS = Vocabulary.general()
GENERAL = Calibration.general()
NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "ihc.png", "moon.png", "rocket.jpg", "text.png")
NOTHING = -20.0
"""Strength of what agrees in nothing."""


@pytest.fixture(scope="module")
def greys(photos: Path) -> dict[str, np.ndarray]:
    return {name: to_grey(open_image(photos / name), longest_side=480) for name in NAMES}


def point(name: str, grey: np.ndarray, vector: np.ndarray, settings: OrbSettings) -> Point:
    features, uri = extract(grey, settings), FOLDER + name
    payload = {
        "_uri": uri,
        "_sha256": hashlib.sha256(grey.tobytes()).hexdigest(),
        "_width": grey.shape[1],
        "_height": grey.shape[0],
    }
    if not len(features):
        return Point(point_id(uri), vector, payload)
    small = thumbnail(grey, settings.thumbnail) if settings.thumbnail else None
    return Point(point_id(uri), vector, payload, WORDS.sparse(features), pack(features, small))


@contextmanager
def collection(path: Path, greys: Mapping[str, np.ndarray], settings: OrbSettings = SETTINGS) -> Iterator[Store]:
    """Grey pictures as points of a store, by name."""
    orb = {"settings": settings.to_json(), "vocabulary": WORDS.fingerprint, "feature_bytes": FEATURE_BYTES}
    with closing(open_database(path, create=True)) as database, closing(database.create(manifest(orb=orb))) as store:
        store.put_asset(VOCABULARY_ASSET, WORDS.to_bytes())
        vectors = unit_vectors(len(greys))
        store.upsert([point(*item, vector, settings) for item, vector in zip(greys.items(), vectors, strict=True)])
        store.optimize()
        yield store


def expected(store: Store, is_copy: Callable[[str, str], bool]) -> Calibration:
    """The calibration by the truth about copies, every picture compared with every other."""
    ids = sorted(record.id for record in store.scroll())
    records = [record for record in store.retrieve(ids, with_features=True) if record.features is not None]
    details, pixels, laid_over = [], [], []
    for one in records:
        best = [NOTHING, NOTHING, NOTHING]
        size = (one.payload["_width"], one.payload["_height"])
        assert one.features is not None
        verifier = Verifier(unpack(one.features), size, None, unpack_thumbnail(one.features))
        for other in records:
            names = [record.payload["_uri"].removeprefix(FOLDER) for record in (one, other)]
            if one.id == other.id or is_copy(*names):
                continue
            assert other.features is not None
            size = (other.payload["_width"], other.payload["_height"])
            match = verifier.verify(unpack(other.features), size, unpack_thumbnail(other.features))
            if match is not None:
                best[0] = max(best[0], strength(match.evidence, match.support, None, match.disagreement))
                if match.pixels:
                    which = 2 if match.laid_over else 1
                    best[which] = max(best[which], match.strength)
        details.append(best[0])
        pixels.append(best[1])
        laid_over.append(best[2])
    return Calibration(
        GENERAL.laid_over.measured(laid_over), GENERAL.pixels.measured(pixels), GENERAL.details.measured(details), len(records)
    )


def assert_close(found: Calibration, right: Calibration) -> None:
    assert found.queries == right.queries
    for name in ("laid_over", "pixels", "details"):
        one, other = getattr(found, name), getattr(right, name)
        assert (one.start, one.scale) == pytest.approx((other.start, other.scale), abs=1e-9), name


def copies(greys: Mapping[str, np.ndarray], change: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """Each picture twice."""
    return {**greys, **{f"copy/{name}": change(grey) for name, grey in greys.items()}}


def same(one: str, other: str) -> bool:
    return one.removeprefix("copy/") == other.removeprefix("copy/")


def test_pictures_that_have_nothing_in_common_leave_proofs_as_sure_as_they_are(
    greys: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with collection(tmp_path / "db", greys) as store:
        found = calibrate(store, WORDS)
        assert_close(found, expected(store, lambda *_: False))
    assert found.queries == len(NAMES)
    for name in ("laid_over", "pixels", "details"):
        assert getattr(found, name).start == getattr(GENERAL, name).start
    for value in (0.0, 3.0, 6.0):
        assert found.probability(value, pixels=True) == pytest.approx(GENERAL.probability(value, pixels=True), abs=0.005)
    assert Calibration.from_bytes(found.to_bytes()) == found


@pytest.mark.parametrize(
    "change",
    [
        np.copy,
        lambda grey: cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda grey: cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE),
        lambda grey: np.ascontiguousarray(np.rot90(grey)),
        lambda grey: (grey * 0.6 + 60).astype(np.uint8),
        lambda grey: np.ascontiguousarray(grey[20:-20, 20:-20]),
    ],
    ids=["of the same bytes", "half as large", "compressed", "turned", "brighter", "trimmed"],
)
def test_copies_in_a_collection_are_no_lookalikes(
    greys: dict[str, np.ndarray], tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    with collection(tmp_path / "db", copies(greys, change)) as store:
        found = calibrate(store, WORDS)
        assert_close(found, expected(store, same))
    assert found.queries == 2 * len(NAMES)
    assert found.pixels.start == GENERAL.pixels.start


def test_a_file_that_is_there_twice_is_known_by_its_hash(tmp_path: Path) -> None:
    """Of faint grain, too fine for a thumbnail: nothing there has contrast enough to say whether it agrees."""
    grain = {f"{seed}.png": np.random.default_rng(seed).integers(110, 130, (300, 300), dtype=np.uint8) for seed in range(6)}
    with collection(tmp_path / "db", copies(grain, np.copy)) as store:
        found = calibrate(store, WORDS)
        assert_close(found, expected(store, same))
        assert (
            found.laid_over.start < expected(store, lambda *_: False).laid_over.start - 2
        )  # the hash alone makes a difference


def relabelled(grey: np.ndarray) -> np.ndarray:
    """A label of a sixtieth of the height is on it: .1 % of the picture."""
    out, (height, width) = grey.copy(), grey.shape
    top, left = height // 2, width // 3
    out[top : top + height // 60, left : left + width // 15] = 255 if grey[top, left] < 128 else 0
    return out


def test_pictures_that_differ_in_one_place_are_lookalikes_though_their_pixels_correlate(
    greys: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with collection(tmp_path / "db", copies(greys, relabelled)) as store:
        found = calibrate(store, WORDS)
        right = expected(store, lambda *_: False)
    assert found.laid_over.start > GENERAL.laid_over.start + 10
    assert found.laid_over.start == pytest.approx(right.laid_over.start, abs=1)


def template(greys: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Pages of one form: the frame is the same, what is in it is another one each time."""
    frame = cv2.resize(greys["ihc.png"], (480, 480))
    pages = {}
    rng = np.random.default_rng(5)
    for number in range(count):
        page = frame.copy()
        noise = cv2.resize(rng.integers(0, 256, (30, 30), dtype=np.uint8), (480, 300), interpolation=cv2.INTER_CUBIC)
        page[180:] = noise
        pages[f"form{number:02d}.png"] = page
    return pages


@pytest.fixture(scope="module")
def forms(greys: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return template(greys, 41)


def windows(grey: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Parts of one scene that overlap in half of their width."""
    wide = cv2.resize(grey, (1200, 800), interpolation=cv2.INTER_CUBIC)
    return {f"{n:02d}.png": np.ascontiguousarray(wide[n % 2 * 300 :][:480, n * 120 :][:, :240]) for n in range(count)}


def test_pictures_that_overlap_make_the_proofs_of_a_collection_less_sure(greys: dict[str, np.ndarray], tmp_path: Path) -> None:
    scenes = {f"{name}/{part}": grey for name in NAMES[:3] for part, grey in windows(greys[name], 6).items()}
    with collection(tmp_path / "db", scenes) as store:
        found = calibrate(store, WORDS)
        assert_close(found, expected(store, lambda *_: False))
        few = calibrate(store, WORDS, shortlist=0)
    assert found.pixels.start > GENERAL.pixels.start + 5
    assert found.details.start > GENERAL.details.start + 5
    assert found.probability(5.0, pixels=True) < 0.9 < 0.99 < GENERAL.probability(5.0, pixels=True)
    assert few.pixels == GENERAL.pixels.measured([NOTHING] * 18), "with nothing to compare with, nothing is found"


def test_pages_of_one_form_are_not_proven_to_be_each_other_and_copies_are(forms: dict[str, np.ndarray], tmp_path: Path) -> None:
    new = forms["form40.png"]
    known = {name: grey for name, grey in forms.items() if grey is not new}
    with collection(tmp_path / "db", known) as store:
        found = calibrate(store, WORDS, shortlist=48)
        assert_close(found, expected(store, lambda *_: False))
        records = store.retrieve([record.id for record in store.scroll()], with_features=True)
    assert found.queries == 40
    assert found.pixels.start == GENERAL.pixels.start, "what they have in common is outvoted by what they have not"
    squeezed = cv2.imencode(".jpg", known["form07.png"], [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    best = {}
    for name, query in (("new", new), ("copy", np.asarray(cv2.imdecode(squeezed, cv2.IMREAD_GRAYSCALE)))):
        verifier = Verifier(extract(query, SETTINGS, limit=400), (480, 480), found, query)
        matches = [
            (verifier.verify(unpack(record.features), (480, 480), unpack_thumbnail(record.features)), record.payload["_uri"])
            for record in records
            if record.features is not None
        ]
        best[name] = max((match.probability, uri) for match, uri in matches if match is not None)
    assert best["new"][0] < 0.5
    assert best["copy"][0] > 0.999
    assert best["copy"][1] == f"{FOLDER}form07.png"


def test_a_picture_or_two_leave_the_general_calibration_almost_as_it_is(greys: dict[str, np.ndarray], tmp_path: Path) -> None:
    flat = {"flat.png": np.full((300, 400), 90, np.uint8)}
    for number, some in enumerate(({}, flat)):
        with collection(tmp_path / f"none{number}", some) as store:
            assert calibrate(store, WORDS) == GENERAL
    with collection(tmp_path / "few", {**flat, **{name: greys[name] for name in NAMES[:2]}}) as store:
        few = calibrate(store, WORDS)
    assert few.queries == 2
    for pixels in (True, False):
        for value in (0.0, 3.0, 6.0):
            assert few.probability(value, pixels=pixels) == pytest.approx(GENERAL.probability(value, pixels=pixels), abs=0.02)


def test_without_thumbnails_details_alone_are_measured(greys: dict[str, np.ndarray], tmp_path: Path) -> None:
    with collection(tmp_path / "db", copies(greys, np.copy), OrbSettings(thumbnail=0)) as store:
        found = calibrate(store, WORDS)
        assert_close(found, replace(expected(store, same), laid_over=GENERAL.laid_over, pixels=GENERAL.pixels))


def test_as_many_pictures_are_asked_for_as_told_and_always_the_same(greys: dict[str, np.ndarray], tmp_path: Path) -> None:
    with collection(tmp_path / "db", greys) as store:
        assert [calibrate(store, WORDS, sample=count).queries for count in (1, 3, 100)] == [1, 3, len(NAMES)]
        assert calibrate(store, WORDS, sample=3) == calibrate(store, WORDS, sample=3)


def test_a_collection_without_features_cannot_be_calibrated(indexed: Path) -> None:
    with (
        closing(open_database(indexed)) as database,
        closing(database.open("plain")) as store,
        pytest.raises(NotIndexed, match="without ORB"),
    ):
        calibrate(store, WORDS)


def test_two_views_of_one_scene_take_nothing_from_the_proofs_of_all_other_pictures(photos: Path, tmp_path: Path) -> None:
    """A stereo pair among 19 photographs: no copies, and no chance agreement either."""
    greys = {path.name: to_grey(open_image(path), longest_side=480) for path in sorted(photos.iterdir())}
    with collection(tmp_path / "db", greys) as store:
        found = calibrate(store, WORDS)
    assert found.queries == 19
    grey = greys["astronaut.png"]
    rotation = cv2.getRotationMatrix2D((grey.shape[1] / 2, grey.shape[0] / 2), 30, 0.6)
    query = cv2.warpAffine(grey, rotation, grey.shape[::-1], borderValue=255)
    size = (grey.shape[1], grey.shape[0])
    verifier = Verifier(extract(query, SETTINGS, limit=400), size, found, query)
    match = verifier.verify(unpack(pack(extract(grey, SETTINGS))), size, thumbnail(grey, 64))
    assert match is not None
    assert match.strength > 5
    assert match.probability >= 0.99


def test_strangers_are_not_proven_in_a_set_that_measured_itself_and_changed_copies_are(
    fashion_small: Path, pictures: list[Path], index: Callable[..., None], tmp_path: Path
) -> None:
    """200 pieces of clothing of 28 × 28 pixels that a collection of 300 does not hold, and enlarged copies of some it does."""
    index(tmp_path / "db", pictures)
    with closing(open_database(tmp_path / "db")) as database, closing(database.open("images")) as store:
        found = calibrate(store, WORDS)
        store.put_asset(CALIBRATION_ASSET, found.to_bytes())
    assert found.queries == 128
    with SearchClient(tmp_path / "db") as client:
        strangers = sorted((fashion_small / "test").rglob("*.png"))
        assert len(strangers) == 200
        wrong = sum(bool(client.search_features(path, limit=1)) for path in strangers)
        assert wrong <= 16  # of 28 pixels, which an index job leaves out for this reason
        right = 0
        for path in pictures[::10]:
            with Image.open(path) as picture:
                hits = client.search_features(picture.resize((84, 84), Image.Resampling.BICUBIC), limit=1)
            right += bool(hits) and hits[0].path == path
        assert right >= 20  # of 30
