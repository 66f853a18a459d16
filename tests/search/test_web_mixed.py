"""Some hundreds of requests of every kind at once, some cut midway: nothing fails, nothing is lost, nothing is left open.

`bench/serve_mixed.py` does the same with 10,000, and watches the memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search import SearchClient
from semblant_search.web import ServiceSettings, create_app
from support.service import listening
from support.systems import needs_proc

if TYPE_CHECKING:
    import pytest
    from semblant_search.store import Database

BENCH = Path(__file__).parents[2] / "bench"


def _open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@needs_proc
def test_mixed_requests_and_cut_ones(
    own_shop: Database, shop_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    from _mixed_load import Load, missing, run

    picture = (shop_pictures / "photos" / "coins-part.png").read_bytes()
    settings = ServiceSettings(cache=tmp_path / "cache", roots=(shop_pictures,))
    with SearchClient(own_shop) as client:
        ids = [one.id for one in client.scroll(100).pictures]
        app = create_app(own_shop, settings=settings, client=client)
        with listening(app) as address:
            load = Load(int(address.rpartition(":")[2]), "images", ids, "price < 50", picture, 400)
            asyncio.run(run(Load(load.port, "images", ids, load.where, picture, 40, seed=2)))
            before = _open_files()
            outcome = asyncio.run(run(load))
            for _ in range(200):  # until what was cut is closed on the service's side, too
                if _open_files() <= before:
                    break
                time.sleep(0.05)
            assert _open_files() <= before
            added, deleted = list(outcome.added), sorted(outcome.deleted)
            assert asyncio.run(missing(load, added)) == []
            assert asyncio.run(missing(load, deleted)) == deleted
        assert None not in client.get_many(added)
    assert (outcome.server_errors, outcome.unexpected) == (0, [])
    assert min(len(added), len(deleted), outcome.cut) >= 3
    assert not list((tmp_path / "cache").rglob(".*"))
