"""What a request takes: histograms of its stages for Prometheus, and spans where OpenTelemetry is installed.

A span has the operation, the status and the request id, and never a key, a filter or a picture. Without an SDK that is set up,
OpenTelemetry's spans do nothing.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from .metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from semblant_search.stages import Stage

try:
    from opentelemetry import propagate, trace
except ModuleNotFoundError:
    _INSTALLED = False
else:
    _INSTALLED = True

__all__ = ["Telemetry"]


class Telemetry:
    """Of one service. Thread-safe.

    Attributes:
        metrics: the service's own.
        tracer: makes spans; None without OpenTelemetry.
    """

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.tracer: Any = trace.get_tracer("semblant_search") if _INSTALLED else None

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Time a stage of a request."""
        span: AbstractContextManager[object] = nullcontext()
        if self.tracer is not None:
            span = self.tracer.start_as_current_span(f"semblant.{name}", record_exception=False)
        with self.metrics.stages.labels(name).time(), span:
            yield

    @contextmanager
    def request(self, operation: str, method: str, request_id: str, headers: Mapping[str, str]) -> Iterator[Answered]:
        """The span of a request, a part of the caller's trace where its headers name one."""
        if self.tracer is None:
            yield Answered(None)
            return
        with self.tracer.start_as_current_span(
            operation,
            propagate.extract(headers),
            trace.SpanKind.SERVER,
            {"http.request.method": method, "semblant.request_id": request_id},
        ) as span:
            yield Answered(span)


class Answered:
    """Where the status of an answer is noted."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def with_status(self, status: int) -> None:
        """Note it; one of a failure of the service makes the span one."""
        if self._span is None:
            return
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(trace.StatusCode.ERROR)
