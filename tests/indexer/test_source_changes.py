"""Sources as a client and the command line see them: listed, removed, and followed where their files moved."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from semblant_search import InvalidInput, SearchClient, canonical_uri
from semblant_search.cli import semblant
from semblant_search.cli.sources import sources
from semblant_search.orb import OrbSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def test_sources_are_listed_with_what_they_hold(pictures: Path, index: Index, tmp_path: Path, photos: Path) -> None:
    index(pictures / "bag")
    index(pictures, source_name="all of it")
    with SearchClient(tmp_path / "db") as client:
        assert [(one.name, one.pictures) for one in client.sources()] == [("all of it", 30), ("bag", 10)]
        client.add(photos / "chelsea.png")
        found = client.sources()
    assert [(one.name, one.pictures, one.root) for one in found] == [
        ("all of it", 30, canonical_uri(pictures) + "/"),
        ("bag", 10, canonical_uri(pictures / "bag") + "/"),
        ("client", 1, ""),
    ]
    assert [one.scanned_at is None for one in found] == [False, False, True]
    done = CliRunner().invoke(sources, ["--db", str(tmp_path / "db"), "--json"])
    assert json.loads(done.stdout) == [one.to_json() for one in found]
    table = CliRunner().invoke(sources, ["list", "--db", str(tmp_path / "db")]).stdout
    assert "all of it" in table
    assert canonical_uri(pictures / "bag") in table


def test_a_source_is_removed_with_the_pictures_that_no_other_holds(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    index(pictures)
    index(pictures / "bag")
    with SearchClient(tmp_path / "db") as client:
        with pytest.raises(InvalidInput, match=r"no such source; there: 'bag', 'pictures'"):
            client.remove_source("coat")
        assert client.remove_source("pictures") == (20, 10)
        assert [(one.name, one.pictures) for one in client.sources()] == [("bag", 10)]
    assert set(records()) == {canonical_uri(path) for path in (pictures / "bag").iterdir()}
    assert index(pictures / "bag", prune=True).unchanged == 10
    assert not any("label" in record.payload for record in records().values())  # the outer folder said it
    report = index(pictures)
    assert (report.encoded, report.indexed, report.points) == (20, 30, 30)
    asked = CliRunner().invoke(sources, ["remove", "zzz", "--db", str(tmp_path / "db")], input="y\n")
    assert asked.exit_code == 2
    assert "no such source; there: 'bag', 'pictures'" in asked.output
    assert "Remove source" not in asked.output
    done = CliRunner().invoke(sources, ["remove", "bag", "--yes", "--db", str(tmp_path / "db")])
    assert "removed 0 pictures; 10 kept" in done.output
    assert index(pictures).unchanged == 30


def test_a_moved_root_keeps_its_vectors(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    index(pictures)
    before = records()
    new = tmp_path / "moved"
    pictures.rename(new)
    first, second = sorted((new / "bag").iterdir())[:2]
    first.unlink()
    shutil.copyfile(sorted((new / "coat").iterdir())[0], second)
    with SearchClient(tmp_path / "db") as client:
        done = client.relocate_source("pictures", new)
    assert (done.renamed, done.missing, done.different, done.elsewhere) == (28, 1, 1, 0)
    after = records()
    for path in new.rglob("*.png"):
        old, uri = canonical_uri(pictures / path.relative_to(new)), canonical_uri(path)
        if path != second:
            assert after[uri].payload == {**before[old].payload, "_uri": uri}
            np.testing.assert_array_equal(after[uri].image, before[old].image)
            assert old not in after
    report = index(new, prune=True)
    assert (report.source_name, report.encoded, report.removed, report.points) == ("pictures", 1, 2, 29)


def test_details_move_with_their_pictures(photos: Path, index: Index, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    for name in ("coffee.png", "chelsea.png"):
        shutil.copyfile(photos / name, old / name)
    index(old, orb=OrbSettings(features=60))
    old.rename(new)
    with SearchClient(tmp_path / "db") as client:
        assert client.relocate_source("old", new).renamed == 2
        (hit,) = client.search_features(photos / "coffee.png", 1)
        assert hit.uri == canonical_uri(new / "coffee.png")
    assert index(new, orb=OrbSettings(features=60)).unchanged == 2


def test_a_root_that_is_not_it_is_refused(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    index(pictures / "bag")
    index(pictures / "coat")
    db = tmp_path / "db"
    with SearchClient(db) as client:
        with pytest.raises(InvalidInput, match=r"of its 10 pictures 0 are there as they were, 10 are not.*Nothing was changed"):
            client.relocate_source("bag", pictures / "sneaker")
        with pytest.raises(InvalidInput, match="is source 'coat', and holds other pictures: of its 10 pictures 0 are there"):
            client.relocate_source("bag", pictures / "coat")
        for wrong in (pictures, pictures / "bag" / "below"):
            with pytest.raises(InvalidInput, match="neither within the old one nor around it"):
                client.relocate_source("bag", wrong)
        with pytest.raises(InvalidInput, match=r"cannot be read from here.*--no-check"):
            client.relocate_source("bag", "s3://bucket/bag")
    before = {uri: record.payload for uri, record in records().items()}
    assert len(before) == 20
    done = CliRunner().invoke(sources, ["relocate", "bag", "s3://bucket/bag", "--no-check", "--db", str(db)])
    assert done.output.startswith("bag: s3://bucket/bag/, before it was ")
    assert sum(uri.startswith("s3://bucket/bag/") for uri in records()) == 10


def test_the_pictures_beside_a_list_move_with_it(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    here, there = pictures / "coat", tmp_path / "there"
    outside = sorted((pictures / "bag").iterdir())[0]
    names = sorted(path.name for path in here.iterdir())
    (here / "list.csv").write_text("file\n" + "".join(f"{name}\n" for name in [*names, outside]))
    index(here / "list.csv")
    here.rename(there)
    with SearchClient(tmp_path / "db") as client:
        done = client.relocate_source("list.csv", there / "list.csv")
    assert (done.renamed, done.elsewhere) == (10, 1)
    assert set(records()) == {*(canonical_uri(there / name) for name in names), canonical_uri(outside)}
    assert index(there / "list.csv", prune=True).unchanged == 11


def test_a_source_is_called_otherwise(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    db = str(tmp_path / "db")
    index(pictures / "bag", source_name="bags")
    index(pictures / "coat")
    before = {uri: record.payload for uri, record in records().items()}
    done = CliRunner().invoke(sources, ["rename", str(pictures / "bag"), "bags of 2024", "--db", db])
    assert (done.exit_code, done.output.startswith("bags of 2024: file:///")) == (0, True)
    with SearchClient(db) as client:
        assert [(one.name, one.pictures) for one in client.sources()] == [("bags of 2024", 10), ("coat", 10)]
        assert client.rename_source("coat", "coat").name == "coat"
        for name, message in [
            ("coat", "already"),
            ("client", "choose another name"),
            ("", "printable"),
            ("a\nb", "printable"),
            (5, "printable"),
        ]:
            with pytest.raises(InvalidInput, match=message):
                client.rename_source("bags of 2024", name)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="did you mean 'bags of 2024'"):
            client.rename_source("bags of 2025", "x")
        client.add(sorted((pictures / "sneaker").iterdir())[0])
        with pytest.raises(InvalidInput, match="keeps its name"):
            client.rename_source("client", "added")
        client.delete(where='_sources == "client"')
    assert {uri: record.payload for uri, record in records().items()} == before
    report = index(pictures / "bag")
    assert (report.source_name, report.unchanged) == ("bags of 2024", 10)


def test_failures_are_tried_again_under_a_new_name(pictures: Path, index: Index, tmp_path: Path) -> None:
    (pictures / "bag" / "broken.png").write_bytes(b"x")
    index(pictures / "bag", source_name="bags")
    with SearchClient(tmp_path / "db") as client:
        client.rename_source("bags", "others")
    done = CliRunner().invoke(semblant, ["retry", "--db", str(tmp_path / "db"), "--quiet"])
    assert (done.exit_code, "found 11 = 0 indexed + 10 unchanged + 0 duplicate + 1 failed" in done.output) == (3, True)


@pytest.mark.parametrize("words", [["sources", "remove", "bag"], ["delete", "PICTURE"]])
def test_nobody_is_there_to_be_asked(pictures: Path, index: Index, tmp_path: Path, words: list[str]) -> None:
    index(pictures / "bag")
    picture = str(sorted((pictures / "bag").iterdir())[0])
    words = [*(picture if word == "PICTURE" else word for word in words), "--db", str(tmp_path / "db")]
    command = [sys.executable, "-c", "from semblant_search.cli import main; main()", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Remove " in done.stderr
    assert "--yes" in done.stderr
    assert "Interrupted" not in done.stderr
    no = CliRunner().invoke(semblant, words, input="n\n")
    assert (no.exit_code, "Nothing was changed" in no.output) == (1, True)
    with SearchClient(tmp_path / "db") as client:
        assert client.count() == 10
    yes = CliRunner().invoke(semblant, words, input="y\n")
    assert yes.exit_code == 0
