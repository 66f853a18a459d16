"""Claim: a client and jobs can work in one process for days: memory, open files and threads stay flat, and answers stay right.

An embedded database belongs to one process, and its collection to one owner at a time, so that jobs and clients take turns, as
in a service that indexes again and again. Each cycle changes a folder of 160 drawings (some go, come, change their contents or
their metadata, some are deleted by hand), runs the job in this process (every fourth one builds a new generation), and opens a
`SearchClient`, which four threads ask 800 times, drawn at random: by path, by vector, by URI, by details, with filters,
exactly, in batches; count, facet, get. Every answer is compared with a plain Python model of the folder, and after each cycle
all points are read and compared.

Measured after each cycle, with the client closed: resident memory, open files, threads, child processes. The first three
cycles warm up. glibc gets one arena: with the many that it makes for many threads by default, memory rises by some 40 MB over
dozens of jobs before it stays, which hides a leak. Memory may grow by a slope (the median of all pairs' slopes, over the second
half) of .5 MB in 1,000 queries; .04 was measured, and one fitted picture of 64×64 kept for each query is 12. Files and
threads: the middle of the last three cycles may be one above the middle of the first three. `--leak` plants such a leak, to
see it noticed.

On two cores: 10 minutes, with `--quick` 1 minute.
"""

from __future__ import annotations

import csv
import ctypes
import gc
import itertools
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from _report import at_least, at_most, finish, parser
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import Encoder, Fit, SearchClient, canonical_uri
from semblant_search.errors import ImageError, NoFeaturesError
from semblant_search.images import open_image, to_grey
from semblant_search.orb import OrbSettings, extract
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from semblant_search import Hit

PICTURES, SPARE, CHANGES = 160, 80, 12
THREADS, QUERIES = 4, 800
WARM_UP, FEWEST_CYCLES = 3, 8
SETTINGS = OrbSettings()
TEXTURED = 150  # features from which on a drawing must find itself by its details
LIMITS = (
    at_most("wrong", 0),
    at_most("errors", 0),
    at_most("growth_mb_in_1000", 0.5),
    at_most("files_grown", 1),
    at_most("threads_grown", 1),
    at_most("children_left", 0),
    at_least("cycles", FEWEST_CYCLES),
)


@dataclass(frozen=True)
class Drawing:
    """What the model knows of a file's content: the bytes, the embedding, whether details can find it."""

    content: bytes
    vector: np.ndarray
    textured: bool


@dataclass(frozen=True)
class Row:
    """A picture of the folder, as a query must find it."""

    drawing: Drawing
    label: str
    price: float


@dataclass
class Folder:
    """The pictures on disk and their table, changed from cycle to cycle; the plain model of the collection."""

    root: Path
    spare: list[Drawing]
    dice: random.Random
    rows: dict[str, Row] = field(default_factory=dict)
    number: int = 0

    def add(self) -> None:
        """A new file with the content of a spare drawing."""
        label = self.dice.choice(("bag", "coat", "shoe", "hat"))
        path = self.root / label / f"{self.number:05d}.png"
        self.number += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        self._put(path, label)

    def change(self, count: int) -> None:
        """As many go, come, get another content, and another price."""
        for uri in self.dice.sample(sorted(self.rows), count):
            path_of(uri).unlink()
            self.spare.append(self.rows.pop(uri).drawing)
        for _ in range(count):
            self.add()
        for uri in self.dice.sample(sorted(self.rows), count):
            self.spare.append(self.rows[uri].drawing)
            self._put(path_of(uri), self.rows[uri].label)
        for uri in self.dice.sample(sorted(self.rows), count):
            self.rows[uri] = Row(self.rows[uri].drawing, self.rows[uri].label, self._price())
        self.write_table()

    def write_table(self) -> None:
        """The metadata of all files, as a user keeps them."""
        with (self.root / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "label", "price"])
            for uri, row in self.rows.items():
                writer.writerow([path_of(uri).relative_to(self.root).as_posix(), row.label, row.price])

    def _put(self, path: Path, label: str) -> None:
        drawing = self.spare.pop(self.dice.randrange(len(self.spare)))
        path.write_bytes(drawing.content)
        self.rows[canonical_uri(path)] = Row(drawing, label, self._price())

    def _price(self) -> float:
        return self.dice.randrange(1000) / 10


class WrongAnswerError(Exception):
    """The database and the model disagree."""


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def drawings(count: int, encoder: Encoder) -> list[Drawing]:
    """Drawings of middle size from the Open Clip Art Library, no two with the same bytes."""
    paths = sorted(data.clipart(cache_dir() / "sets" / "clipart").directory.rglob("*.png"))
    found: dict[bytes, Drawing] = {}
    for number in np.random.default_rng(0).permutation(len(paths)):
        content = paths[number].read_bytes()
        try:
            picture = open_image(content)
        except ImageError:
            continue
        if content not in found and max(picture.size) <= 500 and "%" not in paths[number].name:
            features = extract(to_grey(picture, longest_side=SETTINGS.longest_side), SETTINGS)
            found[content] = Drawing(content, encoder.encode(encoder.prepare(content)[None])[0], len(features) >= TEXTURED)
        if len(found) == count:
            break
    return list(found.values())


def expect(right: bool, what: str) -> None:
    if not right:
        raise WrongAnswerError(what)


def expect_nearest(
    hits: Sequence[Hit], rows: dict[str, Row], vector: np.ndarray, limit: int, where: Callable[[Row], bool] = lambda _: True
) -> None:
    """The hits are the nearest of those that pass, each with its cosine and its metadata. Equal ones may stand in any order."""
    scores = {uri: float(row.drawing.vector @ vector) for uri, row in rows.items() if where(row)}
    best = sorted(scores.values(), reverse=True)[:limit]
    expect(len({hit.uri for hit in hits}) == len(best), f"{len(hits)} hits instead of {len(best)}")
    for hit, score in zip(hits, best, strict=True):
        expect(abs(hit.score - score) < 1e-4, f"score {hit.score} instead of {score}")
        expect(abs(scores.get(hit.uri, 2.0) - hit.score) < 1e-4, f"{hit.uri} is no hit")
        row = rows[hit.uri]
        expect(dict(hit.metadata) == {"label": row.label, "price": row.price}, f"{hit.uri} has {hit.metadata}")


def without(rows: dict[str, Row], uri: str) -> dict[str, Row]:
    return {other: row for other, row in rows.items() if other != uri}


def by_picture(client: SearchClient, folder: Folder, strangers: list[Path], dice: random.Random) -> None:
    path = dice.choice(strangers)
    vector = client.embed([path])[0]
    expect_nearest(client.search(path, 10), folder.rows, vector, 10)


def by_bytes(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    row = folder.rows[dice.choice(sorted(folder.rows))]
    expect_nearest(client.search(row.drawing.content, 5), folder.rows, row.drawing.vector, 5)


def by_uri(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    uri = dice.choice(sorted(folder.rows))
    expect_nearest(client.search(uri, 5), without(folder.rows, uri), folder.rows[uri].drawing.vector, 5)


def by_vector(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    vector = folder.rows[dice.choice(sorted(folder.rows))].drawing.vector
    expect_nearest(client.search_vector(vector, 20, exact=dice.random() < 0.5), folder.rows, vector, 20)


def filtered(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    vector = folder.rows[dice.choice(sorted(folder.rows))].drawing.vector
    below = dice.randrange(5, 95)
    hits = client.search_vector(vector, 10, where=f'price < {below} and label != "bag"')
    expect_nearest(hits, folder.rows, vector, 10, lambda row: row.price < below and row.label != "bag")


def in_a_batch(client: SearchClient, folder: Folder, strangers: list[Path], dice: random.Random) -> None:
    asked = dice.sample(strangers, 3)
    for hits, vector in zip(client.search_batch(asked, 5), client.embed(asked), strict=True):
        expect_nearest(hits, folder.rows, vector, 5)


def by_details(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    uri = dice.choice(sorted(folder.rows))
    drawing = folder.rows[uri].drawing
    try:
        found = {hit.uri for hit in client.search_features(drawing.content, 10)}
    except NoFeaturesError:
        found = set()
    expect(uri in found or not drawing.textured, f"{uri} does not find itself by its details")


def counting(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    above = dice.randrange(100)
    expect(client.count(f"price >= {above}") == sum(row.price >= above for row in folder.rows.values()), "count")
    expect(client.facet("label") == Counter(row.label for row in folder.rows.values()), "facet")


def getting(client: SearchClient, folder: Folder, _: list[Path], dice: random.Random) -> None:
    uri = dice.choice(sorted(folder.rows))
    expect(client.get(uri).metadata["price"] == folder.rows[uri].price, f"get({uri})")


KINDS = {
    by_picture: 4,
    by_bytes: 3,
    by_uri: 2,
    by_vector: 4,
    filtered: 3,
    in_a_batch: 1,
    by_details: 1,
    counting: 1,
    getting: 1,
}
"""What threads ask, and how often beside each other."""


@dataclass
class Soak:
    """One run: the folder, its database, and what was seen."""

    work: Path
    encoder: Path
    folder: Folder
    strangers: list[Path]
    leak: str | None = None
    kept: list[Any] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    messages: dict[str, list[str]] = field(default_factory=lambda: {"wrong": [], "errors": []})

    @property
    def db(self) -> str:
        """The directory of the database."""
        return str(self.work / "pictures.db")

    def cycle(self, number: int) -> None:
        """Change the folder, run the job, ask the client, read everything."""
        self.folder.change(CHANGES)
        self.guard(lambda: self.job(rebuild=number % 4 == 1))
        with SearchClient(self.db) as client, ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda thread: self.ask(client, number * THREADS + thread), range(THREADS)):
                pass
        self.guard(self.read_all)
        with SearchClient(self.db) as client:
            gone = self.folder.dice.sample(sorted(self.folder.rows), 3)
            self.guard(lambda: expect(client.delete(gone) == len(gone), "delete"))
        if self.leak == "file":
            self.kept.append(self.encoder.open("rb"))

    def job(self, *, rebuild: bool) -> None:
        """One run of the indexer in this process."""
        report = run(
            IndexJob(
                str(self.folder.root),
                self.encoder,
                self.db,
                prune=True,
                prune_limit=1,
                rebuild=rebuild,
                workers=1,
                threads=1,
                batch=32,
            )
        )
        expect(report.points == len(self.folder.rows) and not report.failed, report.account)

    def ask(self, client: SearchClient, seed: int) -> None:
        """What one thread asks in a cycle."""
        dice = random.Random(seed)
        for kind in dice.choices(list(KINDS), list(KINDS.values()), k=QUERIES // THREADS):
            self.asked[kind.__name__] += 1
            self.guard(lambda kind=kind: kind(client, self.folder, self.strangers, dice))  # type: ignore[misc]
            if self.leak == "memory":
                self.kept.append(np.full((64, 64, 3), len(self.kept) % 255, np.uint8))

    def read_all(self) -> None:
        """Every point is what the model says, and there are no others."""
        with closing(open_database(self.db)) as database, closing(database.open("images")) as store:
            there = {record.payload["_uri"]: record for record in store.scroll(with_image=True)}
        expect(there.keys() == self.folder.rows.keys(), f"{len(there)} points, {len(self.folder.rows)} pictures")
        for uri, row in self.folder.rows.items():
            vector = there[uri].image
            expect(vector is not None and np.allclose(vector, row.drawing.vector, atol=1e-5), f"{uri} has another vector")
            expect(there[uri].payload["price"] == row.price, f"{uri} has another price")

    def guard(self, step: Callable[[], None]) -> None:
        """Note what goes wrong, and go on: the rest of the run still tells about memory."""
        try:
            step()
        except WrongAnswerError as error:
            self.messages["wrong"].append(str(error))
        except Exception as error:
            self.messages["errors"].append(f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Sample:
    """What the process holds after a cycle."""

    asked: int
    megabytes: float
    files: int
    threads: int
    children: int


def with_one_arena() -> None:
    """Start again with glibc keeping all memory in one heap, which `malloc_trim` gives back from."""
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "MALLOC_ARENA_MAX": "1"})


def sample(asked: int) -> Sample:
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what is free but kept by the allocator is no leak
    process = psutil.Process()
    memory = process.memory_info().rss / 1e6
    return Sample(asked, memory, process.num_fds(), process.num_threads(), len(process.children(recursive=True)))


def growth(samples: Sequence[Sample]) -> float:
    """MB in 1,000 queries: the median of the slopes of all pairs (Theil and Sen), which single jumps do not move."""
    slopes = [
        (late.megabytes - early.megabytes) / (late.asked - early.asked) for early, late in itertools.combinations(samples, 2)
    ]
    return 1000 * statistics.median(slopes)


def grown(values: Sequence[float]) -> float:
    return statistics.median(values[-3:]) - statistics.median(values[:3])


def main() -> None:
    options = parser(__doc__, quick="a minute")
    options.add_argument("--minutes", type=float, help=f"10, with --quick 1; at least {FEWEST_CYCLES} cycles in any case")
    options.add_argument("--leak", choices=["memory", "file"], help="plant a leak, to see that the limits notice it")
    arguments = options.parse_args()
    with_one_arena()
    seconds = 60 * (arguments.minutes or (1 if arguments.quick else 10))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        encoder = work / "encoder.onnx"
        encoder.write_bytes(pixel_encoder(Fit(64, 64, 3), grid=8))
        pool = drawings(PICTURES + SPARE + 20, Encoder(encoder, threads=1))
        strangers = []
        for number, drawing in enumerate(pool[:20]):
            strangers.append(work / f"stranger-{number}.png")
            strangers[-1].write_bytes(drawing.content)
        folder = Folder(work / "pictures", pool[20:], random.Random(0))
        for _ in range(PICTURES):
            folder.add()
        soak = Soak(work, encoder, folder, strangers, arguments.leak)
        samples: list[Sample] = []
        begin, cycles = time.monotonic(), 0
        while time.monotonic() - begin < seconds or len(samples) < FEWEST_CYCLES:
            soak.cycle(cycles)
            cycles += 1
            if cycles > WARM_UP:
                samples.append(sample(soak.asked.total()))
        shutil.rmtree(folder.root)
    numbers = {
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "cycles": len(samples),
        "queries": dict(soak.asked),
        "megabytes": [round(each.megabytes, 1) for each in samples],
        "files": [each.files for each in samples],
        "threads": [each.threads for each in samples],
        "growth_mb_in_1000": round(growth(samples[len(samples) // 2 :]), 2),
        "files_grown": grown([each.files for each in samples]),
        "threads_grown": grown([each.threads for each in samples]),
        "children_left": max(each.children for each in samples),
        "wrong": len(soak.messages["wrong"]),
        "errors": len(soak.messages["errors"]),
        "messages": [*soak.messages["wrong"][:5], *soak.messages["errors"][:5]],
    }
    finish("soak", numbers, LIMITS, quick=arguments.quick)


if __name__ == "__main__":
    main()
