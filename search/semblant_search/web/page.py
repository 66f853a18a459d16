"""The page at `/`: files that were built from `search/page`, and nothing else; it holds no data, so it takes no key."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

__all__ = ["CONTENT_SECURITY_POLICY", "STATIC", "add_page"]

STATIC = Path(__file__).parent / "static"
"""Where `make page` puts the built files."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_YEAR = 365 * 86_400
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Semblant</title>
<h1>The page is not built</h1>
<p>This is Semblant from its sources. In the folder of the sources, run</p>
<pre>make page</pre>
<p>and load this page again; the service need not be started again. Wheels carry the built page.</p>
<p>Everything else is there: <a href="docs">the service's routes</a>.</p>
</html>
"""


class _File(NamedTuple):
    data: bytes
    packed: bytes | None
    tag: str


def add_page(app: FastAPI, folder: Path = STATIC) -> None:
    """Serve the page at `/` and its parts at `/assets/…`; without them, say how to build it."""

    async def page(request: Request) -> Response:
        if not (folder / "index.html").is_file():
            # Not 503: waiting does not build it, and clients of other servers that were sent here would.
            return Response(_NOT_BUILT, 404, headers={**_HEADERS, "Cache-Control": "no-store"}, media_type="text/html")
        return await run_in_threadpool(_answer, request, folder / "index.html", "no-cache")

    async def asset(request: Request) -> Response:
        name: str = request.path_params["name"]
        path = folder / "assets" / name
        if name not in await run_in_threadpool(_names, folder / "assets"):
            return Response(f"no part of the page: {name[:200]!r}", 404, headers=_HEADERS, media_type="text/plain")
        # Names of built files carry their content, but for the icon.
        lasting = f"public, max-age={_YEAR}, immutable" if "-" in name else "no-cache"
        return await run_in_threadpool(_answer, request, path, lasting)

    app.add_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_route("/assets/{name}", asset, methods=["GET", "HEAD"], include_in_schema=False)


_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


def _names(folder: Path) -> set[str]:
    """What may be asked for: a name that is not in the listing is no path to try."""
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir() if path.suffix in _TYPES}


def _answer(request: Request, path: Path, lasting: str) -> Response:
    facts = path.stat()
    file = _read(path, facts.st_mtime_ns)
    headers: dict[str, Any] = {**_HEADERS, "Cache-Control": lasting, "ETag": file.tag}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = file.data
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        data = file.packed
        headers["Content-Encoding"] = "gzip"
    return Response(data, headers=headers, media_type=_TYPES[path.suffix])


@cache
def _read(path: Path, changed: int) -> _File:  # noqa: ARG001 - a file that was built anew is read anew
    data = path.read_bytes()
    packed = path.with_name(path.name + ".gz")
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return _File(data, packed.read_bytes() if packed.is_file() else None, tag)
