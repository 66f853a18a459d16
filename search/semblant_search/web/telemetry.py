"""What a request takes: histograms of its stages for Prometheus, and spans where OpenTelemetry is installed.

A span has the operation, the status and the request id, and never a key, a filter or a picture. Without an SDK that is set up,
OpenTelemetry's spans do nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from semblant_search.stages import STAGES

from .metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        self._timers = {name: self.metrics.stages.labels(name) for name in STAGES}

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Time a stage of a request."""
        begun = perf_counter()
        try:
            if self._is_traced():
                with self.tracer.start_as_current_span(f"semblant.{name}", record_exception=False):
                    yield
            else:
                yield
        finally:
            self._timers[name].observe(perf_counter() - begun)

    @contextmanager
    def request(self, operation: str, method: str, request_id: str, headers: Mapping[str, str]) -> Iterator[Answered]:
        """The span of a request, a part of the caller's trace where its headers name one."""
        if not self._is_traced():
            yield _UNTRACED
            return
        with self.tracer.start_as_current_span(
            operation,
            propagate.extract(headers),
            trace.SpanKind.SERVER,
            {"http.request.method": method, "semblant.request_id": request_id},
        ) as span:
            yield Answered(span)

    def _is_traced(self) -> bool:
        """Whether spans go anywhere. Those of OpenTelemetry without an SDK do nothing, in a tenth of a request."""
        if self.tracer is None:
            return False
        # A program's own tracer is for real; that of a process without an SDK becomes so when one is set up.
        own = not isinstance(self.tracer, trace.ProxyTracer)
        return own or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


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


_UNTRACED = Answered(None)
