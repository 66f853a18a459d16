"""A process without a network, as far as it goes through proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["without_network"]


def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send what is fetched during a test to a proxy that is not there."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    # `urlopen` looks at the variables once in a process: what it remembers of these must not outlast the test.
    monkeypatch.setattr("urllib.request._opener", None)
