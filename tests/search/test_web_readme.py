"""What the documents do with curl, and the app of the service's example."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from semblant_search import SearchClient
from semblant_search.web import ServiceSettings, router
from support.service import serving

if TYPE_CHECKING:
    from semblant_search.store import Database

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
LINES = {
    f"{name}:{number}": line.strip()
    for name in ("README.md", "docs/http.md", "docs/service.md")
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1)
    if line.strip().startswith("curl ") and "/v1/jobs" not in line
}
"""Jobs are the indexer's, and so are their tests."""


def test_there_are_lines() -> None:
    assert [name.partition(":")[0] for name in LINES] == ["README.md", *["docs/http.md"] * 2, *["docs/service.md"] * 3]


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_what_curl_is_told_is_answered(line: str, own_shop: Database, shop_pictures: Path) -> None:
    words = shlex.split(line)[1:]
    path = words[0].removeprefix("http://localhost:8765")
    options: list[tuple[str, str]] = list(zip(words[1::2], words[2::2], strict=True))
    file = shop_pictures / "photos" / "coins.png"
    with serving(own_shop) as served:
        known = served.client.scroll(1).pictures[0].uri
        sent: dict[str, Any] = {}
        for option, value in options:
            if option == "--json":
                sent["json"] = {**json.loads(value), "uri": known}
                continue
            name, _, text = value.partition("=")
            if text.startswith("@"):
                sent["files"] = {name: file.read_bytes()}
            else:
                sent.setdefault("data", {})[name] = text
        answer = served.http.post(path, **sent)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told.get("hits") or told["added"] == 1


def test_every_route_of_the_guide_exists_and_every_route_is_in_it(own_shop: Database) -> None:
    table = GUIDE.partition("# The service")[2].partition("    curl ")[0]
    named = set(re.findall(r"(?:/v1)?/[a-z]+(?:/[a-z{}]+)*|…/[a-z/]+", table))
    with serving(own_shop) as served:
        paths = set(served.http.get("/openapi.json").json()["paths"])
    for path in paths:
        short = path.rpartition("/")[2]
        assert path in named or any(name.endswith(f"/{short}") for name in named), path


def test_routes_in_an_app_of_ones_own(own_shop: Database) -> None:
    def login(user: str = "") -> None:
        if user != "me":
            raise HTTPException(401)

    with SearchClient(own_shop) as client:
        app = FastAPI()
        app.include_router(
            router(client, settings=ServiceSettings(read_only=True)), prefix="/pictures", dependencies=[Depends(login)]
        )
        with TestClient(app) as http:
            assert http.get("/pictures/count").status_code == 401
            assert http.get("/pictures/count?user=me").json() == {"count": client.count()}
            refused = http.post("/pictures/pictures/delete?user=me", json={"where": "price > 0"})
            assert (refused.status_code, refused.json()["code"]) == (403, "not-offered")
            assert http.get("/openapi.json").status_code == 200
        assert client.count()
