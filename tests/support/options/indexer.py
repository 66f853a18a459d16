"""The commands of `semblant-indexer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semblant_indexer import IndexJob, preview, run
from semblant_indexer.analysis import cluster_collection, map_collection, score_outliers
from semblant_indexer.generations import describe, roll_back
from semblant_indexer.job import Duplicates
from semblant_indexer.ledger import accepting
from semblant_indexer.opening import OpenJob, open_folder
from semblant_indexer.retraining import RetrainJob, retrain
from semblant_indexer.state import find_state, known_sources
from semblant_indexer.status import FailedJobs, failed_jobs, read_status
from semblant_indexer.watching import watch
from semblant_search import FieldType
from semblant_search.collection import StorageOptions
from semblant_search.store import open_database

from .recording import DATABASE, Called, arguments, callback
from .search import connection_rows, target_rows
from .table import CommandTable, Row

__all__ = ["INDEXER"]

_DB = {"--db": ("--db", "pictures.db")}
_JOB = IndexJob("pictures", None, "pictures.db")
_RUN = {
    "semblant_indexer.running.run": Called,
    "semblant_indexer.watching.watch": Called,
    "semblant_indexer.previewing.preview": Called,
}
_REPORTED = frozenset({"--report", "--json", "--quiet", "--json-log", "--metrics-port", "--metrics-host"})
_OPENED = arguments("open_database", open_database, "pictures.db")
_STATE = {"--state": ("--state", "ledgers")}
_FIND, _ACCEPTING = "semblant_indexer.state.find_state", "semblant_indexer.ledger.accepting"
_KNOW = "semblant_indexer.state.known_sources"
_LEDGER = Path("ledgers/ledger.sqlite")
_FOUND = {
    **arguments("find_state", find_state, "pictures.db", "images", None, None, 30.0),
    **arguments("known_sources", known_sources, _LEDGER, "pictures.db", "images", None, None, 30.0),
}


def _finding(*, opened: str | None = None) -> dict[str, Row]:
    """Rows of commands that look for the ledger, and maybe open the database for the function `opened`."""
    rows: dict[str, tuple[list[str], str, Any]] = {
        "--db": (["--db", "other.db"], "db", "other.db"),
        "--collection": (["--collection", "art"], "collection", "art"),
        "--state": (["--state", "ledgers"], "state", Path("ledgers")),
        "--api-key": (["--api-key", "secret"], "api_key", "secret"),
        "--timeout": (["--timeout", "2.5"], "timeout", 2.5),
    }
    opening: dict[str, dict[str, object]] = {
        "--db": {"open_database.location": "other.db"},
        "--collection": {f"{opened}.collection": "art"},
        "--api-key": {"open_database.api_key": "secret"},
        "--timeout": {"open_database.timeout": 2.5},
    }
    return {
        option: Row(
            given,
            {
                f"find_state.{name}": value,
                f"known_sources.{name}": value,
                **(opening.get(option, {}) if opened is not None else {}),
            },
        )
        for option, (given, name, value) in rows.items()
    }


def _opening(rows: dict[str, Row]) -> dict[str, Row]:
    """Rows of commands that open the database: it calls the place a location, and the collection goes elsewhere."""
    opened = connection_rows("open_database")
    return {**opened, "--db": Row(["--db", "other.db"], {"open_database.location": "other.db"}), **rows}


def _spread(option: str, storage: StorageOptions) -> Row:
    """They are a cluster's."""
    return Row([option, "3", "--db", "http://qdrant:6333"], {"run.job.storage": storage, "run.job.db": "http://qdrant:6333"})


INDEXER = (
    CommandTable(
        "index",
        {"SOURCE": ("pictures",), **_DB},
        _RUN,
        arguments("run", run, _JOB, callback),
        {
            **target_rows("run.job"),
            "SOURCE": Row(["s3://bucket/list.csv"], {"run.job.source": "s3://bucket/list.csv"}),
            "--encoder": Row(["--encoder", "mine.onnx"], {"run.job.encoder": Path("mine.onnx")}),
            "--source": Row(["--source", "shop"], {"run.job.source_name": "shop"}),
            "--include": Row(["--include", "*.jpg", "--include", "a/*"], {"run.job.include": ("*.jpg", "a/*")}),
            "--exclude": Row(["--exclude", "*.png", "--exclude", "raw"], {"run.job.exclude": ("*.png", "raw")}),
            "--hidden": Row(["--hidden"], {"run.job.hidden": True}),
            "--include-system": Row(["--include-system"], {"run.job.include_system": True}),
            "--frames": Row(["--frames", "all"], {"run.job.frames": "all"}),
            "--no-metadata": Row(["--no-metadata"], {"run.job.find_metadata": False}),
            "--file-column": Row(["--file-column", "photo"], {"run.job.file_column": "photo"}),
            "--metadata": Row(["--metadata", "table.csv"], {"run.job.metadata": Path("table.csv")}),
            "--field": Row(
                ["--field", "price:float", "--field", "taken:datetime"],
                {"run.job.fields": {"price": FieldType.FLOAT, "taken": FieldType.DATETIME}},
            ),
            "--orb": Row(["--no-orb", "--orb"], {}),
            "--no-orb": Row(["--no-orb"], {"run.job.orb": None}),
            "--exif": Row(["--exif"], {"run.job.exif": True}),
            "--duplicates": Row(["--duplicates", "merge"], {"run.job.duplicates": Duplicates.MERGE}),
            "--rebuild": Row(["--rebuild"], {"run.job.rebuild": True}),
            "--keep-generations": Row(["--keep-generations", "0"], {"run.job.keep_generations": 0}),
            "--prune": Row(["--prune"], {"run.job.prune": True}),
            "--prune-limit": Row(["--prune-limit", "50"], {"run.job.prune_limit": 0.5}),
            "--dry-run": Row(["--dry-run"], arguments("preview", preview, _JOB), replaces="run."),
            "--retry": Row(["--retry"], {"run.job.retry": True}),
            "--verify": Row(["--verify"], {"run.job.verify": True}),
            "--watch": Row(
                ["--watch"], arguments("watch", watch, _JOB, callback, callback, on_problem=callback), replaces="run."
            ),
            "--engine": Row(
                ["--engine", "ray", "--db", "http://qdrant:6333"],
                {"run.job.engine": "ray", "run.job.db": "http://qdrant:6333"},
            ),
            "--workers": Row(["--workers", "3"], {"run.job.workers": 3}),
            "--threads": Row(["--threads", "3"], {"run.job.threads": 3}),
            "--batch": Row(["--batch", "7"], {"run.job.batch": 7}),
            "--max-pixels": Row(["--max-pixels", "9000"], {"run.job.max_pixels": 9000}),
            "--patience": Row(["--patience", "2.5"], {"run.job.patience": 2.5}),
            "--state": Row(["--state", "ledgers"], {"run.job.state": Path("ledgers")}),
            "--wait": Row(["--wait", "90"], {"run.job.wait": 90.0}),
            "--quantize": Row(["--quantize", "turbo"], {"run.job.storage": StorageOptions("turbo", on_disk=False)}),
            "--on-disk": Row(["--on-disk"], {"run.job.storage": StorageOptions(None, on_disk=True)}),
            "--shards": _spread("--shards", StorageOptions(shards=3)),
            "--replicas": _spread("--replicas", StorageOptions(replicas=3)),
            "--write-consistency": _spread("--write-consistency", StorageOptions(write_consistency=3)),
        },
        shown=_REPORTED | {"--config", "--export"},
    ),
    CommandTable(
        "open",
        {"PICTURES": ("pictures",)},
        {"semblant_indexer.opening.open_folder": Called},
        arguments("open_folder", open_folder, OpenJob(Path("pictures")), callback),
        {
            "PICTURES": Row(["shoes"], {"open_folder.job.pictures": Path("shoes")}),
            "--db": Row(["--db", "other.db"], {"open_folder.job.db": Path("other.db")}),
            "--encoder": Row(["--encoder", "mine.onnx"], {"open_folder.job.encoder": Path("mine.onnx")}),
            "--port": Row(["--port", "0"], {"open_folder.job.port": 0}),
            "--no-learn": Row(["--no-learn"], {"open_folder.job.learn": False}),
            "--no-browser": Row(["--no-browser"], {"open_folder.job.browser": False}),
        },
        unused=frozenset({"--learn", "--browser"}),
    ),
    CommandTable(
        "retry",
        _DB,
        {"semblant_indexer.status.failed_jobs": FailedJobs([_JOB], {}), **_RUN},
        {
            **arguments(
                "failed_jobs",
                failed_jobs,
                "pictures.db",
                "images",
                encoder=None,
                retry=True,
                rebuild=False,
                prune=False,
                verify=False,
                api_key=None,
                timeout=30.0,
            ),
            **arguments("run", run, _JOB, callback),
        },
        {
            "--db": Row(["--db", "other.db"], {"failed_jobs.db": "other.db"}),
            "--collection": Row(["--collection", "art"], {"failed_jobs.collection": "art"}),
            "--api-key": Row(["--api-key", "secret"], {"failed_jobs.api_key": "secret"}),
            "--timeout": Row(["--timeout", "2.5"], {"failed_jobs.timeout": 2.5}),
            "--state": Row(_STATE["--state"], {"failed_jobs.state": Path("ledgers")}),
        },
        shown=_REPORTED,
    ),
    CommandTable(
        "failures list",
        _DB,
        {_FIND: Path("ledgers"), _KNOW: None, f"{_ACCEPTING}.failures": []},
        {**_FOUND, **arguments("failures", accepting.failures, _LEDGER)},
        _finding(),
        shown=frozenset({"--json"}),
    ),
    *(
        CommandTable(
            f"failures {name}",
            {"[PICTURE]...": ("file:///a.png",), **_DB},
            {
                _FIND: Path("ledgers"),
                _KNOW: None,
                "semblant_search.store.open_database": DATABASE,
                f"{_ACCEPTING}.{name}": 1,
            },
            {
                **_FOUND,
                **_OPENED,
                **arguments(name, getattr(accepting, name), _LEDGER, accepting.Choice(("file:///a.png",)), DATABASE, "images"),
            },
            {
                **_finding(opened=name),
                "[PICTURE]...": Row(["file:///b.png"], {f"{name}.choice.uris": ("file:///b.png",)}),
                "--reason": Row(["--reason", "empty", "--reason", "x"], {f"{name}.choice.reasons": ("empty", "x")}),
                "--source": Row(["--source", "shop"], {f"{name}.choice.source": "shop"}),
            },
            shown=frozenset({"--all"}),
        )
        for name in ("accept", "reopen")
    ),
    CommandTable(
        "status",
        _DB,
        {"semblant_indexer.status.read_status": Called},
        arguments("read_status", read_status, "pictures.db", "images"),
        {
            "--db": Row(["--db", "other.db"], {"read_status.db": "other.db"}),
            "--collection": Row(["--collection", "art"], {"read_status.collection": "art"}),
            "--state": Row(_STATE["--state"], {"read_status.state": Path("ledgers")}),
            "--failures": Row(["--failures", "7"], {"read_status.failures": 7}),
            "--api-key": Row(["--api-key", "secret"], {"read_status.api_key": "secret"}),
            "--timeout": Row(["--timeout", "2.5"], {"read_status.timeout": 2.5}),
        },
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "generations",
        _DB,
        {"semblant_search.store.open_database": DATABASE, "semblant_indexer.generations.describe": Called},
        {**_OPENED, **arguments("describe", describe, DATABASE, "images")},
        _opening({"--collection": Row(["--collection", "art"], {"describe.collection": "art"})}),
        shown=frozenset({"--json"}),
    ),
    CommandTable(
        "rollback",
        _DB,
        {"semblant_search.store.open_database": DATABASE, "semblant_indexer.generations.roll_back": Called},
        {**_OPENED, **arguments("roll_back", roll_back, DATABASE, "images")},
        _opening(
            {
                "--collection": Row(["--collection", "art"], {"roll_back.collection": "art"}),
                "--to": Row(["--to", "g0007"], {"roll_back.to": "g0007"}),
            }
        ),
    ),
    CommandTable(
        "map",
        _DB,
        {"semblant_search.store.open_database": DATABASE, "semblant_indexer.analysis.collections.map_collection": Called},
        {**_OPENED, **arguments("map_collection", map_collection, DATABASE, "images", on_progress=callback)},
        _opening(
            {
                "--collection": Row(["--collection", "art"], {"map_collection.collection": "art"}),
                "--seed": Row(["--seed", "3"], {"map_collection.seed": 3}),
                "--fresh": Row(["--fresh"], {"map_collection.fresh": True}),
                "--wait": Row(["--wait", "9"], {"map_collection.wait": 9.0}),
            }
        ),
        shown=frozenset({"--out", "--quiet", "--json"}),
    ),
    CommandTable(
        "cluster",
        _DB,
        {"semblant_search.store.open_database": DATABASE, "semblant_indexer.analysis.collections.cluster_collection": Called},
        {**_OPENED, **arguments("cluster_collection", cluster_collection, DATABASE, "images", on_progress=callback)},
        _opening(
            {
                "--collection": Row(["--collection", "art"], {"cluster_collection.collection": "art"}),
                "--method": Row(["--method", "hdbscan"], {"cluster_collection.method": "hdbscan"}),
                "-k": Row(["-k", "7"], {"cluster_collection.k": 7}),
                "--wait": Row(["--wait", "9"], {"cluster_collection.wait": 9.0}),
                "--clusters": Row(["--clusters", "8"], {"cluster_collection.k": 8}),
                "--seed": Row(["--seed", "3"], {"cluster_collection.seed": 3}),
            }
        ),
        shown=frozenset({"--out", "--quiet", "--json"}),
    ),
    CommandTable(
        "outliers",
        _DB,
        {"semblant_search.store.open_database": DATABASE, "semblant_indexer.analysis.collections.score_outliers": Called},
        {**_OPENED, **arguments("score_outliers", score_outliers, DATABASE, "images", on_progress=callback)},
        _opening(
            {
                "--collection": Row(["--collection", "art"], {"score_outliers.collection": "art"}),
                "--wait": Row(["--wait", "9"], {"score_outliers.wait": 9.0}),
            }
        ),
        shown=frozenset({"--count", "--out", "--quiet", "--json"}),
    ),
    CommandTable(
        "vocabulary",
        _DB,
        {"semblant_indexer.retraining.retrain": Called},
        arguments("retrain", retrain, RetrainJob("pictures.db"), callback),
        {
            **target_rows("retrain.job"),
            "--sample": Row(["--sample", "77"], {"retrain.job.sample": 77}),
            "--seed": Row(["--seed", "3"], {"retrain.job.seed": 3}),
            "--keep-generations": Row(["--keep-generations", "0"], {"retrain.job.keep_generations": 0}),
            "--state": Row(_STATE["--state"], {"retrain.job.state": Path("ledgers")}),
        },
        shown=frozenset({"--quiet", "--json"}),
    ),
)
