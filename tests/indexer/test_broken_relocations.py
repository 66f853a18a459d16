"""A relocation that is broken off at any of its writes: the same call again makes of it what an unbroken one does."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search import SearchClient, canonical_uri
from semblant_search.store import Store
from semblant_search.writing import relocating

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]

_WRITES = ("upsert", "set_payloads", "delete", "put_asset", "drop_asset")


class _BrokenOffError(BaseException):
    """Nobody catches it, as nobody catches a kill."""


class _Breaking:
    """Lets some writes of every store pass, and none that follows."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = -1
        for name in _WRITES:
            patch.setattr(Store, name, self._counted(getattr(Store, name)))

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self.left == 0:
                raise _BrokenOffError
            self.left -= 1
            return write(*arguments, **options)

        return counted


@pytest.mark.parametrize("joined", [False, True], ids=["a place that nobody indexed", "a source of its own"])
def test_a_relocation_goes_on_where_it_was_broken_off(
    pictures: Path, index: Index, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    monkeypatch.setattr(relocating, "_WITH_VECTORS", 16)
    moved = tmp_path / "moved"
    shutil.copytree(pictures, moved)
    index(pictures)
    if joined:
        (moved / "bag" / "more.png").write_bytes((moved / "coat" / next((moved / "coat").iterdir()).name).read_bytes() + b"\0")
        index(moved)
    shutil.rmtree(pictures)
    (tmp_path / "db").rename(tmp_path / "begin")
    breaking, passed, expected = _Breaking(monkeypatch), 0, {}

    def relocate(db: Path, writes: int) -> bool:
        """Whether it came to its end."""
        with SearchClient(db) as client:
            breaking.left = writes
            try:
                client.relocate_source("pictures", moved)
            except _BrokenOffError:
                return False
            finally:
                breaking.left = -1
            return True

    def facts(db: Path) -> dict[str, Any]:
        with SearchClient(db) as client:
            sources = [(one.name, one.root, one.pictures) for one in client.sources()]
        return {"sources": sources, **{uri: (one.payload, one.image.tolist()) for uri, one in records(db=db).items()}}  # type: ignore[union-attr]

    shutil.copytree(tmp_path / "begin", tmp_path / "whole")
    assert relocate(tmp_path / "whole", -1)
    expected = facts(tmp_path / "whole")
    assert expected["sources"] == [("pictures", canonical_uri(moved) + "/", 31 if joined else 30)]
    while True:
        db = tmp_path / f"after {passed}"
        shutil.copytree(tmp_path / "begin", db)
        if relocate(db, passed):
            break
        assert relocate(db, -1), passed
        assert facts(db) == expected, passed
        passed += 1
    assert passed >= 6
