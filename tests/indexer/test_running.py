"""A run as a whole: what reaches the stages, what is told on the way, how it ends when something gives way."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import Progress
from semblant_indexer.generations import recall
from semblant_search import FieldType, canonical_uri, point_id
from semblant_search.collection import RESERVED_FIELDS, StorageOptions
from semblant_search.errors import StoreError
from semblant_search.orb import OrbSettings, unpack
from semblant_search.store import open_database
from support.processes import decode_workers
from support.small_stores import as_points, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record, Store

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


@pytest.fixture
def store(tmp_path: Path) -> Callable[[], Any]:
    """The serving generation, open for a `with`."""
    from contextlib import contextmanager

    @contextmanager
    def opened() -> Iterator[Store]:
        with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as serving:
            yield serving

    return opened


def test_recall_is_measured_on_the_collection_that_was_built(
    fashion_small: Path, index: Index, store: Callable[[], Any]
) -> None:
    report = index(fashion_small / "test", storage=StorageOptions(quantize="binary"))
    assert report.points == 200
    with store() as serving:
        assert report.recall_at_10 == recall(serving)
    assert report.recall_at_10 is not None
    assert 0.2 < report.recall_at_10 < 1


def test_progress_goes_from_nothing_to_the_account(photos: Path, index: Index, tmp_path: Path) -> None:
    album = tmp_path / "album"
    for copy in range(10):  # so many that they take longer than until something is told
        shutil.copytree(photos, album / str(copy))
    (album / "bad.png").write_text("no picture")
    (album / "pipe.png").symlink_to(album / "nowhere")
    seen: list[Progress] = []
    workers: list[int] = []

    def listen(progress: Progress) -> None:
        seen.append(progress)
        if progress.phase == "index" and progress.total:
            workers.append(len(decode_workers()))

    report = index(album, on_progress=listen, batch=1, workers=3)
    assert max(workers) == 3
    told = [progress for progress in seen if progress.phase == "index" and progress.total]
    assert told
    assert {progress.total for progress in told} == {191}
    for before, after in itertools.pairwise(told):
        assert before.done <= after.done <= 191
        assert before.failed <= after.failed <= 1
        assert before.seconds < after.seconds
        assert all(0 <= share <= 1 for share in after.busy.values())
    assert seen[-1] == Progress("done", 192, 192, 2, report.seconds)
    assert report.stages["index"] >= report.stages["decode_busy"] > 0
    assert report.stages["encode_busy"] > 0
    assert report.stages["write_busy"] > 0


def test_what_is_encoded_when_a_run_is_interrupted_is_kept(photos: Path, index: Index, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.phase == "index" and progress.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(photos, on_progress=interrupt, batch=1)
    with closing(open_database(tmp_path / "db", create=True)) as db, closing(db.open("images", "g0001")) as build:
        stored = build.count()
    assert stored >= 2
    report = index(photos)
    assert (report.encoded, report.unchanged, report.points) == (19 - stored, stored, 19)
    assert not decode_workers()


def test_a_ledger_that_fails_ends_the_run_with_its_error(pictures: Path, index: Index, tmp_path: Path) -> None:
    """And is not tried again until it works, as if nothing had been."""
    statements = ["CREATE TRIGGER full BEFORE INSERT ON items BEGIN SELECT RAISE(ABORT, 'no room'); END", "DROP TRIGGER full"]

    def change() -> None:
        with closing(sqlite3.connect(tmp_path / "db" / "images" / "ledger.sqlite")) as connection:
            connection.execute(statements.pop(0))
            connection.commit()

    def meddle(progress: Progress) -> None:
        if progress.phase == "index" and not progress.total:
            change()

    with pytest.raises(StoreError, match=r"ledger '.*ledger\.sqlite' cannot be read or written: no room"):
        index(pictures, on_progress=meddle)
    change()
    report = index(pictures)
    assert report.points == 30
    assert report.encoded < 30  # points had been written before


def test_points_of_unknown_origin_are_looked_after(
    pictures: Path, index: Index, records: Records, store: Callable[[], Any]
) -> None:
    """A point that no source holds, of a picture that is not there: it counts, and no job of a source removes it."""
    bags = pictures / "bag"
    index(bags)
    inside, outside = canonical_uri(bags / "gone.png"), "https://elsewhere/x.png"
    with store() as serving:
        serving.upsert(as_points(unit_vectors(2, 49), [inside, outside]))
        serving.delete([point_id(canonical_uri(sorted(bags.iterdir())[0]))])
    report = index(bags)
    assert (report.encoded, report.unchanged, report.removed, report.points) == (1, 9, 0, 12)
    assert index(bags, prune=True).points == 12
    assert {inside, outside} <= set(records())


def test_the_fields_of_metadata_and_cameras_are_known_to_the_collection(
    pictures: Path, index: Index, store: Callable[[], Any]
) -> None:
    (pictures / "metadata.csv").write_text(f"file,price\nbag/{sorted((pictures / 'bag').iterdir())[0].name},3\n")
    index(pictures)
    with store() as serving:
        own = {"price": FieldType.INTEGER, "label": FieldType.KEYWORD}
        assert serving.manifest.fields == {**RESERVED_FIELDS, "_sources": FieldType.KEYWORD, **own}
    index(pictures, exif=True, duplicates="flag")
    with store() as serving:
        added = set(serving.manifest.fields) - {*RESERVED_FIELDS, "_sources"}
    assert added == {"price", "label", "_taken_at", "_camera", "_place", "_uris", "_duplicate_of"}


def test_new_pictures_get_the_features_that_the_collection_was_built_with(
    photos: Path, index: Index, tmp_path: Path, store: Callable[[], Any]
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for name in ("coffee.png", "text.png"):
        shutil.copyfile(photos / name, album / name)
        index(album, orb=OrbSettings(features=40) if name == "coffee.png" else OrbSettings(features=200))
    with store() as serving:
        ids = [record.id for record in serving.scroll()]
        found = [record.features for record in serving.retrieve(ids, with_features=True)]
    assert [len(unpack(features)) for features in found if features is not None] == [40, 40]
