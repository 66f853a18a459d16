"""A collection is rebuilt with one encoder after the other while a client asks by pictures and details."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from semblant_indexer import IndexJob, run
from semblant_search import SearchClient
from semblant_search.orb import OrbSettings
from semblant_search.store import open_database
from support.encoders import encoder_bytes
from support.servers import own_name, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from support.encoders import Name

NAMES = ("camera.png", "coins.png", "text.png", "brick.png", "moon.png")
ENCODERS: tuple[Name, ...] = ("grey-28", "grey-64-cells", "grey-28-finer")
"""Vectors of three sizes, of pictures of two, and one with cells."""


@pytest.mark.parametrize("place", ["directory", "server"])
def test_no_answer_is_of_one_encoder_s_query_and_another_s_pictures(place: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    asked = [shutil.copyfile(photos / name, tmp_path / "pictures" / name) for name in NAMES]
    files = {name: tmp_path / f"{name}.onnx" for name in ENCODERS}
    for name, file in files.items():
        file.write_bytes(encoder_bytes(name))
    url = stand_in().url if place == "server" else str(tmp_path / "db")
    failures: list[str] = []
    seen: dict[str, set[int]] = {"look": set(), "details": set()}
    done = threading.Event()
    sizes: set[int] = set()

    def ask(client: SearchClient, kind: str) -> None:
        number = 0
        while not done.wait(0.01):
            number += 1
            picture = asked[number % len(asked)]
            try:
                if kind == "look":
                    best = client.search(picture.read_bytes(), 3)[0]
                    right = best.path == picture and best.score > 0.999
                else:
                    found = client.search_features(picture.read_bytes(), limit=3)[0]
                    best, right = found, found.path == picture and found.verdict == "copy"
                if not right:
                    failures.append(f"{picture.name}: {best}")
                sizes.add(client.manifest.dim)
                seen[kind].add(number)
            except Exception as error:
                failures.append(repr(error))

    with own_name(url) as collection, open_database(url, create=place == "directory") as db:

        def index(encoder: Name, *, rebuild: bool = False) -> None:
            settings = IndexJob(
                str(tmp_path / "pictures"),
                files[encoder],
                url,
                collection,
                orb=OrbSettings(),
                workers=1,
                threads=1,
                rebuild=rebuild,
                keep_generations=0,
            )
            assert run(settings, database=db).failed == 0

        index("grey-28")
        with SearchClient(db, collection=collection, refresh=0.02) as client:
            threads = [threading.Thread(target=ask, args=(client, kind)) for kind in ("look", "details", "look")]
            for thread in threads:
                thread.start()
            for number in range(1, 7):
                index(ENCODERS[number % len(ENCODERS)], rebuild=True)
            done.wait(0.2)
            done.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert len(sizes) == 3
    assert all(len(numbers) > 3 for numbers in seen.values())
