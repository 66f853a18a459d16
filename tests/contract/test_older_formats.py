"""Collections of older format versions are opened, answer and take writes; manifests become the next version's, by a table.

`golden/database-1` was written by the code of format 1, in which each byte of a feature was a number of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import IndexJob, run
from semblant_search import Manifest, SearchClient, formats, point_id
from semblant_search.errors import InvalidInput, NotADatabase, StoreError
from semblant_search.orb import FEATURE_BYTES, as_stored, unpack
from semblant_search.store import open_database
from support.golden import GOLDEN, indexed_files, picture_files, unpack_database, uri_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((GOLDEN / "database-1.json").read_bytes())
    return data


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return unpack_database(1, tmp_path)


def test_every_record_of_format_1_is_what_was_written(first: Path, facts: dict[str, Any]) -> None:
    with closing(open_database(first)) as database, closing(database.open("golden")) as store:
        assert {record.id: record.payload for record in store.scroll()} == facts["payloads"]
        told = {}
        for record in store.retrieve(list(facts["payloads"]), with_features=True):
            if record.features is not None and len(record.features):
                packed = record.features.view("<f4").astype("u1")
                told[record.id] = hashlib.sha256(packed.tobytes()).hexdigest()
                assert (as_stored(packed, store.manifest.orb["feature_bytes"]) == record.features).all()  # type: ignore[index]
                assert len(unpack(record.features)) == len(packed)
        assert told == facts["features"]


def test_a_collection_of_format_1_answers_as_it_did(first: Path, facts: dict[str, Any]) -> None:
    with SearchClient(first, collection="golden") as client:
        for uri, expected in facts["answers"].items():
            hits = client.search(uri, len(expected))
            assert [(hit.uri, pytest.approx(hit.score, abs=1e-5)) for hit in hits] == [tuple(hit) for hit in expected]
        for name in ("letters.png", "turned.jpg", "cmyk.jpg", "profile.jpg"):
            best = client.search_features((GOLDEN / "pictures" / name).read_bytes(), min_confidence=0)[0]
            assert best.uri == uri_of(GOLDEN / "pictures" / name)
            assert best.inliers >= 10
        assert client.count("price >= 1") == 8
        assert client.delete([uri_of(indexed_files()[0])]) == 1


def test_an_index_job_adds_to_a_collection_of_format_1(first: Path, tmp_path: Path) -> None:
    source = tmp_path / "new"
    source.mkdir()
    new = next(path for path in picture_files() if path not in indexed_files())
    for path in (new, GOLDEN / "pictures" / "letters.png"):
        shutil.copy(path, source)
    report = run(IndexJob(str(source), GOLDEN / "encoder.onnx", db=str(first), collection="golden", threads=1))
    # The golden files are not where they were; but whose they are the collection does not say, so that they stay.
    assert (report.encoded, report.moved) == (2, 0)
    with SearchClient(first, collection="golden") as client:
        assert client.count() == 14
        for path in source.iterdir():
            hits = client.search_features(path.read_bytes(), min_confidence=0, include_self=True)
            assert path in [hit.path for hit in hits[:2]]
    kept = json.loads((first / "golden" / "g0001" / "manifest.json").read_bytes())
    assert kept["orb"]["feature_bytes"] == (FEATURE_BYTES if kept["format_version"] == 1 else 4 * FEATURE_BYTES)


def test_a_rebuild_brings_a_collection_of_format_1_to_this_one(first: Path, tmp_path: Path) -> None:
    source = tmp_path / "new"
    source.mkdir()
    shutil.copy(GOLDEN / "pictures" / "letters.png", source)
    job = IndexJob(str(source), GOLDEN / "encoder.onnx", db=str(first), collection="golden", threads=1, rebuild=True)
    with pytest.raises(InvalidInput, match=r"12 of 12 pictures.*belongs to no source.*--prune-limit 100"):
        run(job)
    run(dataclasses.replace(job, prune_limit=1))
    with SearchClient(first, collection="golden") as client:
        assert client.manifest.generation == "g0002"
        assert (client.manifest.orb or {})["feature_bytes"] == FEATURE_BYTES
        assert client.get(source / "letters.png").id == point_id(client.get(source / "letters.png").uri)


def test_versions_are_upgraded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they will be: a made-up version 0, which called the collection by another name."""
    now = json.loads((GOLDEN / "manifest.json").read_bytes())
    zero = {("name" if key == "collection" else key): value for key, value in now.items()} | {"format_version": 0}
    with pytest.raises(NotADatabase, match=r"format version 0 .*reads versions 1 to 2"):
        Manifest.from_json(zero)
    upgrades = {0: lambda facts: {**facts, "collection": facts["name"]}, **formats.UPGRADES}
    monkeypatch.setattr(formats, "UPGRADES", upgrades)
    read = Manifest.from_json(zero)
    assert read.collection == now["collection"]
    assert read.orb is not None
    assert read.orb["feature_bytes"] == 4 * FEATURE_BYTES  # of version 1, which it was next
    assert zero["format_version"] == 0
    assert read.to_json()["format_version"] == formats.FORMAT_VERSION
    with pytest.raises(NotADatabase, match=r"version 0 is incomplete.*name"):
        Manifest.from_json({key: value for key, value in zero.items() if key != "name"})
    assert sorted(formats.UPGRADES) == list(range(formats.FORMAT_VERSION))


@pytest.mark.parametrize("orb", [3, {}, {"feature_bytes": "36"}, {"feature_bytes": None}, [1]])
def test_an_older_manifest_that_is_wrong_is_refused(orb: object) -> None:
    facts = {**json.loads((GOLDEN / "manifest.json").read_bytes()), "format_version": 1, "orb": orb}
    with pytest.raises((NotADatabase, StoreError), match="index again"):
        Manifest.from_json(facts)
