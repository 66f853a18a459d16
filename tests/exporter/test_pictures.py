"""Loading pictures for training: decoded once, in order, with labels, and with every failure named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from semblant_exporter import pictures
from semblant_exporter.listing import list_pictures
from semblant_search.collection import canonical_uri
from semblant_search.errors import DataError, InvalidInput, MetadataError
from semblant_search.images import Fit, fit_image, open_image

FASHION = Fit(28, 28, 1)
SMALL = Fit(48, 64, 3)


def test_rows_are_the_pixels_that_an_encoder_will_see(photos: Path) -> None:
    array = pictures.load(photos, SMALL)
    assert array.pixels.shape == (19, 48, 64, 3)
    assert array.pixels.dtype == np.uint8
    for row, path in enumerate(sorted(photos.iterdir())):
        assert array.uris[row] == canonical_uri(path)
        assert np.array_equal(array.pixels[row], fit_image(open_image(path, at_least=(48, 64)), SMALL))


def test_the_array_is_a_map_of_a_file_that_cannot_be_written(photos: Path) -> None:
    array = pictures.load(photos, SMALL)
    assert isinstance(array.pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array.pixels[0, 0, 0, 0] = 1


def test_labels_and_metadata_come_from_the_table_above_the_folder(fashion_small: Path) -> None:
    array = pictures.load(fashion_small / "train", FASHION)
    assert len(array) == 600
    assert array.categories[0] == "Ankle boot"  # the table's name; the folder is ankle-boot
    assert np.array_equal(np.bincount(array.label_ids), [60] * 10)
    assert set(array.metadata) == {"label", "label_id", "split"}
    assert set(array.metadata["split"]) == {"train"}
    by_number = pictures.load(fashion_small / "train", FASHION, label="label_id")
    assert by_number.categories == [str(number) for number in range(10)]


def test_labels_are_names_of_folders_where_there_is_no_table(clipart: Path, tmp_path: Path) -> None:
    shutil.copytree(clipart / "animals" / "birds", tmp_path / "set" / "birds")
    shutil.copy(clipart / "computer" / "server_zazou.png", tmp_path / "set")
    array = pictures.load(tmp_path / "set", SMALL)
    assert array.categories == ["birds", "penguin"]
    assert array.labels[0] is None  # it lies in the folder itself
    alone = pictures.load(tmp_path / "set" / "birds" / "penguin", SMALL)
    assert alone.labels == [None] * len(alone)
    assert np.array_equal(alone.label_ids, [-1] * len(alone))


def test_a_script_without_a_guard_does_not_wait_for_itself(fashion_mnist: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"""
from pathlib import Path
from semblant_exporter import pictures
from semblant_search.images import Fit
paths = sorted(Path({str(fashion_mnist / "test")!r}).rglob("*.png"))[:1600]
print(len(pictures.load(paths, Fit(20, 20, 1), workers=2)))
""")
    environment = {**os.environ, "SEMBLANT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, env=environment, check=True)
    assert done.stdout.split()[-1] == "1600"
    assert '`if __name__ == "__main__":`' in done.stderr


def test_many_pictures_decode_in_processes_to_the_same_rows_as_one_by_one(fashion_mnist: Path) -> None:
    folder = fashion_mnist / "test"
    paths = list_pictures(folder).paths[:2000]
    array = pictures.load(paths, FASHION)
    assert len(array) == 2000
    for row in (0, 1, 249, 250, 999, 1999):
        with Image.open(paths[row]) as picture:
            assert np.array_equal(array.pixels[row, :, :, 0], np.asarray(picture))


def test_the_second_call_decodes_nothing_and_a_changed_file_is_decoded_again(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    steps: list[str] = []

    def note(step: str, done: int, total: int | None) -> None:
        steps.append(step)

    first = pictures.load(folder, SMALL, on_progress=note)
    assert steps
    steps.clear()
    second = pictures.load(folder, SMALL, on_progress=note)
    assert not steps
    assert np.array_equal(first.pixels, second.pixels)

    Image.new("RGB", (50, 50), (1, 2, 3)).save(folder / "astronaut.png")
    third = pictures.load(folder, SMALL, on_progress=note)
    assert steps
    assert (third.pixels[0] == (1, 2, 3)).all(axis=-1).any()
    assert np.array_equal(third.pixels[1:], first.pixels[1:])
    assert len(pictures.load(folder, Fit(20, 20, 1))) == 19  # another fit is another array


def test_a_picture_that_cannot_be_used_is_named_and_leaves_no_gap(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "a text.png").write_text("not a picture")
    (folder / "camera 0.png").write_bytes(b"")
    whole = (photos / "coffee.png").read_bytes()
    (folder / "coffee cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "z link.png").symlink_to(folder / "gone")
    good = pictures.load(photos, SMALL)
    array = pictures.load(folder, SMALL)
    assert np.array_equal(array.pixels, good.pixels)
    assert [Path(uri).name for uri in array.uris] == sorted(path.name for path in photos.iterdir())
    assert [(failure.row, failure.reason) for failure in array.failures] == [
        (0, "not-an-image"), (3, "empty"), (8, "truncated"), (22, "missing"),
    ]  # fmt: skip
    assert all(failure.message and failure.uri.startswith("file://") for failure in array.failures)
    assert array.failure_counts() == {"not-an-image": 1, "empty": 1, "truncated": 1, "missing": 1}
    assert len(pictures.load(folder, SMALL).failures) == 4  # the second call knows them too


def test_too_many_pixels_are_refused_before_decoding(clipart: Path) -> None:
    chip = clipart / "computer" / "microchip_v.2_havok_redh_01.png"  # 231 megapixels
    array = pictures.load([chip.parent / "server_zazou.png", chip], SMALL)
    assert len(array) == 1
    assert array.failures[0].reason == "too-large"


def test_a_split_is_fixed_by_its_seed_and_takes_every_picture_once(fashion_small: Path) -> None:
    array = pictures.load(fashion_small / "train", FASHION)
    train, validation = array.split(0.1, seed=3)
    assert len(validation) == 60
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(600))
    assert np.array_equal(validation, array.split(0.1, seed=3)[1])
    assert not np.array_equal(validation, array.split(0.1, seed=4)[1])
    assert len(set(array.label_ids[validation])) > 5  # spread over a set that is sorted by label


def test_one_picture_loads_but_cannot_be_split(photos: Path) -> None:
    array = pictures.load([photos / "camera.png"], SMALL)
    assert len(array) == 1
    with pytest.raises(DataError, match="at least 2"):
        array.split()


def test_a_share_that_is_none_is_refused(photos: Path) -> None:
    with pytest.raises(InvalidInput, match="validation share 1"):
        pictures.load(photos, SMALL).split(1)


def test_folders_without_usable_pictures_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        pictures.load(tmp_path, SMALL)
    with pytest.raises(InvalidInput, match="no such folder"):
        pictures.load(tmp_path / "nowhere", SMALL)
    with pytest.raises(DataError, match="a list without pictures"):
        pictures.load([], SMALL)
    for number in range(5):
        (tmp_path / f"{number}.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"not one of its 5 pictures can be used:\n.*0\.png.*\n[\s\S]*and 2 more"):
        pictures.load(tmp_path, SMALL)


def test_links_that_go_round_in_circles_are_followed_once(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "with a\nnewline and ümlaut"
    shutil.copytree(photos, folder / "b")
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "a").symlink_to(folder / "b")
    listing = list_pictures(folder)
    assert [path.relative_to(folder).as_posix() for path in listing.paths] == [
        f"b/{path.name}" for path in sorted(photos.iterdir())
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,label\na,b\n", "no column names the picture"),
        ("file,label\ncamera.png\n", "line 2: not as many cells"),
        ("file,label\ncamera.png,a,b\n", "line 2: not as many cells"),
        ("file,label\n\xff", "is not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(photos: Path, tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(table.encode("latin-1"))
    with pytest.raises(MetadataError, match=message):
        pictures.load(photos, SMALL, metadata=path)


def test_an_unknown_label_column_is_said_before_decoding(fashion_small: Path) -> None:
    with pytest.raises(MetadataError, match=r"'colour'.*'label', 'label_id', 'split'"):
        pictures.load(fashion_small, Fit(9, 9, 1), label="colour")


def test_tables_may_be_json_lines_with_uris(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "facts.jsonl"
    table.write_text(
        f'{{"file": "{canonical_uri(photos / "moon.png")}", "price": 3, "label": "sky"}}\n{{"file": "other.png"}}\n'
    )
    array = pictures.load(photos, SMALL, metadata=table)
    row = array.uris.index(canonical_uri(photos / "moon.png"))
    assert array.labels[row] == "sky"
    assert array.metadata["price"][row] == "3"
    assert array.labels.count(None) == 18
