"""The ledger against a plain model of it, and a job that is killed."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from semblant_indexer.ledger import TRANSIENT, Entry, Ledger
from semblant_indexer.sources import Item, Problem
from semblant_search import EncoderCard, Fit, Manifest
from support.examples import examples
from support.ledgers import source_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

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


@settings(max_examples=examples(60))
@given(
    runs=st.lists(st.tuples(st.lists(items, max_size=8), st.lists(verdicts, min_size=8, max_size=8), st.booleans()), max_size=4)
)
def test_every_item_of_every_run_is_accounted_for(runs: list[tuple[list[Item], list[str | None], bool]]) -> None:
    """Runs over changing sources: what is to do, what a picture is known as, and the account agree with a plain model."""
    with tempfile.TemporaryDirectory() as folder:
        known: dict[str, Entry] = {}
        for source, outcomes, retry in runs:
            ledger = Ledger()
            found = ledger.scan(source)
            record = source_of("file:///pictures/")
            ledger.attach(Path(folder) / "ledger.sqlite", manifest("g0001", "today"), record, retry=retry)
            first: dict[str, Item] = {}
            for item in source:
                first.setdefault(item.uri, item)
            ledger.settle_problems()
            expected = [uri for uri, item in first.items() if item.problem is None and not settled(known.get(uri), item, retry)]
            todo = list(ledger.todo(chunk=2))
            assert [one.uri for one in todo] == expected
            assert ledger.count_todo() == len(todo)
            written = 0
            for one, outcome in zip(todo, outcomes, strict=False):
                item, before = first[one.uri], known.get(one.uri)
                assert one.sha256 == (before.sha256 if before and before.point else None)
                facts = one.uri, item.size, item.mtime_ns
                if outcome is None:
                    known[one.uri] = Entry(*facts, "0" * 64, one.metadata, "indexed", written=True)
                    written += 1
                else:
                    known[one.uri] = Entry(*facts, None, None, "failed", outcome, "words", point=False)
                ledger.record([known[one.uri]])
            assert ledger.count_todo() == 0
            for uri, item in first.items():
                if item.problem is not None:
                    before = known.get(uri)
                    old = (before.sha256, before.metadata, before.point) if before else (None, None, False)
                    known[uri] = Entry(uri, item.size, item.mtime_ns, *old[:2], *item.problem, point=bool(old[2]))
            account = ledger.account()
            assert sum(account.values()) == found
            assert account["indexed"] == written
            assert account["failed"] == sum(known[uri].outcome == "failed" for uri in first)
            assert account["unchanged"] == sum(known[uri].outcome == "indexed" for uri in first) - written
            assert ledger.points() == sum(entry.point for entry in known.values())
            assert {uri for uri, _ in ledger.removed()} == set(known) - set(first)
            ledger.close()


def settled(entry: Entry | None, item: Item, retry: bool) -> bool:
    """Whether a picture needs no look, in plain words."""
    if entry is None or (entry.size, entry.mtime_ns) != (item.size, item.mtime_ns):
        return False
    if entry.outcome == "failed":
        return not retry and entry.reason not in TRANSIENT
    text = json.dumps(item.metadata, sort_keys=True, ensure_ascii=False)
    same = entry.metadata == hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return entry.outcome == "indexed" and same


def test_generations_do_not_mix_and_a_new_one_of_the_same_name_begins_empty(tmp_path: Path) -> None:
    def points(generation: str, created: str, *, write: bool = False) -> int:
        ledger = Ledger()
        ledger.scan([Item(URIS[0], 1, 1)])
        ledger.attach(tmp_path / "ledger.sqlite", manifest(generation, created), source_of("file:///pictures/"))
        if write:
            ledger.record([Entry(URIS[0], 1, 1, "0" * 64, None, "indexed")])
        count = ledger.points()
        ledger.close()
        return count

    assert points("g0001", "monday", write=True) == 1
    assert points("g0002", "tuesday") == 0
    assert points("g0001", "monday") == 1
    assert points("g0001", "wednesday") == 0


def manifest(generation: str, created: str) -> Manifest:
    card = EncoderCard("pixels", "pixels", Fit(28, 28, 1), 49, "none")
    return Manifest("images", generation, "0" * 64, card, created_at=created)


KILLED = """
import os, signal, sys, threading
from semblant_indexer import IndexJob, run, writer

batches, delay = int(sys.argv[4]), float(sys.argv[5])
take = writer.Writer.take

def taken(self, outcome):
    global batches
    take(self, outcome)
    batches -= 1
    if batches == 0:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

writer.Writer.take = taken
writer._MOST = 40
run(IndexJob(*sys.argv[1:4], orb=None, workers=1, threads=1, batch=16))
"""
"""A job that is killed a moment after so many batches, between writes and within them, however fast the machine is."""


def test_a_killed_job_goes_on_to_the_collection_of_an_unbroken_one(
    fashion_small: Path,
    encoder_file: Path,
    tmp_path: Path,
    index: Callable[..., IndexReport],
    records: Callable[..., dict[str, Record]],
) -> None:
    source, killed = fashion_small / "train", tmp_path / "killed"
    whole = index(source, db=str(tmp_path / "whole"))
    dice, ended = random.Random(0), []
    for _ in range(6):
        moment = [str(dice.randint(1, 12)), str(dice.uniform(0, 0.05))]
        command = [sys.executable, "-c", KILLED, str(source), str(encoder_file), str(killed), *moment]
        ended.append(subprocess.run(command, check=False).returncode)
    assert ended[:2] == [-signal.SIGKILL] * 2
    assert set(ended) <= {-signal.SIGKILL, 0}
    report = index(source, db=str(killed))
    assert report.points == whole.points == 600
    expected, got = records(db=tmp_path / "whole"), records(db=killed)
    assert set(expected) == set(got)
    for uri, record in expected.items():
        assert {**record.payload, "_indexed_at": ""} == {**got[uri].payload, "_indexed_at": ""}
        one, other = record.image, got[uri].image
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert index(source, db=str(killed)).unchanged == 600
