"""Requests that are made of the service's description, right ones and wrong ones: every answer is one that it describes.

`SEMBLANT_SCHEMATHESIS=200` makes that many of each operation and kind.
"""

from __future__ import annotations

import copy
import os
import shutil
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from semblant_search import SearchClient
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings, create_app
from support.service import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

schemathesis = pytest.importorskip("schemathesis", reason="needs Python 3.11")
EACH = int(os.environ.get("SEMBLANT_SCHEMATHESIS", "4"))


def _checks() -> list[Any]:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    named = ("status_code_conformance", "content_type_conformance", "response_headers_conformance")
    return [not_a_server_error, *(getattr(checks, name) for name in (*named, "response_schema_conformance"))]


@pytest.fixture(scope="module")
def described(shop: Path, shop_pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """The description, in which answers have no other fields than those that are named, and the address of its service."""
    folder = tmp_path_factory.mktemp("schemathesis")
    options = ServiceSettings(cache=folder / "cache", roots=(shop_pictures,), originals=True)
    with (
        closing(open_database(shutil.copytree(shop, folder / "shop.db"))) as database,
        SearchClient(database) as client,
    ):
        app = create_app(database, settings=options, client=client)
        strict = copy.deepcopy(app.openapi())
        for schema in strict["components"]["schemas"].values():
            if schema.get("type") == "object":
                schema.setdefault("additionalProperties", False)
        with listening(app) as address:
            yield schemathesis.openapi.from_dict(strict), address.replace("semblant", "http")


@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_every_answer_is_one_that_is_described(described: tuple[Any, str], kind: str) -> None:
    schema, address = described
    mode, checks = schemathesis.GenerationMode(kind), _checks()
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EACH,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.validate_response(case.call(base_url=address), checks=checks)

        with suppress(Unsatisfiable):  # one that takes nothing cannot be asked wrongly
            ask()
    assert asked >= EACH * 10
