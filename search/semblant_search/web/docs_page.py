"""`/docs`: every route in plain HTML, made of the OpenAPI, without a script and without a request to anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from starlette.requests import Request

__all__ = ["add_docs"]

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: 8px; margin: 8px 0; }
summary { padding: 10px 14px; cursor: pointer; overflow-wrap: anywhere; }
details > div { padding: 0 14px 10px; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 10px; border-radius: 6px; background: color-mix(in srgb, currentColor 7%, transparent); }
b { display: inline-block; min-width: 4.5em; }
th, td { padding: 4px 14px 4px 0; text-align: left; vertical-align: top; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-{_DIGEST}'"


def add_docs(app: FastAPI) -> None:
    """Serve the page; it says what `/openapi.json` says."""

    async def docs(_request: Request) -> Response:
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return Response("".join(_page(app.openapi())), headers=headers, media_type="text/html")

    app.add_route("/docs", docs, methods=["GET", "HEAD"], include_in_schema=False)


def _page(described: dict[str, Any]) -> Iterator[str]:
    info = described["info"]
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield f"<title>{escape(info['title'])}: routes</title><style>{_STYLE}</style>"
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('summary', ''))} "
    yield 'For programs: <a href="openapi.json">openapi.json</a>. For people: <a href="./">the page</a>.</p>'
    models = described.get("components", {}).get("schemas", {})
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
            yield "</summary><div>"
            yield from _operation(operation, models)
            yield "</div></details>"
    yield "</html>"


def _operation(operation: dict[str, Any], models: dict[str, Any]) -> Iterator[str]:
    rows = [
        (one["name"], one["schema"], one.get("description", ""), one.get("required", False))
        for one in operation.get("parameters", [])
    ]
    yield from _table("Parameters", rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], models)
        fields = schema.get("properties", {})
        needed = schema.get("required", [])
        rows = [(name, one, one.get("description", ""), name in needed) for name, one in fields.items()]
        yield from _table(f"Body, {kind}", rows)
        for example in schema.get("examples", []):
            yield f"<pre>{escape(json.dumps(example, ensure_ascii=False))}</pre>"
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = _resolved(answer, models).get("properties", {})
    yield from _table("Answer", [(name, one, one.get("description", ""), False) for name, one in fields.items()])


def _table(title: str, rows: list[tuple[str, dict[str, Any], str, bool]]) -> Iterator[str]:
    if not rows:
        return
    yield f"<h2>{escape(title)}</h2><table>"
    for name, schema, description, required in rows:
        default = schema.get("default")
        usual = "" if default is None else f" = {json.dumps(default)}"
        yield f"<tr><th><code>{escape(name)}</code>{' *' if required else ''}</th>"
        yield f"<td><code>{escape(_kind(schema) + usual)}</code></td><td>{escape(description)}</td></tr>"
    yield "</table>"


def _resolved(schema: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return models.get(name, schema) if name else schema


def _kind(schema: dict[str, Any]) -> str:
    """A short word for a type: `integer`, `Hit[]`, `string or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    choices = schema.get("anyOf", [])
    if choices:
        return " or ".join(_kind(one) for one in choices)
    if schema.get("type") == "array":
        return f"{_kind(schema.get('items', {}))}[]"
    return str(schema.get("type", "any"))
