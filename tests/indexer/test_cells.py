"""Encoders with cells: the index job stores them, keeps them for files that move, and searches by region use them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search import Encoder, SearchClient, canonical_uri, point_id
from semblant_search.store import open_database
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    path = tmp_path / "cells.onnx"
    path.write_bytes(encoder_bytes("grey-28-cells"))
    return Encoder(path, threads=1)


def stored_cells(db: Path, path: Path) -> np.ndarray | None:
    with closing(open_database(db)) as database:
        store = database.open("images")
        try:
            return store.retrieve([point_id(canonical_uri(path))], with_cells=True)[0].cells
        finally:
            store.close()


def test_cells_are_stored_and_searched_by_region(
    pictures: Path, encoder: Encoder, index: Callable[..., IndexReport], tmp_path: Path
) -> None:
    index(pictures, encoder=tmp_path / "cells.onnx")
    path = sorted((pictures / "sneaker").iterdir())[3]
    cells = stored_cells(tmp_path / "db", path)
    np.testing.assert_allclose(cells, encoder.encode_with_cells(encoder.prepare(path)[None])[1][0], atol=1e-5)  # type: ignore[arg-type]
    with SearchClient(tmp_path / "db") as client:
        hits = client.search(path, region=(0, 12, 28, 16), limit=5, include_self=True)
        assert hits[0].path == path
        assert hits[0].score == pytest.approx(1, abs=1e-5)
        assert sum(hit.path is not None and hit.path.parent.name == "sneaker" for hit in hits) >= 4


def test_a_moved_picture_keeps_its_cells(
    pictures: Path, encoder: Encoder, index: Callable[..., IndexReport], tmp_path: Path
) -> None:
    index(pictures, encoder=tmp_path / "cells.onnx")
    path = sorted((pictures / "bag").iterdir())[0]
    before = stored_cells(tmp_path / "db", path)
    path.rename(pictures / "bag" / "renamed.png")
    report = index(pictures, encoder=tmp_path / "cells.onnx")
    assert (report.moved, report.encoded) == (1, 0)
    after = stored_cells(tmp_path / "db", pictures / "bag" / "renamed.png")
    np.testing.assert_allclose(after, before, atol=1e-6)  # type: ignore[arg-type]
