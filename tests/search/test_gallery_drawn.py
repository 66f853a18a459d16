"""What is written and outlined in a gallery and in a drawing of duplicates, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image, ImageDraw
from semblant_search import FeatureHit, Hit, Picture, canonical_uri, draw_gallery, draw_groups
from semblant_search.drawing.gallery import BOX, caption_of, name_of, percent, save_picture, thumbnail
from semblant_search.drawing.typography import Typography
from semblant_search.duplicates import Duplicate, DuplicateGroup
from semblant_search.images import open_image
from support.pixels import boxes, find, find_text, is_colour

if TYPE_CHECKING:
    from pathlib import Path

INK, MUTED, ACCENT, WARN = "#111827", "#6b7280", "#2563eb", "#b45309"
COLOURS = ("#cc0000", "#00aa00", "#0000cc", "#aaaa00", "#00aaaa", "#aa00aa", "#552200", "#005522", "#220055")


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Nine pictures of one colour each."""
    folder = tmp_path_factory.mktemp("squares")
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (BOX, BOX), colour).save(folder / f"square-{number}.png")
    return sorted(folder.iterdir())


def hits_of(paths: list[Path]) -> list[Hit]:
    return [Hit("", canonical_uri(path), {}, score=0.9 - number / 10) for number, path in enumerate(paths)]


def tiles(drawing: Image.Image) -> list[tuple[int, int, int]]:
    """Column, row and colour of each square, by the places that a grid of boxes has."""
    found = []
    for number, colour in enumerate(COLOURS):
        for left, top, right, bottom in boxes(is_colour(drawing, colour)):
            if right - left > 100:
                assert (right - left, bottom - top) == (BOX - 2, BOX - 2)  # within a thin line
                found.append((left, top, number))
    return found


def test_hits_are_laid_out_in_rows_best_first_to_the_right_of_the_query(squares: list[Path]) -> None:
    drawing = draw_gallery(hits_of(squares[1:8]), query=squares[0], columns=3)
    found = {number: (left, top) for left, top, number in tiles(drawing)}
    assert sorted(found) == list(range(8))
    lefts, tops = [sorted({place[axis] for name, place in found.items() if name}) for axis in (0, 1)]
    assert (len(lefts), len(tops)) == (3, 3)
    order = sorted(range(1, 8), key=lambda number: (found[number][1], found[number][0]))
    assert order == list(range(1, 8))
    assert found[0][1] == tops[0]
    assert found[0][0] < lefts[0] - BOX
    assert np.ptp(np.diff(lefts)) == np.ptp(np.diff(tops)) == 0
    assert drawing.width - (lefts[-1] + BOX) == pytest.approx(found[0][0], abs=3)  # equal margins


def test_each_hit_has_its_rank_its_score_and_its_caption(squares: list[Path]) -> None:
    hits = [
        Hit("", canonical_uri(squares[1]), {"label": "Coat"}, score=0.98765),
        Hit("", canonical_uri(squares[2]), {}, score=-0.5),
    ]
    drawing = draw_gallery(hits, query=squares[0], title="A title", subtitle="where price < 3")
    found = {number: (left, top) for left, top, number in tiles(drawing)}
    for number, head, rank, caption in ((1, "0.988", "1", "Coat"), (2, "-0.500", "2", "square-2.png")):
        for text, size, colour in ((head, 17, INK), (rank, 15, MUTED), (caption, 15, MUTED)):
            places = [
                (x, y)
                for x, y in find_text(drawing, text, size, colour)
                if found[number][0] - 3 <= x <= found[number][0] + BOX and y > found[number][1] + BOX
            ]
            assert places, text
    assert find_text(drawing, "Query", 17, ACCENT)
    assert find_text(drawing, "square-0.png", 15, MUTED)
    ((_, title),), ((_, subtitle),) = find_text(drawing, "A title", 24, INK), find_text(drawing, "where price < 3", 16, MUTED)
    assert title < subtitle < found[0][1]
    assert not find_text(draw_gallery(hits), "Query", 17, ACCENT)


def test_one_s_own_caption_stands_in_for_the_label(squares: list[Path]) -> None:
    drawing = draw_gallery(hits_of(squares[:2]), caption=lambda hit: f"at {hit.score:.1f}!")
    assert find_text(drawing, "at 0.9!", 15, MUTED)
    assert find_text(drawing, "at 0.8!", 15, MUTED)
    assert not find_text(drawing, "square-0.png", 15, MUTED)


def test_scores_beyond_a_cosine_have_one_decimal_and_verdicts_say_how_sure(squares: list[Path]) -> None:
    uri = canonical_uri(squares[0])
    words = draw_gallery([Hit("", uri, score=87.654), Hit("", uri, score=0.25)])
    assert find_text(words, "87.7", 17, INK)
    assert find_text(words, "0.2", 17, INK)
    proven = draw_gallery(
        [FeatureHit("", uri, score=0.5, verdict="crop", probability=0.99531), FeatureHit("", uri, score=0.125)]
    )
    assert find_text(proven, "crop 99.5 %", 17, INK)
    assert find_text(proven, "0.125", 17, INK)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0, "0.0 %"), (0.5, "50.0 %"), (0.99, "99.0 %"), (0.9985, "99.9 %"), (0.9995, ">99.9 %"), (1, ">99.9 %")],
)
def test_what_is_all_but_certain_is_not_called_certain(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_the_query_is_outlined_and_nothing_else_is(squares: list[Path]) -> None:
    drawing = draw_gallery(hits_of(squares[1:3]), query=squares[0])
    (left, top, _) = next(tile for tile in tiles(drawing) if tile[2] == 0)
    outlines = [box for box in boxes(is_colour(drawing, ACCENT)) if box[2] - box[0] > 100]
    assert outlines == [(left - 4, top - 4, left + BOX + 2, top + BOX + 2)]
    assert not [box for box in boxes(is_colour(draw_gallery(hits_of(squares)), ACCENT)) if box[2] - box[0] > 100]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("gone", "file is missing"), ("broken", "cannot be read"), ("https://example.org/a.png", "not a local file")],
)
def test_a_picture_that_cannot_be_drawn_says_why(squares: list[Path], tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    uri = place if "://" in place else canonical_uri(tmp_path / f"{place}.png")
    drawing = draw_gallery([Hit("", canonical_uri(squares[0]), score=0.5), Hit("", uri, score=0.5)])
    panel = [box for box in boxes(is_colour(drawing, "#f3f4f6")) if box[2] - box[0] > 100]
    assert panel
    warned = np.argwhere(is_colour(drawing, WARN))
    expected = Image.new("RGB", (300, 40), "#f3f4f6")
    ImageDraw.Draw(expected).text((20, 10), reason, fill=WARN, font=Typography().font(15))
    ink = np.argwhere((np.asarray(expected) != np.array([243, 244, 246])).any(axis=2))
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0) + 1
    assert find(drawing, expected.crop((int(left), int(top), int(right), int(bottom))))
    assert warned[:, 1].min() > panel[0][0]


def test_no_hits_says_so(squares: list[Path]) -> None:
    assert find_text(draw_gallery([], query=squares[0]), "No hits", 20, MUTED)
    assert not find_text(draw_gallery(hits_of(squares[:1]), query=squares[0]), "No hits", 20, MUTED)
    assert find_text(draw_groups([], title="none"), "No duplicates", 20, MUTED)


def group(first: Path, *others: tuple[Path, bool, Literal["copy", "changed"]]) -> DuplicateGroup:
    rest = [Duplicate("", canonical_uri(path), exact=exact, tier=tier, why=("why",)) for path, exact, tier in others]
    return DuplicateGroup(Picture("", canonical_uri(first)), tuple(rest))


def test_groups_are_drawn_side_by_side_each_beginning_with_the_one_to_keep(squares: list[Path]) -> None:
    groups = [
        group(squares[0], (squares[1], True, "copy"), (squares[2], False, "copy")),
        group(squares[3], (squares[4], False, "changed")),
        group(squares[5], (squares[6], False, "copy"), (squares[7], False, "copy")),
    ]
    drawing = draw_groups(groups, title="three", columns=5)
    found = {number: (left, top) for left, top, number in tiles(drawing)}
    assert sorted(found) == list(range(8))
    assert len({found[number][1] for number in range(5)}) == 1  # two groups fill a row of five
    assert found[5][1] == found[6][1] == found[7][1] > found[0][1] + BOX
    assert [found[number][0] for number in (0, 1, 2)] == [found[number][0] for number in (5, 6, 7)]
    assert [found[number][0] for number in range(5)] == sorted(found[number][0] for number in range(5))
    outlines = [box[:2] for box in boxes(is_colour(drawing, ACCENT)) if box[2] - box[0] > 100]
    assert outlines == [(found[number][0] - 4, found[number][1] - 4) for number in (0, 3, 5)]
    for text, colour, count in (
        ("Keep", ACCENT, 3), ("same bytes", INK, 1), ("changed", WARN, 1), ("copy", INK, 3)
    ):  # fmt: skip
        assert len(find_text(drawing, text, 17, colour)) == count, text
    assert find_text(drawing, "three", 24, INK)
    for number in range(8):
        assert find_text(drawing, f"square-{number}.png", 15, MUTED)


def test_a_group_larger_than_a_row_says_how_many_are_left_out(squares: list[Path]) -> None:
    large = group(squares[0], *((path, False, "copy") for path in squares[1:8]))
    drawing = draw_groups([large], columns=3)
    assert sorted(number for _, _, number in tiles(drawing)) == [0, 1, 2]
    assert find_text(drawing, "+5 more", 15, MUTED)
    assert (np.asarray(drawing)[:, -20:] == 255).all(), "nothing beside the row"
    whole = draw_groups([large], columns=8)
    assert len(tiles(whole)) == 8
    assert not find_text(whole, "+1 more", 15, MUTED)
    assert not find_text(whole, "+0 more", 15, MUTED)


def test_thumbnails_fit_the_box_and_lie_in_its_middle() -> None:
    for size, red in (((1000, 500), (208, 104)), ((500, 1000), (104, 208)), ((150, 150), (208, 208)), ((104, 52), (208, 104))):
        tile = np.asarray(thumbnail(Image.new("RGB", size, "red")))
        assert tile.shape == (BOX, BOX, 3)
        rows, columns = np.nonzero((tile == (255, 0, 0)).all(axis=2))
        assert (int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1) == red
        assert abs(columns.min() - (BOX - 1 - columns.max())) <= 1
        assert abs(rows.min() - (BOX - 1 - rows.max())) <= 1
    assert thumbnail(Image.new("RGB", (10, 10)), box=50).size == (50, 50)
    half = Image.new("LA", (100, 100), (0, 255))
    half.paste((0, 0), (0, 0, 50, 100))
    tile = np.asarray(thumbnail(half)).astype(int)
    assert (tile[104, 110:200] == 0).all()
    assert (tile[104, 10:100] > 200).all()


def test_a_photograph_is_shrunk_with_averaging(photos: Path) -> None:
    picture = open_image(photos / "coffee.png")
    small = np.asarray(thumbnail(picture)).astype(int)[34:173]
    wanted = np.asarray(picture.resize((208, 139), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - wanted).mean() < 5


def test_a_jpeg_is_drawn_as_sharp_as_a_png(photos: Path, tmp_path: Path) -> None:
    open_image(photos / "coffee.png").save(tmp_path / "coffee.jpg", quality=95)
    files = (tmp_path / "coffee.jpg", photos / "coffee.png")
    one, other = (np.asarray(draw_gallery([Hit("", canonical_uri(file))])).astype(int) for file in files)
    assert np.abs(one[40:200, 40:200] - other[40:200, 40:200]).mean() < 4


def test_names_of_pictures_are_those_of_their_files(tmp_path: Path) -> None:
    assert name_of(tmp_path / "a b.png") == "a b.png"
    assert name_of(canonical_uri(tmp_path / "ü%.png")) == "ü%.png"
    assert name_of("https://example.org/x/y.png") == "y.png"
    assert name_of("folder/z.png") == "z.png"
    assert name_of(b"bytes") == name_of(np.zeros((2, 2), np.uint8)) == ""
    assert caption_of(Hit("", "file:///a/b.png", {"label": ""})) == "b.png"
    assert caption_of(Hit("", "file:///a/b.png", {"label": None})) == "b.png"
    assert caption_of(Hit("", "file:///a/b.png", {"label": 0})) == "0"


def test_the_suffix_chooses_the_format(tmp_path: Path) -> None:
    drawing = draw_gallery([])
    for suffix, kind in (("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")):
        save_picture(drawing, tmp_path / f"a.{suffix}")
        with Image.open(tmp_path / f"a.{suffix}") as written:
            assert (written.format, written.size) == (kind, drawing.size)
