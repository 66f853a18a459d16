"""Where pictures come from: Parquet lists, WebDataset tars, URLs, sidecars, and what cameras wrote into them."""

from __future__ import annotations

import datetime
import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from semblant_indexer.reading import read_content, tar_member
from semblant_indexer.uris import UriBase
from semblant_search import FieldType, SearchClient, canonical_uri
from semblant_search.errors import InvalidInput, MetadataError
from semblant_search.writing.metadata import TypeInference, convert_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def test_a_parquet_list_keeps_its_types(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    paths = sorted(pictures.rglob("*.png"))[:6]
    day = datetime.datetime(2024, 5, 1, 12, 0)
    columns = {
        "path": [str(path) for path in paths],
        "price": [1.5 * number for number in range(6)],
        "stock": list(range(6)),
        "sold": [number % 2 == 0 for number in range(6)],
        "taken": [day] * 6,
        "tags": [["a", "b"], [], None, ["a"], ["b"], ["c"]],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    report = index(tmp_path / "list.parquet")
    assert (report.found, report.indexed) == (6, 6)
    payload = records()[canonical_uri(paths[1])].payload
    assert (payload["price"], payload["stock"], payload["sold"], payload["taken"]) == (1.5, 1, False, "2024-05-01T12:00:00Z")
    with SearchClient(tmp_path / "db") as client:
        assert client.manifest.fields["taken"] is FieldType.DATETIME
        assert client.count(where='tags == "a" and stock < 3') == 1
    assert index(tmp_path / "list.parquet").unchanged == 6
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(MetadataError, match="cannot be read as Parquet"):
        index(tmp_path / "broken.parquet")


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def test_webdataset_shards_are_read_in_place(pictures: Path, index: Index, records: Records, tmp_path: Path) -> None:
    paths = sorted(pictures.rglob("*.png"))[:9]
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(3):
        with tarfile.open(shards / f"{number:03d}.tar", "w") as tar:
            for path in paths[number * 3 : number * 3 + 3]:
                add(tar, f"{path.stem}.png", path.read_bytes())
                add(tar, f"{path.stem}.json", json.dumps({"price": number + 0.5, "label": path.parent.name}).encode())
                add(tar, f"{path.stem}.cls", b"7")
    with tarfile.open(shards / "000.tar", "a") as tar:
        add(tar, "bad.png", b"no picture")
        add(tar, "worse.png", paths[0].read_bytes())
        add(tar, "worse.json", b"{")
    report = index(shards / "*.tar")
    assert (report.found, report.indexed, report.failed) == (11, 10, 1)
    assert report.reasons == {"not-an-image": 1}
    assert any("'worse.json'" in note for note in report.notes)
    record = records()[f"{canonical_uri(shards / '001.tar')}#{paths[3].name}"]
    assert (record.payload["price"], record.payload["class"], record.payload["_width"]) == (1.5, 7, 28)
    again = index(shards / "*.tar")
    assert (again.encoded, again.unchanged) == (0, 10)
    whole = (shards / "002.tar").read_bytes()
    (shards / "cut.tar").write_bytes(whole[: len(whole) // 3])
    assert index(shards / "cut.tar", collection="cut").failed == 1


def test_a_folder_behind_a_url_is_indexed_like_one_on_disk(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    url = f"local://{pictures}"  # fsspec's name for this machine: every byte goes through it
    report = index(url)
    assert (report.found, report.indexed) == (30, 30)
    uri = url + "/" + str(sorted(pictures.rglob("*.png"))[0].relative_to(pictures))
    assert records()[uri].payload["label"] == "bag"
    assert index(url).unchanged == 30
    listed = tmp_path / "list.csv"
    listed.write_text(f"url,price\n{uri},3\n{url}/nowhere.png,4\n")
    report = index(listed, collection="listed")
    assert (report.indexed, report.failed, report.reasons) == (1, 1, {"missing": 1})
    assert index(listed, collection="listed").encoded == 0
    for wrong in (f"local://{tmp_path}/nowhere", "nosuch://bucket/x"):
        with pytest.raises(InvalidInput):
            index(wrong)


def test_sidecars_are_metadata(pictures: Path, index: Index, records: Records) -> None:
    first, second, third = sorted(pictures.rglob("*.png"))[:3]
    first.with_name(f"{first.name}.json").write_text('{"price": 3, "camera": {"iso": 100}}')
    second.with_suffix(".json").write_text('{"price": 4.5, "label": "mine"}')
    third.with_suffix(".json").write_text("{")
    report = index(pictures)
    assert (report.indexed, report.failed) == (30, 0)
    assert any(f"{third.stem}.json" in note for note in report.notes)
    stored = records()
    assert stored[canonical_uri(first)].payload["camera"] == {"iso": 100}
    assert stored[canonical_uri(first)].payload["price"] == 3.0
    assert stored[canonical_uri(second)].payload["label"] == "mine"


def test_exif_tells_when_where_and_with_what(photos: Path, index: Index, records: Records, tmp_path: Path) -> None:
    root = tmp_path / "album"
    root.mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS R5"
    exif.get_ifd(0x8769)[0x9003], exif.get_ifd(0x8769)[0x9011] = "2023:07:14 09:30:00", "+02:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "W", 4: (2.0, 21.0, 0.0)})
    with Image.open(photos / "coffee.png") as image:
        image.convert("RGB").save(root / "photo.jpg", exif=exif)
        image.convert("RGB").save(root / "plain.jpg")
        image.convert("RGB").save(root / "damaged.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert index(root, exif=True).indexed == 3
    stored = records()
    payload = stored[canonical_uri(root / "photo.jpg")].payload
    assert (payload["_taken_at"], payload["_camera"]) == ("2023-07-14T07:30:00Z", "Canon EOS R5")
    assert payload["_place"] == {"lat": 48.8583333, "lon": -2.35}
    assert not {"_taken_at", "_camera", "_place"} & stored[canonical_uri(root / "plain.jpg")].payload.keys()


def test_types_come_from_the_whole_column() -> None:
    inference = TypeInference(text=True)
    rows = [
        {"a": "1", "b": "1", "c": "00123", "d": "2024-05-01", "e": "true", "f": "1"},
        {"a": "2", "b": "2.5", "c": "7", "d": "2024-05-01 10:30:00+02:00", "e": "False", "f": "x"},
        {"a": "", "b": "", "c": "", "d": "", "e": "", "f": ""},
    ]
    for line, row in enumerate(rows, start=2):
        inference.add(row, line)
    kinds = {name: kind.value for name, kind in inference.fields.items()}
    assert kinds == {"a": "integer", "b": "float", "c": "keyword", "d": "datetime", "e": "bool", "f": "keyword"}
    assert convert_record(rows[1], inference.fields) == {
        "a": 2,
        "b": 2.5,
        "c": "7",
        "d": "2024-05-01T08:30:00Z",
        "e": False,
        "f": "x",
    }
    assert convert_record(rows[2], inference.fields) == {}
    assert any("'f' mixes types: '1' (line 2) and 'x' (line 3)" in note for note in inference.notes)


def test_joined_uris_are_the_canonical_ones(tmp_path: Path) -> None:
    base = UriBase(tmp_path)
    for name in ("a.png", "b c/ü #?.png", "../x.png", "./y.png", "/abs/z.png", "a//b.png", "a/../b.png", "..png", "\udcff.png"):
        assert base.join(name) == canonical_uri(tmp_path / name)


def test_patterns_choose_files_and_folders(pictures: Path, index: Index, records: Records) -> None:
    (pictures / ".hidden").mkdir()
    shutil.copyfile(sorted(pictures.rglob("*.png"))[0], pictures / ".hidden" / "h.png")
    for root in (str(pictures), f"local://{pictures}"):
        name = "local" if "://" in root else "here"
        report = index(root, collection=name, exclude=["coat", "sneaker/*1.png"])
        kept = {uri.rpartition("pictures/")[2] for uri in records(name)}
        assert len(kept) == report.found < 20
        assert all(uri.startswith("bag/") or (uri.startswith("sneaker/") and not uri.endswith("1.png")) for uri in kept)
        chosen = {"include": ["bag/*", "coat/*"], "exclude": ["bag"], "prune": True, "prune_limit": 1}
        before, first = len(kept), index(root, collection=name, **chosen)
        assert (first.found, first.pruned, first.points >= before) == (10, 0, True)  # other patterns say not what is gone
        assert index(root, collection=name, **chosen).points == 10
        assert index(root, collection=name, hidden=True).found == 31
    for wrong in ("", "/"):
        with pytest.raises(InvalidInput, match="pattern"):
            index(pictures, include=[wrong])
    (pictures / "list.csv").write_text("file\nbag/x.png\n")
    with pytest.raises(InvalidInput, match="are for folders"):
        index(pictures / "list.csv", include=["*.png"])


def test_lists_shards_and_metadata_lie_behind_urls_too(
    pictures: Path, index: Index, records: Records, tmp_path: Path, web: Callable[[Path], str]
) -> None:
    paths = sorted(pictures.rglob("*.png"))
    rows = "".join(f"{path.relative_to(pictures)},{number}\n" for number, path in enumerate(paths[:4]))
    (pictures / "list.csv").write_text(f"file,rank\n{rows}nowhere.png,9\n")
    url = web(pictures) + "/list.csv"
    report = index(url, collection="listed")
    assert (report.indexed, report.failed, report.reasons) == (4, 1, {"missing": 1})
    uri = url.removesuffix("list.csv") + str(paths[3].relative_to(pictures))
    assert records("listed")[uri].payload["rank"] == 3
    assert index(url, collection="listed").unchanged == 4
    with tarfile.open(pictures / "s0.tar", "w") as tar:
        for path in paths[:5]:
            add(tar, f"{path.stem}.png", path.read_bytes())
            add(tar, f"{path.stem}.json", b'{"price": 2.5}')
    for shards in (f"local://{pictures}/s?.tar", f"local://{pictures}/s0.tar"):
        assert index(shards, collection="tars").points == 5
    assert {record.payload["price"] for record in records("tars").values()} == {2.5}
    (pictures / "metadata.csv").write_text(f"file,stock\n{paths[0].relative_to(pictures)},7\n")
    paths[1].with_suffix(".json").write_text('{"price": 4}')
    paths[2].with_suffix(".json").write_text("{")
    report = index(f"local://{pictures}", collection="folder")
    assert (report.indexed, report.reasons) == (30, {})
    stored = {uri.rpartition("/")[2]: record.payload for uri, record in records("folder").items() if "/bag/" in uri}
    assert (stored[paths[0].name]["stock"], stored[paths[1].name]["price"]) == (7, 4)
    for wrong in (web(pictures) + "/nowhere.csv", f"local://{pictures}/t*.tar", "http://localhost:1/list.csv"):
        with pytest.raises(InvalidInput):
            index(wrong)


def test_members_of_a_tar_are_themselves_on_a_server_that_knows_no_ranges(tmp_path: Path, web: Callable[[Path], str]) -> None:
    members = {"a.png": b"first", "b.png": b"second, longer", "c.png": b"3"}
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, data in members.items():
            add(tar, name, data)
    url = f"{web(tmp_path)}/x.tar"
    with tarfile.open(tmp_path / "x.tar") as tar:
        places = {member.name: tar_member(url, member.offset_data, member.size) for member in tar}
    assert {name: read_content(place, 10**6).data for name, place in places.items()} == members
