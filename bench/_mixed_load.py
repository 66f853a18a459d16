"""Requests of every kind to a service, from many connections, some of them cut by the client midway; and what became of them.

Bare sockets, so that a request can be cut anywhere. What is added is under a name of its own, and asked for in the end.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Load", "Outcome", "missing", "run"]

_KINDS = {
    "search": 40,
    "filtered": 10,
    "thumbnail": 5,
    "count": 5,
    "upload": 10,
    "add": 12,
    "update": 4,
    "delete": 4,
    "bad": 10,
}
"""Of a hundred requests."""
_CUT = 0.06
_AT_ONCE = 500


@dataclass(frozen=True)
class Load:
    """What is asked.

    Attributes:
        port: of the service, on this machine.
        collection: its name.
        ids: of pictures that stay.
        where: a filter that the collection's fields allow.
        picture: the bytes of a picture file; added ones have a few more at their end.
        requests: how many.
        connections: at once.
        seed: of the choice.
    """

    port: int
    collection: str
    ids: Sequence[str]
    where: str
    picture: bytes
    requests: int
    connections: int = 16
    seed: int = 1


@dataclass
class Outcome:
    """What became of the requests.

    Attributes:
        statuses: how often each kind of request had each status; `cut` for those that were cut.
        unexpected: answers that no such request should have, with their beginning.
        added: URIs of adds that were answered, by their ids, which were not deleted.
        deleted: those of deletes that were answered.
        maybe: URIs of adds and deletes that were cut: there or not.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    added: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)

    @property
    def server_errors(self) -> int:
        """Answers of 500 and more."""
        return sum(count for name, count in self.statuses.items() if name.rpartition(" ")[2].startswith("5"))

    @property
    def cut(self) -> int:
        """Requests that were cut."""
        return sum(count for name, count in self.statuses.items() if name.endswith(" cut"))


@dataclass(frozen=True)
class _Request:
    kind: str
    data: bytes
    expected: frozenset[int]
    uri: str = ""
    id: str = ""


async def run(load: Load) -> Outcome:
    """Ask all of it, and then for everything that was added or deleted."""
    outcome = Outcome()
    share = [load.requests // load.connections + (one < load.requests % load.connections) for one in range(load.connections)]
    await asyncio.gather(*(_ask(load, outcome, number, count) for number, count in enumerate(share)))
    return outcome


async def missing(load: Load, uris: Sequence[str]) -> list[str]:
    """Those of these names that the collection does not hold."""
    gone: list[str] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    for start in range(0, len(uris), _AT_ONCE):
        part = list(uris[start : start + _AT_ONCE])
        writer.write(_json(load, "POST", "/v1/pictures/get", {"pictures": part}))
        status, body = await _answer(reader)
        assert status == 200, body
        gone += [uri for uri, found in zip(part, json.loads(body)["pictures"], strict=True) if found is None]
    writer.close()
    return gone


async def _ask(load: Load, outcome: Outcome, number: int, count: int) -> None:
    rng = random.Random(load.seed * 1000 + number)
    mine: dict[str, str] = {}  # ids of what this connection added, which no other touches
    reader = writer = None
    for turn in range(count):
        request = _request(load, rng, f"mixed://{load.seed}/{number}/{turn}", mine)
        if reader is None or writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        if rng.random() < _CUT:
            # In the headers, in the body, or after all of it, before the answer.
            writer.write(request.data[: rng.choice((rng.randrange(len(request.data)), len(request.data)))])
            await asyncio.sleep(rng.random() * 0.01)
            writer.transport.abort()
            reader = writer = None
            outcome.statuses[f"{request.kind} cut"] += 1
            if request.uri:
                outcome.maybe.add(request.uri)
                mine.pop(request.uri, None)
                outcome.added.pop(request.uri, None)
            continue
        writer.write(request.data)
        status, body = await _answer(reader)
        outcome.statuses[f"{request.kind} {status}"] += 1
        if status not in request.expected:
            outcome.unexpected.append(f"{request.kind}: {status} {body[:200]!r}")
        elif request.kind == "add":
            (told,) = json.loads(body)["pictures"]
            mine[request.uri] = outcome.added[request.uri] = told["id"]
        elif request.kind == "delete":
            outcome.deleted.add(request.uri)
            del mine[request.uri], outcome.added[request.uri]
    if writer is not None:
        writer.close()


def _request(load: Load, rng: random.Random, uri: str, mine: dict[str, str]) -> _Request:
    (kind,) = rng.choices(list(_KINDS), list(_KINDS.values()))
    done, id = frozenset({200}), rng.choice(load.ids)
    if kind in ("update", "delete") and not mine:
        kind = "search"
    if kind == "search":
        return _Request(kind, _json(load, "POST", "/v1/search", {"id": id, "limit": 10}), done)
    if kind == "filtered":
        return _Request(kind, _json(load, "POST", "/v1/search", {"id": id, "limit": 10, "where": load.where}), done)
    if kind == "thumbnail":  # of pictures whose files are elsewhere, or are there
        path = f"/v1/pictures/{id}/thumbnail?collection={load.collection}"
        return _Request(kind, _sent("GET", path), frozenset({200, 404, 410}))
    if kind == "count":
        return _Request(kind, _sent("GET", f"/v1/count?collection={load.collection}"), done)
    if kind == "upload":
        return _Request(kind, _form(load, "/v1/search", load.picture, limit="5"), done)
    if kind == "add":
        picture = load.picture + uri.encode()
        return _Request(kind, _form(load, "/v1/pictures", picture, uri=uri, metadata='{"label": "mixed"}'), done, uri)
    if kind == "bad":
        return _bad(load, rng, id)
    name = rng.choice(list(mine))
    if kind == "update":
        return _Request(kind, _json(load, "PATCH", "/v1/pictures", {"pictures": [name], "metadata": {"label": "new"}}), done)
    path = f"/v1/pictures/{mine[name]}?collection={load.collection}"
    return _Request(kind, _sent("DELETE", path), done, name, mine[name])


def _bad(load: Load, rng: random.Random, id: str) -> _Request:
    """A request with something wrong, and what it should be told."""
    data, expected = rng.choice(
        [
            (_sent("POST", "/v1/search", b'{"id": ', "application/json"), 422),
            (_json(load, "POST", "/v1/search", {"id": id, "where": "nothing =="}), 422),
            (_json(load, "POST", "/v1/search", {"id": id, "where": "no_such_field < 1"}), 422),
            (_json(load, "POST", "/v1/search", {"id": id, "limit": -1}), 422),
            (_json(load, "POST", "/v1/search", {"id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}), 404),
            (_json(load, "POST", "/v1/search", {"vector": [1.0]}), 422),
            (_form(load, "/v1/search", b"no picture", limit="5"), 422),
            (_form(load, "/v1/search", load.picture[: len(load.picture) // 3], limit="5"), 422),
            (_form(load, "/v1/pictures", load.picture, uri="no name"), 422),
            (_form(load, "/v1/search", load.picture, limit="ten"), 422),
            (_sent("POST", "/v1/search", b"<x/>", "application/xml"), 415),
            (_sent("GET", f"/v1/pictures/{id}/original?collection={load.collection}"), 403),
            (_sent("GET", "/v1/pictures/..%2f..%2fetc%2fpasswd/thumbnail"), 404),
            (_sent("GET", "/nothing"), 404),
            (_sent("PUT", "/v1/search", b"{}", "application/json"), 405),
        ]
    )
    return _Request("bad", data, frozenset({expected}))


def _json(load: Load, method: str, path: str, values: dict[str, Any]) -> bytes:
    return _sent(method, path, json.dumps({"collection": load.collection, **values}).encode(), "application/json")


def _form(load: Load, path: str, picture: bytes, **fields: str) -> bytes:
    named = {"collection": load.collection, **fields}
    head = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    parts = [f"{head.format(name, '')}{value}\r\n".encode() for name, value in named.items()]
    parts.append(head.format("picture", '; filename="a"').encode() + picture + b"\r\n--x--\r\n")
    return _sent("POST", path, b"".join(parts), "multipart/form-data; boundary=x")


def _sent(method: str, path: str, body: bytes = b"", kind: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if kind:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next((int(line.partition(b":")[2]) for line in head if line.lower().startswith(b"content-length:")), 0)
    return int(head[0].split()[1]), await reader.readexactly(length)
