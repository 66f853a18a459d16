"""What a job is told: defaults, limits, and that settings come back from the ledger as they went in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from semblant_indexer import Duplicates, IndexJob
from semblant_indexer.job import cores
from semblant_indexer.ledger import Todo
from semblant_indexer.retraining import RetrainJob, RetrainReport
from semblant_indexer.state import ledger_path, state_folder
from semblant_indexer.uris import UriBase, UrlBase
from semblant_search import FieldType, canonical_uri
from semblant_search.collection import StorageOptions
from semblant_search.errors import InvalidInput
from semblant_search.orb import OrbSettings

DEFAULTS = {
    "source": "pictures",
    "encoder": Path("encoder.onnx"),
    "db": "db",
    "collection": "images",
    "include": (),
    "exclude": (),
    "hidden": False,
    "include_system": False,
    "frames": "first",
    "metadata": None,
    "find_metadata": True,
    "file_column": None,
    "fields": {},
    "orb": OrbSettings(),
    "duplicates": Duplicates.KEEP,
    "rebuild": False,
    "keep_generations": 1,
    "exif": False,
    "prune": False,
    "prune_limit": 0.2,
    "source_name": None,
    "retry": False,
    "verify": False,
    "max_pixels": 100_000_000,
    "patience": 60.0,
    "engine": "local",
    "workers": None,
    "threads": None,
    "batch": None,
    "api_key": None,
    "timeout": 30.0,
    "storage": None,
    "state": None,
    "seed": 0,
    "wait": 0.0,
}
OTHERS: dict[str, Any] = {
    "collection": "other",
    "include": ("*.jpg",),
    "exclude": ("raw",),
    "hidden": True,
    "include_system": True,
    "frames": 3,
    "metadata": Path("/table.csv"),
    "find_metadata": False,
    "file_column": "photo",
    "fields": {"price": FieldType.FLOAT, "place": FieldType.GEO},
    "orb": OrbSettings(features=99),
    "duplicates": Duplicates.MERGE,
    "rebuild": True,
    "keep_generations": 3,
    "exif": True,
    "prune": True,
    "prune_limit": 0.5,
    "source_name": "shop",
    "retry": True,
    "verify": True,
    "max_pixels": 1000,
    "patience": 1.5,
    "engine": "ray",
    "workers": 3,
    "threads": 4,
    "batch": 5,
    "timeout": 2.5,
    "storage": StorageOptions(quantize="binary", on_disk=True),
    "state": Path("/state"),
    "seed": 7,
    "wait": 90.0,
}


def job(**options: Any) -> IndexJob:
    return IndexJob(**{"source": "pictures", "encoder": Path("encoder.onnx"), "db": "db", **options})


def test_defaults() -> None:
    made = job()
    assert {field.name: getattr(made, field.name) for field in dataclasses.fields(made)} == DEFAULTS


def test_every_setting_comes_back_from_the_ledger() -> None:
    """But the API key, which is written nowhere."""
    assert set(OTHERS) == set(DEFAULTS) - {"source", "encoder", "db", "api_key"}
    made = job(source="/pictures", encoder=Path("/encoder.onnx"), db="http://host", api_key="secret", **OTHERS)
    text = json.dumps(made.to_json())
    assert "secret" not in text + repr(made)
    assert IndexJob.from_json(json.loads(text)) == dataclasses.replace(made, api_key=None)
    plain = job(source="/pictures", encoder=None, orb=None, db="/db")
    assert IndexJob.from_json(json.loads(json.dumps(plain.to_json()))) == plain
    assert IndexJob.from_json(made.to_json(), prune=False, api_key="x") == dataclasses.replace(made, prune=False, api_key="x")


def test_paths_are_kept_whole_for_a_run_from_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    kept = job(metadata="table.csv", state="state").to_json()
    assert [kept[name] for name in ("source", "encoder", "metadata", "state")] == [
        str(tmp_path / name) for name in ("pictures", "encoder.onnx", "table.csv", "state")
    ]
    assert job(source="s3://bucket/x").to_json()["source"] == "s3://bucket/x"


@pytest.mark.parametrize(
    "broken", [{}, {"source": "x"}, {**job().to_json(), "duplicates": "eat"}, {**job().to_json(), "new": 1}]
)
def test_settings_of_another_version_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="give them to semblant index again"):
        IndexJob.from_json(broken)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("workers", 1, 512),
        ("threads", 1, 512),
        ("batch", 1, 4096),
        ("max_pixels", 1, 2**31),
        ("keep_generations", 0, 100),
    ],
)
def test_numbers_have_limits(name: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(job(**{name: value}), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(InvalidInput, match=f"{name} {value}: expected a number from {least} to {most}"):
            job(**{name: value})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": ""}, "source ''"),
        ({"source": Path("x")}, "source"),
        ({"db": ""}, "db ''"),
        ({"collection": "a b"}, "collection name"),
        ({"include": [""]}, "pattern"),
        ({"duplicates": "eat"}, "duplicates 'eat': expected one of keep, flag, merge"),
        ({"engine": "spark"}, "expected one of local, ray"),
        ({"engine": "ray"}, "belongs to one process"),
        ({"patience": 0}, "patience 0: expected seconds"),
        ({"patience": float("inf")}, "patience inf"),
        ({"patience": float("nan")}, "patience nan"),
        ({"timeout": -1}, "timeout -1"),
        ({"wait": -1.0}, "wait -1"),
        ({"storage": StorageOptions(replicas=2)}, "replicas with the directory 'db'"),
        ({"wait": float("inf")}, "wait inf"),
    ],
)
def test_what_can_never_work_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        job(**wrong)


@pytest.mark.parametrize(
    ("frame", "size"), [(28 * 28, 256), (64 * 64 * 3, 256), (224 * 224 * 3, 53), (512 * 512 * 3, 10), (4096 * 4096, 8)]
)
def test_batches_have_about_8_megabytes(frame: int, size: int) -> None:
    assert job().batch_size(frame) == size
    assert job(batch=3).batch_size(frame) == 3


def test_text_is_taken_for_paths_and_choices() -> None:
    made = job(encoder="encoder.onnx", metadata="table.csv", state="state", duplicates="merge", include=["*.png"])
    assert (made.encoder, made.metadata, made.state) == (Path("encoder.onnx"), Path("table.csv"), Path("state"))
    assert (made.duplicates, made.include) == (Duplicates.MERGE, ("*.png",))


def test_cores_are_counted() -> None:
    assert cores() >= 1


def test_the_ledger_has_a_place_for_each_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ledger_path(job(collection="c"), "abc") == Path("db/c/ledger.sqlite")
    assert ledger_path(job(state="/state"), "abc") == Path("/state/ledger.sqlite")
    for url, name in (
        ("http://host", "host-6333"),
        ("http://host:6333,http://other:6333", "host-6333"),
        ("https://key@host:7000/x", "host-7000"),
        ("grpc://other:6334", "other-6334"),
    ):
        assert state_folder(url, "c") == tmp_path / "semblant" / name / "c"
        assert state_folder(url, "c", identity="abc") == tmp_path / "semblant" / "abc"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state_folder("http://host", "c") == Path.home() / ".local/state/semblant/host-6333/c"
    assert state_folder("http://host", "c", tmp_path) == tmp_path


def test_retraining_has_limits_too() -> None:
    made = RetrainJob("db")
    assert (made.collection, made.sample, made.seed, made.keep_generations, made.timeout) == ("images", 3000, 0, 1, 30.0)
    assert (made.state, made.api_key) == (None, None)
    for wrong in ({"sample": 0}, {"keep_generations": -1}):
        with pytest.raises(InvalidInput, match="expected"):
            RetrainJob("db", **wrong)  # type: ignore[arg-type]
    report = RetrainReport("images", "g0001", "g0002", 5, 4, 0, 3, "0" * 64, 1.0)
    assert report.changed
    assert not dataclasses.replace(report, generation="g0001").changed
    assert report.to_json()["changed"] is True
    assert (report.to_json()["words"], report.to_json()["before"]) == (3, "g0001")


def test_names_below_a_folder_are_joined_as_they_are_spelled(tmp_path: Path) -> None:
    base = UriBase(tmp_path)
    assert base.prefix == canonical_uri(tmp_path) + "/"
    assert base.join("a b/ü.png") == f"{canonical_uri(tmp_path)}/a%20b/%C3%BC.png"
    assert (UriBase(Path("/")).prefix, UriBase(Path("/")).join("a.png")) == ("file:///", "file:///a.png")
    for url in ("https://host/x", "https://host/x/"):
        assert UrlBase(url).prefix == "https://host/x/"
        for path in ("a/b.png", "/a/b.png", "./a//b.png"):
            assert UrlBase(url).join(path) == "https://host/x/a/b.png"


def test_a_picture_is_read_where_its_name_or_its_place_says() -> None:
    def where(uri: str, place: str | None = None) -> str:
        return Todo(uri, 1, 1, "{}", "", place=place).where

    assert where("file:///a%20b/%C3%BC.png") == "/a b/ü.png"
    assert where("https://host/a%20b.png") == "https://host/a%20b.png"
    assert where("file:///x.tar#a.png", "tar:512:9:/x.tar") == "tar:512:9:/x.tar"


def test_a_password_of_the_database_is_not_told_and_not_kept() -> None:
    job = IndexJob("pictures", Path("encoder.onnx"), "http://me:hush@host:6333")
    assert "hush" not in repr(job)
    kept = job.to_json()
    assert kept["db"] == "http://***@host:6333"
    assert "hush" not in json.dumps(kept)
    assert IndexJob.from_json(kept, db=job.db) == dataclasses.replace(
        job, encoder=Path("encoder.onnx").absolute(), source=kept["source"]
    )
