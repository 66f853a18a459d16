"""New visual words for a collection of a handful of pictures: what they are learned from, what is kept, what is restored."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import IndexJob, run
from semblant_indexer.cancelling import JobCancelled, check_cancelled
from semblant_indexer.generations import publish
from semblant_indexer.ledger import Ledger
from semblant_indexer.pool import WorkerPool
from semblant_indexer.retraining import RetrainJob, retrain
from semblant_indexer.sources import Item
from semblant_indexer.vocabulary import Learned, train_vocabulary
from semblant_indexer.worker import Decoded, Task, WorkerConfig
from semblant_search import EncoderCard, Fit, SearchClient
from semblant_search.collection import StorageOptions, point_id
from semblant_search.errors import NoFeaturesError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import (
    FEATURE_BYTES,
    Calibration,
    Features,
    OrbSettings,
    Vocabulary,
    calibrate,
    extract,
    pack,
    thumbnail,
    unpack,
)
from semblant_search.querying.background import Background
from semblant_search.store import Point, open_database
from support.asking import request_for
from support.ledgers import indexed, run_over, source_of, todo
from support.small_stores import FOLDER, manifest, unit_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_indexer import Progress
    from semblant_search.collection import Manifest
    from semblant_search.store import Record

SETTINGS = OrbSettings()
NAMES = ("coffee.png", "rocket.jpg", "text.png", "chelsea.png")
BACKGROUND = Background(2000, tuple(step / 10 for step in range(10)), 0.5, -0.1).to_bytes()
CARD = EncoderCard("cells", "pixels", Fit(28, 28, 1), 8, "none", cells=(2, 3))


@pytest.fixture(scope="module")
def greys(photos: Path) -> list[np.ndarray]:
    return [to_grey(open_image(photos / name), longest_side=SETTINGS.longest_side) for name in NAMES]


@pytest.fixture(scope="module")
def features(greys: list[np.ndarray]) -> list[Features]:
    return [extract(grey, SETTINGS) for grey in greys]


@pytest.fixture(scope="module")
def few_words(features: list[Features]) -> Vocabulary:
    return Vocabulary.train(features[0].descriptors[:80], size=16)


@pytest.fixture
def db(tmp_path: Path, greys: list[np.ndarray], few_words: Vocabulary) -> Path:
    """Four pictures with features and one without, with words that no longer suit them, all vectors and a ledger."""
    fill(tmp_path / "db", greys, few_words)
    return tmp_path / "db"


def fill(path: Path, greys: list[np.ndarray], words: Vocabulary) -> None:
    orb = {"settings": SETTINGS.to_json(), "vocabulary": words.fingerprint, "feature_bytes": FEATURE_BYTES}
    facts = manifest(orb=orb, encoder=CARD, storage=StorageOptions(on_disk=True))
    images, cells = unit_vectors(5), unit_vectors(10, 3).reshape(5, 2, 3)
    points = []
    for number, (image, local) in enumerate(zip(images, cells, strict=True)):
        uri = f"{FOLDER}{number}.png"
        payload = {"_uri": uri, "_sha256": str(number), "_width": 600, "_height": 400, "price": number}
        sparse = packed = None
        if number < len(greys):
            found = extract(greys[number], SETTINGS)
            sparse, packed = words.sparse(found), pack(found, thumbnail(greys[number], SETTINGS.thumbnail))
        points.append(Point(point_id(uri), image, payload, sparse, packed, local))
    with closing(open_database(path, create=True)) as database, closing(database.create(facts)) as store:
        store.put_asset("encoder.onnx", b"the encoder")
        store.put_asset("vocabulary.npz", words.to_bytes())
        store.put_asset("background.json", BACKGROUND)
        store.upsert(points)
        store.optimize()
        publish(database, store)
    with run_over(path / "images" / "ledger.sqlite", items()) as ledger:
        indexed(ledger)


def items() -> list[Item]:
    return [Item(f"{FOLDER}{number}.png", 10, 20) for number in range(5)]


class Facts(NamedTuple):
    """A generation, all of it."""

    manifest: Manifest
    assets: dict[str, bytes | None]
    records: dict[str, Record]
    calibration: Calibration


def read(db: Path, generation: str) -> Facts:
    with closing(open_database(db)) as database, closing(database.open("images", generation)) as store:
        ids = [record.id for record in store.scroll()]
        records = store.retrieve(ids, with_image=True, with_features=True, with_cells=True)
        names = ("encoder.onnx", "vocabulary.npz", "calibration.json", "background.json")
        assets = {name: store.asset(name) for name in names}
        words = Vocabulary.from_bytes(assets["vocabulary.npz"] or b"")
        return Facts(store.manifest, assets, {one.id: one for one in records}, calibrate(store, words))


def assert_same(first: dict[str, Record], second: dict[str, Record]) -> None:
    assert first.keys() == second.keys()
    for id, record in first.items():
        other = second[id]
        assert record.payload == other.payload
        for name in ("image", "features", "cells"):
            one, two = getattr(record, name), getattr(other, name)
            assert (one is None) == (two is None)
            if one is not None:
                np.testing.assert_allclose(one, two, atol=1e-6)


def test_words_are_learned_inside_a_process_that_searches_and_can_be_cancelled(db: Path) -> None:
    cancel = threading.Event()

    def heard(progress: Progress) -> None:
        if progress.phase == "words":
            check_cancelled(cancel, progress)

    with closing(open_database(db)) as database, closing(database.open("images")) as store:  # another one has it open
        cancel.set()
        with pytest.raises(JobCancelled):
            retrain(RetrainJob(str(db)), heard, database=database)
        assert (database.collections(), database.generations("images")) == ({"images": "g0001"}, ["g0001"])
        cancel.clear()
        assert retrain(RetrainJob(str(db)), heard, database=database).generation == "g0002"
        assert database.collections() == {"images": "g0002"}
        assert store.count() == 5  # which goes on


def test_a_new_generation_has_other_words_and_all_else(db: Path, features: list[Features]) -> None:
    seen: list[Progress] = []
    report = retrain(RetrainJob(str(db)), seen.append)
    general = Vocabulary.general()
    assert report.to_json() | {"seconds": 0} == {
        "collection": "images",
        "before": "g0001",
        "generation": "g0002",
        "points": 5,
        "pictures": 4,
        "descriptors": 0,
        "words": len(general),
        "fingerprint": general.fingerprint,
        "seconds": 0,
        "changed": True,
    }
    with closing(open_database(db)) as database:
        assert database.collections() == {"images": "g0002"}
        assert database.generations("images") == ["g0001", "g0002"]
        with closing(database.open("images")) as store:
            for number, found in enumerate(features):  # the words are those of the new vocabulary
                hit = store.query(request_for(general.sparse(found), limit=1))[0]
                assert hit.payload["_uri"] == f"{FOLDER}{number}.png"
            assert len(store.query(request_for(general.sparse(features[0]), limit=9))) <= 4
    old, new = read(db, "g0001"), read(db, "g0002")
    assert_same(new.records, old.records)
    assert new.manifest.orb == {**(old.manifest.orb or {}), "vocabulary": general.fingerprint}
    assert (new.manifest.encoder, new.manifest.fields) == (old.manifest.encoder, old.manifest.fields)
    assert (new.manifest.storage, new.manifest.encoder_fingerprint) == (StorageOptions(on_disk=True), "0" * 64)
    assert new.manifest.created_at > old.manifest.created_at
    assert new.assets["encoder.onnx"] == b"the encoder"
    assert new.assets["vocabulary.npz"] == general.to_bytes()
    assert new.assets["calibration.json"] == new.calibration.to_bytes()
    assert new.calibration.queries == 4
    assert new.assets["background.json"] == old.assets["background.json"] == BACKGROUND
    with run_over(db / "images" / "ledger.sqlite", items(), generation="g0002") as ledger:
        assert (ledger.points(), todo(ledger)) == (0, ["0", "1", "2", "3", "4"])  # of a generation made at another time
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["vocabulary", "words", "optimize", "calibrate", "done"]
    told = {progress.phase: (progress.done, progress.total) for progress in seen}
    assert (told["vocabulary"], told["words"], told["done"]) == ((4, 5), (5, 5), (5, 5))


def test_the_next_job_knows_every_picture_of_the_new_generation(db: Path) -> None:
    retrain(RetrainJob(str(db)))
    created = read(db, "g0002").manifest
    ledger = Ledger()
    ledger.scan(items())
    ledger.attach(db / "images" / "ledger.sqlite", created, source_of(FOLDER))
    assert (ledger.points(), ledger.count_todo()) == (5, 0)
    ledger.close()


@pytest.mark.parametrize(("sample", "pictures"), [(2, 2), (2000, 4)])
def test_no_more_pictures_are_asked_than_the_sample_has(db: Path, sample: int, pictures: int) -> None:
    report = retrain(RetrainJob(str(db), sample=sample, keep_generations=0))
    assert pictures - 1 <= report.pictures <= pictures  # the one without features may be among the sample
    with closing(open_database(db)) as database:
        assert database.generations("images") == ["g0002"]


def test_the_same_words_restore_what_was_lost_or_damaged(tmp_path: Path, greys: list[np.ndarray]) -> None:
    db = tmp_path / "db"
    fill(db, greys, Vocabulary.general())
    (db / "images" / "g0001" / "assets" / "vocabulary.npz").write_bytes(b"damaged")
    report = retrain(RetrainJob(str(db)))
    assert (report.changed, report.generation, report.points) == (False, "g0001", 5)
    facts = read(db, "g0001")
    assert facts.assets["vocabulary.npz"] == Vocabulary.general().to_bytes()
    assert facts.assets["calibration.json"] == facts.calibration.to_bytes()
    with closing(open_database(db)) as database:
        assert database.generations("images") == ["g0001"]


@pytest.mark.parametrize("phase", ["words", "optimize", "calibrate"])
def test_what_is_stopped_leaves_the_old_generation_alone(db: Path, phase: str) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.phase == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrain(RetrainJob(str(db)), interrupt)
    with closing(open_database(db)) as database:
        assert (database.collections(), database.generations("images")) == ({"images": "g0001"}, ["g0001"])


@pytest.mark.parametrize("damaged", [False, True])
def test_a_ledger_elsewhere_is_taken_along(db: Path, tmp_path: Path, damaged: bool) -> None:
    """One that is damaged stays as it is: the next index job puts it aside."""
    ledger = tmp_path / "state" / "ledger.sqlite"
    ledger.parent.mkdir()
    (db / "images" / "ledger.sqlite").rename(ledger)
    if damaged:
        ledger.write_bytes(b"no ledger" * 1000)
    retrain(RetrainJob(str(db), state=ledger.parent))
    with closing(open_database(db)) as database:
        assert database.collections() == {"images": "g0002"}
    assert not (db / "images" / "ledger.sqlite").exists()
    if damaged:
        assert ledger.read_bytes() == b"no ledger" * 1000
        return
    with closing(sqlite3.connect(ledger)) as rows:
        assert rows.execute("SELECT count(*) FROM items WHERE generation = 'g0002'").fetchone() == (5,)


def test_an_index_job_learns_from_all_pictures_of_its_sample(photos: Path, tmp_path: Path) -> None:
    """In their order, whatever the number of workers; a bad one is passed over."""
    settings = OrbSettings(features=4096, longest_side=1024)
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    paths = [str(path) for path in (*sorted(photos.iterdir())[:7], bad, *sorted(photos.iterdir())[7:])]
    done: list[int] = []

    def learn(names: list[str], **options: Any) -> Learned:
        config = WorkerConfig(Fit(28, 28, 1), 10**9, settings)
        defaults = {"workers": 2, "patience": 60, "seed": 3, "on_progress": done.append}
        return train_vocabulary(names, config, **{**defaults, **options})

    learned = learn(paths)
    assert done[-1] == 20
    kept = {}
    for path in sorted(photos.iterdir()):
        grey = to_grey(open_image(path, at_least=(1024, 1024), luma=True), longest_side=1024)
        packed = pack(extract(grey, settings), thumbnail(grey, settings.thumbnail))
        kept[hashlib.sha256(path.read_bytes()).hexdigest()] = packed
    descriptors = np.concatenate([unpack(one).descriptors for one in kept.values()])
    assert len(descriptors) >= 50_000
    assert learned.vocabulary.fingerprint == Vocabulary.train(descriptors, seed=3).fingerprint
    assert learned.features.keys() == kept.keys()
    for content, one in kept.items():
        np.testing.assert_array_equal(learned.features[content], one)
    assert learn(paths[:3]).vocabulary.fingerprint == Vocabulary.general().fingerprint


def test_features_that_the_words_were_learned_from_are_not_extracted_again(photos: Path) -> None:
    """What is handed to the workers is taken as it is, none included; other contents are looked at."""
    paths = [photos / name for name in NAMES]
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    # As float32, the first four bytes are infinite, which packing changes.
    mine = Features(np.full((1, 4), 32, np.float32), np.array([[0, 0, 128, 127] + [7] * 28], np.uint8))
    known = {contents[0]: pack(mine), contents[1]: None}
    words = Vocabulary.general()
    config = WorkerConfig(Fit(28, 28, 1), 10**9, SETTINGS, words.to_bytes(), extracted=known)
    with closing(WorkerPool(config, workers=1, slots=1, batch=4, patience=60)) as pool:
        pool.submit(Task(0, [(str(path), frozenset()) for path in paths]))
        while not (done := pool.collect(1.0)):
            pass
    first, second, *others = done[0].results
    assert isinstance(first, Decoded)
    assert isinstance(second, Decoded)
    assert first.features is not None
    assert first.words is not None
    np.testing.assert_array_equal(first.features, pack(mine))
    np.testing.assert_array_equal(first.words[0], words.sparse(unpack(pack(mine))).indices)
    assert (second.features, second.words) == (None, None)
    assert all(isinstance(other, Decoded) and other.features is not None and len(other.features) > 20 for other in others)


def test_a_sample_without_any_details_is_not_looked_at_to_its_end(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    noise = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
    for path, pixels in zip(paths, noise, strict=True):
        Image.fromarray(pixels).save(path)
    done: list[int] = []
    config = WorkerConfig(Fit(28, 28, 1), 10**9, SETTINGS)
    learned = train_vocabulary([str(path) for path in paths], config, workers=1, patience=60, seed=0, on_progress=done.append)
    assert learned.vocabulary.fingerprint == Vocabulary.general().fingerprint
    assert done[-1] == len(learned.features) == 128
    assert set(learned.features.values()) == {None}


def test_a_report_says_which_pictures_are_too_small_for_details(photos: Path, encoder_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "small").mkdir()
    with Image.open(photos / "coffee.png") as coffee:
        for size in ((47, 31), (31, 47), (48, 32)):
            coffee.resize(size).save(tmp_path / "mixed" / f"{size[0]}.png")
            if max(size) < 48:
                coffee.resize(size).save(tmp_path / "small" / f"{size[0]}.png")

    def notes(source: str, settings: OrbSettings | None) -> tuple[str, ...]:
        name = source if settings is not None else "none"
        return run(IndexJob(str(tmp_path / source), encoder_file, str(tmp_path / f"{name}.db"), orb=settings, threads=1)).notes

    some, every = notes("mixed", SETTINGS), notes("small", SETTINGS)
    assert len(some) == len(every) == 1
    assert some[0].startswith("2 of 3 pictures are smaller than 48 pixels: too small for details")
    assert every[0].startswith("all pictures are smaller than 48 pixels: too small for details")
    assert notes("small", None) == ()
    job = IndexJob(str(tmp_path / "small"), encoder_file, str(tmp_path / "none.db"), orb=SETTINGS, threads=1)
    assert run(job).notes == ("collection 'images' was made without details (--no-orb), and stays so: --rebuild adds them",)
    with SearchClient(tmp_path / "small.db") as client, pytest.raises(NoFeaturesError, match="very small"):
        client.search_features(tmp_path / "small" / "47.png")
