"""The ledger against a plain model of it, and a job that is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from semblant_indexer.ledger import TRANSIENT, Entry, Ledger
from semblant_indexer.sources import Item, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_indexer import IndexReport
    from semblant_search.store.base import Record

URIS = [f"file:///pictures/{number}.png" for number in range(6)]
REASONS = st.sampled_from(["truncated", "empty", *TRANSIENT[:2]])
items = st.builds(
    Item,
    st.sampled_from(URIS),
    st.integers(0, 2),
    st.integers(0, 2),
    st.fixed_dictionaries({"label": st.sampled_from(["a", "b"])}),
    st.one_of(st.none(), st.just(Problem("failed", "missing", "gone")), st.just(Problem("skipped", "special-file", "pipe"))),
)
verdicts = st.one_of(st.none(), REASONS)


@settings(deadline=None, max_examples=60)
@given(
    runs=st.lists(st.tuples(st.lists(items, max_size=8), st.lists(verdicts, min_size=8, max_size=8), st.booleans()), max_size=4)
)
def test_every_item_of_every_run_is_accounted_for(runs: list[tuple[list[Item], list[str | None], bool]]) -> None:
    """Runs over changing sources: each item is exactly one of unchanged, failed before, to do, a problem or a repetition."""
    with tempfile.TemporaryDirectory() as folder:
        known: dict[str, Entry] = {}
        for source, outcomes, retry in runs:
            ledger = Ledger()
            found = ledger.scan(source, "file:///pictures/")
            ledger.attach(Path(folder) / "ledger.sqlite", "g0001", "today", "fingerprint")
            first: dict[str, Item] = {}
            for item in source:
                first.setdefault(item.uri, item)
            problems = ledger.settle_problems()
            unchanged, hopeless = ledger.count_unchanged(), ledger.known_failures(retry=retry)
            todo = list(ledger.todo(retry=retry, chunk=2))
            assert len(todo) == ledger.count_todo(retry=retry)
            assert found == unchanged + hopeless + len(todo) + sum(problems.values()) + ledger.repeated
            assert [one.uri for one in todo] == [uri for uri in first if uri in {one.uri for one in todo}]
            for one, outcome in zip(todo, outcomes, strict=False):
                item = first[one.uri]
                before = known.get(one.uri)
                assert one.sha256 == (before.sha256 if before else None)
                entry = (
                    Entry(one.uri, item.size, item.mtime_ns, "0" * 64, one.metadata, "indexed")
                    if outcome is None
                    else Entry(one.uri, item.size, item.mtime_ns, None, None, "failed", outcome, "words")
                )
                ledger.record([entry])
                known[one.uri] = entry
            for uri, item in first.items():
                if item.problem is not None:
                    before = known.get(uri)
                    sha256, metadata = (before.sha256, before.metadata) if before else (None, None)
                    known[uri] = Entry(uri, item.size, item.mtime_ns, sha256, metadata, *item.problem)
            assert ledger.points() == sum(entry.sha256 is not None for entry in known.values())
            assert {uri for uri, _ in ledger.removed()} == set(known) - set(first)
            ledger.close()


def test_generations_do_not_mix_and_a_new_one_of_the_same_name_begins_empty(tmp_path: Path) -> None:
    def points(generation: str, created: str, *, write: bool = False) -> int:
        ledger = Ledger()
        ledger.scan([Item(URIS[0], 1, 1)], "file:///pictures/")
        ledger.attach(tmp_path / "ledger.sqlite", generation, created, "fingerprint")
        if write:
            ledger.record([Entry(URIS[0], 1, 1, "0" * 64, None, "indexed")])
        count = ledger.points()
        ledger.close()
        return count

    assert points("g0001", "monday", write=True) == 1
    assert points("g0002", "tuesday") == 0
    assert points("g0001", "monday") == 1
    assert points("g0001", "wednesday") == 0


def test_a_killed_job_goes_on_to_the_collection_of_an_unbroken_one(
    fashion_small: Path,
    encoder_file: Path,
    tmp_path: Path,
    index: Callable[..., IndexReport],
    records: Callable[..., dict[str, Record]],
) -> None:
    source, killed = fashion_small / "train", tmp_path / "killed"
    whole = index(source, db=str(tmp_path / "whole"))
    code = (
        "import sys; from semblant_indexer import IndexJob, run; "
        "run(IndexJob(*sys.argv[1:4], orb=None, workers=1, threads=1, batch=16))"
    )
    command = [sys.executable, "-c", code, str(source), str(encoder_file), str(killed)]
    kills, dice = 0, random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(command)
        time.sleep(dice.uniform(0.4, 1.6))
        kills += process.poll() is None
        process.kill()
        process.wait()
    assert kills > 0
    report = index(source, db=str(killed))
    assert report.points == whole.points == 600
    expected, got = records(db=tmp_path / "whole"), records(db=killed)
    assert set(expected) == set(got)
    for uri, record in expected.items():
        assert {**record.payload, "_indexed_at": ""} == {**got[uri].payload, "_indexed_at": ""}
        assert record.image is not None
        assert got[uri].image is not None
        np.testing.assert_allclose(record.image, got[uri].image, atol=1e-6)
    assert index(source, db=str(killed)).unchanged == 600
