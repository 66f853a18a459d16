"""HTTP: perhaps a fault, then the answer. Every request is remembered."""

from __future__ import annotations

import http.server
import json
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from .faults import FAULTS, Refused
from .relay import Relay

if TYPE_CHECKING:
    import argparse
    import random

    from .routes import Routes

LARGEST_BODY = 32 * 1024 * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    routes: Routes | Relay
    options: argparse.Namespace
    dice: random.Random
    requests: ClassVar[deque[dict[str, Any]]] = deque(maxlen=1000)
    answers: ClassVar[deque[dict[str, Any]]] = deque()

    def handle_request(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/_"):
            self.steer(parts.path)
            return
        fault = self.dice.choice(self.options.only or FAULTS) if self.dice.random() < self.options.faults else ""
        if fault == "refuse":
            self.reset()
            return
        data = self.body()
        query = dict(parse_qsl(parts.query))
        body = json.loads(data) if data else None
        self.requests.append({"method": self.command, "path": parts.path, "query": query, "body": body, "size": len(data)})
        if fault == "stall":
            time.sleep(self.options.stall)
        if fault == "reset before":
            self.reset()
            return
        if fault in ("429", "503"):
            self.send(int(fault), error("too busy"), {"Retry-After": "0"} if fault == "429" else {})
            return
        told: dict[str, Any] = self.answers.popleft() if self.answers else {"status": 200, "done": True}
        if not told["done"]:
            self.send(told["status"], error(told["message"]), told["headers"])
            return
        if self.options.api_key and self.headers.get("api-key") != self.options.api_key:
            self.send(401, error("Invalid API key or JWT"))
            return
        headers: dict[str, str] = {}
        status, document = self.answer(parts.path, query, body, len(data), headers)
        if told["status"] != 200:
            self.send(told["status"], error(told["message"]), told["headers"])
            return
        if fault == "reset after":
            self.reset()
            return
        self.send(status, document, headers, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_request  # noqa: N815

    def answer(self, path: str, query: dict[str, str], body: Any, size: int, headers: dict[str, str]) -> tuple[int, Any]:
        if size > LARGEST_BODY:
            return 400, error(f"JSON payload ({size} bytes) is larger than allowed (limit: {LARGEST_BODY} bytes).")
        try:
            result = plain(self.routes.answer(self.command, path, query, body))
        except Refused as refused:
            headers.update(refused.headers)
            return refused.status, error(str(refused))
        except KeyError as missing:
            return 404, error(f"no such route: {missing}")
        except ValueError as wrong:
            return (404 if "not found" in str(wrong) else 400), error(str(wrong))
        # The root answers without the envelope.
        return 200, result if path == "/" else {"result": result, "status": "ok", "time": 0.0}

    def steer(self, path: str) -> None:
        """What tests ask and tell beside the REST interface."""
        data = self.body()
        told: Any = json.loads(data) if data else None
        if path == "/_requests":
            answer = list(self.requests)
            if self.command == "DELETE":
                self.requests.clear()
                self.answers.clear()
            self.send(200, answer)
            return
        if path == "/_answers":
            self.answers.clear()
            self.answers.extend(told)
        elif path == "/_version":
            self.options.version = told
        elif path == "/_damage":
            self.routes.damage(**told)
        elif isinstance(self.routes, Relay):
            self.send(501, error(f"{path}: no real server does that for a test"))
            return
        elif path == "/_restart":
            self.routes.restart()
        elif path == "/_outage":
            self.routes.outage(told)
        elif path == "/_fail":
            self.routes.fail(**told)
        self.send(200, None)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

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
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Quiet."""

    def shutdown_request(self, request: Any) -> None:
        # The base class ends connections politely first, which would turn a reset into a proper end.
        self.close_request(request)


def error(message: str) -> Any:
    return {"status": {"error": message}, "time": 0.0}


def plain(value: Any) -> Any:
    """Models as JSON values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value
