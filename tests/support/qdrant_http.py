"""A small Qdrant server over HTTP, on qdrant-client's local mode, that can be told to misbehave.

    python qdrant_http.py [--api-key KEY] [--version 1.20.0] [--faults 0.3] [--only stall] [--seed 1] [--stall 1.5]

prints `http://127.0.0.1:PORT` and serves the REST calls that Semblant makes until it is killed. With `--faults`, that share
of the requests fails in a way drawn at random: refused, 429, 503, a reset before or after the work is done, an answer cut
short, or a stall.
"""

from __future__ import annotations

import argparse
import http.server
import json
import random
import socket
import struct
import threading
import time
import warnings
from typing import Any
from urllib.parse import unquote, urlsplit

from qdrant_client import QdrantClient, models

FAULTS = ("refuse", "429", "503", "reset before", "reset after", "cut", "stall")


class Collections:
    """Routes of the REST interface onto a local client; one request at a time."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.client = QdrantClient(":memory:")
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The `result` of a request; KeyError for a route that is not there, ValueError as local mode raises it."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        with self.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if parts == [""]:
                return {"title": "qdrant", "version": self.version}
            if parts == ["collections"]:
                return self.client.get_collections()
            if parts == ["aliases"]:
                return self.client.get_aliases()
            if parts == ["collections", "aliases"]:
                return self.client.update_collection_aliases(models.ChangeAliasesOperation(**body).actions)
            if len(parts) == 2:
                return self.collection(method, parts[1], body)
            return self.points(method, parts[1], "/".join(parts[2:]), body)

    def collection(self, method: str, name: str, body: Any) -> Any:
        if method == "GET":
            return self.client.get_collection(name)
        if method == "DELETE":
            return self.client.delete_collection(name)
        if method == "PATCH":
            return self.client.update_collection(name, metadata=body["metadata"])
        request = models.CreateCollection(**body)
        return self.client.create_collection(
            name, vectors_config=request.vectors or {}, sparse_vectors_config=request.sparse_vectors, metadata=request.metadata
        )

    def points(self, method: str, name: str, route: str, body: Any) -> Any:
        client, done = self.client, {"operation_id": 0, "status": "completed"}
        if route == "exists":
            return {"exists": client.collection_exists(name)}
        if route == "index":
            return done
        if (method, route) == ("PUT", "points"):
            client.upsert(name, models.PointsList(**body).points)
            return done
        if route == "points":
            request = models.PointRequest(**body)
            return client.retrieve(name, request.ids, request.with_payload, request.with_vector)
        if route == "points/scroll":
            scroll = models.ScrollRequest(**body)
            points, offset = client.scroll(
                name, scroll.filter, scroll.limit or 10, None, scroll.offset, scroll.with_payload, scroll.with_vector
            )
            return {"points": points, "next_page_offset": offset}
        if route == "points/count":
            return client.count(name, models.CountRequest(**body).filter)
        if route == "points/query":
            return self.query(name, models.QueryRequest(**body))
        if route == "points/query/batch":
            return [self.query(name, request) for request in models.QueryRequestBatch(**body).searches]
        if route == "points/delete":
            selector = models.FilterSelector(**body) if "filter" in body else models.PointIdsList(**body)
            client.delete(name, selector)
            return done
        if route == "points/batch":
            client.batch_update_points(name, [models.OverwritePayloadOperation(**change) for change in body["operations"]])
            return [done] * len(body["operations"])
        if route == "facet":
            facet = models.FacetRequest(**body)
            return client.facet(name, facet.key, facet.filter, facet.limit or 10)
        raise KeyError(f"{method} {route}")

    def query(self, name: str, request: models.QueryRequest) -> Any:
        return self.client.query_points(
            name,
            query=request.query,
            using=request.using,
            query_filter=request.filter,
            limit=request.limit or 10,
            offset=request.offset,
            with_payload=request.with_payload,
            score_threshold=request.score_threshold,
        )


class Handler(http.server.BaseHTTPRequestHandler):
    """One request: perhaps a fault, then the answer."""

    collections: Collections
    options: argparse.Namespace
    dice: random.Random

    def handle_request(self) -> None:
        fault = self.dice.choice(self.options.only or FAULTS) if self.dice.random() < self.options.faults else ""
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "refuse":
            self.reset()
            return
        body = self.rfile.read(length)
        if fault == "stall":
            time.sleep(self.options.stall)
        if fault == "reset before":
            self.reset()
            return
        if fault in ("429", "503"):
            self.send(int(fault), {"status": {"error": "too busy"}}, {"Retry-After": "0"} if fault == "429" else {})
            return
        if self.options.api_key and self.headers.get("api-key") != self.options.api_key:
            self.send(401, {"status": {"error": "Invalid API key or JWT"}})
            return
        try:
            result = self.collections.answer(self.command, urlsplit(self.path).path, json.loads(body) if body else None)
            # The root answers without the envelope.
            root = urlsplit(self.path).path == "/"
            status, document = 200, result if root else {"result": plain(result), "status": "ok", "time": 0.0}
        except KeyError as error:
            status, document = 404, {"status": {"error": f"no such route: {error}"}}
        except ValueError as error:
            status, document = (404 if "not found" in str(error) else 400), {"status": {"error": str(error)}}
        if fault == "reset after":
            self.reset()
            return
        self.send(status, document, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_request  # noqa: N815

    def send(self, status: int, document: Any, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = True

    def reset(self) -> None:
        """Drop the connection with RST instead of a proper end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Server(http.server.ThreadingHTTPServer):
    """Clients that hang up in the middle are expected here."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Quiet."""

    def shutdown_request(self, request: Any) -> None:
        # The base class ends connections politely first, which would turn a reset into a proper end.
        self.close_request(request)


def plain(value: Any) -> Any:
    """Models as JSON values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return [plain(item) for item in value] if isinstance(value, list) else plain_dict(value)


def plain_dict(value: Any) -> Any:
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--version", default="1.20.0")
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--only", nargs="+", choices=FAULTS, help="faults of these kinds; all without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stall", type=float, default=1.5)
    Handler.options = parser.parse_args()
    Handler.collections = Collections(Handler.options.version)
    Handler.dice = random.Random(Handler.options.seed)
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
