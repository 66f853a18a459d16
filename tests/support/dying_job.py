"""An index job that is killed in the middle of its work with the store, as `kill -9` or the kernel does it.

    python dying_job.py SOURCE ENCODER DB CALL NUMBER before|after [OPTIONS]

The process ends at the NUMBERth CALL to the store (`upsert`, `set_payloads`, `delete`, `optimize`), before or after that call
has done its work. OPTIONS are those of `IndexJob`, as JSON. `{"slow": true}` holds up the start, so that the first pictures
are written before the others.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from semblant_indexer import IndexJob, Progress, run
from semblant_search.store import Store


def main() -> None:
    source, encoder, db, call, number, when, *rest = sys.argv[1:]
    options: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, **(json.loads(rest[0]) if rest else {})}
    slow = 1 if options.pop("slow", False) else 0
    work, left = getattr(Store, call), int(number)

    def killed(store: Store, *arguments: Any, **options: Any) -> Any:
        nonlocal left
        if arguments and not arguments[0]:
            return work(store, *arguments, **options)
        left -= 1
        if left == 0:
            if when == "after":
                work(store, *arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        return work(store, *arguments, **options)

    def hold(progress: Progress) -> None:
        nonlocal slow
        if progress.phase == "index" and progress.total and slow:
            slow = 0
            time.sleep(1.2)  # longer than pictures wait for being written

    setattr(Store, call, killed)
    run(IndexJob(source, Path(encoder), db, **options), hold)


if __name__ == "__main__":
    main()
