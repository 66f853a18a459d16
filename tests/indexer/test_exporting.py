"""Vectors and metadata as files that other programs read."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from semblant_indexer import IndexJob
from semblant_indexer.encoding_only import encode_only
from semblant_indexer.exporting import export_vectors
from semblant_search import InvalidInput, SearchClient
from semblant_search.cli import semblant
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport


def test_rows_and_vectors_belong_together_and_are_the_collection_s(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path
) -> None:
    bags = sorted((pictures / "bag").iterdir())
    lines = [f'{{"file": "{path}", "price": {number}, "tags": ["a", "b"], "sold": true}}' for number, path in enumerate(bags)]
    lines[3] = f'{{"file": "{bags[3]}", "tags": "c", "at": {{"lat": 1.0, "lon": 2.0}}}}'
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    index(tmp_path / "list.jsonl")
    index(pictures / "coat")
    out = tmp_path / "out"
    with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as store:
        assert export_vectors(store, out, rows=8) == 20
    about = json.loads((out / "export.json").read_text())
    assert (about["format_version"], about["pictures"], about["parts"], about["dim"]) == (1, 20, 3, 49)
    assert sorted(path.name for path in out.rglob("part-*")) == sorted(
        f"part-0000{number}.{kind}" for number in range(3) for kind in ("npy", "parquet")
    )
    tables = [parquet.read_table(out / "metadata" / f"part-0000{number}.parquet") for number in range(3)]
    assert tables[0].schema == tables[1].schema == tables[2].schema
    vectors = np.concatenate([np.load(out / "vectors" / f"part-0000{number}.npy") for number in range(3)])
    rows = [row for table in tables for row in table.to_pylist()]
    assert vectors.dtype == np.float32
    with SearchClient(tmp_path / "db") as client:
        for row, vector in zip(rows, vectors, strict=True):
            picture = client.get(row["_uri"], with_vectors=True)
            assert picture.id == row["id"]
            np.testing.assert_array_equal(picture.vector, vector)
            for name in ("price", "sold"):
                assert row.get(name) == picture.metadata.get(name)
    told = {row["_uri"]: row for row in rows}
    assert told[bags[0].as_uri()]["tags"] == ["a", "b"]
    assert (told[bags[3].as_uri()]["tags"], json.loads(told[bags[3].as_uri()]["at"])) == (["c"], {"lat": 1.0, "lon": 2.0})


def test_a_job_exports_what_there_is_by_then_and_again(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, encoder_file: Path
) -> None:
    out = tmp_path / "out"
    common = ["--db", str(tmp_path / "db"), "--encoder", str(encoder_file), "--no-orb", "--quiet", "--export", str(out)]
    for category, count in (("bag", 10), ("coat", 20)):
        result = CliRunner().invoke(semblant, ["index", str(pictures / category), *common])
        assert result.exit_code == 0, result.output
        assert len(np.load(out / "vectors" / "part-00000.npy")) == count
    with (
        closing(open_database(tmp_path / "db")) as db,
        closing(db.open("images")) as store,
        pytest.raises(InvalidInput, match="holds something else"),
    ):
        export_vectors(store, pictures)
    result = CliRunner().invoke(semblant, ["index", str(pictures), *common[:-1], str(pictures)])
    assert (result.exit_code, "holds something else" in result.output) == (2, True)


def test_without_a_database_the_files_are_those_of_one(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, encoder_file: Path
) -> None:
    bags = sorted((pictures / "bag").iterdir())
    lines = [json.dumps({"file": str(path), "price": number, "tags": ["a", "b"]}) for number, path in enumerate(bags)]
    lines[3] = json.dumps({"file": str(bags[3]), "tags": "c", "price": 2.5})
    (tmp_path / "list.jsonl").write_text("\n".join([*lines, json.dumps({"file": str(tmp_path / "gone.png")})]))
    bags[4].write_bytes(b"no picture")
    index(tmp_path / "list.jsonl", exif=True)
    beside, instead = tmp_path / "beside", tmp_path / "instead"
    with closing(open_database(tmp_path / "db")) as db, closing(db.open("images")) as store:
        assert export_vectors(store, beside) == 9
    job = IndexJob(str(tmp_path / "list.jsonl"), encoder_file, str(instead), exif=True, workers=1, threads=1)
    report = encode_only(job, rows=4)
    assert report.account == "found 11 = 9 indexed + 0 unchanged + 0 duplicate + 2 failed + 0 skipped"
    assert (report.reasons, report.points, report.exit_code) == ({"missing": 1, "not-an-image": 1}, 9, 3)
    about = json.loads((instead / "export.json").read_text())
    assert (about["pictures"], about["parts"], about["encoder"]) == (9, 3, report.encoder)

    def read(folder: Path) -> dict[str, tuple[dict[str, object], list[float]]]:
        rows: dict[str, tuple[dict[str, object], list[float]]] = {}
        for part in sorted((folder / "metadata").iterdir()):
            vectors = np.load(folder / "vectors" / f"{part.stem}.npy")
            for row, vector in zip(parquet.read_table(part).to_pylist(), vectors, strict=True):
                told = {name: value for name, value in row.items() if name not in ("_indexed_at", "_sources")}
                rows[str(row["id"])] = ({name: value for name, value in told.items() if value is not None}, vector.tolist())
        return rows

    expected = read(beside)
    found = read(instead)
    assert found.keys() == expected.keys()
    for id, (row, vector) in found.items():
        assert row == expected[id][0]
        np.testing.assert_allclose(vector, expected[id][1], atol=1e-6)
    schemas = {str(parquet.read_schema(part)) for part in (instead / "metadata").iterdir()}
    assert len(schemas) == 1
    assert "tags: list" in schemas.pop()


def test_the_command_line_needs_a_database_or_an_export(pictures: Path, tmp_path: Path, encoder_file: Path) -> None:
    common = ["index", str(pictures), "--encoder", str(encoder_file), "--workers", "1", "--quiet"]

    def told(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(semblant, [*common, *words], env={"SEMBLANT_DB": None})
        return result.exit_code, result.output

    out = tmp_path / "out"
    code, output = told("--export", str(out))
    assert (code, "30 indexed" in output) == (0, True), output
    assert "in the files" in output
    before = (out / "export.json").read_bytes()
    assert len(np.load(out / "vectors" / "part-00000.npy")) == 30
    for words, said in (
        ([], "Missing option '--db'"),
        (["--export", str(out), "--dry-run"], "Missing option '--db'"),
        (["--export", str(out), "--watch"], "Missing option '--db'"),
        (["--export", str(out), "--prune"], "with --prune: that needs a collection"),
        (["--export", str(out), "--duplicates", "merge"], "with --duplicates: that needs a collection"),
        (["--export", str(pictures)], "holds something else"),
    ):
        code, output = told(*words)
        assert (code, said in output) == (2, True), output
    assert (out / "export.json").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "out"}
