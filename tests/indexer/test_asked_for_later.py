"""What a job is asked for reaches the pictures that are there; what an earlier one was given stays until it is taken away."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import IndexJob, preview
from semblant_search import canonical_uri
from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four pictures, two of them with a camera's facts."""
    root = tmp_path / "album"
    root.mkdir()
    for number in range(4):
        exif = Image.Exif()
        if number % 2:
            exif[0x0110], exif[0x0132] = f"Camera {number}", "2023:07:14 09:30:00"
        picture = Image.fromarray(np.full((40, 40, 3), 60 * number, np.uint8))
        picture.save(root / f"{number}.jpg", exif=exif)
    return root


def cameras(records: Records) -> dict[str, str | None]:
    return {uri.rpartition("/")[2]: record.payload.get("_camera") for uri, record in records().items()}


NONE = {f"{number}.jpg": None for number in range(4)}
BOTH = {**NONE, "1.jpg": "Camera 1", "3.jpg": "Camera 3"}


def test_exif_asked_for_later_reaches_the_pictures_that_are_there(album: Path, index: Index, records: Records) -> None:
    assert index(album).indexed == 4
    assert cameras(records) == NONE
    before = {uri: record.image for uri, record in records().items()}
    report = index(album, exif=True)
    assert (report.indexed, report.unchanged, report.encoded) == (2, 2, 0)
    assert cameras(records) == BOTH
    for uri, record in records().items():
        np.testing.assert_array_equal(np.asarray(record.image), np.asarray(before[uri]))
    assert index(album, exif=True).unchanged == 4
    assert index(album).unchanged == 4
    assert cameras(records) == BOTH


def test_exif_is_read_once_and_not_again(album: Path, index: Index, records: Records) -> None:
    index(album)
    index(album, exif=True)
    times = {path: path.stat() for path in album.iterdir()}
    for path, facts in times.items():  # other bytes that nobody has a reason to look at
        path.write_bytes(b"x" * facts.st_size)
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert index(album, exif=True).unchanged == 4
    assert cameras(records) == BOTH


def test_metadata_and_exif_may_change_together_and_after_a_lost_ledger(
    album: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    (album / "metadata.csv").write_text("file,n\n1.jpg,1\n")
    index(album)
    (album / "metadata.csv").write_text("file,n\n1.jpg,2\n")
    assert index(album, exif=True).encoded == 0
    assert cameras(records) == BOTH
    (album / "metadata.csv").write_text("file,n\n1.jpg,3\n")
    assert index(album).indexed == 1
    assert cameras(records) == BOTH
    assert records()[canonical_uri(album / "1.jpg")].payload["n"] == 3
    next((tmp_path / "db").rglob("ledger.sqlite")).unlink()
    report = index(album, exif=True)
    assert (report.unchanged, report.encoded) == (4, 0)
    assert cameras(records) == BOTH


def test_a_dry_run_says_that_facts_would_be_read(album: Path, index: Index, encoder_file: Path, tmp_path: Path) -> None:
    index(album)
    job = IndexJob(str(album), encoder_file, str(tmp_path / "db"), orb=None, exif=True)
    found = preview(job)
    assert (found.found, found.metadata, found.unchanged) == (4, 2, 2)


def test_exif_of_deep_pictures_is_read(index: Index, tmp_path: Path) -> None:
    root = tmp_path / "deep"
    root.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 2**16, (40, 40)).astype(np.uint16)).save(root / "a.png")
    Image.fromarray(rng.integers(0, 2**16, (40, 40)).astype(np.uint16)).save(root / "b.tif")
    Image.fromarray(rng.random((40, 40), dtype=np.float32)).save(root / "c.tif")
    assert (index(root).failed, index(root, exif=True).failed) == (0, 0)
    assert (index(root, exif=True, collection="other").indexed) == 3


def prices(records: Records) -> dict[str, int]:
    return {uri.rpartition("/")[2]: record.payload["price"] for uri, record in records().items() if "price" in record.payload}


def test_a_run_without_a_table_keeps_the_last_one_until_it_is_taken_away(
    album: Path, index: Index, records: Records, tmp_path: Path, encoder_file: Path
) -> None:
    table = tmp_path / "tables" / "prices.csv"
    table.parent.mkdir()
    table.write_text("photo,price\n1.jpg,5\n2.jpg,6\n")
    index(album)
    assert index(album, metadata=table, file_column="photo").indexed == 2
    report = index(album)
    assert (report.unchanged, report.points) == (4, 4)
    assert f"metadata is that of {str(table)!r}, as the last time (--no-metadata takes it away)" in report.notes
    assert prices(records) == {"1.jpg": 5, "2.jpg": 6}
    table.write_text("photo,price\n1.jpg,7\n2.jpg,6\n")
    assert preview(IndexJob(str(album), encoder_file, str(tmp_path / "db"), orb=None)).metadata == 1
    assert index(album).indexed == 1
    assert prices(records) == {"1.jpg": 7, "2.jpg": 6}
    table.rename(tmp_path / "away.csv")
    with pytest.raises(InvalidInput, match=r"the last time, is gone; give it anew \(--metadata FILE\)"):
        index(album)
    assert prices(records) == {"1.jpg": 7, "2.jpg": 6}
    assert index(album, find_metadata=False).indexed == 2
    assert prices(records) == {}
    report = index(album)
    assert (report.unchanged, report.notes) == (4, ())


def test_a_subfolder_indexed_alone_keeps_what_the_table_of_the_whole_said(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    names = [path.name for path in sorted((pictures / "bag").iterdir())[:2]]
    table = tmp_path / "tables" / "prices.csv"
    table.parent.mkdir()
    table.write_text(f"file,price\nbag/{names[0]},5\nbag/{names[1]},6\n")
    assert index(pictures, metadata=table).indexed == 30
    for _ in range(2):
        assert index(pictures / "bag").encoded == 0
        assert prices(records) == {names[0]: 5, names[1]: 6}


def test_details_asked_for_later_are_explained_and_a_rebuild_adds_them(album: Path, index: Index, records: Records) -> None:
    from semblant_search.orb import OrbSettings

    index(album)
    report = index(album, orb=OrbSettings())
    assert any("was made without details (--no-orb), and stays so: --rebuild adds them" in note for note in report.notes)
    report = index(album, orb=OrbSettings(), rebuild=True)
    assert report.indexed == 4
    assert not any("without details" in note for note in report.notes)


def kept(report: IndexReport) -> list[str]:
    return [note for note in report.notes if "what it said stays" in note]


@pytest.mark.parametrize("how", ["gone", "broken", "half"])
def test_what_a_found_table_said_stays_when_it_is_gone_or_broken(
    album: Path, index: Index, records: Records, encoder_file: Path, tmp_path: Path, how: str
) -> None:
    from pyarrow import parquet, table

    place = album / "metadata.parquet"

    def write(**prices_of: int) -> None:
        names = [f"{name[1:]}.jpg" for name in prices_of]
        parquet.write_table(table({"file": names, "price": list(prices_of.values())}), place)

    def breaks() -> None:
        if how == "gone":
            place.unlink()
        else:
            place.write_bytes(b"PAR1 garbage" if how == "broken" else place.read_bytes()[:-20])

    write(_1=5, _2=6)
    assert index(album).indexed == 4
    breaks()
    job = IndexJob(str(album), encoder_file, str(tmp_path / "db"), orb=None)
    assert preview(job).metadata == 0
    for _ in range(2):
        report = index(album)
        assert (report.unchanged, report.encoded) == (4, 0)
        assert len(kept(report)) == 1
        assert prices(records) == {"1.jpg": 5, "2.jpg": 6}
    Image.new("RGB", (40, 40), "red").save(album / "2.jpg")  # one that is encoded anew keeps it, too
    assert index(album).encoded == 1
    assert prices(records) == {"1.jpg": 5, "2.jpg": 6}
    with pytest.raises(InvalidInput, match="a rebuild would lose what it said"):
        index(album, rebuild=True)
    with pytest.raises(InvalidInput, match="a rebuild would lose what it said"):
        preview(IndexJob(str(album), encoder_file, str(tmp_path / "db"), orb=None, rebuild=True))
    write(_1=7)
    assert preview(job).metadata == 2
    report = index(album)
    assert (report.indexed, report.encoded, kept(report)) == (2, 0, [])
    assert prices(records) == {"1.jpg": 7}
    breaks()
    assert len(kept(index(album))) == 1
    assert index(album, find_metadata=False).indexed == 1
    assert prices(records) == {}
    report = index(album)
    assert (report.unchanged, kept(report)) == (4, [])


def test_what_a_table_in_an_archive_or_a_folder_below_said_stays(index: Index, records: Records, tmp_path: Path) -> None:
    import zipfile

    picture = tmp_path / "red.png"
    Image.new("RGB", (40, 40), "red").save(picture)
    place = tmp_path / "p.zip"
    for tables in ({"sub/metadata.csv": "file,price\na.png,5\n", "metadata.csv": "file,price\nb.png,6\n"}, {}):
        with zipfile.ZipFile(place, "w") as archive:
            for name in ("sub/a.png", "b.png"):
                archive.write(picture, name)
            for name, text in tables.items():
                archive.writestr(name, text)
        report = index(place)
    assert [note.partition("#")[2].partition("'")[0] for note in kept(report)] == ["sub/metadata.csv", "metadata.csv"]
    assert {record.payload["price"] for record in records().values()} == {5, 6}


def test_other_tables_of_the_folder_go_on_taking_away(album: Path, index: Index, records: Records) -> None:
    for folder in ("a", "b"):
        (album / folder).mkdir()
        (album / "0.jpg").rename(album / folder / "0.jpg") if folder == "a" else (album / "1.jpg").rename(album / "b" / "1.jpg")
        (album / folder / "metadata.csv").write_text("file,price,more\n0.jpg,5,1\n1.jpg,6,1\n")
    index(album)
    (album / "a" / "metadata.csv").unlink()
    (album / "b" / "metadata.csv").write_text("file,price\n1.jpg,6\n")
    assert len(kept(index(album))) == 1
    found = {uri.rpartition("/")[2]: record.payload.get("more") for uri, record in records().items()}
    assert (found["0.jpg"], found["1.jpg"]) == (1, None)


def test_marks_of_copies_that_a_run_takes_away_are_told_of(album: Path, index: Index, records: Records) -> None:
    (album / "copy.jpg").write_bytes((album / "0.jpg").read_bytes())
    index(album, duplicates="flag")
    report = index(album)
    assert not any("_duplicate_of" in record.payload for record in records().values())
    (note,) = [note for note in report.notes if "--duplicates" in note]
    told = "copies were treated by --duplicates flag the last time, and by --duplicates keep now"
    assert note == f"{told}; give it again to have it so"
    assert not any("--duplicates" in note for note in index(album).notes)
    assert not any("--duplicates" in note for note in index(album, duplicates="merge").notes)
