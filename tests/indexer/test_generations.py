"""Builds of a collection: which one serves, which one a job goes on with, what is kept and what is refused."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_indexer import IndexJob
from semblant_indexer.generations import begin, describe, drop_old, open_current, orb_of, publish, recall, roll_back
from semblant_search import Encoder
from semblant_search.collection import RESERVED_FIELDS, FieldType, StorageOptions, point_id
from semblant_search.errors import CollectionNotFound, EncoderMismatch, InvalidInput, StoreError
from semblant_search.orb import FEATURE_BYTES, OrbSettings, Vocabulary
from semblant_search.store import open_database
from support.asking import request_for
from support.small_stores import MOMENT, add_generation, as_points, manifest, unit_vectors, uris

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "db", create=True)) as database:
        yield database


@pytest.fixture(scope="module")
def encoder(encoder_file: Path) -> Encoder:
    return Encoder(encoder_file, threads=1)


def serve(db: Database, *names: str) -> None:
    """Make and publish generations one after the other."""
    for name in names:
        with closing(db.create(manifest(name))) as store:
            store.upsert(as_points(unit_vectors(3)))
            publish(db, store)


def job_for(db: Database, encoder_file: Path, **options: Any) -> IndexJob:
    return IndexJob("pictures", encoder_file, db.location, **{"orb": None, **options})


@pytest.mark.parametrize("place", [0, 9])
def test_a_build_whose_pictures_do_not_find_themselves_never_serves(db: Database, place: int) -> None:
    serve(db, "g0001")
    vectors = unit_vectors(10)
    in_order = sorted(range(10), key=lambda number: point_id(uris(10)[number]))  # as samples are drawn
    vectors[in_order[place]] = 0  # it lies in no direction, so that no search is near it
    add_generation(db, "g0002", vectors)
    with closing(db.open("images", "g0002")) as store, pytest.raises(StoreError, match=r"not sound.*does not find itself"):
        publish(db, store)
    assert db.collections() == {"images": "g0001"}


def test_a_rollback_goes_to_the_one_before_and_back_to_any_that_is_there(db: Database) -> None:
    serve(db, "g0001", "g0002", "g0003", "g0004")
    assert roll_back(db, "images") == ("g0004", "g0003")
    assert roll_back(db, "images") == ("g0003", "g0002")
    assert db.collections() == {"images": "g0002"}
    assert roll_back(db, "images", "g0004") == ("g0002", "g0004")
    assert roll_back(db, "images", "g0001") == ("g0004", "g0001")
    with pytest.raises(CollectionNotFound, match="no generation before g0001"):
        roll_back(db, "images")
    with pytest.raises(CollectionNotFound, match="no generation 'g0009'; there: g0001, g0002, g0003, g0004"):
        roll_back(db, "images", "g0009")
    with pytest.raises(CollectionNotFound, match="no collection 'others'; there: images"):
        roll_back(db, "others")
    assert db.collections() == {"images": "g0001"}


def test_old_generations_go_but_as_many_as_are_kept(db: Database) -> None:
    serve(db, "g0001", "g0002", "g0003", "g0004")
    add_generation(db, "g0005")  # one that is being built
    for keep, dropped in ((9, []), (3, []), (2, ["g0001"]), (0, ["g0002", "g0003"]), (0, [])):
        assert drop_old(db, "images", keep) == dropped
    assert db.generations("images") == ["g0004", "g0005"]
    assert db.collections() == {"images": "g0004"}


def test_nothing_is_dropped_where_nothing_serves(db: Database) -> None:
    add_generation(db, "g0001")
    assert drop_old(db, "images", 0) == []
    assert drop_old(db, "others", 0) == []


def test_generations_are_described_oldest_first(db: Database) -> None:
    serve(db, "g0001", "g0002")
    add_generation(db, "g0003", unit_vectors(5), created_at="2024-06-01T00:00:00Z")
    rows = describe(db, "images")
    facts = {"created_at": MOMENT, "encoder": "pixels", "encoder_fingerprint": "0" * 64, "points": 3}
    assert rows == [
        {"name": "g0001", "serving": False, **facts},
        {"name": "g0002", "serving": True, **facts},
        {"name": "g0003", "serving": False, **facts, "created_at": "2024-06-01T00:00:00Z", "points": 5},
    ]
    with pytest.raises(CollectionNotFound, match="'others'"):
        describe(db, "others")


def test_a_new_generation_has_all_that_reading_it_needs(db: Database, encoder: Encoder, encoder_file: Path) -> None:
    words, storage = Vocabulary.general(), StorageOptions(quantize="scalar")
    job = job_for(db, encoder_file, orb=OrbSettings(features=99), storage=storage)
    serve(db, "g0007")
    with closing(begin(db, job, encoder, words)) as store:
        made = store.manifest
        assert (made.collection, made.generation, made.storage) == ("images", "g0008", storage)
        assert (made.encoder_fingerprint, made.encoder) == (encoder.fingerprint, encoder.card)
        assert made.fields == {**RESERVED_FIELDS, "_sources": FieldType.KEYWORD}
        assert made.orb == {
            "settings": OrbSettings(features=99).to_json(),
            "vocabulary": words.fingerprint,
            "feature_bytes": FEATURE_BYTES,
        }
        assert store.asset("encoder.onnx") == encoder_file.read_bytes()
        assert store.asset("vocabulary.npz") == words.to_bytes()
        assert orb_of(store) == (OrbSettings(features=99), words.to_bytes())
        assert store.count() == 0
    assert db.collections() == {"images": "g0007"}
    with closing(begin(db, job_for(db, encoder_file), encoder, None)) as store:
        assert (store.manifest.generation, store.manifest.orb, store.manifest.storage) == ("g0009", None, StorageOptions())
        assert store.asset("vocabulary.npz") is None
        assert orb_of(store) == (None, None)


def test_lost_words_are_said(db: Database) -> None:
    orb = {"settings": OrbSettings().to_json(), "vocabulary": "0" * 64, "feature_bytes": FEATURE_BYTES}
    with closing(db.create(manifest(orb=orb))) as store, pytest.raises(StoreError, match=r"vocabulary\.npz is missing"):
        orb_of(store)


def test_a_job_goes_on_with_what_serves_and_refuses_what_does_not_compare(
    db: Database, encoder: Encoder, encoder_file: Path
) -> None:
    assert open_current(db, job_for(db, encoder_file), encoder) is None
    storage = StorageOptions(quantize="scalar", on_disk=True)
    with closing(begin(db, job_for(db, encoder_file, storage=storage), encoder, None)) as store:
        publish(db, store)
    for wanted in (None, storage):
        current = open_current(db, job_for(db, encoder_file, storage=wanted), encoder)
        assert current is not None
        assert current.manifest.generation == "g0001"
        current.close()
    for other in (StorageOptions(), StorageOptions(quantize="scalar"), StorageOptions(on_disk=True)):
        with pytest.raises(InvalidInput, match="use --rebuild"):
            open_current(db, job_for(db, encoder_file, storage=other), encoder)
    serve(db, "g0002")  # of another encoder
    with pytest.raises(EncoderMismatch, match="Use --rebuild"):
        open_current(db, job_for(db, encoder_file), encoder)
    assert open_current(db, job_for(db, encoder_file, rebuild=True), encoder) is None
    assert db.generations("images") == ["g0001", "g0002"]  # what serves or served is no interrupted build


WORDS = Vocabulary.general()


@pytest.mark.parametrize(
    ("build", "job"),
    [
        ({}, {}),
        ({"storage": StorageOptions(quantize="turbo")}, {"storage": StorageOptions(quantize="turbo")}),
        ({"orb": OrbSettings(features=99)}, {"orb": OrbSettings(features=99)}),
    ],
)
@pytest.mark.parametrize("served", [False, True])
def test_an_interrupted_build_of_the_same_kind_is_gone_on_with(
    db: Database, encoder: Encoder, encoder_file: Path, build: dict[str, Any], job: dict[str, Any], served: bool
) -> None:
    if served:
        serve(db, "g0001")
    made = begin(db, job_for(db, encoder_file, **build), encoder, WORDS if "orb" in build else None)
    made.close()
    store = open_current(db, job_for(db, encoder_file, rebuild=True, **job), encoder)
    assert store is not None
    assert store.manifest.generation == made.manifest.generation
    store.close()


@pytest.mark.parametrize(
    ("build", "words", "job"),
    [
        ({"storage": StorageOptions(quantize="turbo")}, None, {}),
        ({}, None, {"storage": StorageOptions(on_disk=True)}),
        ({"orb": OrbSettings()}, WORDS, {"orb": OrbSettings(features=99)}),
        ({"orb": OrbSettings()}, WORDS, {}),
        ({}, None, {"orb": OrbSettings()}),
    ],
)
def test_an_interrupted_build_of_another_kind_is_dropped(
    db: Database,
    encoder: Encoder,
    encoder_file: Path,
    build: dict[str, Any],
    words: Vocabulary | None,
    job: dict[str, Any],
) -> None:
    serve(db, "g0001")
    begin(db, job_for(db, encoder_file, **build), encoder, words).close()
    assert open_current(db, job_for(db, encoder_file, rebuild=True, **job), encoder) is None
    assert db.generations("images") == ["g0001"]


@pytest.mark.parametrize("lost", ["encoder.onnx", "vocabulary.npz"])
def test_a_build_that_was_interrupted_before_it_was_whole_is_dropped(
    db: Database, encoder: Encoder, encoder_file: Path, tmp_path: Path, lost: str
) -> None:
    job = job_for(db, encoder_file, orb=OrbSettings())
    begin(db, job, encoder, WORDS).close()
    (tmp_path / "db" / "images" / "g0001" / "assets" / lost).unlink()
    assert open_current(db, job, encoder) is None
    assert db.generations("images") == []


def test_a_build_for_another_encoder_is_dropped(db: Database, encoder: Encoder, encoder_file: Path) -> None:
    add_generation(db, "g0001")
    assert open_current(db, job_for(db, encoder_file), encoder) is None
    assert db.generations("images") == []


def test_a_build_that_served_is_not_gone_on_with(db: Database, encoder: Encoder, encoder_file: Path) -> None:
    """After a rollback it looks like an interrupted one, being newer than what serves."""
    serve(db, "g0001")
    job = job_for(db, encoder_file, rebuild=True)
    with closing(begin(db, job, encoder, None)) as store:
        store.upsert(as_points(unit_vectors(4, encoder.card.dim)))
        publish(db, store)
    roll_back(db, "images")
    assert open_current(db, job, encoder) is None
    assert db.generations("images") == ["g0001", "g0002"]


def test_what_is_older_than_the_serving_one_is_no_interrupted_build(db: Database, encoder: Encoder, encoder_file: Path) -> None:
    add_generation(db, "g0001")
    add_generation(db, "g0002")
    db.publish("images", "g0002")
    assert open_current(db, job_for(db, encoder_file, rebuild=True), encoder) is None
    assert db.generations("images") == ["g0001", "g0002"]


def test_recall_is_measured(db: Database) -> None:
    """On one bit a number, where the graph misses neighbours; against a count of them by hand."""
    vectors, names = unit_vectors(300, 48), uris(300)
    with closing(db.create(manifest(dim=48, storage=StorageOptions(quantize="binary")))) as store:
        assert recall(store) is None
        store.upsert(as_points(vectors, names))
        store.optimize()
        sample = sorted(range(300), key=lambda number: point_id(names[number]))[:64]
        shares = []
        for number in sample:
            nearest = np.argsort(-(vectors @ vectors[number]))[:10]
            hits = store.query(request_for(vectors[number], limit=10))
            shares.append(len({names[one] for one in nearest} & {hit.payload["_uri"] for hit in hits}) / 10)
        measured = recall(store)
        assert measured is not None
        assert measured < 0.98
        assert measured == pytest.approx(np.mean(shares), abs=1e-4)


def test_recall_of_equal_pictures_is_whole(db: Database) -> None:
    """Which of equal neighbours come is no matter of recall; a collection of fewer than ten has none that are missing."""
    for name, vectors in (("g0001", np.repeat(unit_vectors(2), 20, axis=0)), ("g0002", unit_vectors(3))):
        add_generation(db, name, vectors)
        with closing(db.open("images", name)) as store:
            assert recall(store) == 1.0
