"""Random histories of sources that overlap, and a plain Python model of what the collection must hold after each step.

Three sources: a folder, a folder within it, and a list that names pictures of both and beside them. Two ledgers, as of two
machines, either of which may be lost at any time. Jobs are killed at a write and run again, and two run at once.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from semblant_indexer import IndexJob, preview, run
from semblant_search import canonical_uri
from semblant_search.sources import owners, read_sources
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["History"]

_DYING = Path(__file__).with_name("dying_job.py")
_PATIENCE = 1800
"""Seconds that a job may take on a busy machine."""


class History:
    """One history.

    Args:
        folder: everything lies in it.
        encoder: path of `encoder.onnx`.
        db: a directory or the URL of a server.
        seed: another one is another history.
    """

    def __init__(self, folder: Path, encoder: Path, db: str, seed: int) -> None:
        self.dice = random.Random(seed)
        self._folder, self._encoder, self._db = folder, encoder, db
        self._pictures = 0
        self.all, self.beside, self.table = folder / "all", folder / "beside", folder / "list.csv"
        self.inner = self.all / "inner"
        for each in (self.inner, self.beside):
            each.mkdir(parents=True)
            self._new(each)
        self._new(self.all)
        self.held: dict[str, dict[str, str]] = {"all": {}, "inner": {}, "list.csv": {}}
        """By source: the URIs that the collection holds for it, each with its content."""
        self.scanned: set[str] = set()
        self.edit_list()
        self.log: list[str] = []

    def step(self) -> None:
        """Do something, and compare."""
        actions: list[Callable[[], None]] = [self.index] * 8 + [self.add, self.delete, self.rename] * 2
        rare = [self.modify, self.edit_list, self.lose_ledger, self.rebuild, self.kill, self.kill, self.index_two_at_once]
        action = self.dice.choice([*actions, *rare])
        self.log.append(action.__name__)
        action()
        self.check()

    def add(self) -> None:
        """A new picture."""
        self._new(self.dice.choice([self.all, self.inner, self.beside]))

    def delete(self) -> None:
        """A picture goes; each folder keeps one."""
        path = self.dice.choice(self._files())
        if len(list(path.parent.glob("*.png"))) > 1:
            path.unlink()

    def rename(self) -> None:
        """A picture gets another name, maybe in another folder."""
        path = self.dice.choice(self._files())
        if len(list(path.parent.glob("*.png"))) > 1:
            self._pictures += 1
            path.rename(self.dice.choice([self.all, self.inner, self.beside]) / f"{self._pictures}.png")

    def modify(self) -> None:
        """A picture becomes another one, which all sources see."""
        self._draw(self.dice.choice(self._files()))
        for source in self.held:
            self.index(source)

    def edit_list(self) -> None:
        """The list names other pictures."""
        files = self._files()
        chosen = self.dice.sample(files, self.dice.randint(1, len(files)))
        self.table.write_text("file\n" + "".join(f"{path}\n" for path in chosen))

    def lose_ledger(self) -> None:
        """One machine's ledgers are gone."""
        shutil.rmtree(self._folder / self.dice.choice(["first", "second"]), ignore_errors=True)

    def kill(self) -> None:
        """A job is killed at one of its writes, and run again."""
        rebuild = bool(self.scanned) and self.dice.random() < 0.25
        source = self.dice.choice(sorted(self.scanned) if rebuild else list(self.held))
        options = {"prune": self.dice.random() < 0.4, "state": str(self._folder / self.dice.choice(["first", "second"]))}
        call, number = self.dice.choice(["upsert", "set_payloads", "delete", "optimize"]), self.dice.randint(1, 2)
        when = self.dice.choice(["before", "after"])
        self.log[-1] = f"kill {source} {call} {number} {when} rebuild={rebuild} {options}"
        told = {**options, "rebuild": rebuild, "prune_limit": 1.0, "keep_generations": 0}
        process = self._start(source, call, str(number), when, told)
        _, error = process.communicate(timeout=_PATIENCE)
        assert process.returncode in (0, -9), (error, self.log)
        if rebuild:
            self.rebuild(source, state=options["state"])
        else:
            # What a first job has left serves nobody: a preview counts it as new, the next job goes on with it.
            known = bool(self.scanned)
            self.index(source, prune=bool(options["prune"]), state=str(options["state"]), previewed=known)

    def index_two_at_once(self) -> None:
        """Jobs of two sources begin in the same moment, each on a machine of its own: one waits for the other."""
        chosen = self.dice.sample(list(self.held), 2)
        prune = [self.dice.random() < 0.4 for _ in chosen]
        self.log[-1] = f"two at once {chosen} {prune}"
        processes = []
        for number, source in enumerate(chosen):
            told = {"state": str(self._folder / ("first", "second")[number]), "prune": prune[number], "wait": _PATIENCE - 60}
            processes.append(self._start(source, "upsert", "1000000", "before", {**told, "prune_limit": 1.0}))
        ends = [(process.communicate(timeout=_PATIENCE)[1], process.returncode) for process in processes]
        assert [code for _, code in ends] == [0, 0], (ends, self.log)
        for source, pruned in zip(chosen, prune, strict=True):
            self._indexed(source, prune=pruned)

    def index(
        self, source: str | None = None, *, prune: bool | None = None, state: str | None = None, previewed: bool = True
    ) -> None:
        """A job of one source, with or without `--prune`."""
        source = source or self.dice.choice(list(self.held))
        prune = self.dice.random() < 0.4 if prune is None else prune
        job = self._job(source, prune=prune, prune_limit=1.0, **({} if state is None else {"state": Path(state)}))
        expected = preview(job)
        report = run(job)
        self.log += [f"index {source} prune={job.prune} state={job.state and job.state.name}"]
        assert report.points == len(self._indexed(source, prune=job.prune))
        assert (expected.moved, expected.removed, expected.pruned) == (report.moved, report.removed, report.pruned)
        assert expected.found == report.found
        assert not previewed or expected.new + expected.changed == report.encoded

    def rebuild(self, source: str | None = None, **options: Any) -> None:
        """All sources anew, from one of them; what is gone is gone."""
        source = source or self.dice.choice([one for one in self.held if one in self.scanned] or ["all"])
        run(self._job(source, rebuild=True, prune_limit=1.0, **options))
        for each in {source, *self.scanned}:
            self.held[each] = {uri: content for uri, content in self._scan(each).items() if content is not None}
        self.scanned.add(source)

    def check(self) -> None:
        """The collection holds what the model says, and each picture is whose it should be."""
        if not self.scanned:
            return
        with closing(open_database(self._db)) as db, closing(db.open("images")) as store:
            names = {record.id: record.name for record in read_sources(store)}
            found = {str(one.payload["_uri"]): one.payload for one in store.scroll()}
        expected: dict[str, set[str]] = {}
        for source, pictures in self.held.items():
            for uri in pictures:
                expected.setdefault(uri, set()).add(source)
        assert {uri: {names[id] for id in owners(payload)} for uri, payload in found.items()} == expected, self.log
        contents = {uri: content for pictures in self.held.values() for uri, content in pictures.items()}
        assert {uri: payload["_sha256"] for uri, payload in found.items()} == contents, self.log

    def _indexed(self, source: str, *, prune: bool) -> set[str]:
        """The model's own job; returns all URIs of the collection."""
        scan, before = self._scan(source), self.held[source]
        there = {uri: content for uri, content in scan.items() if content is not None}
        out_of_reach = {uri: before[uri] for uri in before if uri in scan and scan[uri] is None}
        gone = {uri: content for uri, content in before.items() if uri not in scan}
        new = {content for uri, content in there.items() if uri not in before}
        kept = {uri: content for uri, content in gone.items() if content not in new}  # the others moved
        self.held[source] = {**({} if prune else kept), **out_of_reach, **there}
        self.scanned.add(source)
        return {uri for pictures in self.held.values() for uri in pictures}

    def _scan(self, source: str) -> dict[str, str | None]:
        """What a source names now, each with its content; None for a file that is not there."""
        if source == "list.csv":
            paths = [Path(line) for line in self.table.read_text().splitlines()[1:]]
        else:
            paths = sorted((self.all if source == "all" else self.inner).rglob("*.png"))
        return {canonical_uri(path): _content(path) for path in paths}

    def _job(self, source: str, **options: Any) -> IndexJob:
        state = Path(options.pop("state", self._folder / self.dice.choice(["first", "second"])))
        fixed: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "keep_generations": 0}
        return IndexJob(self._place(source), self._encoder, self._db, state=state, **fixed, **options)

    def _place(self, source: str) -> str:
        return str({"all": self.all, "inner": self.inner, "list.csv": self.table}[source])

    def _start(self, source: str, call: str, number: str, when: str, options: dict[str, Any]) -> subprocess.Popen[str]:
        words = [self._place(source), str(self._encoder), self._db, call, number, when, json.dumps(options)]
        return subprocess.Popen([sys.executable, str(_DYING), *words], stderr=subprocess.PIPE, text=True)

    def _files(self) -> list[Path]:
        return sorted([*self.all.rglob("*.png"), *self.beside.glob("*.png")])

    def _new(self, folder: Path) -> None:
        self._pictures += 1
        self._draw(folder / f"{self._pictures}.png")

    def _draw(self, path: Path) -> None:
        pixels = np.random.default_rng(self.dice.randrange(2**32)).integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def _content(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
