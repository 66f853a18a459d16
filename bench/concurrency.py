"""Claim: 32 threads of a service can share one client, which searches, adds, deletes and changes metadata all the while.

20,000 pictures of Fashion-MNIST with the payload that the indexer writes, in 49 numbers (mean grey of each cell of a raster),
in a directory. For a minute (with `--quick` 10,000 pictures, five seconds) each of 32 threads draws, 80 times of 100, a search
(by vector, by vector with a filter, by URI, by the bytes of a picture that is not indexed), else adds a picture under a name of
its own, changes its metadata, or deletes it again. Every change is checked by the thread that made it, as soon as the call
returns: an added picture is among the hits of its own bytes and is found by its name; changed metadata is what a filter finds;
a deleted picture is not found by its name. A picture that nobody changes has to be found by every search for its own vector.

Counted: calls, errors of any kind, changes that did not hold. Memory: resident, after a fifth of the time and at the end, with
the pictures that were added deleted again.

Then the same searches by vector without changes, 32 threads of the client and 32 threads of the bare engine on the same open
shard, in turns of three seconds: queries a second, and their ratio. The engine lets go of the interpreter while it searches,
and the client's own lines do not. Runs gave .73 and .87, with `--quick` .59, and with four times as much other work as there
are cores .44; the limits are a quarter below the first and the third.

On two cores: 2 minutes, with `--quick` 30 seconds.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from _bare_engine import bare_request, shard_of
from _report import at_least, at_most, finish, parser
from search_speed import build
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import embed
from semblant_exporter.listing import list_pictures
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Encoder, Fit, PointNotFound, SearchClient
from semblant_search.collection import point_id, uri_path

if TYPE_CHECKING:
    from collections.abc import Callable

FIT = Fit(28, 28, 1)
THREADS, SECONDS, QUICK_SECONDS = 32, 60.0, 5.0
TURNS, QUICK_TURNS, TURN_SECONDS = 4, 2, 3.0
WHERE = 'label == "Sneaker" and price < 50'
LIMITS = (
    at_most("errors", 0),
    at_most("not_held", 0),
    at_least("changes", 1000),
    at_most("memory/grown_mb", 60),
    at_least("threads/ratio", 0.55),
)
QUICK_LIMITS = (at_most("errors", 0), at_most("not_held", 0), at_least("changes", 100), at_least("threads/ratio", 0.45))


class Work:
    """What one thread does; each has pictures of its own to add, and numbers of its own to draw from."""

    def __init__(self, client: SearchClient, vectors: np.ndarray, fresh: list[bytes], number: int) -> None:
        self.client, self.vectors, self.fresh = client, vectors, fresh
        self.random = random.Random(number)
        self.number = number
        self.mine: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.wrong: list[str] = []

    def step(self) -> None:
        """One call, or one change and its check."""
        draw = self.random.random()
        if draw < 0.8:
            self._search()
        elif draw < 0.9 or not self.mine:
            self._add()
        elif draw < 0.95:
            self._update()
        else:
            self._delete(self.random.choice(list(self.mine)))

    def clear(self) -> None:
        """Delete what is left of the added pictures."""
        for uri in list(self.mine):
            self._delete(uri)

    def _search(self) -> None:
        row = self.random.randrange(len(self.vectors))
        kind = self.random.choice(("vector", "filter", "uri", "picture"))
        self.calls[kind] += 1
        if kind == "vector":
            hits = self.client.search_vector(self.vectors[row], 10)
            self._held(bool(hits) and hits[0].score > 0.9999, f"vector {row}: {hits[:1]}")
        elif kind == "filter":
            hits = self.client.search_vector(self.vectors[row], 10, where=WHERE)
            self._held(all(hit.metadata["label"] == "Sneaker" and hit.metadata["price"] < 50 for hit in hits), f"filter {row}")
        elif kind == "uri":
            own = point_id(str(row))
            self._held(own not in {hit.id for hit in self.client.search(own, 10)}, f"uri {row}")
        else:
            self._held(len(self.client.search(self.random.choice(self.fresh), 10)) == 10, "picture")

    def _add(self) -> None:
        uri, data = f"load://{self.number}/{self.calls['add']}", self.random.choice(self.fresh)
        self.calls["add"] += 1
        self.client.add(data, {"label": "load", "price": -1.0}, uri)
        self.mine[uri] = data
        # Several threads add copies of one picture: the first hits are all of that look.
        hits = self.client.search(data, 500, where='label == "load"', include_self=True, min_score=0.9999)
        self._held(uri in {hit.uri for hit in hits} and self.client.get(uri).uri == uri, f"added {uri}: not found")

    def _update(self) -> None:
        uri, price = self.random.choice(list(self.mine)), self.random.random()
        self.calls["update"] += 1
        self.client.update_metadata(uri, {"price": price})
        self._held(self.client.count(f'_uri == "{uri}" and price == {price!r}') == 1, f"metadata of {uri}")

    def _delete(self, uri: str) -> None:
        self.calls["delete"] += 1
        self._held(self.client.delete([uri]) == 1, f"delete {uri}")
        del self.mine[uri]
        try:
            self.client.get(uri)
        except PointNotFound:
            return
        self._held(False, f"{uri} is still there")

    def _held(self, fact: bool, what: str) -> None:
        if not fact:
            self.wrong.append(what)


def mixed(client: SearchClient, vectors: np.ndarray, fresh: list[bytes], seconds: float) -> dict[str, Any]:
    """All threads at once; what they did, what went wrong, and how memory grew."""
    workers = [Work(client, vectors, fresh, number) for number in range(THREADS)]
    errors: list[str] = []
    until = time.monotonic() + seconds

    def go(work: Work) -> None:
        while time.monotonic() < until:
            try:
                work.step()
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(go, work) for work in workers]
        time.sleep(seconds / 5)
        before = psutil.Process().memory_info().rss
        for one in running:
            one.result()
    for work in workers:
        work.clear()
    after = psutil.Process().memory_info().rss
    calls = sum((work.calls for work in workers), Counter())
    wrong = [what for work in workers for what in work.wrong]
    return {
        "calls": dict(calls),
        "changes": calls["add"] + calls["update"] + calls["delete"],
        "errors": len(errors),
        "not_held": len(wrong),
        "examples": [*errors[:3], *wrong[:3]],
        "calls_per_s": round(calls.total() / seconds, 1),
        "memory": {"after_a_fifth_mb": before >> 20, "end_mb": after >> 20, "grown_mb": round((after - before) / 2**20, 1)},
    }


def rate(ask: Callable[[int], object], count: int, seconds: float) -> float:
    """Queries a second of all threads together."""
    done = [0] * THREADS
    until = time.perf_counter() + seconds

    def go(number: int) -> None:
        row = number
        while time.perf_counter() < until:
            ask(row % count)
            done[number] += 1
            row += THREADS

    threads = [threading.Thread(target=go, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def compared(client: SearchClient, vectors: np.ndarray, turns: int) -> dict[str, float]:
    """Both ways with as many threads, in turns."""
    shard = shard_of(client)
    rates: dict[str, list[float]] = {"client": [], "bare": []}
    for turn in range(turns):
        for name in ("client", "bare") if turn % 2 else ("bare", "client"):
            if name == "client":
                found = rate(lambda row: client.search_vector(vectors[row], 10), len(vectors), TURN_SECONDS)
            else:
                found = rate(lambda row: shard.query(bare_request(vectors[row])), len(vectors), TURN_SECONDS)
            rates[name].append(found)
    client_rate, bare_rate = (float(np.median(rates[name])) for name in ("client", "bare"))
    return {"client_per_s": round(client_rate), "bare_per_s": round(bare_rate), "ratio": round(client_rate / bare_rate, 3)}


def main() -> None:
    options = parser(__doc__, quick="10,000 pictures and five seconds").parse_args()
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    listing = list_pictures(folder / "train")
    there = pictures.load(listing.take(range(0, len(listing.paths), 6 if options.quick else 3)), FIT)
    listing = list_pictures(folder / "test")
    taken = pictures.load(listing.take(range(0, len(listing.paths), len(listing.paths) // 300)), FIT)
    fresh = [path.read_bytes() for uri in taken.uris if (path := uri_path(uri)) is not None]
    encoder = Encoder(pixel_encoder(FIT, grid=7))
    vectors = embed(encoder, there.pixels)[0]
    with tempfile.TemporaryDirectory() as temporary:
        build(Path(temporary) / "db", vectors, there.labels, encoder.fingerprint, encoder.card)
        with SearchClient(Path(temporary) / "db", encoder, encoder.card.name, threads=1) as client:
            numbers: dict[str, Any] = {"indexed": len(vectors), "threads_at_once": THREADS}
            numbers |= mixed(client, vectors, fresh, QUICK_SECONDS if options.quick else SECONDS)
            numbers["threads"] = compared(client, vectors, QUICK_TURNS if options.quick else TURNS)
    finish("concurrency", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
