"""A real server behind the stand-in's door: what arrives is still told, answered and failed as tests want it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import httpx

from .faults import Refused

if TYPE_CHECKING:
    import argparse

_NAMES = ("alias_name", "collection_name", "old_alias_name", "new_alias_name")


class Relay:
    """All collections of a server whose names begin with a prefix, as if they had none and there were no others.

    A server looks empty to each test so, and several tests may use it at once.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.prefix: str = options.prefix
        headers = {"api-key": key} if (key := os.environ.get("QDRANT_API_KEY")) else {}
        self.client = httpx.Client(base_url=options.to, headers=headers, timeout=120)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """The `result` of a request. Raises `Refused` where the server does."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts == [""] and self.options.version:
            return {"title": "qdrant", "version": self.options.version}
        if parts == ["collections", "aliases"]:
            body = self._named(body)
        elif parts[0] == "collections" and len(parts) > 1:
            if method == "PUT" and len(parts) == 2 and self.options.strict:
                body = {**body, "strict_mode_config": self._strict()}
            parts[1] = self.prefix + parts[1]
        answer = self.client.request(method, "/" + "/".join(quote(part, safe="") for part in parts), params=query, json=body)
        document = json.loads(answer.text.replace(self.prefix, "")) if answer.is_error else answer.json()
        if answer.is_error:
            wait = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
            raise Refused(answer.status_code, document["status"]["error"], wait)
        if parts == [""]:
            return document
        return self._own(document["result"]) if parts in (["collections"], ["aliases"]) else document["result"]

    def damage(self, collection: str, id: str, payload: dict[str, Any] | None = None) -> None:
        change = {"points": [id]} if payload is None else {"points": [id], "payload": payload}
        route = "delete" if payload is None else "payload"
        self.answer("POST", f"/collections/{collection}/points/{route}", {"wait": "true"}, change)

    def _strict(self) -> dict[str, Any]:
        strict: dict[str, Any] = json.loads(self.options.strict_mode)
        return {"enabled": True, "unindexed_filtering_retrieve": False, "unindexed_filtering_update": False, **strict}

    def _named(self, value: Any) -> Any:
        """A request with the prefix before each name."""
        if isinstance(value, list):
            return [self._named(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {key: self.prefix + each if key in _NAMES else self._named(each) for key, each in value.items()}

    def _own(self, listed: dict[str, list[dict[str, str]]]) -> Any:
        """What is listed, of these collections only and without the prefix."""
        return {
            kind: [
                {key: name.removeprefix(self.prefix) for key, name in each.items()}
                for each in entries
                if all(name.startswith(self.prefix) for name in each.values())
            ]
            for kind, entries in listed.items()
        }
