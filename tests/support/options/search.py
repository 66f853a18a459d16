"""The commands of `semblant-search`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from semblant_search.client import SearchClient
from semblant_search.doctor import examine
from semblant_search.mcp import create_server
from semblant_search.moving import copy_collection, restore, snapshot
from semblant_search.store import open_database
from semblant_search.web import KeyFile, ServiceSettings, create_app, sign_key

from .recording import CLIENT, DATABASE, OPEN_CLIENT, Called, arguments
from .table import CommandTable, Row

__all__ = ["SEARCH", "connection_rows", "target_rows"]

_DB = {"--db": ("--db", "pictures.db")}
_OPEN = arguments("SearchClient", SearchClient, "pictures.db")


_OPENED = "semblant_search.store.open_database"
_OTHER = str(Path(__file__).with_name("table.py"))


def _opened_rows(collection: str) -> dict[str, Row]:
    """The rows of a command that opens a database by itself, and passes on the name of the collection."""
    return {
        "--db": Row(["--db", "http://q:6333"], {"open_database.location": "http://q:6333"}),
        "--api-key": Row(["--api-key", "secret"], {"open_database.api_key": "secret"}),
        "--timeout": Row(["--timeout", "2.5"], {"open_database.timeout": 2.5}),
        "--collection": Row(["--collection", "art"], {collection: "art"}),
    }


def connection_rows(where: str) -> dict[str, Row]:
    """The rows of --db, --api-key and --timeout, which set parameters of one function."""
    return {
        "--db": Row(["--db", "http://qdrant:6333"], {f"{where}.db": "http://qdrant:6333"}),
        "--api-key": Row(["--api-key", "secret"], {f"{where}.api_key": "secret"}),
        "--timeout": Row(["--timeout", "2.5"], {f"{where}.timeout": 2.5}),
    }


def target_rows(where: str) -> dict[str, Row]:
    """The rows of the options that all commands on a collection share."""
    return {**connection_rows(where), "--collection": Row(["--collection", "art"], {f"{where}.collection": "art"})}


def _asked(method: str, *args: object, **kwargs: object) -> dict[str, object]:
    found = arguments(method, getattr(SearchClient, method), None, *args, **kwargs)
    return {name: value for name, value in found.items() if name != f"{method}.self"}


def _features(**given: Any) -> dict[str, object]:
    return _asked("search_features", "query.jpg", **given)


_WHO = SimpleNamespace(
    keys=lambda: ["a key"], create=lambda *_, **__: ("sk_", None), revoke=lambda _: SimpleNamespace(name="", id="")
)
"""Stands for a file with a key in it."""
_KEYS = "semblant_search.web.KeyFile"
_SERVE = "semblant_search.cli.serve"


def _serving_rows() -> dict[str, Row]:
    """The rows of what a service allows."""
    return {
        option: Row([option, *words], {f"create_app.settings.{name}": value, **also})
        for option, words, name, value, also in (
            ("--root", ["/"], "roots", (Path("/"),), {}),  # a folder that there is
            ("--jobs-root", ["/"], "job_roots", (Path("/"),), {}),
            ("--originals", [], "originals", True, {}),
            ("--allow-urls", ["shop.example"], "allow_urls", ("shop.example",), {}),
            ("--read-only", [], "read_only", True, {}),
            ("--max-body", ["2"], "max_body", 2_000_000, {}),
            ("--max-pixels", ["2.5"], "max_pixels", 2_500_000, {"SearchClient.max_pixels": 2_500_000}),
            ("--max-limit", ["50"], "max_limit", 50, {}),
            ("--concurrency", ["3"], "concurrency", 3, {}),
            ("--request-timeout", ["2.5"], "timeout", 2.5, {}),
        )
    }


_WHERE = 'label == "bag"'
_INSTEAD = "search."

SEARCH = (
    CommandTable(
        "search",
        {"PICTURE": ("query.jpg",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("search", "query.jpg")},
        {
            **target_rows("SearchClient"),
            "PICTURE": Row(["file:///pictures/1.jpg"], {"search.picture": "file:///pictures/1.jpg"}),
            "-k": Row(["-k", "3"], {"search.limit": 3}),
            "--limit": Row(["--limit", "3"], {"search.limit": 3}),
            "--offset": Row(["--offset", "20"], {"search.offset": 20}),
            "--where": Row(["--where", _WHERE], {"search.where": _WHERE}),
            "--features": Row(["--features"], _features(), _INSTEAD),
            "--fused": Row(["--fused"], _asked("search_fused", "query.jpg"), _INSTEAD),
            "--region": Row(["--region", "1,2.5,30,40"], {"search.region": (1.0, 2.5, 30.0, 40.0)}),
            "--min-confidence": Row(["--features", "--min-confidence", "0.5"], _features(min_confidence=0.5), _INSTEAD),
            "--shared-parts": Row(["--features", "--shared-parts"], _features(shared_parts=True), _INSTEAD),
            "--min-score": Row(["--min-score", "0.75"], {"search.min_score": 0.75}),
            "--fpr": Row(["--fpr", "0.001"], {"search.fpr": 0.001}),
            "--exact": Row(["--exact"], {"search.exact": True}),
            "--include-self": Row(["--include-self"], {"search.include_self": True}),
            "--like": Row(["--like", "b.jpg"], _asked("search_like", ["query.jpg", "b.jpg"], []), _INSTEAD),
            "--unlike": Row(
                ["--unlike", "c.jpg", "--unlike", "d.jpg"],
                _asked("search_like", ["query.jpg"], ["c.jpg", "d.jpg"]),
                _INSTEAD,
            ),
            "--diversity": Row(["--diversity", "0.3"], {"search.diversity": 0.3}),
            "--unique": Row(["--unique"], {"search.unique": True}),
            "--within-cluster": Row(["--within-cluster", "2"], {"search.within_cluster": 2}),
            "--group-by": Row(["--group-by", "label"], _asked("search_groups", "query.jpg", "label"), _INSTEAD),
            "--encoder": Row(["--encoder", "mine.onnx"], {"SearchClient.encoder": "mine.onnx"}),
        },
        shown=frozenset({"--show", "--json", "--gallery"}),
    ),
    CommandTable(
        "info",
        {**_DB, "--json": ("--json",)},
        {"semblant_search.store.open_database": DATABASE, CLIENT: None},
        {
            **arguments("open_database", open_database, "pictures.db"),
            **arguments("SearchClient", SearchClient, "pictures.db", collection="others"),  # the last one of all
            **_asked("count"),
        },
        {
            "--db": Row(["--db", "other.db"], {"open_database.location": "other.db", "SearchClient.db": "other.db"}),
            "--collection": Row(["--collection", "images"], {"SearchClient.collection": "images"}),
            "--api-key": Row(["--api-key", "key"], {"open_database.api_key": "key", "SearchClient.api_key": "key"}),
            "--timeout": Row(["--timeout", "2.5"], {"open_database.timeout": 2.5, "SearchClient.timeout": 2.5}),
        },
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "count",
        _DB,
        {CLIENT: None},
        {**_OPEN, **_asked("count")},
        {**target_rows("SearchClient"), "--where": Row(["--where", _WHERE], {"count.where": _WHERE})},
    ),
    CommandTable(
        "facet",
        {"FIELD": ("label",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("facet", "label")},
        {
            **target_rows("SearchClient"),
            "FIELD": Row(["price"], {"facet.field": "price"}),
            "--where": Row(["--where", _WHERE], {"facet.where": _WHERE}),
            "-k": Row(["-k", "3"], {"facet.limit": 3}),
            "--limit": Row(["--limit", "3"], {"facet.limit": 3}),
        },
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "duplicates",
        _DB,
        {CLIENT: None},
        {**_OPEN, **_asked("duplicates"), **_asked("count")},
        {
            **target_rows("SearchClient"),
            "--where": Row(["--where", _WHERE], {"duplicates.where": _WHERE, "count.where": _WHERE}),
            "--min-score": Row(["--min-score", "0.8"], {"duplicates.min_score": 0.8}),
            "--min-confidence": Row(["--min-confidence", "0.5"], {"duplicates.min_confidence": 0.5}),
        },
        shown=frozenset({"--json", "--gallery"}),
    ),
    CommandTable(
        "delete",
        {"PICTURE...": ("a.jpg", "b.jpg"), **_DB, "--yes": ("--yes",)},
        {CLIENT: None},
        {**_OPEN, **_asked("get_many", ("a.jpg", "b.jpg")), **_asked("delete", ("a.jpg", "b.jpg"))},
        {
            **target_rows("SearchClient"),
            "PICTURE...": Row(["c.jpg"], {"get_many.pictures": ("c.jpg",), "delete.pictures": ("c.jpg",)}),
        },
        shown=frozenset({"--yes"}),
    ),
    CommandTable(
        "sources list",
        _DB,
        {CLIENT: None},
        {**_OPEN, **_asked("sources")},
        target_rows("SearchClient"),
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "sources remove",
        {"NAME": ("shop",), **_DB, "--yes": ("--yes",)},
        {CLIENT: None},
        {**_OPEN, **_asked("remove_source", "shop")},
        {**target_rows("SearchClient"), "NAME": Row(["other"], {"remove_source.name": "other"})},
        shown=frozenset({"--yes"}),
    ),
    CommandTable(
        "sources rename",
        {"OLD": ("shop",), "NEW": ("store",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("rename_source", "shop", "store")},
        {
            **target_rows("SearchClient"),
            "OLD": Row(["other"], {"rename_source.name": "other"}),
            "NEW": Row(["corner"], {"rename_source.new": "corner"}),
        },
    ),
    CommandTable(
        "sources relocate",
        {"OLD": ("shop",), "NEW": ("/new",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("sources"), **_asked("relocate_source", "shop", "/new")},
        {
            **target_rows("SearchClient"),
            "OLD": Row(["other"], {"relocate_source.name": "other"}),
            "NEW": Row(["s3://bucket/a"], {"relocate_source.root": "s3://bucket/a"}),
            "--check": Row(["--no-check", "--check"], {}),
            "--no-check": Row(["--no-check"], {"relocate_source.check": False}),
            "--dry-run": Row(["--dry-run"], {"relocate_source.dry_run": True}),
        },
        shown=frozenset({"--json", "--yes"}),
    ),
    *(
        CommandTable(
            name,
            {"DB": (source,), "TO": (to,)},
            {_OPENED: DATABASE, "semblant_search.moving.copy_collection": Called},
            {
                **arguments("open_database", open_database, to, create=True),  # the second one of the two
                **arguments("copy_collection", copy_collection, DATABASE, DATABASE),
            },
            {
                "DB": Row([source], {}),
                "TO": Row(["other"], {"open_database.location": "other"}),
                "--collection": Row(["--collection", "others"], {"copy_collection.collection": "others"}),
                "--as": Row(["--as", "mine"], {"copy_collection.name": "mine"}),
                "--replace": Row(["--replace"], {"copy_collection.replace_existing": True}),
                "--timeout": Row(["--timeout", "2.5"], {"open_database.timeout": 2.5}),
                "--api-key": Row(["--api-key", "key"], {"open_database.api_key": "key"} if "://" in to else {}),
            },
            shown=frozenset({"--json"}),
        )
        for name, source, to in (
            ("push", "pictures.db", "http://q:6333"),
            ("pull", "http://q:6333", "pictures.db"),
        )
    ),
    CommandTable(
        "snapshot",
        {"FILE": ("images.tar",), **_DB},
        {_OPENED: DATABASE, "semblant_search.moving.snapshot": Called},
        {
            **arguments("open_database", open_database, "pictures.db"),
            **arguments("snapshot", snapshot, DATABASE, "images.tar"),
        },
        {
            **_opened_rows("snapshot.collection"),
            "FILE": Row(["other.tar"], {"snapshot.file": "other.tar"}),
        },
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "restore-snapshot",
        {"FILE": (__file__,), **_DB},  # it has to be there
        {_OPENED: DATABASE, "semblant_search.moving.restore": Called},
        {
            **arguments("open_database", open_database, "pictures.db", create=True),
            **arguments("restore", restore, __file__, DATABASE, name="images"),
        },
        {
            **_opened_rows("restore.name"),
            "FILE": Row([_OTHER], {"restore.file": _OTHER}),
            "--replace": Row(["--replace"], {"restore.replace_existing": True}),
        },
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "serve",
        _DB,
        {
            _OPENED: DATABASE,
            CLIENT: None,
            _KEYS: _WHO,
            f"{_SERVE}.listen": BytesIO(),
            f"{_SERVE}._log_to_stderr": None,
            "semblant_search.web.create_app": Called,
        },
        {
            **arguments("open_database", open_database, "pictures.db"),
            **arguments("SearchClient", SearchClient, DATABASE, collection="images", max_pixels=50_000_000),
            **arguments("create_app", create_app, DATABASE, settings=ServiceSettings(), client=OPEN_CLIENT),
            "listen.host": "127.0.0.1",
            "listen.port": 8765,
            "_log_to_stderr.form": "text",
        },
        {
            **_opened_rows("SearchClient.collection"),
            **_serving_rows(),
            "--host": Row(["--host", "127.0.0.2"], {"listen.host": "127.0.0.2"}),
            "--port": Row(["--port", "0"], {"listen.port": 0}),
            "--keys": Row(["--keys", "k.json"], {"KeyFile.path": Path("k.json"), "create_app.keys": _WHO}),
            "--cors": Row(["--cors", "https://a", "--cors", "https://b"], {"create_app.origins": ("https://a", "https://b")}),
            "--log": Row(["--log", "json"], {"_log_to_stderr.form": "json"}),
        },
    ),
    CommandTable(
        "mcp",
        _DB,
        {CLIENT: OPEN_CLIENT, "semblant_search.mcp.create_server": SimpleNamespace(run=lambda: None)},
        {**_OPEN, **arguments("create_server", create_server, OPEN_CLIENT)},
        {
            **target_rows("SearchClient"),
            "--root": Row(["--root", "a", "--root", "b"], {"create_server.roots": (Path("a"), Path("b"))}),
            "--write": Row(["--write"], {"create_server.write": True}),
        },
    ),
    CommandTable(
        "jobs list",
        _DB,
        {CLIENT: None},
        {**_OPEN, **_asked("jobs")},
        connection_rows("SearchClient"),
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "jobs show",
        {"JOB": ("8d1f",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("get_job", "8d1f")},
        {**connection_rows("SearchClient"), "JOB": Row(["0b9a"], {"get_job.job": "0b9a"})},
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "jobs start",
        {"SOURCE": ("shoes",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("start_job", "shoes")},
        {
            **target_rows("SearchClient"),
            "SOURCE": Row(["bags"], {"start_job.source": "bags"}),
            "--watch": Row(["--watch"], {"start_job.kind": "watch"}),
            "--prune": Row(["--prune"], {"start_job.options.prune": True}),
            "--rebuild": Row(["--rebuild"], {"start_job.options.rebuild": True}),
            "--set": Row(
                ["--set", "source_name=shop", "--set", 'exclude=["*.tmp"]'],
                {"start_job.options.source_name": "shop", "start_job.options.exclude": ["*.tmp"]},
            ),
        },
        shown=frozenset({"--json", "--follow"}),
    ),
    CommandTable(
        "jobs follow",
        {"JOB": ("8d1f",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("follow_job", "8d1f"), **_asked("get_job", "8d1f")},
        {
            **connection_rows("SearchClient"),
            "JOB": Row(["0b9a"], {"follow_job.job": "0b9a", "get_job.job": "0b9a"}),
            "--after": Row(["--after", "7"], {"follow_job.after": 7}),
        },
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "jobs cancel",
        {"JOB": ("8d1f",), **_DB},
        {CLIENT: None},
        {**_OPEN, **_asked("cancel_job", "8d1f")},
        {**connection_rows("SearchClient"), "JOB": Row(["0b9a"], {"cancel_job.job": "0b9a"})},
    ),
    CommandTable(
        "keys create",
        {"NAME": ("shop",), "--keys": ("--keys", "k.json")},
        {_KEYS: _WHO},
        arguments("KeyFile", KeyFile, Path("k.json")),
        {"NAME": Row(["other"], {}), "--keys": Row(["--keys", "o.json"], {"KeyFile.path": Path("o.json")})},
        shown=frozenset({"--scope", "--where", "--expires"}),
    ),
    CommandTable(
        "keys list",
        {"--keys": ("--keys", "k.json"), "--json": ("--json",)},
        {_KEYS: SimpleNamespace(keys=list)},
        arguments("KeyFile", KeyFile, Path("k.json")),
        {"--keys": Row(["--keys", "o.json"], {"KeyFile.path": Path("o.json")})},
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "keys revoke",
        {"NAME": ("shop",), "--keys": ("--keys", "k.json")},
        {_KEYS: _WHO},
        arguments("KeyFile", KeyFile, Path("k.json")),
        {"NAME": Row(["other"], {}), "--keys": Row(["--keys", "o.json"], {"KeyFile.path": Path("o.json")})},
    ),
    CommandTable(
        "keys sign",
        {"--where": ("--where", _WHERE), "--key": ("--key", "sk_1_x")},
        {"semblant_search.web.sign_key": "st_"},
        arguments("sign_key", sign_key, "sk_1_x", where=_WHERE),
        {
            "--where": Row(["--where", "price < 5"], {"sign_key.where": "price < 5"}),
            "--key": Row(["--key", "sk_2_y"], {"sign_key.key": "sk_2_y"}),
        },
        shown=frozenset({"--expires"}),
    ),
    CommandTable(
        "doctor",
        {},
        {"semblant_search.doctor.examine": []},
        arguments("examine", examine, timeout=10.0),
        {
            "--db": Row(["--db", "pictures.db"], {"examine.db": "pictures.db"}),
            "--collection": Row(["--collection", "art"], {"examine.collection": "art"}),
            "--api-key": Row(["--api-key", "secret"], {"examine.api_key": "secret"}),
            "--timeout": Row(["--timeout", "2.5"], {"examine.timeout": 2.5}),
        },
        shown=frozenset({"--json"}),
    ),
)
