"""What a ledger answers: what is to be looked at again, what moved, what is gone, what is the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer.ledger import Entry, Ledger
from semblant_indexer.sources import Item, Problem
from support.ledgers import LIST, indexed, run_over, todo
from support.small_stores import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

PASSING = ["missing", "unreadable", "timeout", "crashed", "too-large", "metadata", "unsupported"]
LASTING = ["empty", "truncated", "not-an-image"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def item(name: str, size: int = 10, mtime_ns: int = 20, **more: Any) -> Item:
    return Item(f"{FOLDER}{name}.png", size, mtime_ns, **more)


def failed(ledger: Ledger, **reasons: str) -> None:
    uris = {f"{FOLDER}{name}.png": reason for name, reason in reasons.items()}
    ledger.record([Entry(uri, 10, 20, None, None, "failed", reason, "words", point=False) for uri, reason in uris.items()])


@pytest.mark.parametrize(
    ("now", "options", "again"),
    [
        ({}, {}, False),
        ({"size": 11}, {}, True),
        ({"mtime_ns": 21}, {}, True),
        ({"mtime_ns": 19}, {}, True),
        ({"metadata": {"b": 1, "a": 2}}, {}, False),  # the order of columns is no change
        ({"metadata": {"a": 2, "b": 2}}, {}, True),
        ({"metadata": {}}, {}, True),
        ({"size": -1}, {}, True),
        ({}, {"verify": True}, True),
        ({}, {"retry": True}, False),
        ({}, {"merge": True}, False),
    ],
)
def test_a_picture_is_unchanged_by_size_time_and_metadata(
    path: Path, now: dict[str, Any], options: dict[str, Any], again: bool
) -> None:
    before = item("a", metadata={"a": 2, "b": 1})
    with run_over(path, [before]) as ledger:
        assert todo(ledger) == ["a"]
        indexed(ledger)
        assert todo(ledger) == []
    with run_over(path, [before._replace(**now)], **options) as ledger:
        assert todo(ledger) == ["a"] * again


def test_what_a_listing_tells_nothing_of_is_looked_at_by_every_run(path: Path) -> None:
    for _ in range(2):
        with run_over(path, [item("a", -1, -1)]) as ledger:
            assert todo(ledger) == ["a"]
            indexed(ledger)
            assert todo(ledger) == []


def test_what_is_to_do_says_what_is_known(path: Path) -> None:
    with run_over(path, [item("a"), item("b")]) as ledger:
        new = next(ledger.todo())
        assert (new.sha256, new.same_file, new.same_metadata, new.known) == (None, False, False, frozenset())
        indexed(ledger)
    changes = [item("a", metadata={"x": 1}), item("b", 11)]
    with run_over(path, changes) as ledger:
        metadata, content = ledger.todo()
        assert (metadata.sha256, metadata.same_file, metadata.same_metadata) == ("a" * 64, True, False)
        assert metadata.payload == '{"x": 1}'
        assert (content.sha256, content.same_file, content.same_metadata) == ("b" * 64, False, True)
        assert content.known == {"b" * 64}
    with run_over(path, changes, verify=True) as ledger:
        assert [one.same_file for one in ledger.todo()] == [False, False]


@pytest.mark.parametrize("reason", PASSING + LASTING)
def test_failures_that_may_pass_are_tried_by_every_run_and_others_by_a_retry(path: Path, reason: str) -> None:
    with run_over(path, [item("a")]) as ledger:
        failed(ledger, a=reason)
        assert todo(ledger) == []  # this run is done with it, whatever it was
        assert ledger.count_todo() == 0
    with run_over(path, [item("a")]) as ledger:
        assert todo(ledger) == ["a"] * (reason in PASSING)
        assert ledger.count_todo() == (reason in PASSING)
    with run_over(path, [item("a", 11)]) as ledger:
        assert todo(ledger) == ["a"]
    with run_over(path, [item("a")], retry=True) as ledger:
        assert todo(ledger) == ["a"]


def test_what_the_source_finds_wrong_is_entered_and_costs_no_point(path: Path) -> None:
    with run_over(path, [item("a"), item("b")]) as ledger:
        indexed(ledger)
    gone, pipe = Problem("failed", "missing", "is gone"), Problem("skipped", "special-file", "a pipe")
    with run_over(path, [item("a", problem=gone), item("b"), item("c", problem=pipe), item("d", problem=gone)]) as ledger:
        assert todo(ledger) == []
        assert ledger.account() == {"indexed": 0, "unchanged": 1, "duplicate": 0, "failed": 2, "skipped": 1, "accepted": 0}
        assert ledger.points() == 2
        assert list(ledger.failures()) == [(f"{FOLDER}{name}.png", "missing", "is gone") for name in "ad"]
        assert ledger.reasons() == {"missing": 2}
    with run_over(path, [item("a"), item("b")]) as ledger:  # it is back, and known by its content
        (back,) = ledger.todo()
        assert (back.sha256, back.known) == ("a" * 64, frozenset(["a" * 64]))


def test_every_item_is_accounted_for(path: Path) -> None:
    with run_over(path, [item("a"), item("b")]) as ledger:
        indexed(ledger)
    pipe = Problem("skipped", "special-file", "a pipe")
    source = [item(name) for name in "abcdde"] + [item("f", problem=pipe)]
    with run_over(path, source) as ledger:
        assert ledger.repeated == 1
        assert todo(ledger) == ["c", "d", "e"]
        assert sum(ledger.account().values()) < len(source)  # three are not decided yet: nothing makes up for them
        ledger.record([Entry(f"{FOLDER}c.png", 10, 20, "c" * 64, None, "indexed", written=True)])
        ledger.record([Entry(f"{FOLDER}d.png", 10, 20, "a" * 64, None, "indexed", written=False)])
        failed(ledger, e="empty")
        ledger.set_duplicates([f"{FOLDER}d.png"])
        assert ledger.account() == {"indexed": 1, "unchanged": 2, "duplicate": 1, "failed": 1, "skipped": 2, "accepted": 0}
        assert ledger.points() == 3
        assert ledger.contents() == {f"{FOLDER}{name}.png": name * 64 if name != "c" else "c" * 64 for name in "abc"}


def test_a_file_under_a_new_name_is_known_by_its_size_and_content(path: Path) -> None:
    with run_over(path, [item("a"), item("b", 77), item("c")]) as ledger:
        indexed(ledger)
    with run_over(path, [item("c"), item("new"), item("other", 5)]) as ledger:
        known = {one.uri: one.known for one in ledger.todo()}
        assert known == {f"{FOLDER}new.png": frozenset(["a" * 64]), f"{FOLDER}other.png": frozenset()}
        assert ledger.vanished("a" * 64) == [f"{FOLDER}a.png"]
        assert ledger.vanished("c" * 64) == []
        assert ledger.moved() == []
        indexed(ledger, new="a")
        assert ledger.moved() == [f"{FOLDER}a.png"]
        assert sorted(ledger.removed()) == [(f"{FOLDER}a.png", True), (f"{FOLDER}b.png", True)]


@pytest.mark.parametrize(
    ("scope", "removed"),
    [
        (FOLDER, []),
        ("file:///pictures/bag/", ["pictures/bag/a.png", "pictures/bag/b.png"]),
        ("file:///pictures/ba/", []),
        ("file:///pictures/bag-old/", ["pictures/bag-old/c.png"]),
        (LIST, ["elsewhere/d.png"]),
    ],
)
def test_only_what_the_source_held_counts_as_gone(path: Path, scope: str, removed: list[str]) -> None:
    for folder, names in (("bag/", "ab"), ("bag-old/", "c")):
        items = [Item(f"{FOLDER}{folder}{name}.png", 1, 1) for name in names]
        with run_over(path, items, scope=f"{FOLDER}{folder}") as ledger:
            indexed(ledger)
    with run_over(path, [Item("file:///elsewhere/d.png", 1, 1)], scope=LIST) as ledger:
        indexed(ledger)
    with run_over(path, [Item("file:///new/d.png", 1, 1)], scope=scope) as ledger:
        indexed(ledger, d="e")
        assert sorted(uri for uri, _ in ledger.removed()) == [f"file:///{name}" for name in removed]
        ledger.record([Entry("file:///new/d.png", 1, 1, "a" * 64, None, "indexed")])
        assert ledger.moved() == [f"file:///{name}" for name in removed if name.endswith("a.png")]


def test_what_is_gone_says_whether_it_has_a_point(path: Path) -> None:
    with run_over(path, [item("a"), item("b")]) as ledger:
        failed(ledger, b="empty")
        indexed(ledger)
    with run_over(path, [item("c")]) as ledger:
        assert sorted(ledger.removed()) == [(f"{FOLDER}a.png", True), (f"{FOLDER}b.png", False)]
        ledger.forget([f"{FOLDER}a.png"])
        assert ledger.removed() == [(f"{FOLDER}b.png", False)]


def test_equal_pictures_are_grouped_in_the_order_of_their_names(path: Path) -> None:
    with run_over(path, [item("e"), item("gone")]) as ledger:
        indexed(ledger, e="x", gone="y")
    with run_over(path, [item(name) for name in "dcbae"]) as ledger:
        indexed(ledger, d="x", c="y", b="y", a="z")
        ledger.set_duplicates([f"{FOLDER}e.png"])
        by_content = [[(uri[len(FOLDER) : -4], point) for uri, point in group] for group in ledger.groups()]
        assert by_content == [[("d", True), ("e", False)], [("b", True), ("c", True)]]
        assert ledger.scanned([f"{FOLDER}gone.png", f"{FOLDER}a.png"]) == [f"{FOLDER}a.png"]


def test_a_merged_picture_is_settled_while_another_of_its_content_has_a_point(path: Path) -> None:
    def source(*names: str) -> list[Item]:
        return [item(name) for name in names]

    with run_over(path, source("a", "b"), merge=True) as ledger:
        indexed(ledger, a="x", b="x")
        ledger.set_duplicates([f"{FOLDER}b.png"])
    for merge, verify, left in ((True, False, []), (False, False, ["b"]), (True, True, ["a", "b"])):
        with run_over(path, source("a", "b"), merge=merge, verify=verify) as ledger:
            assert todo(ledger) == left
            assert all(one.sha256 is None for one in ledger.todo() if one.uri.endswith("b.png"))  # it has no point to keep
    with run_over(path, source("a", "c"), merge=True) as ledger:  # what is gone had no point to move
        assert [(one.uri[-5], one.known) for one in ledger.todo()] == [("c", frozenset())]
    with run_over(path, source("b"), merge=True) as ledger:  # the one that stood for it is gone
        assert todo(ledger) == ["b"]


def test_a_sample_is_drawn_from_the_whole_scan_and_the_same_each_time(path: Path) -> None:
    bad = Problem("failed", "missing", "gone")
    source = [item(f"{number:04d}") for number in range(300)] + [item(f"bad{number}", problem=bad) for number in range(50)]

    def draw(count: int, seed: int) -> list[str]:
        with run_over(path, source) as ledger:
            return ledger.sample(count, seed)

    first = draw(40, 1)
    assert len(first) == len(set(first)) == 40
    assert draw(40, 1) == first != draw(40, 2)
    assert not any("bad" in name for name in draw(1000, 1))
    assert len(draw(1000, 1)) == 300
    numbers = sorted(int(name[-8:-4]) for name in first)
    assert numbers[0] < 60
    assert numbers[-1] > 240
    with run_over(path, [item("a", place="tar:0:1:x.tar"), Item("https://host/b.png")]) as ledger:
        assert sorted(ledger.sample(9, 0)) == ["https://host/b.png", "tar:0:1:x.tar"]
        assert sorted(one.where for one in ledger.todo()) == ["https://host/b.png", "tar:0:1:x.tar"]


def test_long_lists_come_whole_and_in_order(path: Path) -> None:
    """More than fit into one page of any answer."""
    names = [f"{number:05d}" for number in range(2500)]
    with run_over(path, [item(name) for name in reversed(names)]) as ledger:
        assert todo(ledger) == names[::-1]
        assert [one.uri for one in ledger.todo(chunk=7)] == [one.uri for one in ledger.todo()]
        ledger.record(
            [Entry(f"{FOLDER}{name}.png", 10, 20, None, None, "failed", "empty", name, point=False) for name in names]
        )
        assert [message for _, _, message in ledger.failures()] == names
        assert ledger.reasons() == {"empty": 2500}


def test_failures_of_other_sources_are_not_reported(path: Path) -> None:
    with run_over(path, [item("a"), item("b")]) as ledger:
        failed(ledger, a="empty", b="truncated")
    with run_over(path, [item("b")], scope=LIST) as ledger:
        assert list(ledger.failures()) == []
        failed(ledger, b="truncated")
        assert [uri for uri, _, _ in ledger.failures()] == [f"{FOLDER}b.png"]
        assert ledger.reasons() == {"truncated": 1}
        assert ledger.account()["failed"] == 1


def test_points_found_in_the_store_are_taken_in_and_looked_at(path: Path) -> None:
    """After a lost ledger: what is known is the content; whether file and metadata are as they were is to be seen."""
    sha256 = hashlib.sha256(b"x").hexdigest()
    with run_over(path, [item("a")]) as ledger:
        ledger.record([Entry(f"{FOLDER}a.png", 10, -1, sha256, None, "indexed")], seen=False)
        (one,) = ledger.todo()
        assert (one.sha256, one.same_file, one.same_metadata, one.known) == (sha256, False, False, frozenset([sha256]))
        assert ledger.points() == 1
