"""A source whose folder lies elsewhere now: nothing comes into the collection twice, and what did is made one again."""

from __future__ import annotations

import shlex
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_indexer import IndexJob, preview, run
from semblant_search import InvalidInput, SearchClient, canonical_uri
from semblant_search.cli import semblant
from semblant_search.cli.sources import sources
from semblant_search.store import open_database
from support.servers import server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport

    Index = Callable[..., IndexReport]


@pytest.fixture(params=["directory", "server"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "directory":
        yield str(tmp_path / "db")
        return
    with server() as url:
        yield url


@pytest.fixture
def index(encoder_file: Path, tmp_path: Path, db: str) -> Index:
    def go(source: Path, **options: Any) -> IndexReport:
        settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "state": tmp_path / "state", **options}
        return run(IndexJob(str(source), encoder_file, db, **settings))

    return go


def payloads(db: str) -> dict[str, dict[str, Any]]:
    with closing(open_database(db)) as database, closing(database.open("images")) as store:
        return {str(one.payload["_uri"]): dict(one.payload) for one in store.scroll()}


def command_of(message: str) -> list[str]:
    """The words of the command that a message says, after `semblant`."""
    words = shlex.split(message[message.index("semblant sources relocate") :].replace("`", " ").replace(" (vectors", " # "))
    return words[1 : words.index("#") if "#" in words else words.index("--db") + 2]


def test_a_folder_that_moved_is_not_indexed_twice(pictures: Path, index: Index, db: str, tmp_path: Path) -> None:
    index(pictures)
    before, new = payloads(db), tmp_path / "moved there"
    pictures.rename(new)
    for go in (index, lambda source: preview(IndexJob(str(source), None, db, orb=None, state=tmp_path / "state"))):
        with pytest.raises(InvalidInput, match=r"holds the pictures of source 'pictures'.*nothing was written") as refused:
            go(new)
    assert payloads(db) == before
    done = CliRunner().invoke(semblant, command_of(str(refused.value)))
    assert (done.exit_code, "30 pictures renamed" in done.output) == (0, True), done.output
    report = index(new)
    assert (report.source_name, report.encoded, report.unchanged, report.points) == ("pictures", 0, 30, 30)


def test_a_name_says_that_it_is_another_source(pictures: Path, index: Index, db: str, tmp_path: Path) -> None:
    index(pictures)
    new = tmp_path / "copy"
    shutil.copytree(pictures, new)
    assert index(new).points == 60  # the first is there still
    shutil.move(pictures, tmp_path / "away")
    shutil.copytree(new, tmp_path / "third")
    report = index(tmp_path / "third", source_name="third")
    assert report.points == 90
    assert any("holds the pictures of source 'pictures'" in note for note in report.notes)
    assert index(tmp_path / "third").unchanged == 30


def test_another_source_of_an_empty_disk_s_is_no_move(pictures: Path, index: Index, tmp_path: Path) -> None:
    """The names are the same, and the contents others."""
    index(pictures / "bag")
    new = tmp_path / "others"
    new.mkdir()
    for old, picture in zip(sorted((pictures / "bag").iterdir()), sorted((pictures / "coat").iterdir()), strict=True):
        shutil.copyfile(picture, new / old.name)
        old.unlink()
    assert index(new).encoded == 10


def test_a_folder_that_moved_into_a_wider_one_is_told_at_the_end(pictures: Path, index: Index, db: str, tmp_path: Path) -> None:
    index(pictures / "bag")
    wide = tmp_path / "wide"
    wide.mkdir()
    (pictures / "bag").rename(wide / "old bags")
    (pictures / "coat").rename(wide / "coat")
    report = index(wide)
    assert report.points == 30
    (note,) = (note for note in report.notes if "are in this source as well" in note)
    with SearchClient(db) as client:
        done = client.relocate_source("bag", wide / "old bags")
        assert (done.renamed, done.merged, done.joined) == (10, 10, None)
        assert client.count() == 20
    assert command_of(note)[3] == str(wide / "old bags")
    assert index(wide).unchanged == 20


def test_two_sources_of_one_folder_become_one(pictures: Path, index: Index, db: str, tmp_path: Path) -> None:
    """Doubled on purpose, as an older Semblant did it unasked: pictures, edits and what only one has."""
    (pictures / "metadata.csv").write_text(
        "file,label\n" + "".join(f"{path.relative_to(pictures)},{path.parent.name}\n" for path in pictures.rglob("*.png"))
    )
    index(pictures, source_name="shop")
    names = sorted(path.relative_to(pictures) for path in pictures.rglob("*.png"))
    gone, other, edited, both, *_ = names
    new = tmp_path / "new"
    with SearchClient(db) as client:
        client.update_metadata([pictures / edited], {"tags": ["mine"]})
        client.update_metadata([pictures / both], {"rating": 5})
    pictures.rename(new)
    (new / gone).unlink()
    shutil.copyfile(new / names[-1], new / other)
    shutil.copyfile(new / names[-2], new / "only new.png")
    index(new, source_name="doubled")
    with SearchClient(db) as client:
        assert client.count() == 60
        client.update_metadata([new / both], {"rating": 2, "size": 3})
        told = client.relocate_source("shop", new, dry_run=True)
        assert client.count() == 60
        assert [one.name for one in client.sources()] == ["doubled", "shop"]
    assert (told.renamed, told.missing, told.different, told.merged, told.overridden) == (28, 1, 1, 28, 1)
    asked = CliRunner().invoke(sources, ["relocate", "shop", str(new), "--db", db])
    assert (asked.exit_code, "1 pictures have other values" in asked.output, "--yes" in asked.output) == (2, True, True)
    with SearchClient(db) as client:
        assert client.count() == 60
        done = client.relocate_source("shop", new)
        assert done == told
        assert done.joined == "doubled"
        assert [(one.name, one.root, one.pictures) for one in client.sources()] == [("shop", canonical_uri(new) + "/", 32)]
        assert client.get(new / edited).metadata == {"label": edited.parent.name, "tags": ["mine"]}
        assert client.get(new / both).metadata == {"label": both.parent.name, "rating": 5, "size": 3}
    expected = {canonical_uri(path) for path in new.rglob("*.png")} | {canonical_uri(pictures / name) for name in (gone, other)}
    assert set(payloads(db)) == expected
    report = index(new, prune=True)
    assert (report.source_name, report.encoded, report.removed, report.points) == ("shop", 0, 2, 30)
    with SearchClient(db) as client:
        assert client.get(new / edited).metadata == {"label": edited.parent.name, "tags": ["mine"]}
        assert client.get(new / both).metadata == {"label": both.parent.name, "rating": 5, "size": 3}
    assert index(new).unchanged == 30


def test_pictures_of_a_third_source_stay_its_when_two_become_one(pictures: Path, index: Index, db: str, tmp_path: Path) -> None:
    index(pictures / "bag", source_name="old")
    new = tmp_path / "new"
    shutil.copytree(pictures / "bag", new / "bag")
    index(new / "bag", source_name="doubled")
    index(new, source_name="third")
    shutil.rmtree(pictures / "bag")
    with SearchClient(db) as client:
        assert client.relocate_source("old", new / "bag").joined == "doubled"
        assert [(one.name, one.pictures) for one in client.sources()] == [("old", 10), ("third", 10)]
        assert client.remove_source("old") == (0, 10)
    assert index(new).unchanged == 10


def test_a_link_to_a_source_s_folder_is_that_source(pictures: Path, index: Index, db: str, tmp_path: Path) -> None:
    index(pictures)
    link = tmp_path / "link"
    link.symlink_to(pictures)
    report = index(link)
    assert (report.source_name, report.unchanged, report.points) == ("pictures", 30, 30)
    (note,) = (note for note in report.notes if "same folder" in note)
    assert "--source NAME" in note
    report = index(link, source_name="by the link")
    assert (report.source_name, report.points) == ("by the link", 60)
    assert index(link).unchanged == 30
    with SearchClient(db) as client:
        assert [(one.name, one.pictures) for one in client.sources()] == [("by the link", 30), ("pictures", 30)]


def test_a_link_has_the_table_that_was_given_the_last_time(pictures: Path, index: Index, tmp_path: Path) -> None:
    table, link = tmp_path / "table.csv", tmp_path / "link"
    table.write_text(f"file,price\nbag/{sorted((pictures / 'bag').iterdir())[0].name},5\n")
    link.symlink_to(pictures)
    index(pictures, metadata=table)
    report = index(link)
    assert report.unchanged == 30
    assert [any(words in note for note in report.notes) for words in ("same folder", "as the last time")] == [True, True]


def test_a_folder_that_was_indexed_by_a_link_is_that_source(pictures: Path, index: Index, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(pictures)
    index(link)
    planned = index(pictures)
    assert (planned.source_name, planned.unchanged, planned.points) == ("link", 30, 30)
