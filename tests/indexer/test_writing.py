"""From what decoder and encoder say of pictures to points and rows: on a real store and ledger, without pictures."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_indexer.ledger import Entry, Todo
from semblant_indexer.sources import Item
from semblant_indexer.worker import Decoded, Rejected, Unchanged
from semblant_indexer.writer import Writer, settle
from semblant_search.collection import point_id
from semblant_search.encoder import Vectors
from semblant_search.store import open_database
from support.ledgers import Desk, run_over, todo
from support.small_stores import FOLDER, manifest, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from semblant_indexer.ledger import Ledger

PASSING = ["missing", "unreadable", "timeout", "crashed", "too-large", "metadata", "unsupported"]
LASTING = ["empty", "truncated", "not-an-image"]
BAD = Rejected("empty", "no")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(open_database(tmp_path / "db", create=True)) as db, closing(db.create(manifest())) as store:
        yield Desk(store, tmp_path / "ledger.sqlite")


def decoded(sha256: str = "a" * 64, **facts: Any) -> Decoded:
    values = {"size": 10, "mtime_ns": 20, "width": 28, "height": 30, "format": "PNG", "features": None, "words": None, **facts}
    return Decoded(sha256, **values)


def vectors_for(results: Sequence[object], seed: int = 0) -> Vectors:
    return Vectors(unit_vectors(sum(isinstance(result, Decoded) for result in results), seed=seed), None)


def write_all(writer: Writer, ledger: Ledger, **contents: str) -> None:
    """Pictures that were decoded and encoded, by the first letter of their SHA-256."""
    todos = list(ledger.todo())
    results = [decoded(contents[one.uri[len(FOLDER) : -4]] * 64) for one in todos]
    writer.write(todos, results, vectors_for(results))
    writer.flush()


def test_a_picture_becomes_a_point_with_every_fact() -> None:
    uri = f"{FOLDER}a.png"
    one = Todo(uri, 10, 20, '{"price": 3, "tags": ["x"]}', "hash")
    words = np.array([3, 7], np.uint32), np.array([0.5, 1.5], np.float32)
    features = np.arange(36, dtype=np.uint8)[None]
    result = decoded(size=11, mtime_ns=21, words=words, features=features, exif={"_camera": "X100"})
    vectors = Vectors(unit_vectors(1), unit_vectors(4, 5).reshape(1, 4, 5))
    outcome = settle([one], [result], vectors)
    (point,) = outcome.points
    assert point.id == point_id(uri)
    moment = point.payload["_indexed_at"]
    assert point.payload == {
        "price": 3,
        "tags": ["x"],
        "_uri": uri,
        "_sha256": "a" * 64,
        "_width": 28,
        "_height": 30,
        "_format": "PNG",
        "_bytes": 11,
        "_indexed_at": moment,
        "_camera": "X100",
    }
    np.testing.assert_array_equal(point.image, vectors.image[0])
    assert point.orb is not None
    assert (point.orb.indices.tolist(), point.orb.values.tolist()) == ([3, 7], [0.5, 1.5])
    assert point.features is features
    assert point.cells is not None
    assert vectors.cells is not None
    np.testing.assert_array_equal(point.cells, vectors.cells[0])
    assert outcome.entries == [Entry(uri, 11, 21, "a" * 64, "hash", "indexed", written=True)]
    assert outcome.kept == []


def test_vectors_go_to_the_pictures_that_were_decoded() -> None:
    results: list[Decoded | Unchanged | Rejected]
    results = [BAD, decoded("b" * 64), Unchanged("c" * 64, 1, 1), decoded("d" * 64), BAD]
    todos = [Todo(f"{FOLDER}{name}.png", 10, 20, "{}", "") for name in "abcde"]
    vectors = Vectors(unit_vectors(2), unit_vectors(2, 3).reshape(2, 1, 3))
    outcome = settle(todos, results, vectors)
    assert [point.payload["_sha256"][0] for point in outcome.points] == ["b", "d"]
    for row, point in enumerate(outcome.points):
        np.testing.assert_array_equal(point.image, vectors.image[row])
        assert point.cells is not None
        assert vectors.cells is not None
        np.testing.assert_array_equal(point.cells, vectors.cells[row])
        assert point.id == point_id(point.payload["_uri"])
    assert [one.uri for one, _ in outcome.kept] == [f"{FOLDER}c.png"]
    assert [(entry.uri[-5], entry.outcome) for entry in outcome.entries] == [
        ("a", "failed"),
        ("b", "indexed"),
        ("d", "indexed"),
        ("e", "failed"),
    ]


@pytest.mark.parametrize("reason", PASSING + LASTING)
@pytest.mark.parametrize("before", [None, "b" * 64])
def test_a_failure_costs_no_point(reason: str, before: str | None) -> None:
    """Where the content is bad, `--prune` decides."""
    one = Todo(f"{FOLDER}a.png", 10, 20, "{}", "hash", before, same_metadata=before is not None)
    outcome = settle([one], [Rejected(reason, "words")], None)
    keep = before is not None
    assert (outcome.points, outcome.kept) == ([], [])
    (entry,) = outcome.entries
    became = "skipped" if reason == "unsupported" else "failed"
    assert entry == Entry(one.uri, 10, 20, before, "hash" if keep else None, became, reason, "words", point=keep)


def test_what_no_listing_tells_comes_from_the_file(desk: Desk) -> None:
    """Of a URL without a time the listing's stays; of a file, that of the very content that was read counts."""
    one = Todo(f"{FOLDER}a.png", 10, 20, "{}", "")
    for mtime_ns, entered in ((-1, 20), (0, 0), (33, 33)):
        (entry,) = settle([one], [decoded(size=12, mtime_ns=mtime_ns)], vectors_for([decoded()])).entries
        assert (entry.size, entry.mtime_ns) == (12, entered)


def test_batches_are_counted_and_written_at_the_latest_when_flushed(desk: Desk) -> None:
    with desk.run("a", "b", "c") as ledger:
        writer = Writer(desk.store, ledger, FOLDER)
        todos = list(ledger.todo())
        results: list[Decoded | Unchanged | Rejected] = [decoded(), BAD, decoded("c" * 64)]
        writer.write(todos, results, vectors_for(results))
        assert (writer.counts.encoded, writer.counts.failed, writer.counts.other, writer.counts.done) == (2, 1, 0, 3)
        writer.flush()
        assert (desk.store.count(), ledger.points(), todo(ledger)) == (2, 2, [])
        writer.flush()  # with nothing to write
        assert ledger.account() == {"indexed": 2, "unchanged": 0, "duplicate": 0, "failed": 1, "skipped": 0, "accepted": 0}


def test_much_is_written_without_waiting_for_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was encoded long ago must not be lost with the process."""
    monkeypatch.setattr("semblant_indexer.writer._LONGEST", float("inf"))  # by how much there is, however slow the machine
    names = [f"{number:04d}" for number in range(2100)]
    with desk.run(*names) as ledger:
        writer = Writer(desk.store, ledger, FOLDER)
        for start in range(0, 2100, 300):
            todos = [Todo(f"{FOLDER}{name}.png", 10, 20, "{}", "") for name in names[start : start + 300]]
            results = [decoded(f"{start + number:064d}") for number in range(300)]
            writer.write(todos, results, vectors_for(results))
        assert desk.store.count() == ledger.points() == 2100


def test_new_metadata_replaces_the_old_and_keeps_facts_and_vector(desk: Desk) -> None:
    uri = f"{FOLDER}a.png"
    with run_over(desk.path, [Item(uri, 10, 20, {"price": 3, "old": 1})]) as ledger:
        write_all(Writer(desk.store, ledger, FOLDER), ledger, a="a")
    before = next(desk.store.scroll(with_image=True))
    items = [Item(uri, 10, 20, {"price": 4}), Item(f"{FOLDER}b.png", 10, 20)]
    with run_over(desk.path, items) as ledger:
        changed, _ = ledger.todo()
        writer = Writer(desk.store, ledger, FOLDER)
        writer.keep([(changed, Unchanged(changed.sha256 or "", 10, 20))])
        assert (writer.counts.other, writer.counts.encoded, todo(ledger)) == (1, 0, ["b"])
        assert ledger.account()["indexed"] == 1
    after = next(desk.store.scroll(with_image=True))
    assert after.payload == {**{k: v for k, v in before.payload.items() if k.startswith("_")}, "price": 4}
    np.testing.assert_array_equal(after.image, before.image)
    with run_over(desk.path, items[:1]) as ledger:
        assert todo(ledger) == []


def test_what_turns_out_unchanged_is_entered_without_writing(desk: Desk) -> None:
    with desk.run("a") as ledger:
        write_all(Writer(desk.store, ledger, FOLDER), ledger, a="a")
    with run_over(desk.path, [Item(f"{FOLDER}a.png", 10, 99)]) as ledger:
        (one,) = ledger.todo()
        writer = Writer(desk.store, ledger, FOLDER)
        writer.write([one], [Unchanged("a" * 64, 10, 99)], None)
        assert ledger.account() == {"indexed": 0, "unchanged": 1, "duplicate": 0, "failed": 0, "skipped": 0, "accepted": 0}
        assert writer.counts.other == 1
    with run_over(desk.path, [Item(f"{FOLDER}a.png", 10, 99)]) as ledger:
        assert todo(ledger) == []


def test_points_that_are_gone_from_the_store_are_missed(desk: Desk) -> None:
    """Deleted by someone else while the run goes on: named, counted, and tried again by the next run."""
    with desk.run("a", "old") as ledger:
        write_all(Writer(desk.store, ledger, FOLDER), ledger, a="a", old="b")
    items = [Item(f"{FOLDER}a.png", 10, 20, {"price": 4}), Item(f"{FOLDER}new.png", 10, 20)]
    with run_over(desk.path, items) as ledger:
        changed, moved = ledger.todo()
        desk.store.delete([point_id(f"{FOLDER}{name}.png") for name in ("a", "old")])
        Writer(desk.store, ledger, FOLDER).write(
            [changed, moved], [Unchanged("a" * 64, 10, 20), Unchanged("b" * 64, 10, 20)], None
        )
        assert ledger.reasons() == {"missing": 2}
        assert [message for _, _, message in ledger.failures()] == [
            f"{FOLDER}a.png: its point was deleted meanwhile",
            f"{FOLDER}new.png: the point it moved from is gone",
        ]
        assert not {f"{FOLDER}a.png", f"{FOLDER}new.png"} & ledger.contents().keys()
    with run_over(desk.path, items) as ledger:
        assert [one.sha256 for one in ledger.todo()] == [None, None]


def test_a_moved_picture_takes_vector_and_facts_and_not_the_old_metadata(desk: Desk) -> None:
    with run_over(desk.path, [Item(f"{FOLDER}old.png", 10, 20, {"price": 3})]) as ledger:
        write_all(Writer(desk.store, ledger, FOLDER), ledger, old="a")
    before = next(desk.store.scroll(with_image=True))
    with run_over(desk.path, [Item(f"{FOLDER}new.png", 10, 21, {"title": "x"})]) as ledger:
        (one,) = ledger.todo()
        assert one.known == frozenset(["a" * 64])
        writer = Writer(desk.store, ledger, FOLDER)
        writer.write([one], [Unchanged("a" * 64, 10, 21)], None)
        assert (writer.counts.other, ledger.account()["indexed"], ledger.moved()) == (1, 1, [f"{FOLDER}old.png"])
    (new,) = desk.store.retrieve([point_id(f"{FOLDER}new.png")], with_image=True)
    facts = {name: value for name, value in before.payload.items() if name.startswith("_")}
    assert new.payload == {**facts, "_uri": f"{FOLDER}new.png", "title": "x"}
    np.testing.assert_array_equal(new.image, before.image)
