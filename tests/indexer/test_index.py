"""What a user sees of indexing: what goes in, what is noticed on the next run, what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import IndexJob, Progress
from semblant_indexer.sources import FolderSource
from semblant_search import Encoder, FieldType, SearchClient, canonical_uri
from semblant_search.errors import EncoderError, EncoderMismatch, InvalidInput, MetadataError, NotADatabase
from semblant_search.orb import OrbSettings
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]


def some(folder: Path, count: int = 1) -> list[Path]:
    return sorted(folder.rglob("*.png"))[:count]


def test_every_picture_becomes_a_point_with_its_facts_and_its_vector(
    pictures: Path, index: Index, records: Records, encoder_file: Path
) -> None:
    report = index(pictures)
    assert (report.found, report.indexed, report.encoded, report.failed) == (30, 30, 30, 0)
    assert report.account == "found 30 = 30 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped"
    assert report.exit_code == 0
    stored = records()
    assert set(stored) == {canonical_uri(path) for path in pictures.rglob("*.png")}
    path = some(pictures)[0]
    record = stored[canonical_uri(path)]
    assert record.payload["label"] == path.parent.name
    assert (record.payload["_width"], record.payload["_height"], record.payload["_format"]) == (28, 28, "PNG")
    assert record.payload["_bytes"] == path.stat().st_size
    assert record.image is not None
    np.testing.assert_allclose(record.image, Encoder(encoder_file).encode_pictures([path])[0], atol=1e-6)


def test_the_second_run_encodes_nothing(pictures: Path, index: Index) -> None:
    index(pictures)
    again = index(pictures)
    assert (again.indexed, again.encoded, again.unchanged) == (0, 0, 30)


def test_changed_added_and_removed_files_are_noticed(pictures: Path, index: Index, records: Records) -> None:
    index(pictures)
    changed, touched, gone = some(pictures, 3)
    Image.open(changed).rotate(90).save(changed)
    os.utime(touched, (1, 1))
    gone.unlink()
    added = pictures / "coat" / "new.png"
    Image.open(touched).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(added)
    report = index(pictures)
    assert (report.encoded, report.unchanged, report.removed, report.pruned, report.points) == (2, 28, 1, 0, 31)
    assert canonical_uri(gone) in records()
    pruned = index(pictures, prune=True)
    assert (pruned.unchanged, pruned.removed, pruned.pruned, pruned.points) == (30, 1, 1, 30)
    assert canonical_uri(gone) not in records()
    assert index(pictures, prune=True).removed == 0


def test_what_changed_behind_size_and_time_is_found_by_reading(pictures: Path, index: Index, records: Records) -> None:
    index(pictures)
    changed = some(pictures)[0]
    facts = changed.stat()
    content = bytearray(changed.read_bytes())
    content[-5] ^= 1  # inside the check sum of the last chunk: another content, the same picture
    changed.write_bytes(content)
    os.utime(changed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert index(pictures).unchanged == 30
    report = index(pictures, verify=True)
    assert (report.encoded, report.unchanged) == (1, 29)
    assert records()[canonical_uri(changed)].payload["_sha256"] == hashlib.sha256(content).hexdigest()
    assert index(pictures, verify=True).encoded == 0


def test_what_an_interrupted_run_wrote_gets_its_search_graph_from_the_next_one(pictures: Path, index: Index) -> None:
    index(pictures)
    shutil.copytree(pictures / "coat", pictures / "more")

    def interrupt(progress: Progress) -> None:
        if progress.phase == "optimize":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(pictures, on_progress=interrupt)
    after = index(pictures)
    assert (after.indexed, after.unchanged) == (0, 40)
    assert "optimize" in after.stages
    assert "optimize" not in index(pictures).stages


def test_pruning_leaves_other_folders_of_the_collection_alone(pictures: Path, index: Index) -> None:
    index(pictures / "bag")
    report = index(pictures / "coat", prune=True)
    assert (report.removed, report.points) == (0, 20)


def test_a_folder_without_pictures_is_refused_and_prunes_nothing(pictures: Path, index: Index) -> None:
    index(pictures)
    for path in pictures.rglob("*.png"):
        path.unlink()
    (pictures / "readme.txt").write_text("they are gone")
    with pytest.raises(InvalidInput, match="holds no pictures: 1 file without a picture's name"):
        index(pictures, prune=True)


def test_bad_pictures_are_named_with_their_reasons_and_the_rest_goes_in(pictures: Path, index: Index) -> None:
    data = some(pictures)[0].read_bytes()
    (pictures / "text.png").write_text("no picture")
    (pictures / "empty.png").touch()
    (pictures / "cut.png").write_bytes(data[: len(data) // 2])
    (pictures / "nowhere.png").symlink_to(pictures / "missing.png")
    os.mkfifo(pictures / "pipe.png")
    Image.new("1", (4000, 4000)).save(pictures / "large.png")
    with (pictures / "hole.png").open("wb") as file:
        file.truncate(10**12)
    report = index(pictures, max_pixels=1_000_000)
    assert (report.found, report.indexed, report.failed, report.skipped) == (37, 30, 6, 1)
    assert report.exit_code == 3
    assert {failure.uri.rsplit("/")[-1]: failure.reason for failure in report.failures} == {
        "text.png": "not-an-image",
        "empty.png": "empty",
        "cut.png": "truncated",
        "nowhere.png": "missing",
        "large.png": "too-large",
        "hole.png": "too-large",
    }
    assert all(failure.uri.rsplit("/")[-1] in failure.message for failure in report.failures)
    again = index(pictures, max_pixels=1_000_000)
    assert (again.unchanged, again.failed, again.skipped) == (30, 6, 1)
    assert index(pictures, max_pixels=20_000_000).failed == 5


def test_odd_names_are_indexed_and_found(pictures: Path, index: Index, tmp_path: Path) -> None:
    source = some(pictures)[0]
    names = ["with space.png", "new\nline.png", "ünïcödé 写真.png", "100%.png", "a#b?c.png", "'quotes\".PNG"]
    paths = [pictures / name for name in names]
    for path in paths:
        shutil.copyfile(source, path)
    raw = os.fsencode(pictures) + b"/not-utf8-\xff.png"
    with open(raw, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(source.read_bytes())
    report = index(pictures)
    assert (report.found, report.indexed) == (37, 37)
    with SearchClient(tmp_path / "db") as client:
        for path in paths:
            found = client.get(str(path))
            assert found is not None
            assert found.path == path


def test_links_to_folders_are_followed_once_and_loops_end(pictures: Path, index: Index, tmp_path: Path) -> None:
    (pictures / "bag" / "loop").symlink_to(pictures)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copyfile(some(pictures)[0], elsewhere / "linked.png")
    (pictures / "a-link").symlink_to(elsewhere)
    (pictures / "b-link").symlink_to(elsewhere)
    report = index(pictures)
    assert report.indexed == 31
    uris = [item.uri for item in FolderSource(pictures).items()]
    assert canonical_uri(pictures / "a-link" / "linked.png") in uris
    assert len(uris) == len(set(uris)) == 31


def test_hidden_files_are_left_alone(pictures: Path, index: Index) -> None:
    (pictures / ".thumbs").mkdir()
    shutil.copyfile(some(pictures)[0], pictures / ".thumbs" / "x.png")
    shutil.copyfile(some(pictures)[0], pictures / ".hidden.png")
    assert index(pictures).found == 30


def test_a_picture_that_turns_bad_stays_until_it_is_pruned(pictures: Path, index: Index, records: Records) -> None:
    index(pictures)
    path = some(pictures)[0]
    good = path.read_bytes()
    path.write_text("oh no")
    report = index(pictures)
    assert (report.unchanged, report.failed, report.points) == (29, 1, 30)
    assert canonical_uri(path) in records()
    report = index(pictures, prune=True)
    assert (report.unchanged, report.failed, report.pruned, report.points) == (29, 1, 1, 29)
    assert canonical_uri(path) not in records()
    path.write_bytes(good)
    assert index(pictures).points == 30


def test_a_lost_ledger_is_rebuilt_from_the_collection_without_encoding(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    for file in (tmp_path / "db" / "images").glob("ledger*"):
        file.unlink()
    report = index(pictures)
    assert (report.encoded, report.found, report.points) == (0, 30, 30)
    assert index(pictures).unchanged == 30


def test_points_deleted_by_hand_come_back(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    with SearchClient(tmp_path / "db") as client:
        client.delete(list((pictures / "coat").iterdir()))
    report = index(pictures)
    assert (report.encoded, report.unchanged, report.points) == (10, 20, 30)


def test_another_encoder_is_refused_and_rebuild_switches(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    first = index(pictures)
    other = tmp_path / "other.onnx"
    other.write_bytes(encoder_bytes("grey-14"))
    with pytest.raises(EncoderMismatch, match="--rebuild"):
        index(pictures, encoder=other)
    assert index(pictures).unchanged == 30
    rebuilt = index(pictures, encoder=other, rebuild=True)
    assert (first.generation, rebuilt.generation) == ("g0001", "g0002")
    assert (rebuilt.encoded, rebuilt.points) == (30, 30)
    assert index(pictures, encoder=other).unchanged == 30


def test_what_is_not_an_encoder_is_refused_before_anything_is_written(pictures: Path, index: Index, tmp_path: Path) -> None:
    whole = encoder_bytes("grey-28")
    for content in (b"", b"text", whole[: len(whole) // 2]):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(content)
        with pytest.raises(EncoderError):
            index(pictures, encoder=broken)
    with pytest.raises(EncoderError):
        index(pictures, encoder=tmp_path / "nowhere.onnx")
    assert not (tmp_path / "db").exists()


def test_a_directory_that_is_no_database_stays_untouched(pictures: Path, index: Index) -> None:
    before = sorted(pictures.rglob("*"))
    with pytest.raises(NotADatabase):
        index(pictures, db=str(pictures))
    assert sorted(pictures.rglob("*")) == before


def test_orb_features_are_stored_and_found(photos: Path, index: Index, tmp_path: Path) -> None:
    report = index(photos, orb=OrbSettings())
    assert report.indexed == 19
    with SearchClient(tmp_path / "db") as client:
        hits = client.search_features(photos / "coffee.png", limit=1, include_self=True)
        assert hits[0].path == photos / "coffee.png"


def test_a_list_names_pictures_and_carries_metadata(pictures: Path, index: Index, records: Records) -> None:
    chosen = some(pictures, 4)
    table = pictures / "list.csv"
    rows = [[path.relative_to(pictures), number, number / 2] for number, path in enumerate(chosen)]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["file", "rank", "price"], *rows, ["nowhere.png", 9, 9], rows[0]])
    report = index(table)
    assert (report.found, report.indexed, report.failed, report.skipped) == (6, 4, 1, 1)
    assert records()[canonical_uri(chosen[3])].payload["rank"] == 3
    assert records()[canonical_uri(chosen[3])].payload["price"] == 1.5
    lines = [json.dumps({"path": str(path), "tags": ["a", "b"], "camera": {"iso": 100}}) for path in chosen]
    (pictures / "list.jsonl").write_text("\n".join(lines))
    assert index(pictures / "list.jsonl", collection="other").indexed == 4
    payload = records("other")[canonical_uri(chosen[0])].payload
    assert (payload["tags"], payload["camera"]) == (["a", "b"], {"iso": 100})


def test_metadata_beside_the_folder_is_typed_and_a_change_encodes_nothing(
    pictures: Path, index: Index, records: Records, tmp_path: Path
) -> None:
    paths = sorted(pictures.rglob("*.png"))

    def write(price: float) -> None:
        with (pictures.parent / "metadata.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "label", "price", "taken"])
            for path in paths:
                writer.writerow([path.relative_to(pictures.parent), "x", price, "2024-05-01"])
            writer.writerow(["pictures/nowhere.png", "x", 1, ""])
            writer.writerow(["elsewhere/other.png", "x", 1, ""])

    write(2.5)
    report = index(pictures)
    (note,) = [note for note in report.to_json()["notes"] if "2 metadata rows name no picture" in note]
    assert note.endswith("(metadata.csv, line 32: 'pictures/nowhere.png'; metadata.csv, line 33: 'elsewhere/other.png')")
    with SearchClient(tmp_path / "db") as client:
        assert client.count(where='price > 2 and taken == "2024-05-01" and label == "x"') == 30
    write(1.5)
    report = index(pictures)
    assert (report.indexed, report.encoded) == (30, 0)
    payload = records()[canonical_uri(paths[0])].payload
    assert (payload["price"], payload["_width"]) == (1.5, 28)
    assert index(pictures).unchanged == 30


def test_a_value_that_does_not_fit_its_declared_type_costs_itself_and_is_named(pictures: Path, index: Index) -> None:
    from semblant_search import FieldType

    good, bad = some(pictures, 2)
    (pictures / "metadata.csv").write_text(f"file,price\nbag/{good.name},1.5\nbag/{bad.name},cheap\n")
    report = index(pictures, fields={"price": FieldType.FLOAT})
    assert (report.indexed, report.failed) == (30, 0)
    assert any("metadata.csv, line 3: metadata field 'price': 'cheap' is not a value of type float" in n for n in report.notes)
    mixed = index(pictures, collection="mixed")
    assert mixed.indexed == 30
    assert any("mixes types" in note for note in mixed.notes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("given.csv", "name,label\na.png,x\n", "no column names the picture"),
        ("given.csv", "", "no column names the picture"),
        ("given.parquet", "PAR1", "cannot be read as Parquet"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused_before_anything_is_written(
    pictures: Path, index: Index, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (pictures / name).write_text(content)
    with pytest.raises(MetadataError, match=message):
        index(pictures, metadata=pictures / name)
    assert not (tmp_path / "db").exists()
    assert index(pictures, find_metadata=False).indexed == 30


def test_a_column_of_whole_numbers_may_get_others_and_lose_them_again(pictures: Path, index: Index, records: Records) -> None:
    one, other = (path.relative_to(pictures) for path in some(pictures, 2))
    prices = []
    for table in (f"{one},60\n", f"{one},60\n{other},59.90\n", f"{one},60\n"):
        (pictures / "metadata.csv").write_text(f"file,price\n{table}")
        report = index(pictures)
        prices.append(sorted(record.payload["price"] for record in records().values() if "price" in record.payload))
        assert (report.failed, report.points) == (0, 30)
        told = [note for note in report.notes if "price" in note]
        assert bool(told) is (len(prices) == 2)
    assert told == []
    assert prices == [[60], [59.9, 60.0], [60.0]]
    assert index(pictures).unchanged == 30


def test_a_time_that_no_calendar_has_costs_itself_only(pictures: Path, index: Index) -> None:
    one, other = (path.relative_to(pictures) for path in some(pictures, 2))
    (pictures / "metadata.csv").write_text(f"file,taken\n{one},0001-01-01T00:00:00+01:00\n{other},2024-05-01\n")
    report = index(pictures)
    assert (report.indexed, report.failed, report.reasons) == (30, 0, {})
    assert any("'0001-01-01T00:00:00+01:00' is not a value of type datetime" in note for note in report.notes)


def test_a_value_that_does_not_fit_the_collection_s_type_costs_itself(pictures: Path, index: Index, records: Records) -> None:
    one, other = (path.relative_to(pictures) for path in some(pictures, 2))
    (pictures / "metadata.csv").write_text(f"file,price\n{one},5\n{other},6\n")
    index(pictures)
    (pictures / "metadata.csv").write_text(f"file,price\n{one},sold out\n{other},7\n")
    report = index(pictures)
    assert (report.indexed, report.failed) == (2, 0)
    assert any("line 2: metadata field 'price': 'sold out' is not a value of type integer" in note for note in report.notes)
    assert [record.payload["price"] for record in records().values() if "price" in record.payload] == [7]
    (told,) = (note for note in report.notes if "sold out" in note)
    assert "--field price:keyword keeps it" in told
    index(pictures, fields={"price": FieldType.KEYWORD})
    assert {record.payload["price"] for record in records().values() if "price" in record.payload} == {"sold out", "7"}
    index(pictures)
    assert {record.payload["price"] for record in records().values() if "price" in record.payload} == {"sold out", "7"}


def test_a_column_may_become_text_with_what_is_there(pictures: Path, index: Index, tmp_path: Path) -> None:
    one, other = (path.relative_to(pictures) for path in some(pictures, 2))
    (pictures / "metadata.csv").write_text(f"file,price,size\n{one},1,7\n{other},2.5,8\n")
    index(pictures)
    (pictures / "metadata.csv").write_text(f"file,price,size\n{other},dear,8\n")  # the other row is gone, its value is not
    (tmp_path / "table.csv").write_text(f"file,price\n{pictures / one},4\n")
    report = index(pictures)
    assert (report.failed, report.points, index(pictures).unchanged) == (0, 30, 30)
    assert "metadata field 'price' was float in this collection, and is keyword from now on" in report.notes
    assert index(tmp_path / "table.csv").failed == 0
    with SearchClient(tmp_path / "db") as client:
        found = {
            where: client.count(where) for where in ("price == 'dear'", "price == '4'", "startswith(price, 'd')", "size > 7")
        }
    assert found == {"price == 'dear'": 1, "price == '4'": 1, "startswith(price, 'd')": 1, "size > 7": 1}


def test_a_field_that_is_declared_as_text_becomes_text(pictures: Path, index: Index, records: Records) -> None:
    one, other = (path.relative_to(pictures) for path in some(pictures, 2))
    (pictures / "metadata.csv").write_text(f"file,sku\n{one},123\n{other},124\n")
    index(pictures)
    (pictures / "metadata.csv").write_text(f"file,sku\n{one},123\n{other},A-124\n")
    index(pictures, fields={"sku": FieldType.KEYWORD})
    assert sorted(record.payload["sku"] for record in records().values() if "sku" in record.payload) == ["123", "A-124"]


def test_a_declared_type_that_the_collection_s_values_cannot_have_is_refused(pictures: Path, index: Index) -> None:
    name = some(pictures)[0].relative_to(pictures)
    (pictures / "metadata.csv").write_text(f"file,price\n{name},1\n")
    index(pictures)
    with pytest.raises(MetadataError, match="'price' is bool, but collection 'images' holds it as integer"):
        index(pictures, fields={"price": FieldType.BOOL})


@pytest.mark.parametrize(
    "wrong",
    [{"workers": 0}, {"batch": 0}, {"max_pixels": 0}, {"collection": "a/b"}, {"patience": 0}, {"source": ""}],
)
def test_a_job_that_can_never_work_is_refused(encoder_file: Path, tmp_path: Path, wrong: dict[str, object]) -> None:
    settings: dict[str, object] = {"source": str(tmp_path), "encoder": encoder_file, "db": str(tmp_path / "db"), **wrong}
    with pytest.raises(InvalidInput):
        IndexJob(**settings)  # type: ignore[arg-type]


def test_a_ledger_that_is_not_one_is_put_aside_and_made_anew(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures)
    for file in (tmp_path / "db" / "images").glob("ledger*"):
        file.unlink()
    (tmp_path / "db" / "images" / "ledger.sqlite").write_bytes(b"x" * 5000)
    report = index(pictures)
    assert (report.indexed, report.points) == (0, 30)
    assert any("the ledger was damaged" in note for note in report.notes), report.notes
    assert (tmp_path / "db" / "images" / "ledger.sqlite.damaged").read_bytes() == b"x" * 5000
