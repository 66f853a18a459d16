"""A collection moves between a directory, a server and a file, whole, and answers as before."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import FieldType, Fit, InvalidInput, NotADatabase, SearchClient, StoreError
from semblant_search.cli import semblant
from semblant_search.moving import copy_collection, copying, restore, snapshot
from semblant_search.orb import OrbSettings
from semblant_search.store import Nearest, SearchRequest, Sparse, SparseVector, open_database
from support.servers import REAL, database_of, own_name, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Database, Record, Store


@pytest.fixture(scope="module")
def original(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of photographs with details, cells and metadata."""
    work = tmp_path_factory.mktemp("moving")
    (work / "encoder.onnx").write_bytes(pixel_encoder(Fit(32, 32, 3, policy="stretch"), grid=4))
    rows = ["file,price,label,when"]
    for number, path in enumerate(sorted(photos.iterdir())):
        rows.append(f"{path},{number}.5,{'odd' if number % 2 else 'even'},2024-05-0{number % 9 + 1}")
    (work / "table.csv").write_text("\n".join(rows))
    run(IndexJob(str(photos), work / "encoder.onnx", str(work / "db"), metadata=work / "table.csv", orb=OrbSettings()))
    return work / "db"


@pytest.fixture
def db(original: Path, tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(shutil.copytree(original, tmp_path / "db"))) as database:
        yield database


@pytest.fixture(params=["stand-in", REAL])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Database, str]]:
    url = url_of(request.param)
    with own_name(url) as name, database_of(url) as database:
        yield database, name


def numbers(record: Record) -> list[float]:
    assert record.image is not None
    return np.asarray(record.image).tolist()  # type: ignore[no-any-return]


def everything(store: Store) -> dict[str, Any]:
    """What a store holds and answers, by the eyes of a user."""
    records = sorted(store.scroll(with_image=True), key=lambda record: record.id)
    first = records[0]
    all_words = SparseVector(np.arange(60_000, dtype=np.uint32), np.ones(60_000, np.float32))
    words = store.query(SearchRequest(Sparse(all_words), 50))
    assert first.image is not None
    return {
        "payloads": {record.id: record.payload for record in records},
        "images": {f"{record.id} {place}": value for record in records for place, value in enumerate(numbers(record))},
        "words": {hit.id: hit.score for hit in words},
        "look": {hit.id: hit.score for hit in store.query(SearchRequest(Nearest(first.image), 5))},
        "facet": store.facet("label"),
        "assets": {name: store.asset(name) for name in store.assets()},
        "facts": replace(store.manifest, collection="", generation=""),
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        close = name in ("images", "words", "look")  # engines make vectors of length 1 again
        assert found[name] == (pytest.approx(value, rel=1e-4, abs=1e-5) if close else value), name


def test_there_and_back_again_nothing_is_lost(db: Database, server: tuple[Database, str], tmp_path: Path) -> None:
    there, name = server
    with closing(db.open("images")) as store:
        before = everything(store)
    assert before["words"]
    report = copy_collection(db, there, name=name)
    assert (report.points, report.copied, report.collection, report.generation) == (19, 19, name, "g0001")
    assert report.queries == 16
    assert set(report.assets) >= {"encoder.onnx", "vocabulary.npz", "calibration.json"}
    with closing(there.open(name)) as store:
        assert_same(everything(store), before)
    with closing(open_database(tmp_path / "back", create=True)) as back:
        again = copy_collection(there, back, name, name="images")
        assert again.sha256 == report.sha256
        with closing(back.open("images")) as store:
            assert_same(everything(store), before)


def test_it_serves_only_once_it_is_whole_and_goes_on_where_it_stopped(
    db: Database, server: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, name = server
    monkeypatch.setattr("semblant_search.moving.comparing._BATCH", 5)

    def stop(step: str, done: int, total: int) -> None:
        assert (step, total) == ("copy", 19)
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_collection(db, there, name=name, on_progress=stop)
    assert name not in there.collections()
    assert there.generations(name) == ["g0001"]
    with closing(db.open("images")) as store:  # changes that the first half does not have
        first, second = sorted(record.id for record in store.scroll(fields=()))[:2]
        (record,) = store.retrieve([first])
        store.add_fields({"stars": FieldType.INTEGER})
        store.set_payloads({first: {**record.payload, "price": 99.5, "stars": 4}})
        store.delete([second])
    report = copy_collection(db, there, name=name)
    assert (report.points, report.copied, report.generation) == (18, 10, "g0001")
    with closing(db.open("images")) as old, closing(there.open(name)) as new:
        before, after = everything(old), everything(new)
        assert after["words"].keys() == before["words"].keys()
        if "QDRANT_URL" in os.environ:  # Qdrant weighs a word by the deleted ones that have it, too, until it tidies up
            after["words"] = before["words"]
        assert_same(after, before)


def test_what_is_there_is_replaced_only_where_it_is_said(db: Database, server: tuple[Database, str]) -> None:
    there, name = server
    copy_collection(db, there, name=name)
    with pytest.raises(InvalidInput, match=r"serves a collection .* already; give another name"):
        copy_collection(db, there, name=name)
    with closing(db.open("images")) as store:
        store.delete([record.id for record in store.scroll(fields=())][:4])
    with SearchClient(there, collection=name, refresh=0) as client:
        assert client.count() == 19
        report = copy_collection(db, there, name=name, replace_existing=True)
        assert (report.generation, client.count()) == ("g0002", 15)
    again = copy_collection(db, there, name=name, replace_existing=True)
    assert again.generation == "g0003"  # what has served is left alone
    assert there.generations(name) == ["g0001", "g0002", "g0003"]


def test_a_difference_is_found_before_it_serves(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that lose their features on the way."""
    whole = copying._point
    monkeypatch.setattr(copying, "_point", lambda record, words: replace(whole(record, words), features=None, orb=None))
    with closing(open_database(tmp_path / "other", create=True)) as other:
        with pytest.raises(StoreError, match="differs in the copy"):
            copy_collection(db, other)
        assert other.collections() == {}
        monkeypatch.undo()
        assert copy_collection(db, other).copied == 19


def test_a_snapshot_is_one_file_that_restores_anywhere(db: Database, server: tuple[Database, str], tmp_path: Path) -> None:
    there, name = server
    with closing(db.open("images")) as store:
        before = everything(store)
    file = tmp_path / "images.tar"
    report = snapshot(db, file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "images.tar"]
    assert restore(file, there, name=name).sha256 == report.sha256
    with closing(there.open(name)) as store:
        assert_same(everything(store), before)
    with pytest.raises(InvalidInput, match="exists; give a new name"):
        snapshot(db, file)
    with pytest.raises(InvalidInput, match="is no directory"):
        snapshot(db, tmp_path / "nowhere" / "images.tar")


def test_errors_name_the_snapshot_and_not_a_folder_that_is_gone(db: Database, tmp_path: Path) -> None:
    """A whole snapshot, of a database that this version does not read."""
    file = tmp_path / "images.tar"
    manifest = Path(db.location) / "images" / "g0001" / "manifest.json"
    snapshot(db, file)
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path / "work", filter="data")
    member = f"database/images/g0001/{manifest.name}"
    (tmp_path / "work" / member).write_bytes(b"{}")
    facts = json.loads((tmp_path / "work" / "snapshot.json").read_bytes())
    facts["sha256"][member.removeprefix("database/")] = hashlib.sha256(b"{}").hexdigest()
    (tmp_path / "work" / "snapshot.json").write_text(json.dumps(facts))
    file.unlink()
    with tarfile.open(file, "x") as tar:
        for name in ("snapshot.json", "database"):
            tar.add(tmp_path / "work" / name, name)
    with (
        closing(open_database(tmp_path / "other", create=True)) as other,
        pytest.raises(StoreError, match=re.escape(f"{file}#{member}")) as caught,
    ):
        restore(file, other)
    assert tempfile.gettempdir() + "/semblant-" not in str(caught.value)


def test_a_snapshot_restores_with_a_python_that_cannot_filter_tars(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12's 3.11.2, of which our images are: its `extractall` and `extract` take no `filter`, and it was a traceback."""
    file = tmp_path / "images.tar"
    snapshot(db, file)
    for name in ("extractall", "extract"):
        taken = getattr(tarfile.TarFile, name)

        def older(*given: Any, taken: Any = taken, **named: Any) -> None:
            if "filter" in named:
                raise TypeError("got an unexpected keyword argument 'filter'")
            taken(*given, **named)

        monkeypatch.setattr(tarfile.TarFile, name, older)
    with closing(open_database(tmp_path / "other", create=True)) as other:
        assert restore(file, other).points > 0


@pytest.mark.parametrize(
    "name", ["../outside", "{tmp_path}/outside", "database/link", "database/link/outside", "database/pipe"]
)
def test_a_snapshot_that_reaches_out_of_its_folder_is_refused(name: str, db: Database, tmp_path: Path) -> None:
    file = tmp_path / "images.tar"
    snapshot(db, file)
    member = tarfile.TarInfo(name.format(tmp_path=tmp_path))
    with tarfile.open(file, "a") as tar:
        if "link" in name:
            link = tarfile.TarInfo("database/link")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
            tar.addfile(link)
        elif "pipe" in name:
            member.type = tarfile.FIFOTYPE
        if name != "database/link":
            tar.addfile(member)
    before = sorted(path.name for path in tmp_path.iterdir())
    with closing(open_database(tmp_path / "other", create=True)) as other:
        with pytest.raises(NotADatabase, match=r"would lie outside of it|is no file and no folder"):
            restore(file, other)
        assert list(other.collections()) == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "other") == before


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "other", "flipped"])
def test_what_is_no_snapshot_is_refused_and_changes_nothing(db: Database, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "images.tar"
    if damage == "other":
        with tarfile.open(file, "x") as tar:
            tar.add(__file__, "test.py")
    elif damage == "flipped":  # one bit of the database inside
        snapshot(db, file)
        data = bytearray(file.read_bytes())
        data[data.rindex(b"ustar") - 3000] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        snapshot(db, file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    else:
        file.write_bytes(b"" if damage == "empty" else b"no tar" * 2000)
    with closing(open_database(tmp_path / "other", create=True)) as other:
        with pytest.raises(NotADatabase):
            restore(file, other)
        assert other.collections() == {}


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"format_version": 1}, "incomplete: it has no 'sha256'; take another snapshot"),
        ({"format_version": 1, "sha256": ["a"]}, "incomplete or wrong: .*sha256"),
        ({"format_version": 2, "sha256": {}, "more": 1}, "snapshot format version 2; this Semblant reads version 1"),
        ([], "is not a JSON object, but list"),
    ],
)
def test_contents_of_a_snapshot_that_are_none_say_what_is_wrong(
    db: Database, tmp_path: Path, contents: object, said: str
) -> None:
    file = tmp_path / "images.tar"
    (tmp_path / "snapshot.json").write_text(json.dumps(contents))
    with tarfile.open(file, "x") as tar:
        tar.add(tmp_path / "snapshot.json", "snapshot.json")
        tar.add(db.location, "database")
    with closing(open_database(tmp_path / "other", create=True)) as other, pytest.raises(NotADatabase, match=said):
        restore(file, other)


def test_the_commands_move_it(db: Database, server: tuple[Database, str], tmp_path: Path) -> None:
    there, name = server

    def semblant_(*words: str) -> str:
        result = CliRunner().invoke(semblant, words)
        assert result.exit_code == 0, result.output
        return result.output

    told = semblant_("push", db.location, there.location, "--as", name)
    assert f"'{there.location}' holds 19 pictures of '{name}', compared one by one, 16 queries answered alike" in told
    semblant_("pull", there.location, str(tmp_path / "back"), "--collection", name, "--as", "images")
    semblant_("snapshot", str(tmp_path / "images.tar"), "--db", str(tmp_path / "back"))
    told = semblant_("restore-snapshot", str(tmp_path / "images.tar"), "--db", str(tmp_path / "again"), "--json")
    assert '"points": 19' in told
    with SearchClient(tmp_path / "again") as client:
        assert client.count("label == 'even'") == 10
