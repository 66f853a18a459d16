"""Vectors and metadata as files that other programs read."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet
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
