"""`semblant mcp` as a language model's program uses it: the official client, over stdin and stdout, on a real collection."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import shutil
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters
from PIL import Image
from semblant_search import SearchClient, canonical_uri, point_id
from semblant_search.cli.mcp import mcp as mcp_command
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings
from support.service import listening, service_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

START = "from semblant_search.cli.mcp import mcp; mcp(prog_name='semblant mcp')"
READING = {
    "describe_collection",
    "search_by_picture",
    "search_by_details",
    "list_pictures",
    "list_values",
    "find_duplicates",
    "show_picture",
}
WRITING = {"add_picture", "update_metadata", "delete_pictures"}


@asynccontextmanager
async def _connected(db: object, *options: str) -> AsyncIterator[Client]:
    words = ["-c", START, "--db", str(db), *options]
    environment = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
    async with Client(StdioServerParameters(command=sys.executable, args=words, env=environment)) as client:
        yield client


async def _text(client: Client, tool: str, **arguments: Any) -> str:
    """The text of an answer that is no error."""
    answer = await client.call_tool(tool, arguments)
    told = "\n".join(block.text for block in answer.content if block.type == "text")
    assert not answer.is_error, told
    return told


async def _error(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer
    assert [block.type for block in answer.content] == ["text"]
    assert "Traceback" not in str(answer.content)
    return str(answer.content[0].text)  # type: ignore[union-attr]


def _ask(db: object, *options: str) -> Callable[[Callable[[Client], Awaitable[None]]], None]:
    def run(ask: Callable[[Client], Awaitable[None]]) -> None:
        async def connected() -> None:
            async with _connected(db, *options) as client:
                await ask(client)

        asyncio.run(connected())

    return run


@pytest.fixture
def copy(shop: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shop, tmp_path / "shop.db"))


def test_a_model_finds_what_there_is(copy: Path, shop_pictures: Path) -> None:
    photos = shop_pictures / "photos"
    coins = canonical_uri(photos / "coins.png")

    @_ask(copy, "--root", str(shop_pictures))
    async def ask(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == READING
        assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
        told = await _text(client, "describe_collection")
        assert "107 pictures" in told
        assert "Field label (keyword): " in told
        assert "bag (10)" in told
        assert "Field price (float)" in told
        for name in (str(photos / "coins.png"), coins, point_id(coins)):
            assert "coins-part.png" in await _text(client, "search_by_details", picture=name)
            assert coins not in await _text(client, "search_by_picture", picture=name, limit=5)
        part = await _text(client, "search_by_details", picture=str(photos / "coins-part.png"), limit=1)
        assert coins in part
        assert "crop" in part or "contains" in part
        told = await _text(client, "search_by_picture", picture=coins, where="label == 'photos' and price > 1", limit=3)
        assert told.startswith("3 pictures like it:")
        assert told.count("/photos/") == 3
        told = await _text(client, "list_values", field="label")
        assert "photos: 7" in told
        listed = await _text(client, "list_pictures", where="label == 'photos'", limit=3)
        assert listed.startswith("7 pictures match")
        cursor = listed.rpartition("cursor ")[2]
        more = await _text(client, "list_pictures", where="label == 'photos'", limit=50, cursor=cursor)
        assert more.count("/photos/") == 4
        assert "_width" not in listed
        assert "groups of duplicates" in await _text(client, "find_duplicates", where="label == 'photos'")


def test_pictures_are_sent_only_when_asked_for_and_small(copy: Path, shop_pictures: Path) -> None:
    coins = canonical_uri(shop_pictures / "photos" / "coins.png")

    @_ask(copy, "--root", str(shop_pictures))
    async def ask(client: Client) -> None:
        plain = await client.call_tool("search_by_picture", {"picture": coins, "limit": 3})
        assert [block.type for block in plain.content] == ["text", *["resource_link"] * 3]
        assert all(block.uri in plain.content[0].text for block in plain.content[1:])  # type: ignore[union-attr]
        seen = await client.call_tool("search_by_picture", {"picture": coins, "limit": 20, "thumbnails": True})
        images = [block for block in seen.content if block.type == "image"]
        assert len(images) == 10
        for block in images:
            with Image.open(io.BytesIO(base64.b64decode(block.data))) as image:
                assert (image.format, max(image.size) <= 256) == ("JPEG", True)
        shown = await client.call_tool("show_picture", {"picture": coins})
        assert [block.type for block in shown.content] == ["text", "resource_link", "text", "image", "text"]


def test_bad_arguments_are_answered_by_what_is_expected(copy: Path, shop_pictures: Path) -> None:
    coins = canonical_uri(shop_pictures / "photos" / "coins.png")
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("search_by_picture", {"picture": coins, "limit": 500},
         "search_by_picture: limit=500: expected a whole number from 1 to 50 (Pictures at most); or leave it away, for 10"),
        ("list_values", {}, "list_values: field is missing: expected text (A metadata field)"),
        ("list_values", {"field": "label", "limit": "many"},
         "list_values: limit='many': expected a whole number from 1 to 1,000 (Values at most); or leave it away, for 50"),
        ("search_by_picture", {"picture": coins, "region": [1, 2, "x"]},
         "search_by_picture: region=[1, 2, 'x']: expected a list of 4 numbers (Look for this part of the picture: x, y, width, "
         "height in pixels); or leave it away"),
        ("search_by_picture", {"picture": coins, "unique": "perhaps"},
         "search_by_picture: unique='perhaps': expected true or false (One of each group of copies); or leave it away, "
         "for false"),
        ("search_by_picture", {"picture": coins, "min_score": 2},
         "search_by_picture: min_score=2: expected a number from -1 to 1 (Least similarity, a cosine); or leave it away"),
        ("list_pictures", {"limitt": 3},
         "list_pictures: 'limitt' is no argument (did you mean limit?); it takes where, limit, order_by, descending, cursor, "
         "thumbnails"),
        ("describe_collection", {"verbose": True},
         "describe_collection: 'verbose' is no argument; it takes none; leave them away"),
        ("search_by_image", {"picture": coins},
         "'search_by_image': is no tool (did you mean search_by_picture?); expected one of describe_collection, "),
        ("delete_pictures", {"pictures": []}, "delete_pictures: pictures=[]: expected a list of 1 to 1,000 texts (A picture: "),
        ("update_metadata", {"pictures": [coins], "metadata": "x"},
         "update_metadata: metadata='x': expected an object (Names and values: text, numbers, booleans, or lists of them)"),
    ]  # fmt: skip

    @_ask(copy, "--root", str(shop_pictures), "--write")
    async def ask(client: Client) -> None:
        for tool, arguments, said in cases:
            told = await _error(client, tool, **arguments)
            assert told.startswith(said), told
            assert "pydantic" not in told
            assert "\n" not in told
        several = await _error(client, "search_by_picture", limit=0, diversity=3)
        assert [line.split(": ")[1] for line in several.splitlines()] == ["picture is missing", "limit=0", "diversity=3"]
        assert "***@" in await _error(client, "list_values", field="label", limit="https://u:secret@host/")


def test_no_file_outside_the_allowed_folders_is_read(copy: Path, shop_pictures: Path, tmp_path: Path, photos: Path) -> None:
    secret = tmp_path / "secret.png"
    shutil.copy(photos / "camera.png", secret)
    (link := tmp_path / "allowed" / "link.png").parent.mkdir()
    link.symlink_to(secret)
    named = [str(secret), canonical_uri(secret), str(link), str(tmp_path / "allowed" / ".." / "secret.png"), "/etc/passwd", "~"]

    @_ask(copy, "--root", str(tmp_path / "allowed"), "--write")
    async def ask(client: Client) -> None:
        for name in named:
            for tool in ("search_by_picture", "search_by_details", "show_picture"):
                told = await _error(client, tool, picture=name)
                assert "is no picture of the collection" in told
                assert str(tmp_path / "allowed") in told
            assert "expected the path of a file under" in await _error(client, "add_picture", path=name)
        # One of the collection is found by its name, wherever its file is; its file is not shown.
        coins = str(shop_pictures / "photos" / "coins.png")
        assert "coins-part.png" in await _text(client, "search_by_details", picture=coins)
        assert "not at hand" in await _text(client, "show_picture", picture=coins)
        shutil.copy(secret, tmp_path / "allowed" / "own.png")
        assert "camera.png" in await _text(client, "search_by_details", picture=str(tmp_path / "allowed" / "own.png"))


def test_without_write_nothing_changes_and_with_it_what_was_asked(copy: Path, shop_pictures: Path, photos: Path) -> None:
    clock = shop_pictures / "photos" / "clock.png"
    shutil.copy(photos / "clock_motion.png", clock)
    try:

        @_ask(copy, "--root", str(shop_pictures))
        async def read(client: Client) -> None:
            for tool in sorted(WRITING):
                answer = await client.call_tool(
                    tool, {"path": str(clock), "pictures": [str(clock)], "metadata": {"label": "x"}}
                )
                assert answer.is_error

        @_ask(copy, "--root", str(shop_pictures), "--write")
        async def write(client: Client) -> None:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert tools.keys() == READING | WRITING
            assert all(not tools[name].annotations.read_only_hint for name in WRITING)  # type: ignore[union-attr]
            assert "107 pictures" in await _text(client, "describe_collection")
            await _text(client, "add_picture", path=str(clock), metadata={"label": "clock"})
            assert await _text(client, "update_metadata", pictures=[str(clock)], metadata={"price": 7}) == "Changed 1 picture."
            assert '"price": 7.0' in await _text(client, "list_pictures", where="label == 'clock'")
            told = await _error(client, "update_metadata", pictures=[str(clock)], metadata={"price": "dear"})
            assert "'price' holds float" in told
            assert "Removed 1" in await _text(client, "delete_pictures", pictures=[canonical_uri(clock)])
            assert clock.exists()

        with closing(open_database(copy)) as database, SearchClient(database) as client:
            assert client.count() == 107
    finally:
        clock.unlink()


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("search_by_picture", {"picture": "shop://none"}, "is no picture of the collection"),
    ("search_by_picture", {"picture": "x", "limit": 0}, "limit"),
    ("list_pictures", {"where": "prize < 1"}, "did you mean price"),
    ("list_pictures", {"where": "label =="}, "invalid syntax"),
    ("list_values", {"field": "nope"}, "nope"),
    ("search_by_picture", {}, "picture"),
]


def test_a_name_that_no_file_can_have_is_that_of_no_picture(
    copy: Path, shop_pictures: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a model says it, or the collection has it of an older version."""
    data = (photos / "camera.png").read_bytes()
    (root := tmp_path / "allowed").mkdir()
    shutil.copy(photos / "camera.png", root)
    with monkeypatch.context() as older, SearchClient(copy) as client:
        older.setattr("semblant_search.writing.adding.check_new_uri", str)
        for number, name in enumerate(("shop://a\n9. forged\u2028", "file:///a%00b")):
            client.add(data + bytes(number), {"label": "odd"}, uri=name)

    @_ask(copy, "--root", str(shop_pictures), "--root", str(root), "--write")
    async def ask(client: Client) -> None:
        for name in ("\0", "a\0b", "file:///a%00c", "file:///" + "a" * 5000):
            for tool in ("search_by_picture", "search_by_details", "show_picture"):
                told = await _error(client, tool, picture=name)
                assert "is no picture of the collection, and its file lies in none of the folders" in told
        assert "expected the path of a file" in await _error(client, "add_picture", path="\0")
        told = await _error(client, "add_picture", path=str(root / "camera.png"), uri="shop://a b\n")
        assert "without line breaks" in told
        told = await _text(client, "list_pictures", where="label == 'odd'", thumbnails=True)
        assert "shop://a%0A9. forged%E2%80%A8 (id " in told
        assert "not at hand" not in told  # no file is opened for them: the grey ones beside their details are shown
        told = await _text(client, "find_duplicates", where="label == 'odd'")
        assert not [line for line in told.splitlines() if line.startswith("9. forged")]


def test_what_a_model_asks_wrongly_is_explained_to_it(copy: Path) -> None:
    @_ask(copy)
    async def ask(client: Client) -> None:
        for tool, arguments, said in WRONG:
            assert said in await _error(client, tool, **arguments)
        assert "107" in await _text(client, "describe_collection")


def test_a_collection_of_a_service(copy: Path, shop_pictures: Path, photos: Path, tmp_path: Path) -> None:
    with (
        closing(open_database(copy)) as database,
        SearchClient(database) as local,
        listening(service_of(local, settings=ServiceSettings(cache=tmp_path / "cache", roots=(shop_pictures,)))) as address,
        SearchClient(address) as remote,
    ):
        remote.add((photos / "camera.png").read_bytes(), uri="shop://sent")
        coins = shop_pictures / "photos" / "coins.png"

        @_ask(address)
        async def without_files(client: Client) -> None:
            assert "108 pictures" in await _text(client, "describe_collection")
            assert "coins-part.png" in await _text(client, "search_by_details", picture=str(coins))
            for name in (str(coins), "shop://sent"):  # by the service, which has its file, or made it of what was sent
                shown = await client.call_tool("show_picture", {"picture": name})
                (block,) = [block for block in shown.content if block.type == "image"]
                with Image.open(io.BytesIO(base64.b64decode(block.data))) as image:
                    assert (image.format, max(image.size)) == ("JPEG", 256)
                    assert image.mode == "RGB"
            (shop_pictures / "other.png").write_bytes(coins.read_bytes())
            told = await _error(client, "search_by_picture", picture=str(shop_pictures / "other.png"))
            assert "--root DIR" in told

        @_ask(address, "--root", str(shop_pictures))
        async def with_files(client: Client) -> None:
            told = await _text(client, "search_by_picture", picture=str(shop_pictures / "other.png"), limit=1)
            assert canonical_uri(coins) in told

        (shop_pictures / "other.png").unlink()


def test_there_is_no_database(tmp_path: Path) -> None:
    done = CliRunner().invoke(mcp_command, ["--db", str(tmp_path / "none")])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "does not exist" in done.stderr
