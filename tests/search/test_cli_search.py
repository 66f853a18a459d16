"""`semblant search` and its sisters, as a user types them: what is printed, what is drawn, how they end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from semblant_search import Encoder, SearchClient, canonical_uri
from semblant_search.cli import semblant
from semblant_search.querying.background import BACKGROUND_ASSET, measure_background
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


@pytest.fixture(scope="module")
def shared(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the database for all tests that only read it."""
    return Path(shutil.copytree(indexed, tmp_path_factory.mktemp("cli") / "pictures.db"))


@pytest.fixture(scope="module")
def query(fashion_small: Path) -> Path:
    return sorted((fashion_small / "test" / "trouser").glob("*.png"))[0]


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(semblant, [str(argument) for argument in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def fails(result: Result, code: int, *words: str) -> None:
    """It ended with this exit code and one clear message on stderr, nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_hits_are_lines_that_other_programs_can_cut(shared: Path, query: Path) -> None:
    done = subprocess.run([SEMBLANT, "search", query, "--db", shared, "-k", "3"], capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 3
    assert done.stderr == ""
    for score, place, *metadata in lines:
        assert -1 <= float(score) <= 1
        assert Path(place).is_file()
        assert f"label={Path(place).parent.name}" in metadata


def test_json_is_one_document_with_all_that_is_known(shared: Path, query: Path) -> None:
    result = run("search", query, "--db", shared, "-k", 4, "--where", 'label == "coat"', "--json")
    document = json.loads(result.stdout)
    assert document["query"] == {
        "picture": str(query),
        "collection": "images",
        "by": "look",
        "limit": 4,
        "offset": 0,
        "where": 'label == "coat"',
    }
    with SearchClient(shared) as client:
        assert document["hits"] == [hit.to_json() for hit in client.search(query, 4, where='label == "coat"')]


def test_the_query_may_come_from_standard_input_or_from_the_collection(shared: Path, query: Path, pictures: list[Path]) -> None:
    from_file = run("search", query, "--db", shared).stdout
    assert run("search", "-", "--db", shared, stdin=query.read_bytes()).stdout == from_file
    own = canonical_uri(pictures[0])
    assert str(pictures[0]) not in run("search", own, "--db", shared).stdout
    assert str(pictures[0]) in run("search", own, "--db", shared, "--include-self").stdout.splitlines()[0]


def test_the_gallery_is_a_picture_that_fits_its_format(shared: Path, query: Path, tmp_path: Path) -> None:
    for name, format in (("out.png", "PNG"), ("out.jpg", "JPEG")):
        result = run("search", query, "--db", shared, "--gallery", tmp_path / name)
        assert len(result.stdout.splitlines()) == 10
        with Image.open(tmp_path / name) as picture:
            assert picture.format == format
            assert picture.width > 1200


def test_features_find_the_same_picture_under_another_name(shared: Path, pictures: list[Path], tmp_path: Path) -> None:
    bag = next(path for path in pictures if path.parent.name == "bag")
    with Image.open(bag) as picture:
        picture.save(tmp_path / "other name.png")
    result = run("search", tmp_path / "other name.png", "--db", shared, "--features", "-k", 5, "--json")
    document = json.loads(result.stdout)
    assert document["query"]["by"] == "features"
    assert (document["hits"][0]["uri"], document["hits"][0]["verdict"]) == (canonical_uri(bag), "copy")


def test_features_of_a_region_are_drawn_with_their_proof(shared: Path, pictures: list[Path], tmp_path: Path) -> None:
    bag = next(path for path in pictures if path.parent.name == "bag")
    options = ["--features", "--region", "0,0,28,28", "--include-self", "--show", tmp_path / "matches.png"]
    result = run("search", bag, "--db", shared, *options)
    assert (result.exit_code, result.stderr) == (0, f"matches: {tmp_path / 'matches.png'}\n")
    assert result.stdout.split("\t")[1:4] == [str(bag), "verdict=copy", "probability=1.0"]
    with Image.open(tmp_path / "matches.png") as picture:
        assert picture.width > 800


def test_nothing_proven_is_said_and_no_failure(shared: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)
    Image.fromarray(noise).resize((270, 270)).save(tmp_path / "noise.png")
    ask = ["search", tmp_path / "noise.png", "--db", shared, "--features"]
    result = run(*ask, "--json")
    assert (result.exit_code, json.loads(result.stdout)["hits"]) == (0, [])
    assert "no picture is proven" in result.stderr
    assert len(run(*ask, "--min-confidence", 0).stdout.splitlines()) == 10


def test_fused_search_is_a_way_of_its_own(shared: Path, query: Path) -> None:
    document = json.loads(run("search", query, "--db", shared, "--fused", "--json").stdout)
    assert document["query"]["by"] == "fused"
    assert len(document["hits"]) == 10


def test_exact_minimum_offset_and_filter_reach_the_library(shared: Path, query: Path) -> None:
    result = run(
        "search", query, "--db", shared, "--exact", "--offset", 2, "--min-score", 0.5, "--where", "price > 3", "--json"
    )
    with SearchClient(shared) as client:
        expected = client.search(query, offset=2, min_score=0.5, exact=True, where="price > 3")
    assert [hit["id"] for hit in json.loads(result.stdout)["hits"]] == [hit.id for hit in expected]


def test_fpr_leaves_nothing_where_nothing_is_like_it(db: Path, pictures: list[Path], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    asked = ("search", tmp_path / "noise.png", "--db", db, "--fpr", 0.01)
    fails(run(*asked), 1, "run `semblant index` on it again")
    with closing(open_database(db)) as database, closing(database.open("images")) as store:
        store.put_asset(BACKGROUND_ASSET, measure_background(store).to_bytes())
    result = run(*asked)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing like it here" in result.stderr
    result = run("search", pictures[3], "--db", db, "--include-self", "--fpr", 0.01)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0].split("\t")[:3] == ["1.000000", str(pictures[3]), "probability=1.0"]
    (first, *_) = json.loads(run("search", pictures[3], "--db", db, "--include-self", "--json").stdout)["hits"]
    assert first["probability"] > 0.999


def test_info_tells_what_the_database_holds(shared: Path) -> None:
    found = json.loads(run("info", "--db", shared, "--json").stdout)["collections"]
    assert {name: facts["pictures"] for name, facts in found.items()} == {"images": 300, "plain": 20}
    assert found["images"]["encoder"]["name"] == "pixels"
    assert "images\tpictures\t300" in run("info", "--db", shared).stdout.splitlines()


def test_count_and_facet(shared: Path) -> None:
    assert run("count", "--db", shared).stdout == "300\n"
    assert run("count", "--db", shared, "--where", 'label == "bag" or price < 2').stdout == "32\n"
    assert run("facet", "label", "--db", shared, "-k", 2).stdout == "ankle-boot\t30\nbag\t30\n"
    assert json.loads(run("facet", "label", "--db", shared, "-k", 1, "--json").stdout)["values"] == [
        {"value": "ankle-boot", "count": 30}
    ]


def test_delete_asks_first(db: Path, pictures: list[Path]) -> None:
    assert run("delete", pictures[0], "--db", db, stdin=b"n\n").exit_code == 1
    assert run("count", "--db", db).stdout == "300\n"
    result = run("delete", pictures[0], canonical_uri(pictures[1]), "/not/indexed.png", "--db", db, "--yes")
    assert result.exit_code == 3
    assert result.stderr == "removed 2 of 3\nno pictures of collection 'images': '/not/indexed.png'\n"
    assert run("count", "--db", db).stdout == "298\n"


@pytest.mark.parametrize("options", [["--yes"], []])
def test_deleting_what_is_not_there_fails_and_says_so(shared: Path, options: list[str]) -> None:
    for name in ("/not/indexed.png", "shop://none/1", "00000000-0000-0000-0000-000000000000"):
        result = run("delete", name, "--db", shared, *options)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"{name!r}: no picture of collection 'images'; expected its URI, its path or its point id" in result.stderr
    result = run("delete", "gone", "/gone/too", "--db", shared, *options)
    assert (result.exit_code, "removed" in result.stderr) == (1, False)


def test_many_names_of_nothing_are_told_up_to_ten(db: Path, pictures: list[Path]) -> None:
    result = run("delete", pictures[0], *(f"gone-{number}" for number in range(12)), "--db", db, "--yes")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[0] == "removed 1 of 13"
    assert result.stderr.endswith("'gone-9' and 2 more\n")


def test_the_database_may_come_from_the_environment(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMBLANT_DB", str(shared))
    assert run("count").stdout == "300\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--where", "price <"], ["price <", "^"]),
        (["--where", 'price < 3 and colour == "red"'], ["colour", "^"]),
        (["--where", "price == 'cheap'"], ["price"]),
        (["-k", "0"], ["limit", "at least 1"]),
        (["-k", "-3"], ["limit", "at least 1"]),
        (["-k", "many"], ["many"]),
        (["--offset", "-1"], ["offset"]),
        (["--timeout", "0"], ["timeout"]),
        (["--collection", "../x"], ["collection name"]),
        (["--features", "--exact"], ["--features"]),
        (["--features", "--fused"], ["--fused"]),
        (["--region", "1,2,3,4"], ["no cells", "--features"]),
        (["--features", "--region", "1,2,3"], ["--region", "four numbers"]),
        (["--features", "--region", "1,2,0,9"], ["region"]),
        (["--features", "--region", "900,900,9,9"], ["outside the picture"]),
        (["--features", "--min-confidence", "2"], ["min_confidence"]),
        (["--api-key", "k"], ["API key"]),
        (["--nonsense"], ["--nonsense"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(shared: Path, query: Path, options: list[str], words: list[str]) -> None:
    fails(run("search", query, "--db", shared, *options), 2, *words)


def test_pictures_that_cannot_be_asked_with_end_with_1(shared: Path, tmp_path: Path) -> None:
    text, flat = tmp_path / "text.png", tmp_path / "flat.png"
    text.write_text("not a picture")
    Image.new("L", (200, 200), 7).save(flat)
    fails(run("search", text, "--db", shared), 1, "text.png", "not a picture")
    fails(run("search", tmp_path / "gone.png", "--db", shared), 1, "gone.png", "no such file")
    fails(run("search", "https://example.org/a.png", "--db", shared), 1, "example.org")
    fails(run("search", "-", "--db", shared, stdin=b""), 1, "empty")
    fails(run("search", tmp_path, "--db", shared), 1, "cannot be read")
    fails(
        run("search", flat, "--db", shared, "--features"),
        1,
        "flat.png' has no ORB features",
        "whole look instead, without --features",
    )


def test_databases_that_cannot_be_used_end_with_1(shared: Path, query: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").touch()
    for command in (["search", query], ["count"], ["facet", "label"], ["delete", query, "--yes"]):
        fails(run(*command, "--db", tmp_path / "nothing"), 1, "does not exist")
        fails(run(*command, "--db", tmp_path / "photos"), 1, "not a Semblant database")
        fails(run(*command, "--db", shared, "--collection", "photos"), 1, "no collection 'photos'", "images")
    fails(run("info", "--db", tmp_path / "nothing"), 1, "does not exist")
    fails(run("search", query, "--db", "ftp://example.org/x"), 2, "ftp")
    fails(run("search", query, "--db", shared, "--collection", "plain", "--features"), 1, "without ORB")


def test_a_database_that_another_process_holds_is_named(db: Path, query: Path) -> None:
    with SearchClient(db):
        done = subprocess.run([SEMBLANT, "search", query, "--db", db], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "another process" in done.stderr
    assert "Traceback" not in done.stderr


def test_encoders_that_cannot_be_used_end_with_1(
    shared: Path, query: Path, tmp_path: Path, encoder: Encoder, other_encoder: Encoder
) -> None:
    files = {
        "cut": encoder.to_bytes()[:300],
        "text": b"no encoder",
        "other": other_encoder.to_bytes(),
        "right": encoder.to_bytes(),
    }
    for name, data in files.items():
        (tmp_path / f"{name}.onnx").write_bytes(data)
    for name, word in (("cut", "cut.onnx"), ("text", "ONNX"), ("other", "not the one"), ("missing", "missing.onnx")):
        fails(run("search", query, "--db", shared, "--encoder", tmp_path / f"{name}.onnx"), 1, word)
    plain = ["search", query, "--db", shared, "--collection", "plain"]
    fails(run(*plain), 1, "--encoder")
    assert run(*plain, "--encoder", tmp_path / "right.onnx").exit_code == 0


def test_a_gallery_that_cannot_be_written_keeps_the_hits(shared: Path, query: Path, tmp_path: Path) -> None:
    result = run("search", query, "--db", shared, "--gallery", tmp_path / "no" / "folder" / "out.png")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 10
    assert "cannot be written" in result.stderr


class _Denies(BaseHTTPRequestHandler):
    """Answers every request as a Qdrant server answers a wrong API key."""

    def do_GET(self) -> None:
        body = b'{"status":{"error":"Invalid API key or JWT"},"time":0}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815 - names that http.server looks up

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def denying_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Denies) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_wrong_api_key_is_named(denying_server: str, query: Path) -> None:
    fails(run("search", query, "--db", denying_server, "--api-key", "wrong"), 1, "API key")


def test_a_server_that_is_down_is_named(query: Path) -> None:
    fails(run("search", query, "--db", "http://127.0.0.1:9", "--timeout", 2), 1, "127.0.0.1:9")


def test_a_real_process_prints_no_traceback(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "odd\nname \udce9.png".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")).write_bytes(b"x")
    for picture in [*tmp_path.iterdir(), Path("/no/such.png")]:
        done = subprocess.run([SEMBLANT, "search", picture, "--db", shared], capture_output=True, check=False, timeout=60)
        assert done.returncode == 1
        assert b"Error:" in done.stderr
        assert b"Traceback" not in done.stderr
