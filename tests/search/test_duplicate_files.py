"""Duplicates are files, not names: links, renamed folders, files that are gone or changed, many copies, and what may go."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageOps
from semblant_search import DuplicateGroup, SearchClient
from semblant_search.cli import semblant
from semblant_search.duplicates import attaching, finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB").resize((300, 200), Image.Resampling.LANCZOS)


def found(index: Callable[..., None], folder: Path, paths: list[Path]) -> list[DuplicateGroup]:
    index(folder / "db", paths)
    with SearchClient(folder / "db") as client:
        return client.duplicates()


def name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def test_a_link_and_its_target_are_one_file_and_no_group(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "zz").mkdir()
    coffee.save(tmp_path / "zz/real.jpg")
    (tmp_path / "album_link.jpg").symlink_to(tmp_path / "zz/real.jpg")
    os.link(tmp_path / "zz/real.jpg", tmp_path / "hard.jpg")
    assert found(index, tmp_path, [tmp_path / "album_link.jpg", tmp_path / "hard.jpg", tmp_path / "zz/real.jpg"]) == []


def test_a_link_is_never_kept_and_other_names_of_a_file_are_named(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path
) -> None:
    coffee.save(tmp_path / "real.png")
    shutil.copy(tmp_path / "real.png", tmp_path / "copy.png")
    (tmp_path / "a-link.png").symlink_to(tmp_path / "real.png")
    (group,) = found(index, tmp_path, [tmp_path / f"{stem}.png" for stem in ("a-link", "copy", "real")])
    assert name(group.representative.uri) == "real.png", "a file that a link leads to is kept rather than another"
    assert [(name(other.uri), other.removable) for other in group.others] == [("copy.png", True)]
    assert {name(uri): [name(link) for link in links] for uri, links in group.other_names.items()} == {
        "real.png": ["a-link.png"]
    }


def test_what_a_link_leads_to_is_not_recommended_for_removal(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path
) -> None:
    coffee.save(tmp_path / "large.png")
    coffee.resize((150, 100)).save(tmp_path / "small.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "small.png")
    (group,) = found(index, tmp_path, [tmp_path / f"{stem}.png" for stem in ("large", "link", "small")])
    assert name(group.representative.uri) == "large.png"
    assert [(name(other.uri), other.tier, other.removable) for other in group.others] == [("small.png", "copy", False)]


def test_a_renamed_folder_leaves_no_duplicates_behind(coffee: Image.Image, index: Callable[..., None], tmp_path: Path) -> None:
    old, new = tmp_path / "p", tmp_path / "p2"
    for folder in (old, new):
        folder.mkdir()
        coffee.save(folder / "a.png")
        coffee.save(folder / "b.png")
    index(tmp_path / "db", sorted(tmp_path.glob("p*/*.png")))
    shutil.rmtree(old)
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert group.representative.path == new / "a.png"
    assert [other.path for other in group.others] == [new / "b.png"]


@pytest.mark.parametrize("count", [9, 12])
def test_many_exact_copies_are_one_group_with_as_many_of_half_the_size(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path, count: int
) -> None:
    for number in range(count):
        coffee.save(tmp_path / f"large{number:02d}.png")
        coffee.resize((150, 100), Image.Resampling.LANCZOS).save(tmp_path / f"small{number:02d}.png")
    (group,) = found(index, tmp_path, sorted(tmp_path.glob("*.png")))
    assert len(group.others) == 2 * count - 1
    assert {other.tier for other in group.others} == {"copy"}
    assert len(group.removable) == 2 * count - 1
    assert name(group.representative.uri) == "large00.png"


def test_all_turns_and_all_tags_are_copies(coffee: Image.Image, index: Callable[..., None], tmp_path: Path) -> None:
    coffee.save(tmp_path / "0.png")
    for number, turn in enumerate((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)):
        coffee.transpose(turn).save(tmp_path / f"turned{number}.jpg", quality=70)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for tag, number in back.items():
        exif = Image.Exif()
        exif[0x0112] = tag
        coffee.transpose(Image.Transpose(number)).save(tmp_path / f"tag{tag}.jpg", quality=85, exif=exif)
    (group,) = found(index, tmp_path, sorted(tmp_path.glob("*.*g")))
    why = {name(other.uri): other.why for other in group.others}
    assert set(why) == {*(f"turned{n}.jpg" for n in range(3)), *(f"tag{tag}.jpg" for tag in back)}
    assert [why[f"turned{n}.jpg"][0] for n in range(3)] == ["turned 90°", "turned 180°", "turned 270°"]
    assert {other.tier for other in group.others} == {"copy"}


def form(person: str) -> Image.Image:
    page = Image.new("RGB", (420, 520), "white")
    draw = ImageDraw.Draw(page)
    for row in range(8):
        draw.text((20, 30 + 60 * row), f"Question {row}", fill="black", font_size=18)
        draw.rectangle((160, 22 + 60 * row, 400, 58 + 60 * row), outline="black")
    draw.text((170, 30 + 60 * 2), person, fill="navy", font_size=20)
    return page


def test_one_form_filled_in_by_five_people_is_no_group(index: Callable[..., None], tmp_path: Path) -> None:
    people = ("Anna Miller", "Peter Smith", "Maria Lopez", "John Brown", "Li Wei")
    for number, person in enumerate(people):
        form(person).save(tmp_path / f"{number}.jpg", quality=80)
    form(people[0]).resize((210, 260)).save(tmp_path / "half.png")
    groups = found(index, tmp_path, sorted(tmp_path.glob("*.*g")))
    assert [name(picture.uri) for group in groups for picture in (group.representative, *group.others)] in (
        [],
        ["0.jpg", "half.png"],
    )


def test_a_burst_in_which_a_thing_moved_is_no_group(coffee: Image.Image, index: Callable[..., None], tmp_path: Path) -> None:
    for number, x in enumerate((20, 60, 140)):
        frame = coffee.copy()
        ImageDraw.Draw(frame).ellipse((x, 30, x + 14, 44), fill=(30, 60, 160))
        frame.save(tmp_path / f"{number}.jpg", quality=90)
    assert found(index, tmp_path, sorted(tmp_path.glob("*.jpg"))) == []


def test_changed_pictures_are_a_tier_of_their_own_of_which_nothing_is_recommended(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path
) -> None:
    coffee.save(tmp_path / "a.png")
    coffee.save(tmp_path / "b.bmp")
    ImageOps.mirror(coffee).save(tmp_path / "mirrored.jpg", quality=85)
    ImageOps.expand(coffee, 10, "black").save(tmp_path / "framed.jpg", quality=90)
    (group,) = found(index, tmp_path, sorted(tmp_path.glob("*.[pjb]*")))
    assert {name(other.uri): (other.tier, other.why) for other in group.changed} == {
        "mirrored.jpg": ("changed", ("mirrored",)),
        "framed.jpg": ("changed", ("framed",)),
    }
    assert [name(other.uri) for other in group.removable] == ["a.png"]
    assert group.changed[0].label.startswith("same picture, changed: ")


def test_nothing_may_go_where_the_one_to_keep_went_meanwhile(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stem in "abc":
        coffee.save(tmp_path / f"{stem}.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    attach = attaching.attach_changed

    def and_delete(*arguments: object) -> None:
        attach(*arguments)  # type: ignore[arg-type]
        (tmp_path / "a.png").unlink()

    monkeypatch.setattr(finding, "attach_changed", and_delete)
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert name(group.representative.uri) == "a.png"
    assert group.removable == ()
    assert all(other.label == "same bytes, not to be removed" for other in group.others)


def test_files_count_as_they_are_now(coffee: Image.Image, index: Callable[..., None], tmp_path: Path) -> None:
    """Copies when they were indexed; since then one was painted on, and one was cut short."""
    for stem in "abcd":
        coffee.save(tmp_path / f"{stem}.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    ImageDraw.Draw(coffee := coffee.copy()).rectangle((100, 100, 160, 140), fill="lime")
    coffee.save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert [name(picture.uri) for picture in (group.representative, *group.others)] == ["a.png", "d.png"]


def test_an_animation_is_no_copy_of_its_first_frame(coffee: Image.Image, index: Callable[..., None], tmp_path: Path) -> None:
    coffee.quantize(64).save(tmp_path / "moving.gif", save_all=True, append_images=[ImageOps.mirror(coffee)])
    coffee.quantize(64).save(tmp_path / "still.gif")
    groups = found(index, tmp_path, sorted(tmp_path.glob("*.gif")))
    assert all(group.removable == () for group in groups)


def test_small_clothes_that_look_alike_are_not_copies(pictures: list[Path], index: Callable[..., None], tmp_path: Path) -> None:
    shirts = [path for path in pictures if path.parent.name in ("shirt", "pullover", "trouser")]
    assert found(index, tmp_path, shirts) == []


def test_dark_photographs_are_copies_by_their_pixels_alone(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    for number, part in enumerate((coffee, ImageOps.mirror(coffee))):
        dark = np.asarray(part) * 0.05 + rng.normal(4, 1.2, (200, 300, 3))
        Image.fromarray(dark.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number}.jpg", quality=90)
    shutil.copy(tmp_path / "0.jpg", tmp_path / "again.jpg")
    groups = found(index, tmp_path, sorted(tmp_path.glob("*.jpg")))
    assert [[name(p.uri) for p in (group.representative, *group.others)] for group in groups] == [["0.jpg", "again.jpg"]]


def test_of_equal_files_the_shortest_name_is_kept_and_links_are_printed(
    coffee: Image.Image, index: Callable[..., None], tmp_path: Path
) -> None:
    coffee.save(tmp_path / "cup.png")
    for copy in ("cup (1).png", "a copy of cup.png"):
        shutil.copy(tmp_path / "cup.png", tmp_path / copy)
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    os.link(tmp_path / "cup (1).png", tmp_path / "hard.png")
    index(tmp_path / "linked", sorted(tmp_path.glob("*.png")))
    printed = [
        CliRunner().invoke(semblant, ["duplicates", "--db", str(tmp_path / db)]).stdout.splitlines() for db in ("db", "linked")
    ]
    rows = [[line.replace(f"{tmp_path}/", "").split("\t")[1:] for line in lines] for lines in printed]
    assert rows[0] == [["cup.png", "keep"], ["a copy of cup.png", "same bytes"], ["cup (1).png", "same bytes"]]
    assert rows[1] == [  # a file of two names is the one to keep
        ["hard.png", "keep"],
        ["a copy of cup.png", "same bytes"],
        ["cup.png", "same bytes"],
        ["cup (1).png", "same file as hard.png"],
    ]
