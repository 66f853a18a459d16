"""The account of a run: every term of it, and the files and numbers in which it is told."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from semblant_indexer import Duplicates, Failure, IndexReport, Progress
from semblant_indexer.generations import roll_back
from semblant_indexer.source_run import SourceRun
from semblant_indexer.status import read_status
from semblant_search import Encoder, SearchClient, canonical_uri
from semblant_search.errors import SemblantError, StoreError, StoreLocked
from semblant_search.orb import Calibration, OrbSettings, Vocabulary, calibrate, unpack_thumbnail
from semblant_search.querying.background import BACKGROUND_ASSET, Background, measure_background
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]

REPORT = IndexReport(
    source="pictures",
    db="db",
    collection="images",
    generation="g0001",
    encoder="0" * 64,
    found=12345,
    indexed=10000,
    unchanged=2000,
    duplicate=300,
    failed=40,
    skipped=5,
    encoded=9000,
    moved=0,
    removed=0,
    pruned=0,
    points=12000,
    recall_at_10=1.0,
    reasons={"empty": 40},
    failures=(Failure("file:///a.png", "empty", "it is empty"),),
    notes=(),
    seconds=1.0,
    stages={"scan": 0.5},
)


def test_the_account_is_a_sum() -> None:
    assert REPORT.account == ("found 12,345 = 10,000 indexed + 2,000 unchanged + 300 duplicate + 40 failed + 5 skipped")
    assert REPORT.adds_up
    for term in ("found", "indexed", "unchanged", "duplicate", "failed", "skipped"):
        assert not dataclasses.replace(REPORT, **{term: getattr(REPORT, term) + 1}).adds_up
    assert (REPORT.exit_code, dataclasses.replace(REPORT, failed=0).exit_code) == (3, 0)
    assert json.loads(json.dumps(REPORT.to_json()))["failures"] == [
        {"uri": "file:///a.png", "reason": "empty", "message": "it is empty"}
    ]


def test_progress_has_a_rate() -> None:
    assert Progress("index", 30, 12, seconds=4.0).rate == 3.0
    assert Progress("index", 30, 12).rate == 0.0


def test_every_item_of_a_changing_folder_is_in_one_term(
    pictures: Path, index: Index, records: Records, encoder_file: Path, tmp_path: Path
) -> None:
    bags, coats = sorted((pictures / "bag").iterdir()), sorted((pictures / "coat").iterdir())
    first = index(pictures, duplicates=Duplicates.MERGE)
    assert first.account == "found 30 = 30 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped"
    (pictures / "metadata.csv").write_text(f"file,price\nbag/{bags[0].name},3\n")  # new metadata
    bags[1].rename(pictures / "bag" / "renamed.png")  # a new name
    Image.open(bags[2]).rotate(90).save(bags[2])  # a new content
    shutil.copyfile(bags[3], pictures / "bag" / "copy.png")
    (pictures / "bad.png").write_text("no picture")
    (pictures / "nowhere.png").symlink_to(pictures / "missing.png")
    os.mkfifo(pictures / "pipe.png")
    coats[0].unlink()
    seen: list[Progress] = []
    report = index(pictures, on_progress=seen.append, duplicates=Duplicates.MERGE)
    assert report.account == "found 33 = 3 indexed + 26 unchanged + 1 duplicate + 2 failed + 1 skipped"
    # Nothing moves while a link leads to nothing: a folder may be behind it.
    assert (report.encoded, report.moved, report.removed, report.pruned, report.points) == (2, 0, 2, 0, 31)
    assert report.reasons == {"missing": 1, "not-an-image": 1}
    assert f"1 skipped, such as {canonical_uri(pictures / 'pipe.png')!r}: not a regular file" in report.notes
    assert [failure.uri for failure in report.failures] == [
        canonical_uri(pictures / name) for name in ("bad.png", "nowhere.png")
    ]
    assert (report.source, report.db, report.collection) == (str(pictures), str(tmp_path / "db"), "images")
    assert (report.generation, report.encoder) == ("g0001", Encoder(encoder_file).fingerprint)
    assert report.recall_at_10 == 1.0
    assert set(report.stages) == {"scan", "index", "optimize", "background", "decode_busy", "encode_busy", "write_busy"}
    assert sum(report.stages[name] for name in ("scan", "index", "optimize")) <= report.seconds
    assert list(dict.fromkeys(progress.phase for progress in seen)) == ["scan", "index", "optimize", "background", "done"]
    assert seen[-1] == Progress("done", 33, 33, 2, report.seconds)
    assert all(set(progress.busy) == {"decode", "encode", "write"} for progress in seen if progress.total and progress.busy)
    folder = tmp_path / "db" / "images"
    assert json.loads((folder / "report.json").read_text()) == json.loads(json.dumps(report.to_json()))
    lines = [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]
    assert lines == [dataclasses.asdict(failure) for failure in report.failures]
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) in ([], [".lock"])
    unchanged = index(pictures, duplicates=Duplicates.MERGE)
    assert unchanged.account == "found 33 = 0 indexed + 29 unchanged + 1 duplicate + 2 failed + 1 skipped"
    assert (unchanged.recall_at_10, unchanged.encoded, unchanged.moved) == (None, 0, 0)
    assert "optimize" not in unchanged.stages
    assert len(records()) == 31


def test_pictures_out_of_reach_keep_their_points(pictures: Path, index: Index, records: Records) -> None:
    """A failure that may pass is no reason to forget a picture; when it has passed, nothing is encoded again."""
    index(pictures)
    picture, hidden = sorted((pictures / "bag").iterdir())[0], pictures.parent / "hidden.png"
    picture.rename(hidden)
    picture.symlink_to(pictures / "missing.png")
    report = index(pictures, prune=True)
    assert (report.reasons, report.points, report.pruned) == ({"missing": 1}, 30, 0)
    picture.unlink()
    hidden.rename(picture)
    report = index(pictures)
    assert (report.encoded, report.failed, len(records())) == (0, 0, 30)


def test_the_report_shows_a_thousand_failures_and_the_ledger_all(index: Index, tmp_path: Path) -> None:
    source = tmp_path / "bad"
    source.mkdir()
    for number in range(1001):
        (source / f"{number:04d}.png").touch()
    report = index(source)
    assert (report.failed, report.reasons, len(report.failures)) == (1001, {"empty": 1001}, 1000)
    assert report.failures[-1].uri == canonical_uri(source / "0999.png")
    assert len((tmp_path / "db" / "images" / "failures.jsonl").read_text().splitlines()) == 1001
    assert (report.points, report.recall_at_10) == (0, None)


def test_an_account_that_does_not_add_up_is_compared_again_and_else_an_error(
    pictures: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(progress: Progress) -> None:
        if progress.phase == "optimize":
            with closing(sqlite3.connect(tmp_path / "db" / "images" / "ledger.sqlite")) as connection:
                connection.execute("DELETE FROM items WHERE uri LIKE '%/bag/%'")
                connection.commit()

    report = index(pictures, on_progress=meddle)
    assert (report.adds_up, report.found, report.points, report.encoded) == (True, 30, 30, 30)
    monkeypatch.setattr(SourceRun, "bring_back", lambda *_: None)
    (pictures / "coat" / "new.png").write_bytes(sorted(pictures.rglob("*.png"))[0].read_bytes())
    with pytest.raises(SemblantError, match=r"does not add up: .*31 points of this source in the store, 21 in the ledger"):
        index(pictures, on_progress=meddle)
    assert (index(pictures).encoded, index(pictures).unchanged) == (0, 31)


def test_the_ledger_lies_where_it_is_told_to(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures / "bag", state=tmp_path / "state")
    assert {path.name for path in (tmp_path / "state").iterdir()} >= {"ledger.sqlite", "report.json", "failures.jsonl"}
    assert [path.name for path in (tmp_path / "db" / "images").iterdir() if path.is_file() and path.name[0] != "."] == []
    assert index(pictures / "bag", state=tmp_path / "state").unchanged == 10


def test_a_report_that_cannot_be_written_is_an_error_after_all_is_indexed(pictures: Path, index: Index, tmp_path: Path) -> None:
    (tmp_path / "state" / "report.json").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"report\.json' cannot be written: .*everything is indexed"):
        index(pictures / "bag", state=tmp_path / "state")
    (tmp_path / "state" / "report.json").rmdir()
    assert index(pictures / "bag", state=tmp_path / "state").unchanged == 10


def test_a_collection_that_someone_else_has_open_is_refused(pictures: Path, index: Index, tmp_path: Path) -> None:
    bags = pictures / "bag"
    index(bags)
    code = "import sys; from semblant_search.store import open_database; s = open_database(sys.argv[1]).open('images'); "
    command = [sys.executable, "-c", code + "print('open', flush=True); sys.stdin.read()", str(tmp_path / "db")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    with pytest.raises(StoreLocked):
        index(bags)
    process.communicate()
    assert index(bags).unchanged == 10


def test_old_generations_are_kept_as_the_job_says(pictures: Path, index: Index, tmp_path: Path) -> None:
    bags = pictures / "bag"
    index(bags)
    report = index(bags, rebuild=True)
    assert (report.generation, report.encoded, report.unchanged) == ("g0002", 10, 0)
    with closing(open_database(tmp_path / "db")) as db:
        assert (db.generations("images"), db.collections()) == (["g0001", "g0002"], {"images": "g0002"})
        assert roll_back(db, "images") == ("g0002", "g0001")
    report = index(bags, rebuild=True, keep_generations=0)  # g0002 is complete, and no build to go on with
    assert (report.generation, report.encoded) == ("g0003", 10)
    with closing(open_database(tmp_path / "db")) as db:
        assert db.generations("images") == ["g0003"]
    assert index(bags).unchanged == 10
    assert [generation.name for generation in read_status(str(tmp_path / "db"), "images").generations] == ["g0003"]


def test_lookalikes_are_measured_and_kept_whenever_pictures_came(photos: Path, index: Index, tmp_path: Path) -> None:
    source = tmp_path / "album"
    source.mkdir()
    names = ("coffee.png", "rocket.jpg", "chelsea.png", "text.png")
    for name in names[:3]:
        shutil.copyfile(photos / name, source / name)

    def stored() -> tuple[Calibration, Calibration]:
        with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as store:
            kept = store.asset("calibration.json")
            words = store.asset("vocabulary.npz")
            assert kept is not None
            assert words is not None
            assert store.manifest.orb is not None
            vocabulary = Vocabulary.from_bytes(words)
            assert vocabulary.fingerprint == store.manifest.orb["vocabulary"]
            return Calibration.from_bytes(kept), calibrate(store, vocabulary)

    phases: list[str] = []
    report = index(source, orb=OrbSettings(), on_progress=lambda progress: phases.append(progress.phase))
    assert list(dict.fromkeys(phases)) == ["scan", "vocabulary", "index", "optimize", "calibrate", "background", "done"]
    assert {"calibrate", "background"} <= report.stages.keys()
    kept, measured = stored()
    assert kept == measured
    assert kept.queries == 3
    assert kept != Calibration.general()
    shutil.copyfile(photos / names[3], source / names[3])
    index(source, orb=OrbSettings())
    kept, measured = stored()
    assert kept == measured
    assert kept.queries == 4


def test_what_chance_scores_is_measured_whenever_pictures_came_and_where_it_never_was(
    fashion_small: Path, index: Index, tmp_path: Path
) -> None:
    source = tmp_path / "album"
    for category in ("bag", "coat", "sneaker"):
        shutil.copytree(fashion_small / "train" / category, source / category)

    def stored() -> tuple[Background, Background]:
        with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as store:
            kept = store.asset(BACKGROUND_ASSET)
            assert kept is not None
            return Background.from_bytes(kept), measure_background(store)

    first = index(source)
    kept, measured = stored()
    assert kept == measured
    assert kept.queries == first.points > 50
    with SearchClient(tmp_path / "db") as client:
        (hit,) = client.search(next((source / "bag").iterdir()), 1, include_self=True, fpr=0.01)
        assert hit.probability is not None
        assert hit.probability > 0.99
    assert "background" not in index(source).stages  # nothing came
    for other in list((source / "coat").iterdir())[5:]:
        other.unlink()
    index(source, prune=True, prune_limit=1)
    assert stored()[0].queries < kept.queries
    with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as store:
        next((tmp_path / "db").rglob(BACKGROUND_ASSET)).unlink()
        assert store.asset(BACKGROUND_ASSET) is None  # as a collection of an older version
    again = index(source)
    assert (again.indexed, "background" in again.stages) == (0, True)
    kept, measured = stored()
    assert kept == measured


def test_a_thumbnail_is_kept_with_the_features_as_the_settings_say(photos: Path, index: Index, tmp_path: Path) -> None:
    source = tmp_path / "album"
    source.mkdir()
    for name in ("coffee.png", "chelsea.png"):
        shutil.copyfile(photos / name, source / name)
    sizes = {}
    for side in (64, 32, 0):
        index(source, orb=OrbSettings(thumbnail=side), db=str(tmp_path / f"{side}.db"))
        with closing(open_database(tmp_path / f"{side}.db")) as db, closing(db.open("images")) as store:
            assert store.manifest.orb is not None
            assert store.manifest.orb["settings"]["thumbnail"] == side
            records = store.retrieve([record.id for record in store.scroll()], with_features=True)
            packed = [record.features for record in records if record.features is not None]
            small = [unpack_thumbnail(one) for one in packed]
            sizes[side] = [None if one is None else one.shape for one in small]
    assert sizes == {64: [(43, 64), (43, 64)], 32: [(21, 32), (21, 32)], 0: [None, None]}
