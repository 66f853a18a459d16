"""A library as people have it: 500 files of 12 formats of pictures and of others. Every one is accounted for, none silently."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from semblant_search import canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

FORMATS = {
    "jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP",
    "ppm": "PPM", "jp2": "JPEG2000", "ico": "ICO", "tga": "TGA", "pcx": "PCX", "avif": "AVIF",
}  # fmt: skip
SOUND, BROKEN = 36, 4
OTHERS = ("notes.txt", "clip.mov", "clip2.mov", "scan.pdf", "raw.cr3", "README", "music.mp3", "page.html", "table.xlsx", "a.b")
NAMED_SO = ("clip.mov", "clip2.mov", "scan.pdf", "raw.cr3")
LEFT = (".hidden.jpg", ".cache/b.png", "@eaDir/c.jpg", "Thumbs.db", "._d.jpg", ".DS_Store")


def library(root: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Makes it; the sound pictures with their formats, and the broken ones with what may be said of them."""
    sound, broken = {}, {}
    for number, (suffix, name) in enumerate(FORMATS.items()):
        folder = root / f"{number:02d}"
        folder.mkdir(parents=True)
        for seed in range(SOUND):
            pixels = np.random.default_rng([number, seed]).integers(0, 256, (40, 36, 3), dtype=np.uint8)
            path = folder / f"{seed:05d}.{suffix.upper() if seed == 9 else suffix}"
            Image.fromarray(pixels).save(path, name)
            sound[canonical_uri(path)] = name
        data = (folder / f"00000.{suffix}").read_bytes()
        contents = {
            "empty": (b"", {"empty"}),
            "text": (b"no picture at all\n" * 9, {"not-an-image"}),
            "head": (data[:6], {"not-an-image", "truncated", "unreadable"}),
            "cut": (data[: len(data) // 8], {"not-an-image", "truncated", "unreadable"}),
        }
        assert len(contents) == BROKEN
        for kind, (content, reasons) in contents.items():
            path = folder / f"{kind}.{suffix}"
            path.write_bytes(content)
            broken[canonical_uri(path)] = reasons
    for name in (*OTHERS, *LEFT):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("something")
    broken |= {canonical_uri(root / name): {"not-an-image"} for name in NAMED_SO}  # names of documents and films
    (root / "00" / "00000.jpg.json").write_text('{"title": "one"}')
    (root / "00" / "00001.json").write_text('{"title": "two"}')
    (root / "01" / "00002.png.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    (root / "02" / "broken.json").write_text("{")
    return sound, broken


def test_every_file_of_a_library_is_accounted_for(
    tmp_path: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    root = tmp_path / "library"
    sound, broken = library(root)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert (len(FORMATS), len(files)) == (12, 500)
    report = index(root, workers=2)
    assert report.adds_up
    assert report.found == len(sound) + len(broken) == 484
    stored = records()
    assert {uri: record.payload["_format"] for uri, record in stored.items()} == sound
    assert Counter(failure.uri for failure in report.failures) == Counter(dict.fromkeys(broken, 1))
    for failure in report.failures:
        assert failure.reason in broken[failure.uri], failure
        assert failure.message
    notes = "; ".join(report.notes)
    counted = {
        words: int(re.search(rf"(\d+) {words}", notes)[1])  # type: ignore[index]
        for words in ("sidecars used", "files without a picture's name left alone")
    }
    hidden = int(re.search(r"hidden files and folders left out: (\d+)", notes)[1])  # type: ignore[index]
    system = re.search(r"system files and folders left out: (.*?) \(", notes)
    assert system is not None
    kinds = sum(int(each.split()[0]) for each in system[1].split(", "))
    assert report.found + sum(counted.values()) + hidden + kinds == 500, notes
    again = index(root, workers=2)
    assert (again.unchanged, again.failed, again.encoded) == (len(sound), len(broken), 0)
