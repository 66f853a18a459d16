"""What a service counts and times, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The service's own registry, so that a program that embeds the routes keeps its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "semblant_request_seconds", "Time of requests.", ("operation", "status"), registry=self._registry, buckets=_SECONDS
        )
        self.stages = Histogram(
            "semblant_stage_seconds", "Time of the stages of requests.", ("stage",), registry=self._registry, buckets=_SECONDS
        )
        self.problems = Counter("semblant_problems", "Problems by their code.", ("code",), registry=self._registry)
        self.at_work = Gauge("semblant_requests_at_work", "Requests that are being answered.", registry=self._registry)

    def text(self) -> bytes:
        """The state of all, in Prometheus' text format."""
        return generate_latest(self._registry)
