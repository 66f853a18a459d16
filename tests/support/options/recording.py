"""Runs a command with the library's functions replaced by ones that write down what they are given."""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_search.cli import semblant
from semblant_search.client import SearchClient
from semblant_search.jobs import Job, JobEvent, JobProgress
from semblant_search.results import Picture
from semblant_search.writing.relocating import Relocation
from semblant_search.writing.shared_pictures import Released
from semblant_search.writing.source_changes import SourceSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["CALLBACK", "CLIENT", "DATABASE", "OPEN_CLIENT", "Called", "arguments", "callback", "received"]

CALLBACK = "a callback"
"""Stands for any function."""
DATABASE = "an open database"
OPEN_CLIENT = "an open client"
CLIENT = "semblant_search.client.SearchClient"
_JOB = Job("8d1f", "index", "done", "/pictures", "images", "2025-05-01T12:00:00Z", None, JobProgress("done"), 1, 3)


class _NoEvents:
    """Of a job that has ended."""

    def __iter__(self) -> Iterator[JobEvent]:
        return iter(())

    def close(self) -> None:
        pass


_ANSWERS: Mapping[str, object] = {
    "count": 0,
    "facet": {},
    "get_many": lambda names: [Picture("1", name) for name in names],
    "delete": 0,
    "sources": [],
    "remove_source": Released(0, 0),
    "rename_source": SourceSummary("a1", "store", "file:///shop/", 0, None),
    "relocate_source": Relocation("shop", "file:///old/", "file:///new/", 0, 0, 0, 0),
    "jobs": [],
    "get_job": _JOB,
    "start_job": _JOB,
    "follow_job": _NoEvents(),
    "cancel_job": _JOB,
    "search": [],
    "search_features": [],
    "search_fused": [],
    "search_groups": [],
    "search_like": [],
    "duplicates": [],
}


def callback(*_: object) -> None:
    """Any function, where one is passed."""


class Called(Exception):  # noqa: N818 - no error: the command has come as far as it is to be watched
    """Ends a command at the call that was waited for."""


class _AnyClient:
    """What stands in for `SearchClient`."""


class _Database:
    def collections(self) -> dict[str, str]:
        return {"images": "g0001", "others": "g0002"}

    def close(self) -> None:
        pass


def arguments(name: str, function: Callable[..., Any], /, *args: object, **kwargs: object) -> dict[str, object]:
    """What a call passes, defaults included, as `{"NAME.parameter": value}`; dataclasses are taken apart."""
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found: dict[str, object] = {}
    for parameter, value in bound.arguments.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found |= {f"{name}.{parameter}.{field.name}": getattr(value, field.name) for field in dataclasses.fields(value)}
        elif signature.parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD:
            found |= {f"{name}.{parameter}.{key}": given for key, given in value.items()}
        else:
            found[f"{name}.{parameter}"] = _standing_for(value)
    return found


def _standing_for(value: object) -> object:
    if isinstance(value, _Database):
        return DATABASE
    if isinstance(value, _AnyClient):
        return OPEN_CLIENT
    return CALLBACK if callable(value) else value


def received(words: Sequence[str], seams: Mapping[str, object], env: Mapping[str, str] | None = None) -> dict[str, object]:
    """What the functions of `seams` are given when the command runs."""
    log: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        for seam, answer in seams.items():
            module, _, name = seam.rpartition(".")
            patch.setattr(import_module(module), name, _client(log) if seam == CLIENT else _function(log, seam, answer))
        result = CliRunner().invoke(semblant, list(words), env={"SEMBLANT_DB": None, "SEMBLANT_API_KEY": None, **(env or {})})
    assert result.exception is None or isinstance(result.exception, Called), (result.output, result.exception)
    return log


def _function(log: dict[str, object], seam: str, answer: object) -> Callable[..., Any]:
    module, _, name = seam.rpartition(".")
    real: Callable[..., object] = getattr(import_module(module), name)

    def call(*args: object, **kwargs: object) -> object:
        log.update(arguments(name, real, *args, **kwargs))
        if answer is DATABASE:
            return _Database()
        if answer is Called:
            raise Called
        return answer

    return call


def _client(log: dict[str, object]) -> type:
    class Client(_AnyClient):
        manifest = SimpleNamespace(to_json=dict)

        def __init__(self, *args: object, **kwargs: object) -> None:
            log.update(arguments("SearchClient", SearchClient, *args, **kwargs))

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def __getattr__(self, name: str) -> Callable[..., Any]:
            def method(*args: object, **kwargs: object) -> object:
                log.update(arguments(name, getattr(SearchClient, name), self, *args, **kwargs))
                del log[f"{name}.self"]
                answer = _ANSWERS[name]
                return answer(*args, **kwargs) if callable(answer) else answer

            return method

    return Client
