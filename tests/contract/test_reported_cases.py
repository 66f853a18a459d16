"""Small inputs of public reports, as they were handed to us: the tracker and number of each stand in the name of its case."""

from __future__ import annotations

import shutil
import unicodedata
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import IndexJob, run
from semblant_indexer.sources import open_source
from semblant_search import SearchClient
from semblant_search.images import open_picture
from support.encoders import encoder_bytes
from support.golden import GOLDEN
from support.shown import PHOTOGRAPH, SHOWN, away
from support.trees import by_name, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

CASES = GOLDEN / "cases"
PICTURES = {
    "python-pillow/Pillow#3159: f32_0_1.tif": 153.1,
    "python-pillow/Pillow#3159: f32_one_pixel_1.02.tif": 153.1,
    "darktable-org/darktable#18815: u16.tif": 153.1,
    "darktable-org/darktable#18815: u16_miniswhite.tif": 153.1,
    "python-pillow/Pillow#5248: u32.tif": 153.1,
    "python-pillow/Pillow#3159: f64.tif": 153.1,
    "python-pillow/Pillow#9473: attr0_alpha0.tga": 151.0,
}


def case(name: str) -> Path:
    path = CASES / name.rpartition(" ")[2]
    return path if path.is_file() else SHOWN / path.name


@pytest.fixture
def index(tmp_path: Path) -> Callable[..., IndexReport]:
    (tmp_path / "encoder.onnx").write_bytes(encoder_bytes("grey-28"))

    def go(source: Path, **options: Any) -> IndexReport:
        settings = {"orb": None, "workers": 1, "threads": 1, "encoder": tmp_path / "encoder.onnx", **options}
        return run(IndexJob(str(source), db=str(tmp_path / "db"), **settings))

    return go


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Six pictures as the tables name them, `p/IMG_0.jpg` and on."""
    root = tmp_path / "album"
    (root / "p").mkdir(parents=True)
    for number in range(6):
        turned = PHOTOGRAPH.rotate(9 * number).resize((160, 120))
        turned.save(root / "p" / f"IMG_{number}.jpg")
    return root


@pytest.mark.parametrize("name", PICTURES)
def test_a_value_s_scale_and_alpha_are_what_the_file_says(name: str) -> None:
    shown = np.asarray(open_picture(case(name)).image.convert("RGB"), float)
    assert abs(shown.mean() - PICTURES[name]) < 1.2


def test_nextcloud_22951_photoprism_1798_one_picture_in_three_colour_spaces() -> None:
    srgb, adobe, p3 = (open_picture(case(name)).image for name in ("srgb.png", "adobe.png", "p3.png"))
    assert away(srgb, adobe) < 1
    assert away(srgb, p3) < 1


@pytest.mark.parametrize("name", ["python-pillow/Pillow#8363: ztxt_2MB.png", "python-pillow/Pillow#5978: bad_crc_text.png"])
def test_a_text_chunk_does_not_matter_to_a_picture(name: str) -> None:
    assert open_picture(case(name)).image.tobytes() == open_picture(case("plain.png")).image.tobytes()


@pytest.mark.parametrize("name", ["no end: no_eoi.jpg", "czkawka#1039: mpo.jpg", "sdmaid-se#2761: jpeg_named.heic"])
def test_a_jpeg_is_one_whatever_its_end_or_name(name: str, tmp_path: Path, index: Callable[..., IndexReport]) -> None:
    (tmp_path / "p").mkdir()
    shutil.copyfile(case(name), tmp_path / "p" / case(name).name)
    assert index(tmp_path / "p").account.startswith("found 1 = 1 indexed")
    with SearchClient(tmp_path / "db") as client:
        (picture,) = client.pictures()
    assert picture.facts["_format"] == "JPEG"


def test_czkawka_1199_a_broken_exif_block_turns_a_picture_and_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = open_picture(case("trunc_ifd_after_orientation.jpg"))
    assert (picture.width, picture.height) == (120, 160)


def test_immich_go_482_a_sidecar_of_takeout_loses_what_cannot_be_kept_once(
    six: Path, index: Callable[..., IndexReport]
) -> None:
    shutil.copyfile(case("takeout.jpg.json"), six / "p" / "IMG_1.jpg.json")
    report = index(six)
    assert (report.indexed, report.failed) == (6, 0)
    (note,) = [note for note in report.notes if "people" in note]
    assert "of which only the names are kept" in note
    metadata = by_name(open_source(str(six)))["IMG_1.jpg"].metadata
    assert (metadata["title"], metadata["people"]) == ("IMG_1.jpg", ["A", "B"])


def test_gdal_12008_long_ids_are_exact(six: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    shutil.copyfile(case("ids.csv"), six / "metadata.csv")
    index(six)
    with SearchClient(tmp_path / "db") as client:
        assert client.count("tweet == 1234567890123456701") == 1
        assert client.count("tweet > 1234567890123456701") == 4


def test_windows_paths_find_their_pictures(six: Path) -> None:
    shutil.copyfile(case("back.csv"), six / "metadata.csv")
    items = by_name(open_source(str(six)))
    assert [items[f"IMG_{number}.jpg"].metadata["price"] for number in range(6)] == list(range(6))


def test_decimal_commas_are_numbers(six: Path) -> None:
    shutil.copyfile(case("comma.csv"), six / "metadata.csv")
    items = by_name(open_source(str(six)))
    assert [items[f"IMG_{number}.jpg"].metadata["price"] for number in (1, 0) if items[f"IMG_{number}.jpg"].metadata]
    values = sorted(item.metadata["price"] for item in items.values() if "price" in item.metadata)
    assert values == [1.5, 2.75]


def test_na_is_the_same_whether_it_comes_first_or_last(six: Path) -> None:
    lines = case("nafirst.csv").read_text().splitlines()
    found = []
    for rows in (lines[1:], lines[:0:-1]):
        (six / "metadata.csv").write_text("\n".join([lines[0], *rows]))
        source = open_source(str(six))
        items = by_name(source)
        notes = [note.replace(f"line {2 if rows[0] == lines[1] else 4}", "line N") for note in source.notes]
        found.append(({name: dict(item.metadata) for name, item in items.items()}, notes))
    assert found[0] == found[1]
    assert sorted(each["price"] for each in found[0][0].values() if "price" in each) == [1.5, 3.0]


def test_webdataset_237_names_with_dots_keep_their_own_facts() -> None:
    items = list(open_source(str(case("dots.tar"))).items())
    assert {item.uri.rpartition("#")[2]: dict(item.metadata) for item in items} == {
        "img.v1.jpg": {"n": 1},
        "img.v2.jpg": {"n": 2},
    }


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [("csvkit#1247: time.parquet", "time", ["01:02:00"]), ("nan: nan.parquet", "score", [1.0, None, None])],
)
def test_parquet_values_that_json_does_not_have(name: str, field: str, values: list[Any], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    root = tree(tmp_path / "album", "p/0.jpg", "p/1.jpg", "p/2.jpg")
    shutil.copyfile(case(name), root / "metadata.parquet")
    items = by_name(open_source(str(root)))
    assert len(items) == 3
    found = [items[f"{number}.jpg"].metadata.get(field) for number in range(len(values))]
    assert found == values


@pytest.mark.parametrize("header", ["file_name", "File", "path", "filename"])
def test_datasets_4069_usual_headers_name_the_picture(header: str, six: Path) -> None:
    (six / "metadata.csv").write_text(f"{header},n\np/IMG_2.jpg,7\n")
    assert by_name(open_source(str(six)))["IMG_2.jpg"].metadata["n"] == 7


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nfile;n\np/IMG_2.jpg;7\n",
        "file;n\np/IMG_2.jpg;7\n;;\n;;\n",
        "file,n,text\np/IMG_2.jpg,7," + "x" * 140_000 + "\n",
    ],
    ids=["sep", "separators at the end", "a long cell"],
)
def test_excel_s_ways_are_read(text: str, six: Path) -> None:
    (six / "metadata.csv").write_text(text)
    assert by_name(open_source(str(six)))["IMG_2.jpg"].metadata["n"] == 7


@pytest.mark.parametrize("place", ["within", "beside", "given"])
def test_a_table_whose_rows_name_no_picture_is_counted_wherever_it_lies(place: str, six: Path) -> None:
    text = "file,n\n" + "".join(f"elsewhere/{number}.jpg,{number}\n" for number in range(6))
    table = {"within": six / "metadata.csv", "beside": six.parent / "metadata.csv", "given": six.parent / "other.csv"}[place]
    table.write_text(text)
    source = open_source(str(six), metadata=table if place == "given" else None)
    assert len(list(source.items())) == 6
    (note,) = [note for note in source.notes if "6 metadata rows name no picture" in note]
    assert "--no-metadata" in note  # datasets#6777: named and left alone, with the option that turns it off


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_google_photos_takeout_helper_247_names_match_across_unicode_s_forms(forms: tuple[Any, Any], tmp_path: Path) -> None:
    table, disk = (unicodedata.normalize(form, "Größe é.jpg") for form in forms)
    root = tree(tmp_path / "album", disk)
    (root / "metadata.csv").write_text(f"file,n\n{table},7\n")
    (item,) = open_source(str(root)).items()
    assert item.metadata == {"n": 7}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_facts_of_cameras_are_read_from_sixteen_bits_and_floats(
    kind: str, tmp_path: Path, index: Callable[..., IndexReport]
) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS"
    (tmp_path / "p").mkdir()
    wide = Image.fromarray(np.asarray(PHOTOGRAPH, np.uint16) * 257)
    wide.save(tmp_path / "p" / f"a.{kind.lower()}", kind, exif=exif)
    if kind == "TIFF":
        Image.fromarray(np.asarray(PHOTOGRAPH, np.float32) / 255).save(tmp_path / "p" / "b.tiff", exif=exif)
    index(tmp_path / "p", exif=True)
    with SearchClient(tmp_path / "db") as client:
        assert {picture.facts.get("_camera") for picture in client.pictures()} == {"Canon EOS"}


def test_one_group_of_the_three_colour_spaces(tmp_path: Path, index: Callable[..., IndexReport]) -> None:
    (tmp_path / "p").mkdir()
    for name in ("srgb.png", "adobe.png", "p3.png"):
        shutil.copyfile(case(name), tmp_path / "p" / name)
    index(tmp_path / "p")
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert len(group.others) == 2
