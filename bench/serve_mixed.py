"""Claim: whatever comes at a service, and whoever hangs up, it fails at nothing, loses nothing and leaves nothing behind.

10,000 requests (with `--quick` 300) from 16 connections to `semblant serve` in a process of its own, over 10,000 pictures of
Fashion-MNIST in 49 numbers: searches by id, filtered, and by an upload, thumbnails, counts, adds, changes of metadata, deletes,
and bad ones of fifteen kinds; 6 % are cut by the client, in the headers, in the body, or before the answer.

`server_errors`: answers of 500 and more. `unexpected`: answers that no such request should have. `lost_adds`: adds that were
answered and are not there, asked of the service, and again of the database when the service has ended. `undead`: deletes that
were answered and are still there. `open_files`: files and sockets that the service has more than after its first tenth of the
requests. `left_files`: temporary files that are left since then. `grown_mb`: resident memory since then.

On two cores: 6 minutes, with `--quick` 10 seconds.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
import time
from pathlib import Path

from _mixed_load import Load, Outcome, missing, run
from _report import at_most, finish, parser
from PIL import Image
from semblant_search import SearchClient
from serve import QUICK_STEP, WHERE, build_served, photograph, serving

REQUESTS, QUICK_REQUESTS = 10_000, 300
_SETTLING = 1.0
"""Seconds after which connections that were cut are closed on the other side, too."""
LIMITS = (
    at_most("server_errors", 0),
    at_most("unexpected", 0),
    at_most("lost_adds", 0),
    at_most("undead", 0),
    at_most("open_files", 0),
    at_most("left_files", 0),
    at_most("grown_mb", 60),
)


def main() -> None:
    options = parser(__doc__, quick="300 requests").parse_args()
    total = QUICK_REQUESTS if options.quick else REQUESTS
    with tempfile.TemporaryDirectory() as temporary:
        db, left = Path(temporary) / "db", Path(temporary) / "left"
        left.mkdir()
        name, _ = build_served(db, QUICK_STEP)
        os.environ["TMPDIR"] = str(left)  # the service's
        os.environ["SEMBLANT_CACHE"] = str(Path(temporary) / "cache")
        with SearchClient(db, collection=name) as client:
            ids = [picture.id for picture in client.scroll(2000).pictures]
        picture = small(photograph())

        def left_files() -> set[Path]:
            return {*left.iterdir(), *Path(temporary).rglob(".*.webp")}

        with serving(db, name) as (process, port):
            first = Load(port, name, ids, WHERE, picture, total // 10, seed=1)
            rest = Load(port, name, ids, WHERE, picture, total - total // 10, seed=2)
            outcomes = [asyncio.run(run(first))]
            time.sleep(_SETTLING)
            files_before = left_files()
            files, resident = process.num_fds(), process.memory_info().rss
            begun = time.perf_counter()
            outcomes.append(asyncio.run(run(rest)))
            seconds = time.perf_counter() - begun
            time.sleep(_SETTLING)
            opened, grown = process.num_fds() - files, process.memory_info().rss - resident
            uris = [uri for outcome in outcomes for uri in outcome.added]
            deleted = [uri for outcome in outcomes for uri in outcome.deleted]
            lost = asyncio.run(missing(rest, uris))
            undead = len(deleted) - len(asyncio.run(missing(rest, deleted)))
        with SearchClient(db, collection=name) as client:
            lost += [uri for uri, found in zip(uris, client.get_many(uris), strict=True) if found is None]
        numbers = {
            "requests": total,
            "requests_per_s": round(rest.requests / seconds, 1),
            "cut": sum(outcome.cut for outcome in outcomes),
            "added": len(uris),
            "deleted": len(deleted),
            "server_errors": sum(outcome.server_errors for outcome in outcomes),
            "unexpected": sum(len(outcome.unexpected) for outcome in outcomes),
            "lost_adds": len(set(lost)),
            "undead": undead,
            "open_files": opened,
            "left_files": len(left_files() - files_before),
            "resident_mb": round(resident / 1e6, 1),
            "grown_mb": round(grown / 1e6, 1),
            "statuses": _statuses(outcomes),
        }
        for one in [one for outcome in outcomes for one in outcome.unexpected][:20]:
            print(one, file=sys.stderr)
    finish("serve_mixed", numbers, LIMITS, quick=options.quick)


def small(picture: bytes) -> bytes:
    """The same in 288 × 217 pixels: what is asked here is not how fast pictures are decoded."""
    file = io.BytesIO()
    Image.open(io.BytesIO(picture)).resize((288, 217)).save(file, "JPEG")
    return file.getvalue()


def _statuses(outcomes: list[Outcome]) -> dict[str, int]:
    whole = sum((outcome.statuses for outcome in outcomes), start=outcomes[0].statuses.__class__())
    return dict(sorted(whole.items()))


if __name__ == "__main__":
    main()
