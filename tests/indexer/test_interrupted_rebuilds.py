"""What is removed from the serving generation before the one that is built takes its place stays removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from semblant_indexer import generations as generations_module
from semblant_search import SearchClient, canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport, Progress
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


@pytest.fixture
def interrupted(pictures: Path, photos: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three sources and a client's two pictures, and a rebuild that ended just before it was published."""
    for name in ("bag", "coat", "sneaker"):
        index(pictures / name)
    with SearchClient(tmp_path / "db") as client:
        client.add_many([(photos / "chelsea.png", {"n": 1}), (photos / "coffee.png", {"n": 1})])
        client.update_metadata(next((pictures / "bag").iterdir()), {"n": 1})
        client.add(next((pictures / "bag").iterdir()), {"mine": 1})

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generations_module, "publish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            index(pictures / "bag", rebuild=True)
    return pictures


def test_a_source_removed_meanwhile_stays_removed(interrupted: Path, index: Index, records: Records, tmp_path: Path) -> None:
    with SearchClient(tmp_path / "db") as client:
        client.remove_source("coat")
    before = records()
    report = index(interrupted / "bag", rebuild=True)
    assert (report.generation, report.encoded, report.points) == ("g0002", 0, 22)
    assert records().keys() == before.keys()
    with SearchClient(tmp_path / "db") as client:
        assert [(one.name, one.pictures) for one in client.sources()] == [("bag", 10), ("client", 3), ("sneaker", 10)]


def test_what_a_client_deleted_or_changed_meanwhile_is_so(
    interrupted: Path, photos: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    with SearchClient(tmp_path / "db") as client:
        client.delete([photos / "chelsea.png"])
        client.update_metadata(photos / "coffee.png", {"n": 2})
    before = records()
    assert index(interrupted / "bag", rebuild=True).generation == "g0002"
    after = records()
    assert after.keys() == before.keys()
    assert after[canonical_uri(photos / "coffee.png")].payload["n"] == 2


def test_a_client_s_pictures_removed_meanwhile_stay_removed(interrupted: Path, index: Index, tmp_path: Path) -> None:
    with SearchClient(tmp_path / "db") as client:
        client.remove_source("client")
    assert index(interrupted / "bag", rebuild=True).points == 30
    with SearchClient(tmp_path / "db") as client:
        assert [(one.name, one.pictures) for one in client.sources()] == [("bag", 10), ("coat", 10), ("sneaker", 10)]


@pytest.mark.parametrize("name", ["bag", "coat"])
def test_pictures_pruned_meanwhile_stay_away(
    interrupted: Path, index: Index, records: Records, tmp_path: Path, name: str
) -> None:
    sorted((interrupted / name).iterdir())[-1].unlink()
    assert index(interrupted / name, prune=True).pruned == 1
    before = records()
    report = index(interrupted / "bag", rebuild=True)
    assert (report.generation, report.removed, report.pruned) == ("g0002", 0, 0)
    assert records().keys() == before.keys()


def test_a_source_removed_while_the_rebuild_runs_stays_removed(pictures: Path, index: Index, tmp_path: Path) -> None:
    for name in ("bag", "coat"):
        index(pictures / name)
    removed: list[object] = []

    def remove(progress: Progress) -> None:
        if progress.phase == "optimize" and not removed:
            with SearchClient(tmp_path / "db") as client:
                removed.append(client.remove_source("coat"))

    report = index(pictures / "bag", remove, rebuild=True)
    assert (report.generation, report.points, len(removed)) == ("g0002", 10, 1)
    assert not any("coat" in note for note in report.notes)
    with SearchClient(tmp_path / "db") as client:
        assert [one.name for one in client.sources()] == ["bag"]
