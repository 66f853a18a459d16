"""The files of a database: assets, room on the disk, atomic replacement, and what is said when something is in the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from semblant_search import FieldType, InvalidInput
from semblant_search.errors import StoreError
from semblant_search.store import open_database
from semblant_search.store.files import bytes_on_disk, claimed, exclusive, require_space, write_atomic
from support.points import COUNT, IDS, MANIFEST, point
from support.systems import needs_proc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_database(tmp_path / "db", create=True).create(replace(MANIFEST, fields={}))
    opened.upsert([point(number) for number in range(COUNT)])
    yield opened
    opened.close()


def test_assets_have_plain_names(store: Store) -> None:
    for name in ("", ".hidden", "..", "a/b", "a b", "ä.npz", "a\0"):
        with pytest.raises(InvalidInput, match="asset name"):
            store.asset(name)
        with pytest.raises(InvalidInput, match="asset name"):
            store.put_asset(name, b"")


def test_assets_that_cannot_be_read_or_written_say_so(store: Store, tmp_path: Path) -> None:
    (tmp_path / "db" / "images" / "g0001" / "assets" / "folder").mkdir()
    with pytest.raises(StoreError, match="folder' cannot be read"):
        store.asset("folder")
    with pytest.raises(StoreError, match="folder' cannot be written"):
        store.put_asset("folder", b"x")
    store.put_asset("a-b_c.1", b"x")
    assert store.asset("a-b_c.1") == b"x"
    assert store.asset("A-b_c.1") is None


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "use", "words"),
    [
        (127e6, lambda path: open_database(path).open("images", "g0001"), "opening a database needs 128 MB"),
        (
            255e6,
            lambda path: open_database(path).create(replace(MANIFEST, generation="g0002")),
            "a new collection needs 256 MB",
        ),
    ],
)
def test_a_disk_that_is_almost_full_is_noticed_before_opening(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, use: Callable[[Path], object], words: str
) -> None:
    store.close()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, int(free)))
    with pytest.raises(StoreError, match=f"almost full: {free / 1e6:.0f} MB are free, {words}"):
        use(tmp_path / "db")
    assert open_database(tmp_path / "db").generations("images") == ["g0001"]


def test_a_disk_that_is_almost_full_is_noticed_before_writing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 255_000_000))
    changes: list[Callable[[], object]] = [
        lambda: store.upsert([point(0)]),
        lambda: store.set_payloads({IDS[0]: {}}),
        lambda: store.delete([IDS[0]]),
        lambda: store.add_fields({"more": FieldType.BOOL}),
    ]
    for use in changes:
        with pytest.raises(StoreError, match="255 MB are free, writing needs 256 MB; make room and run it again"):
            use()
    assert store.retrieve([IDS[0]])[0].payload == point(0).payload
    assert "more" not in store.manifest.fields
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 256_000_000))
    with pytest.raises(StoreError, match="building the search index needs"):  # twice the collection and more
        store.optimize()
    store.delete([IDS[0]])
    assert store.count() == COUNT - 1


def test_room_is_measured_where_it_is_needed(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "nothing")
    with pytest.raises(StoreError, match=r"the disk is almost full.*everything needs"):
        require_space(tmp_path, 10**18, "everything")
    with pytest.raises(StoreError, match="cannot be read"):
        require_space(tmp_path / "missing", 1, "nothing")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "full").write_bytes(b"x" * 100_000)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(50_000_000)
    assert 100_000 <= bytes_on_disk(tmp_path) < 1_000_000


@needs_proc
def test_a_file_is_on_disk_before_it_takes_the_place_of_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "pointer", []
    write_atomic(path, b"old")
    os.link(path, tmp_path / "reader")  # who has the old file open goes on reading it
    real = os.fsync

    def watch(descriptor: int) -> None:
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.read_bytes()))  # noqa: PTH115
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_atomic(path, b"new")
    (first, then), (second, at_last) = seen
    assert (first.startswith(str(tmp_path / ".pointer.")), then) == (True, b"old")
    assert (second, at_last) == (str(tmp_path), b"new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["pointer", "reader"]
    assert (tmp_path / "reader").read_bytes() == b"old"


def test_what_the_engine_says_is_a_store_error_that_names_the_database(store: Store, tmp_path: Path) -> None:
    store.close()
    assert repr(store) == f"Store({str(tmp_path / 'db' / 'images' / 'g0001')!r})"
    uses: list[Callable[[], object]] = [
        store.count,
        lambda: store.put_asset("a", b""),
        lambda: store.delete(IDS[:1]),
        store.optimize,
    ]
    for use in uses:
        with pytest.raises(StoreError, match=r"g0001' is closed; open it again"):
            use()
    shutil.rmtree(tmp_path / "db" / "images" / "g0001" / "shard")
    with pytest.raises(StoreError, match=r"database '.*g0001'"):
        open_database(tmp_path / "db").open("images", "g0001")


def test_without_the_engine_the_extra_is_named(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["qdrant_edge"] = None
from semblant_search.errors import MissingExtra
from semblant_search.store import open_database
open_database(sys.argv[1]).open("images", "g0001")
"""
    (tmp_path / "images" / "g0001").mkdir(parents=True)
    (tmp_path / "semblant.json").write_text(json.dumps({"format_version": 1, "serving": {}}))
    (tmp_path / "images" / "g0001" / "manifest.json").write_text(json.dumps(MANIFEST.to_json()))
    ended = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert "MissingExtra: a database in a directory needs an optional dependency" in ended.stderr
    assert "pip install 'semblant-search[edge]'" in ended.stderr


def test_where_nothing_can_be_locked_it_is_said_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    nowhere = tmp_path / "file" / "none.lock"
    for locking in (exclusive(nowhere), claimed(nowhere, "collection 'images'")):
        with pytest.raises(StoreError, match=r"the right to write in '.*/file'"), locking:
            pass
