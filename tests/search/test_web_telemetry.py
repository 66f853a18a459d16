"""What a request takes, stage by stage: histograms for Prometheus, and spans of OpenTelemetry, without secrets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families
from semblant_search.stages import STAGES
from semblant_search.web import KeyFile, ServiceSettings, create_app
from support.service import bearer

if TYPE_CHECKING:
    from pathlib import Path

    from support.service import Served

# In a process of its own: the tracer of a whole process is set but once.
SET_UP = """
import json, sys
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from semblant_search.store import open_database
from semblant_search.web import create_app
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
http = TestClient(create_app(open_database(sys.argv[1])), base_url="http://localhost")
assert http.get("/v1/pictures", params={"where": 'label == "photos"'}).status_code == 200
print(json.dumps([[span.name, dict(span.attributes)] for span in exporter.get_finished_spans()]))
"""
# As above, but for the SDK, which is set up while the service is there already.
SET_UP_LATE = SET_UP.replace("trace.set_tracer_provider(provider)\n", "").replace(
    "assert http", "http.get('/v1/pictures'); trace.set_tracer_provider(provider)\nassert http"
)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def asked(served: Served, shop_pictures: Path, tmp_path: Path) -> tuple[TestClient, InMemorySpanExporter, str]:
    """A service with keys that was asked for a search, details, a thumbnail and what is wrong; its spans and the key."""
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.create("shop", "search")
    settings = ServiceSettings(cache=tmp_path / "cache", roots=(shop_pictures,))
    app = create_app(served.database, settings=settings, client=served.client, keys=keys)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app.state.service.telemetry.tracer = provider.get_tracer("test")
    http = TestClient(app, base_url="http://localhost", headers=bearer(key))
    data = (shop_pictures / "photos" / "coins.png").read_bytes()
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "order-17"}
    for path, form, headers in (
        ("/v1/search", {"where": 'label == "photos"'}, trace),
        ("/v1/search/features", {}, {}),
    ):
        assert http.post(path, files={"picture": data}, data=form, headers=headers).status_code == 200
    id = served.client.scroll(1, where='label == "photos"').pictures[0].id
    assert http.get(f"/v1/pictures/{id}/thumbnail").status_code == 200
    assert http.post("/v1/search", json={"id": "x"}).status_code == 422
    return http, exporter, key


def test_every_stage_has_a_histogram(asked: tuple[TestClient, InMemorySpanExporter, str]) -> None:
    text = asked[0].get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counts = {
        sample.labels["stage"]: sample.value
        for sample in families["semblant_stage_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counts.keys() == set(STAGES)
    assert all(counts.values())
    requests = [sample.labels for sample in families["semblant_request_seconds"].samples if sample.name.endswith("_count")]
    assert {"operation": "search", "status": "200"} in requests
    assert {"operation": "search", "status": "422"} in requests


def test_a_request_is_a_span_of_the_caller_s_trace_and_its_stages_are_within_it(
    asked: tuple[TestClient, InMemorySpanExporter, str],
) -> None:
    spans = asked[1].get_finished_spans()
    search = next(span for span in spans if span.name == "search")
    assert f"{search.context.trace_id:032x}" == TRACE
    assert dict(search.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "semblant.request_id": "order-17",
    }
    inner = {span.name for span in spans if span.parent is not None and span.parent.span_id == search.context.span_id}
    assert inner == {"semblant.read", "semblant.decode", "semblant.encode", "semblant.search"}
    assert {span.name for span in spans} >= {"search_features", "get_thumbnail", "semblant.verify", "semblant.thumbnail"}
    assert all(span.status.status_code is not StatusCode.ERROR for span in spans)


def test_spans_hold_no_key_no_filter_and_no_picture(asked: tuple[TestClient, InMemorySpanExporter, str]) -> None:
    _, exporter, key = asked
    written = "".join(str(span.to_json()) for span in exporter.get_finished_spans())
    for secret in (key, key.split("_", 2)[2], "photos", "coins", "Bearer"):
        assert secret not in written


@pytest.mark.parametrize("script", [SET_UP, SET_UP_LATE], ids=["before", "while it serves"])
def test_where_a_host_has_set_up_tracing_a_request_is_one_span_without_its_filter(
    indexed: Path, tmp_path: Path, script: str
) -> None:
    database = shutil.copytree(indexed, tmp_path / "pictures.db")
    done = subprocess.run([sys.executable, "-c", script, database], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spans = json.loads(done.stdout)
    assert [name for name, _ in spans if not name.startswith("semblant.")] == ["list_pictures"]
    assert "photos" not in done.stdout
