"""What is installed, what the machine has, and whether a database or a service answers: `semblant doctor`."""

from __future__ import annotations

import os
import platform
import re
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import SemblantError
from .quiet_import import no_telemetry
from .shown import counted, without_password

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Finding", "Verdict", "examine"]

Verdict = Literal["good", "absent", "bad"]
"""`absent` is something that can be done without, `bad` something that will fail."""
_PARTS = ("semblant-search", "semblant-indexer", "semblant-exporter")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)[^;=<>!~]*(?:==(?P<exact>[0-9][^,;\s]*))?.*extra == ['\"](?P<extra>[a-z0-9-]+)['\"]"
)
_NVIDIA = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: `versions`, `extras`, `machine`, `engine`, `database` or `service`.
        name: what it is, such as `semblant-search[orb]`.
        verdict: whether it is good, absent, or will fail.
        said: what was found.
        advice: what to do about it, or None.
    """

    area: str
    name: str
    verdict: Verdict
    said: str
    advice: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `semblant doctor --json` writes it."""
        return asdict(self)


def examine(
    db: str | None = None, *, collection: str | None = None, api_key: str | None = None, timeout: float = 10.0
) -> list[Finding]:
    """Look at everything, and raise nothing: what fails is a finding.

    Args:
        db: a directory, a server's URL, or a service's (`semblant://host:port`); None looks at this machine only.
        collection: the only one to look at; None means all, and `images` of a service.
        api_key: of the server, or a key of the service.
        timeout: seconds to wait for either.
    """
    found = [*_versions(), *_extras(), *_machine(), *_engine()]
    if db is not None and db.partition("://")[0].lower() in ("semblant", "semblants"):
        found += _service(db, collection or "images", api_key, timeout)
    elif db is not None:
        found += _database(db, collection, api_key, timeout)
    return found


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "Python", "good", f"{platform.python_version()} on {platform.platform()}")
    own = version("semblant-search")
    for part in _PARTS:
        installed = _installed(part)
        if installed is None:
            yield Finding("versions", part, "absent", "not installed", f"pip install {part}")
        elif installed != own:
            line = f"pip install --upgrade {' '.join(name for name in _PARTS if _installed(name))}"
            yield Finding("versions", part, "bad", f"{installed}, but semblant-search is {own}: they belong together", line)
        else:
            yield Finding("versions", part, "good", installed)
    for name in ("qdrant-client", "onnxruntime", "onnxruntime-gpu", "numpy", "pillow", "torch"):
        if (installed := _installed(name)) is not None:
            yield Finding("versions", name, "good", installed)


def _extras() -> Iterator[Finding]:
    """Each extra of each part that is installed: whether all that it brings is there."""
    for part in _PARTS:
        try:
            requires = distribution(part).requires or ()
        except PackageNotFoundError:
            continue
        brought: dict[str, list[tuple[str, str | None]]] = {}
        for line in requires:
            if (asked := _REQUIREMENT.match(line)) is not None and not asked["name"].startswith("semblant"):
                brought.setdefault(asked["extra"], []).append((asked["name"], asked["exact"]))
        for extra, wanted in brought.items():
            have = {name: _installed(name) for name, _ in wanted}
            lacking = [name for name, installed in have.items() if installed is None]
            others = [
                f"{name} {have[name]}, not {exact}" for name, exact in wanted if exact and have[name] not in (None, exact)
            ]
            line = f"pip install '{part}[{extra}]'"
            if lacking:
                yield Finding("extras", f"{part}[{extra}]", "absent", f"without {', '.join(lacking)}", line)
            elif others:
                yield Finding("extras", f"{part}[{extra}]", "bad", ", ".join(others), line)
            else:
                yield Finding("extras", f"{part}[{extra}]", "good", ", ".join(f"{name} {have[name]}" for name in have))


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "processors", "good", f"{_processors()} to be used")
    if (memory := _memory()) is not None:
        enough = memory >= 1_000_000_000
        advice = None if enough else "decoding large pictures may take more: lower --max-pixels and --workers"
        yield Finding("machine", "memory", "good" if enough else "bad", f"{memory / 1e9:.1f} GB", advice)
    names = sorted({_name_of(path) for path in _NVIDIA.glob("*/information")})
    if not names:
        yield Finding(
            "machine", "GPU", "absent", "none of NVIDIA's; nothing here needs one, but training is many times as fast"
        )
    else:
        yield Finding("machine", "GPU", "good", ", ".join(names))


def _engine() -> Iterator[Finding]:
    with no_telemetry():
        import onnxruntime

    providers = onnxruntime.get_available_providers()
    yield Finding("engine", "ONNX Runtime", "good", f"{onnxruntime.__version__}, {', '.join(providers)}")
    if _NVIDIA.is_dir() and "CUDAExecutionProvider" not in providers:
        advice = "pip install onnxruntime-gpu, in place of onnxruntime, encodes on it"
        yield Finding("engine", "GPU", "absent", "there is one, which ONNX Runtime does not use", advice)
    if _installed("qdrant-edge-py") is not None:
        try:
            import qdrant_edge  # noqa: F401
        except ImportError as error:
            yield Finding("engine", "Qdrant Edge", "bad", str(error), "pip install --force-reinstall 'semblant-search[edge]'")
        else:
            yield Finding("engine", "Qdrant Edge", "good", version("qdrant-edge-py"))


def _database(db: str, collection: str | None, api_key: str | None, timeout: float) -> Iterator[Finding]:
    from .client import SearchClient
    from .store import open_database

    place = without_password(db)
    try:
        with closing(open_database(db, api_key=api_key, timeout=timeout)) as database:
            names = sorted(database.collections()) if collection is None else [collection]
            kind = "a server" if "://" in db else "a directory"
            yield Finding("database", place, "good", f"{kind}, {len(names)} collection{'' if len(names) == 1 else 's'}")
            for name in names:
                try:
                    with SearchClient(database, collection=name) as client:
                        manifest = client.manifest
                        details = "" if manifest.orb is None else ", with details"
                        said = f"{counted(client.count(), 'picture')} by {manifest.encoder.name}{details}"
                    yield Finding("database", f"collection {name}", "good", said)
                except SemblantError as error:
                    yield Finding("database", f"collection {name}", "bad", type(error).__name__, str(error))
    except SemblantError as error:
        yield Finding("database", place, "bad", type(error).__name__, str(error))


def _service(address: str, collection: str, api_key: str | None, timeout: float) -> Iterator[Finding]:
    from .client import SearchClient

    try:
        with SearchClient(address, collection=collection, api_key=api_key, timeout=timeout) as client:
            said = f"{counted(client.count(), 'picture')} of collection {collection!r}"
        yield Finding("service", without_password(address), "good", said)
    except SemblantError as error:
        yield Finding("service", without_password(address), "bad", type(error).__name__, str(error))


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int | None:
    """Bytes of this machine, or of its container where that has less; None where nobody says."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        return min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no such file, or `max`
        return whole


def _name_of(information: Path) -> str:
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return "a GPU of NVIDIA's"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "a GPU of NVIDIA's")
