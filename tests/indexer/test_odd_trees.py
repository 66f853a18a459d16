"""Folders made by hand: names that shells, disks and databases stumble over, and what is no picture though it is called one."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from semblant_search import SearchClient, canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_indexer import IndexReport

NAMES: list[str | bytes] = [
    "u\u0308ber/a\u030a.png", "trail./dot..png", "sp ace /c .png", "x" * 251 + ".png", "é" * 125 + ".png", "🐈‍⬛/😀.png",
    "new\nline/a\nb.png", "tab\t.png", "quote'\".png", "#hash?.png", "%41.png", "back\\slash.png", b"latin\xe9.png",
    "-rf.png", "*.png", "a;b&c.png", "\u202egnp.png", "dup/DUP.png", "dup/dup.png", "/".join(["deep"] * 60) + "/z.png",
    "\x7f\x01.png", "\ufeffbom.png", "nul%00.png", "ﬁ.png", "folder.png/inner.png",
]  # fmt: skip


def picture(root: Path, name: str | bytes, number: int) -> Path:
    path = Path(os.fsdecode(os.path.join(os.fsencode(root), os.fsencode(name))))  # noqa: PTH118 - bytes that are no text
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_mandelbrot((60, 40), (-2 + number / 20, -1, 1, 1), 30 + number).convert("L").save(path)
    return path


def test_every_name_is_indexed_and_unchanged_and_asked_for(index: Callable[..., IndexReport], tmp_path: Path) -> None:
    root = tmp_path / "p"
    paths = [picture(root, name, number) for number, name in enumerate(NAMES)]
    rows = "".join('"{}",{}\n'.format(name.replace('"', '""'), n) for n, name in enumerate(NAMES) if isinstance(name, str))
    (root / "metadata.csv").write_text(f"file,n\n{rows}", encoding="utf-8")
    report = index(root)
    assert report.account == f"found {len(NAMES)} = {len(NAMES)} indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped"
    assert index(root, verify=True).unchanged == len(NAMES)
    with SearchClient(tmp_path / "db") as client:
        for number, path in enumerate(paths):
            found = client.get(canonical_uri(path))
            assert found.path == path
            assert found.metadata.get("n") == (None if isinstance(NAMES[number], bytes) else number)


def test_what_is_no_picture_is_named_and_not_waited_for(index: Callable[..., IndexReport], tmp_path: Path) -> None:
    root = tmp_path / "p"
    picture(root, "a.png", 1)
    picture(root, "cat/b.png", 2)
    os.mkfifo(root / "pipe.png")
    os.mkfifo(root / "pipe.json")
    os.mkfifo(root / "a.xmp")
    os.mkfifo(root / "metadata.jsonl")
    here = Path.cwd()
    os.chdir(root)  # a socket's path has to be short
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind("door.png")
    finally:
        os.chdir(here)
    links = {"one.png": "two.png", "two.png": "one.png", "self": "self", "gone.png": "nothing", "zero.png": "/dev/zero",
             "cat/up": "..", "dot": "."}  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    report = index(root)
    assert report.account == "found 8 = 2 indexed + 0 unchanged + 0 duplicate + 3 failed + 3 skipped"
    assert report.reasons == {"missing": 1, "unreadable": 2}
    assert f"3 skipped, such as {canonical_uri(root / 'door.png')!r}: not a regular file" in report.notes
    assert any("sidecars that cannot be used (2; the first" in note for note in report.notes)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a system with users")
def test_what_may_not_be_read_is_named(index: Callable[..., IndexReport], tmp_path: Path) -> None:
    root = tmp_path / "p"
    picture(root, "a.png", 1)
    locked = [picture(root, "locked.png", 2), picture(root, "closed/b.png", 3).parent]
    for path in locked:
        path.chmod(0)
    if os.access(locked[0], os.R_OK):
        pytest.skip("this user may read everything")
    try:
        report = index(root)
    finally:
        for path in locked:
            path.chmod(0o700)
    assert report.account == "found 3 = 1 indexed + 0 unchanged + 0 duplicate + 2 failed + 0 skipped"
    assert report.reasons == {"unreadable": 2}
