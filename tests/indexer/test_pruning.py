"""What `--prune` deletes, and what it never does: the pictures of other sources, other folders, other lists."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search import canonical_uri
from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def test_pruning_a_folder_spares_the_one_whose_name_goes_on(pictures: Path, index: Index, records: Records) -> None:
    (pictures / "coat").rename(pictures / "bag-old")
    index(pictures / "bag-old")
    gone = sorted((pictures / "bag").iterdir())[0]
    index(pictures / "bag")
    gone.unlink()
    report = index(pictures / "bag", prune=True)
    assert (report.removed, report.pruned, report.points) == (1, 1, 19)
    assert set(records()) == {canonical_uri(path) for name in ("bag", "bag-old") for path in (pictures / name).iterdir()}


def test_a_list_prunes_what_it_named_once_and_nothing_else(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    index(pictures / "coat")
    named, coats = sorted((pictures / "bag").iterdir()), sorted((pictures / "coat").iterdir())
    table, other = tmp_path / "list.csv", tmp_path / "list.csv.csv"
    other.write_text(f"file\n{named[9]}\n")
    index(other)

    def write(count: int) -> None:
        table.write_text("file\n" + "".join(f"{path}\n" for path in [*named[:count], coats[count]]))

    write(5)
    index(table)
    write(3)
    kept = index(table)
    assert (kept.removed, kept.pruned, kept.points) == (2, 0, 16)
    report = index(table, prune=True)
    assert (report.removed, report.pruned, report.points) == (2, 2, 14)
    assert "optimize" in report.stages
    expected = [*named[:3], named[9], *coats]
    assert set(records()) == {canonical_uri(path) for path in expected}
    assert index(table, prune=True).removed == 0


def test_a_picture_of_two_sources_is_not_moved_away_from_the_other(pictures: Path, index: Index, records: Records) -> None:
    """A copy in another folder needs no encoding, but the first one stays, also where its folder is not looked at."""
    index(pictures / "bag")
    before = records()
    shutil.copytree(pictures / "bag", pictures / "copies")
    report = index(pictures / "copies", prune=True)
    assert (report.indexed, report.encoded, report.moved, report.removed, report.points) == (10, 0, 0, 0, 20)
    stored = records()
    for path in (pictures / "bag").iterdir():
        copy = stored[canonical_uri(pictures / "copies" / path.name)]
        assert copy.payload["_uri"] == canonical_uri(pictures / "copies" / path.name)
        assert copy.image is not None
        np.testing.assert_array_equal(copy.image, before[canonical_uri(path)].image)


def test_failures_that_are_gone_are_no_removed_pictures(pictures: Path, index: Index) -> None:
    (pictures / "bad.png").write_text("no picture")
    assert index(pictures).failed == 1
    (pictures / "bad.png").unlink()
    report = index(pictures, prune=True)
    assert (report.failed, report.removed, report.pruned, report.points) == (0, 0, 0, 30)


def test_a_folder_that_is_not_there_prunes_nothing(pictures: Path, index: Index, records: Records) -> None:
    """A disk that is not mounted looks like this."""
    index(pictures)
    shutil.rmtree(pictures)
    with pytest.raises(InvalidInput):
        index(pictures, prune=True)
    assert len(records()) == 30
