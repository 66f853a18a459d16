"""What the commands on a database print: exact lines for pipes, tables for people, documents for programs."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from semblant_search import SearchClient, canonical_uri, point_id
from semblant_search.cli import semblant
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


@pytest.fixture(scope="module")
def shared(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the database for all tests that only read it."""
    return Path(shutil.copytree(indexed, tmp_path_factory.mktemp("output") / "pictures.db"))


@pytest.fixture(scope="module")
def copies(index: Callable[[Path, list[Path]], None], pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of five pictures: one with a copy in the same bytes and an enlarged one, and two others."""
    root = tmp_path_factory.mktemp("copies")
    bag = next(path for path in pictures if path.parent.name == "bag")
    (root / "bag").mkdir()
    with Image.open(bag) as picture:
        big = picture.resize((112, 112), Image.Resampling.LANCZOS)
    big.save(root / "bag" / "small.png")
    shutil.copyfile(root / "bag" / "small.png", root / "bag" / "same.png")
    big.resize((224, 224), Image.Resampling.LANCZOS).save(root / "bag" / "large.png")
    found = [root / "bag" / name for name in ("small.png", "same.png", "large.png")]
    index(root / "db", [*found, pictures[0], pictures[-1]])
    return root


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(semblant, [str(argument) for argument in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def on_a_terminal(*arguments: object, cwd: Path | None = None) -> str:
    """What a terminal of 160 columns shows, without colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm", "NO_COLOR": "1"}
    command = [str(word) for word in (SEMBLANT, *arguments)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment, cwd=cwd) as process:
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # how a terminal says that nobody writes any more
            pass
        finally:
            os.close(ours)
        assert process.wait(60) == 0, process.stderr.read() if process.stderr else ""
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", b"".join(parts).decode()).replace("\r\n", "\n")


def test_info_shows_each_fact_of_each_collection(shared: Path) -> None:
    with SearchClient(shared) as client:
        fingerprint = client.manifest.encoder_fingerprint
    lines = run("info", "--db", shared).stdout.splitlines()
    for line in (
        "images\tpictures\t300",
        "images\tgeneration\tg0001",
        "images\tencoder\tpixels (pixels, 49 numbers)",
        f"images\tfingerprint\t{fingerprint}",
        "images\tdetails (ORB)\tyes",
        "plain\tpictures\t20",
        "plain\tdetails (ORB)\tno",
        "images\tfield price\tfloat",
        "images\tfield label\tkeyword",
    ):
        assert line in lines, line


def test_info_of_one_collection_leaves_out_the_others(shared: Path) -> None:
    document = json.loads(run("info", "--db", shared, "--collection", "plain", "--json").stdout)
    assert document["db"] == str(shared)
    assert list(document["collections"]) == ["plain"]
    assert {"pictures", "generation", "encoder", "encoder_fingerprint", "orb", "fields"} <= set(
        document["collections"]["plain"]
    )
    missing = run("info", "--db", shared, "--collection", "nothing")
    assert (missing.exit_code, "no collection 'nothing'" in missing.stderr) == (1, True)


def test_facet_repeats_the_question_and_counts(shared: Path) -> None:
    where = 'label in ["bag", "coat"] and price < 35'
    document = json.loads(run("facet", "label", "--db", shared, "--where", where, "--json").stdout)
    assert document == {"field": "label", "where": where, "values": [{"value": "bag", "count": 5}]}
    assert run("facet", "label", "--db", shared, "--where", where).stdout == "bag\t5\n"


def test_lines_of_hits_have_score_place_and_metadata(shared: Path, pictures: list[Path]) -> None:
    result = run("search", pictures[0], "--db", shared, "-k", 1, "--include-self")
    assert result.stdout == f"1.000000\t{pictures[0]}\tlabel={pictures[0].parent.name}\tprice=0.0\n"


def test_metadata_cannot_break_lines_or_steer_the_terminal(db: Path, pictures: list[Path]) -> None:
    odd, name = "two\nlines,\ta tab and \x1b[31mred", canonical_uri(pictures[0])
    with closing(open_database(db).open("plain")) as store:
        (record,) = store.retrieve([point_id(name)])
        store.set_payloads({record.id: {**record.payload, "label": odd}})
    asked = ["--db", db, "--collection", "plain", "--where", "price < 1"]
    found = run("search", name, *asked, "-k", 1, "--include-self").stdout
    assert found == f"1.000000\t{pictures[0]}\tlabel={json.dumps(odd)}\tprice=0.0\n"
    assert run("facet", "label", *asked).stdout == f"{json.dumps(odd)}\t1\n"


def test_a_search_answers_with_its_question(shared: Path, pictures: list[Path]) -> None:
    where = 'label == "bag"'
    words = ["--region", "0,0,28,28", "--where", where, "--offset", 1, "-k", 2, "--features", "--min-confidence", 0]
    document = json.loads(run("search", pictures[0], "--db", shared, *words, "--json").stdout)
    assert document["query"] == {
        "picture": str(pictures[0]),
        "collection": "images",
        "by": "features",
        "limit": 2,
        "offset": 1,
        "where": where,
        "region": "0,0,28,28",
    }
    names = {"id", "uri", "metadata", "facts", "score", "verdict", "probability", "inliers", "evidence", "mirrored"}
    proof = {"support", "correlation", "disagreement", "strength", "transform", "polygon"}
    assert [set(hit) for hit in document["hits"]] == [names | proof] * 2


def test_a_region_may_have_fractions_and_blanks(shared: Path, pictures: list[Path]) -> None:
    plain = run("search", pictures[3], "--db", shared, "--features", "--min-confidence", 0, "--region", "0,0,28,28")
    assert run(
        "search", pictures[3], "--db", shared, "--features", "--min-confidence", 0, "--region", "0.0, 0, 28.0, 28"
    ).stdout == (plain.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--min-confidence", "0.5"], "--min-confidence goes with --features"),
        (["--show", "out.png"], "--show goes with --features"),
        (["--features", "--min-score", "0.5"], "not for --features"),
        (["--features", "--exact"], "not for --features"),
        (["--features", "--fpr", "0.01"], "--fpr is for searches by the look"),
        (["--fused", "--fpr", "0.01"], "--fpr is for searches by the look"),
        (["--region", "0,0,9,9", "--fpr", "0.01"], "--fpr is for searches by the look"),
        (["--features", "--fused"], "give one of them"),
        (["--fused", "--region", "0,0,9,9"], "not with --fused"),
        (["--region", "0,0,9,nine"], "expected four numbers"),
    ],
)
def test_options_that_do_not_go_together_are_named(shared: Path, pictures: list[Path], words: list[str], message: str) -> None:
    result = run("search", pictures[0], "--db", shared, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [([], "look most like it"), (["--features"], "share its details"), (["--fused"], "contain it or look like it")],
)
def test_a_gallery_says_what_was_asked_and_is_drawn_for_ids_too(
    shared: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], what: str
) -> None:
    from semblant_search import drawing

    titles: list[object] = []
    draw = drawing.draw_gallery

    def drawn(*arguments: Any, title: str, subtitle: str, **options: Any) -> Any:
        titles.extend((title, subtitle))
        return draw(*arguments, title=title, subtitle=subtitle, **options)

    monkeypatch.setattr(drawing, "draw_gallery", drawn)
    with SearchClient(shared) as client:
        own = client.get(pictures[0]).id
    where = f'label == "{pictures[0].parent.name}"'
    ask = ["--include-self", "-k", 1, "--where", where, *words, "--gallery", tmp_path / "out.png"]
    result = run("search", own, "--db", shared, *ask)
    assert (result.exit_code, result.stderr) == (0, f"gallery: {tmp_path / 'out.png'}\n")
    assert str(pictures[0]) in result.stdout
    assert titles == [f"{pictures[0].name}: 1 of 300 pictures that {what}", f"where {where}"]
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width > 500


@pytest.mark.parametrize("name", ["path", "uri", "id"])
def test_matches_are_drawn_whatever_names_the_picture(shared: Path, pictures: list[Path], tmp_path: Path, name: str) -> None:
    bag = next(path for path in pictures if path.parent.name == "bag")
    with SearchClient(shared) as client:
        query = {"path": str(bag), "uri": canonical_uri(bag), "id": client.get(bag).id}[name]
    result = run("search", query, "--db", shared, "--features", "--include-self", "-k", 1, "--show", tmp_path / "out.png")
    assert (result.exit_code, result.stderr) == (0, f"matches: {tmp_path / 'out.png'}\n")
    assert (tmp_path / "out.png").stat().st_size > 1000


def test_matches_are_drawn_for_the_region_that_was_asked_for(
    shared: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semblant_search import drawing

    asked: list[object] = []
    draw = drawing.draw_matches

    def drawn(query: Any, hits: Any, *, region: Any) -> Any:
        asked.append((query, region, len(hits)))
        return draw(query, hits, region=region)

    monkeypatch.setattr(drawing, "draw_matches", drawn)
    bag = next(path for path in pictures if path.parent.name == "bag")
    words = ["--features", "--include-self", "--region", "2,3,20,22", "--show", tmp_path / "out.png"]
    assert run("search", bag, "--db", shared, "-k", 1, "--min-confidence", 0, *words).exit_code == 0
    assert asked == [(str(bag), (2.0, 3.0, 20.0, 22.0), 1)]


def test_the_hint_about_confidence_is_for_searches_by_details_alone(shared: Path, pictures: list[Path]) -> None:
    nothing = run("search", pictures[0], "--db", shared, "--where", "price > 1000000")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "")


def test_duplicates_say_what_to_keep_and_what_each_other_is(copies: Path) -> None:
    result = run("duplicates", "--db", copies / "db", "--gallery", copies / "groups.png")
    folder = copies / "bag"
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines == [
        ["1", str(folder / "large.png"), "keep"],
        ["1", str(folder / "same.png"), "copy: resized"],
        ["1", str(folder / "small.png"), "copy: resized"],
    ]
    assert result.stderr == f"1 group, 2 pictures that could go\ngallery: {copies / 'groups.png'}\n"
    with Image.open(copies / "groups.png") as picture:
        assert picture.width > 300
    document = json.loads(run("duplicates", "--db", copies / "db", "--json").stdout)
    assert (document["collection"], document["where"]) == ("images", None)
    (group,) = document["groups"]
    assert group["representative"]["uri"] == canonical_uri(folder / "large.png")
    assert set(group["others"][0]) == {
        *("id", "uri", "metadata", "facts", "exact", "verdict", "probability", "tier", "why", "removable")
    }


def test_files_of_the_same_bytes_are_called_that(copies: Path) -> None:
    result = run("duplicates", "--db", copies / "db", "--where", "_width == 112")
    assert [line.split("\t")[2] for line in result.stdout.splitlines()] == ["keep", "same bytes"]
    document = json.loads(run("duplicates", "--db", copies / "db", "--where", "_width == 112", "--json").stdout)
    assert document["where"] == "_width == 112"
    assert document["groups"][0]["others"][0]["exact"] is True


def test_deleting_names_how_many_and_where(db: Path, pictures: list[Path]) -> None:
    asked = run("delete", *pictures[:3], "--db", db, stdin=b"n\n")
    assert "Remove 3 pictures from collection 'images'? [y/N]" in asked.stderr
    assert asked.stdout == ""
    agreed = run("delete", *pictures[:3], "--db", db, stdin=b"y\n")
    assert agreed.stderr.endswith("removed 3 of 3\n")
    assert run("count", "--db", db).stdout == "297\n"


def test_people_see_a_table_with_ranks_short_paths_and_labels_first(shared: Path, pictures: list[Path]) -> None:
    shown = on_a_terminal(
        "search", pictures[0], "--db", shared, "-k", 2, "--include-self", cwd=pictures[0].parent.parent
    ).splitlines()
    header = next(line.split() for line in shown if "score" in line)
    assert header == ["score", "picture", "label", "price"]
    first = next(line.split() for line in shown if line.split()[:1] == ["1"])
    folder = pictures[0].parent.name
    assert first == ["1", "1.0000", f"{folder}/{pictures[0].name}", folder, "0.0"]


def test_people_see_the_proof_beside_each_hit(shared: Path, pictures: list[Path]) -> None:
    bag = next(path for path in pictures if path.parent.name == "bag")
    shown = on_a_terminal("search", bag, "--db", shared, "-k", 1, "--features", "--include-self", cwd=bag.parent)
    header = next(line.split() for line in shown.splitlines() if "score" in line)
    assert header == ["score", "picture", "verdict", "probability", "inliers", "label", "price"]
    assert next(line.split() for line in shown.splitlines() if line.split()[:1] == ["1"])[2:5] == [bag.name, "copy", "1.0"]


def test_people_see_columns_with_names(shared: Path) -> None:
    assert "label" in (shown := on_a_terminal("facet", "label", "--db", shared, "-k", 1))
    assert "pictures" in shown
    shown = on_a_terminal("info", "--db", shared, "--collection", "plain")
    assert [line.split() for line in shown.splitlines() if "generation" in line] == [["generation", "g0001"]]
    assert shown.split()[0] == "plain"


def test_info_of_a_database_whose_first_job_is_not_through_says_so(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    told = json.loads((shared / "semblant.json").read_text())
    (tmp_path / "db" / "semblant.json").write_text(json.dumps({**told, "serving": {}}))
    result = run("info", "--db", tmp_path / "db")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "there is no collection yet: an index job makes it, once it is through\n"
