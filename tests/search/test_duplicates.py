"""Near-duplicates: copies are grouped, lookalikes are not."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw
from semblant_search import InvalidInput, SearchClient, draw_groups
from semblant_search.cli import semblant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "camera.png")


def copies_of(path: Path, folder: Path) -> list[Path]:
    """Copies as people make them: the same bytes, half the size, another format, darker."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    exact = folder / f"{path.stem}-exact{path.suffix}"
    shutil.copy(path, exact)
    made = {
        "half.png": picture.resize((picture.width // 2, picture.height // 2)),
        "small.jpg": picture,
        "darker.png": picture.point(lambda level: int(level * 0.8)),
    }
    for name, copy in made.items():
        copy.save(folder / f"{path.stem}-{name}", quality=60)  # of the JPEG; PNG has none
    return [exact, *(folder / f"{path.stem}-{name}" for name in made)]


@pytest.fixture(scope="module")
def library(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs, four copies of each of the first two, and two drawings on one template."""
    folder = tmp_path_factory.mktemp("duplicates")
    for name in PHOTOS:
        shutil.copy(photos / name, folder)
    for name in PHOTOS[:2]:
        copies_of(folder / name, folder)
    for word in ("YES", "NO!"):
        with Image.open(photos / "coffee.png") as picture:
            sign = picture.convert("RGB")
        ImageDraw.Draw(sign).rectangle((200, 130, 400, 270), fill="white")
        ImageDraw.Draw(sign).text((215, 140), word, fill="black", font_size=90)
        sign.save(folder / f"sign-{word}.png")
    return folder


@pytest.fixture(scope="module")
def db(library: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("duplicates-db") / "db"
    index(path, sorted(library.iterdir()))
    return path


def test_copies_are_grouped_and_lookalikes_are_not(db: Path) -> None:
    with SearchClient(db) as client:
        groups = client.duplicates()
    names = {group.representative.path.name: {other.path.name for other in group.others} for group in groups}  # type: ignore[union-attr]
    assert set(names) <= {"astronaut.png", "astronaut-exact.png", "chelsea.png", "chelsea-exact.png"}
    assert len(names) == 2
    for group in groups:
        stem = group.representative.path.name.split("-")[0].split(".")[0]  # type: ignore[union-attr]
        assert {other.path.name.split("-")[0].split(".")[0] for other in group.others} == {stem}  # type: ignore[union-attr]
        assert [other.tier for other in group.others] == ["copy"] * 3 + ["changed"]
        assert group.changed[0].path.name == f"{stem}-darker.png"  # type: ignore[union-attr]
        assert group.changed[0].why == ("recoloured",)
        assert [other.path.name for other in group.others if other.exact] in ([f"{stem}-exact.png"], [f"{stem}.png"])  # type: ignore[union-attr]


def test_only_what_passes_the_filter_is_compared(db: Path, library: Path) -> None:
    seen: list[int] = []
    with SearchClient(db) as client:
        assert client.duplicates(where="price < 0", on_progress=seen.append) == []
        assert client.duplicates(on_progress=seen.append, min_score=0.99)
    assert seen == [len(list(library.iterdir()))]


def test_files_that_are_gone_are_compared_by_their_details_alone(
    library: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    for name in ("astronaut.png", "astronaut-small.jpg", "camera.png"):
        shutil.copy(library / name, tmp_path)
    index(tmp_path / "db", sorted(tmp_path.glob("*.*g")))
    for path in tmp_path.glob("*.*g"):
        path.unlink()
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    (other,) = group.others
    assert (other.verdict, other.tier, other.why, other.removable) == ("copy", "changed", ("by details alone",), False)


def test_a_collection_without_details_has_duplicates_too(indexed: Path, tmp_path: Path) -> None:
    """Twenty small pictures of clothes, none of which is another one's copy."""
    copy = shutil.copytree(indexed, tmp_path / "db")
    with SearchClient(copy, collection="plain") as client:
        assert client.duplicates() == []


@pytest.mark.parametrize("options", [{"min_score": 2}, {"min_score": float("nan")}, {"min_confidence": -1}], ids=str)
def test_impossible_thresholds_are_refused(db: Path, options: dict[str, float]) -> None:
    with SearchClient(db) as client, pytest.raises(InvalidInput):
        client.duplicates(**options)  # type: ignore[arg-type]


def test_the_command_prints_groups_as_lines_json_and_a_drawing(db: Path, tmp_path: Path) -> None:
    def run(*options: str) -> str:
        result = CliRunner().invoke(semblant, ["duplicates", "--db", str(db), *options])
        assert result.exit_code == 0, result.stderr
        assert "2 groups, 6 pictures that could go\n" in result.stderr
        assert "2 pictures that are the same, changed: look before you delete" in result.stderr
        return result.stdout

    lines = [line.split("\t") for line in run("--gallery", str(tmp_path / "groups.png")).splitlines()]
    assert [number for number, _, kind in lines if kind == "keep"] == ["1", "2"]
    assert sum(kind == "same bytes" for _, _, kind in lines) == 2
    with Image.open(tmp_path / "groups.png") as picture:
        assert picture.height > 2 * 208  # five pictures each: a row for each group
    groups = json.loads(run("--json"))["groups"]
    assert [len(group["others"]) for group in groups] == [4, 4]


def test_no_duplicates_is_a_picture_too() -> None:
    drawing = np.asarray(draw_groups([], title="none"))
    assert (drawing < 128).any(axis=(1, 2)).sum() > 20, "the title, and that there are none"
