"""Files kept with a generation on a server, as points without vectors, so that a client needs nothing but the URL."""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import TYPE_CHECKING, Any

from semblant_search.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .limits import LimitedCollection, Limits

__all__ = ["KeptFiles"]

_PART = 4_000_000  # bytes of a file in one point: servers accept requests of 32 MB, base64 adds a third
_PAGE = 100


class KeptFiles:
    """The files of one generation: each has a head, which names its version, and the parts of that version.

    Args:
        collection: where they are.
        name: of the generation, for messages.
    """

    def __init__(self, collection: LimitedCollection, name: str) -> None:
        self._collection = collection
        self._name = name
        self._run = collection.run

    def read(self, name: str) -> bytes | None:
        """The content, or None. Raises `StoreError` where it is damaged."""
        head = self._run("retrieve", ids=[_id(name)], with_payload=True)
        if not head:
            return None
        facts = head[0].payload
        parts = []
        for part in range(facts["parts"]):  # one by one: a request for all of them may be too large to answer
            found = self._run("retrieve", ids=[_id(name, facts["version"], part)], with_payload=True)
            if not found:
                raise StoreError(f"asset {name!r} of {self._name!r} is incomplete: part {part + 1} is missing; index again")
            parts.append(base64.b64decode(found[0].payload["data"]))
        data = b"".join(parts)
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise StoreError(f"asset {name!r} of {self._name!r} is damaged (its SHA-256 differs); index again")
        return data

    def names(self) -> list[str]:
        """Names of the files that are kept: the points that are no parts."""
        return [str(point.payload["name"]) for point in self._all(["name"]) if "name" in point.payload]

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, atomically: readers see the old parts until the new ones are all there."""
        from qdrant_client import models

        version = uuid.uuid4().hex
        parts = [data[start : start + _PART] for start in range(0, len(data), _PART)]
        for number, part in enumerate(parts):
            payload = {"asset": name, "version": version, "data": base64.b64encode(part).decode()}
            point = models.PointStruct(id=_id(name, version, number), vector={}, payload=payload)
            self._run("upsert", points=[point], wait=True)
        facts = {"name": name, "version": version, "parts": len(parts), "sha256": hashlib.sha256(data).hexdigest()}
        self._run("upsert", points=[models.PointStruct(id=_id(name), vector={}, payload=facts)], wait=True)
        old = list(self._old_parts(name, version))
        if old:
            self._run("delete", points_selector=old, wait=True)

    def drop(self, name: str) -> None:
        """Keep a file no longer: its head goes first, so that nobody reads half of it."""
        self._run("delete", points_selector=[_id(name)], wait=True)
        parts = list(self._old_parts(name, ""))
        if parts:
            self._run("delete", points_selector=parts, wait=True)

    def _old_parts(self, name: str, version: str) -> Iterator[str]:
        """Parts of other versions. All are looked through: strict mode refuses a filter on fields without an index."""
        for part in self._all(["asset", "version"]):
            if part.payload.get("asset") == name and part.payload["version"] != version:
                yield str(part.id)

    def _all(self, fields: list[str]) -> Iterator[Any]:
        offset: Any = None

        def page(limits: Limits) -> Any:
            return self._run("scroll", offset=offset, limit=limits.most(_PAGE), with_payload=fields)

        while True:
            points, offset = self._collection.within(page)
            yield from points
            if offset is None:
                return


def _id(name: str, version: str = "", part: int = 0) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{version}/{part}"))
