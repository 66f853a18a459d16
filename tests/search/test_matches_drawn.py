"""The drawing of a proof: which panels, lines and outlines it has, where, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import FeatureHit, ImageError, canonical_uri, draw_matches
from support.pixels import boxes, find_text, is_colour

if TYPE_CHECKING:
    from pathlib import Path

INK, MUTED, ACCENT, GREEN = "#111827", "#6b7280", "#2563eb", "#10b981"
LINES = ("#059669", "#2563eb", "#d97706", "#db2777", "#7c3aed", "#0891b2")
PANEL = 420


@pytest.fixture(scope="module")
def pale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 800 × 400 pixels, all of one colour."""
    path = tmp_path_factory.mktemp("pale") / "pale.png"
    Image.new("RGB", (800, 400), "#ffeedd").save(path)
    return path


def hit_of(path: Path, **changes: object) -> FeatureHit:
    """Its left half, asked for as a picture of 400 × 400 pixels."""
    hit = FeatureHit(
        "",
        canonical_uri(path),
        {},
        {"_width": 800, "_height": 400},
        verdict="crop",
        probability=0.9951,
        inliers=17,
        transform=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        polygon=((0.0, 0.0), (400.0, 0.0), (400.0, 400.0), (0.0, 400.0)),
    )
    return replace(hit, **changes)  # type: ignore[arg-type]


QUERY = Image.new("RGB", (400, 400), "#ddeeff")


def panels(drawing: Image.Image) -> list[tuple[int, int, int, int]]:
    """Boxes around the query's and the hit's panels, from left to right."""
    found = []
    for colour in ("#ddeeff", "#ffeedd"):
        rows, columns = np.nonzero(is_colour(drawing, colour))
        found.append((int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1))
    return found


def around(drawing: Image.Image, colour: str, within: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
    """The box around a colour inside of a panel, a few pixels of margin included."""
    left, top, right, bottom = within
    area = drawing.crop((left - 4, top - 4, right + 4, bottom + 4))
    rows, columns = np.nonzero(is_colour(area, colour, near=40))
    if len(rows) == 0:
        return None
    return int(columns.min()) - 4, int(rows.min()) - 4, int(columns.max()) - 3, int(rows.max()) - 3


def test_query_and_hit_lie_side_by_side_at_one_size(pale: Path) -> None:
    drawing = draw_matches(QUERY, [hit_of(pale)])
    here, there = panels(drawing)
    assert here[2] - here[0] == pytest.approx(PANEL, abs=6)
    assert there[2] - there[0] == pytest.approx(PANEL, abs=6)
    assert there[3] - there[1] == pytest.approx(PANEL / 2, abs=6)
    assert here[2] < there[0]
    assert abs(here[1] - there[1]) <= 4


def test_the_words_say_what_the_proof_is(pale: Path) -> None:
    drawing = draw_matches(QUERY, [hit_of(pale)])
    assert find_text(drawing, "Query", 17, ACCENT)
    assert find_text(drawing, "pale.png", 17, INK)
    assert find_text(drawing, "crop · 99.5 % sure · 17 details agree", 15, MUTED)
    assert not find_text(drawing, "mirrored", 15, MUTED)
    mirrored = draw_matches(QUERY, [hit_of(pale, mirrored=True, probability=1.0)])
    assert find_text(mirrored, "crop · >99.9 % sure · 17 details agree · mirrored", 15, MUTED)


def test_the_query_s_place_is_outlined_in_the_hit(pale: Path) -> None:
    drawing = draw_matches(QUERY, [hit_of(pale)])
    _, there = panels(drawing)
    assert around(drawing, GREEN, there) == pytest.approx((0, 0, 210, 210), abs=8)
    assert around(drawing, ACCENT, panels(drawing)[0]) is None
    inner = hit_of(pale, polygon=((200.0, 100.0), (600.0, 100.0), (600.0, 300.0), (200.0, 300.0)))
    drawing = draw_matches(QUERY, [inner])
    assert around(drawing, GREEN, panels(drawing)[1]) == pytest.approx((105, 52, 315, 158), abs=8)


def test_an_outline_ends_at_the_picture_s_border(pale: Path) -> None:
    wide = hit_of(pale, polygon=((-400.0, -400.0), (400.0, -400.0), (400.0, 800.0), (-400.0, 800.0)))
    drawing = draw_matches(QUERY, [wide])
    here, there = panels(drawing)
    box = around(drawing, GREEN, there)
    assert box is not None
    assert box == pytest.approx((0, 0, 210, 210), abs=8)
    rows, columns = np.nonzero(is_colour(drawing, GREEN, near=40))
    assert columns.min() > here[2]
    assert rows.max() <= there[3] + 4


def test_a_hit_that_the_query_contains_is_outlined_in_the_query(pale: Path) -> None:
    """At 40, 80, a quarter as large."""
    held = hit_of(pale, verdict="contains", transform=((4.0, 0.0, -160.0), (0.0, 4.0, -320.0), (0.0, 0.0, 1.0)))
    drawing = draw_matches(QUERY, [held])
    here, there = panels(drawing)
    assert around(drawing, ACCENT, here) == pytest.approx((42, 84, 252, 189), abs=8)
    assert around(drawing, GREEN, there) is None


def test_a_region_is_outlined_in_the_query_and_its_place_in_the_hit(pale: Path) -> None:
    hit = hit_of(pale, verdict="contains", polygon=((100.0, 100.0), (300.0, 100.0), (300.0, 300.0), (100.0, 300.0)))
    drawing = draw_matches(QUERY, [hit], region=(200, 100, 100, 200))
    here, there = panels(drawing)
    assert around(drawing, ACCENT, here) == pytest.approx((210, 105, 315, 315), abs=8)
    assert around(drawing, GREEN, there) == pytest.approx((52, 52, 158, 158), abs=8)


def test_details_are_joined_from_place_to_place(pale: Path) -> None:
    hit = hit_of(pale, pairs=((100.0, 200.0, 600.0, 100.0),), polygon=None)
    drawing = draw_matches(QUERY, [hit])
    here, there = panels(drawing)
    left, right = (105, 210), (315, round(52.5))
    for panel, (x, y) in ((here, left), (there, right)):
        at = drawing.getpixel((panel[0] + x, panel[1] + y))
        assert at == pytest.approx((5, 150, 105), abs=25)
    middle = ((here[0] + left[0] + there[0] + right[0]) // 2, (here[1] + left[1] + there[1] + right[1]) // 2)
    area = drawing.crop((middle[0] - 3, middle[1] - 3, middle[0] + 4, middle[1] + 4))
    assert (np.asarray(area).min(axis=2) < 200).any()


@pytest.mark.parametrize(("count", "drawn"), [(5, 5), (60, 60), (61, 31), (500, 56)])
def test_not_so_many_lines_that_they_hide_what_they_join(pale: Path, count: int, drawn: int) -> None:
    """Dots along the hit's lower border, far enough from each other to be counted."""
    pairs = tuple((200.0, 800 * (i + 0.5) / count, 790.0, 400 * (i + 0.5) / count) for i in range(count))
    sparse = draw_matches(Image.new("RGB", (400, 800), "#ddeeff"), [hit_of(pale, pairs=pairs, polygon=None)])
    colours = [boxes(is_colour(sparse, colour, near=2)) for colour in LINES]
    here = panels(sparse)[0]
    dots = [box for found in colours for box in found if box[2] <= here[2] + 8 and box[2] - box[0] >= 3]
    assert len(dots) == pytest.approx(drawn, abs=2)
    assert sum(bool(found) for found in colours) >= min(5, drawn)


def test_a_row_for_each_of_the_first_proven_hits(pale: Path) -> None:
    hits = [hit_of(pale, inliers=10 + number) for number in range(5)]
    one, three = draw_matches(QUERY, hits, rows=1), draw_matches(QUERY, hits)
    assert three.height - one.height == 2 * (draw_matches(QUERY, hits, rows=2).height - one.height)
    for number in range(3):
        assert find_text(three, f"crop · 99.5 % sure · {10 + number} details agree", 15, MUTED)
    assert not find_text(three, "crop · 99.5 % sure · 13 details agree", 15, MUTED)
    mixed = draw_matches(QUERY, [FeatureHit("", canonical_uri(pale)), hits[4]], rows=1)
    assert find_text(mixed, "crop · 99.5 % sure · 14 details agree", 15, MUTED)
    assert mixed.height == one.height


def test_nothing_proven_says_so_beside_the_query(pale: Path) -> None:
    for hits in ([], [FeatureHit("", canonical_uri(pale))]):
        drawing = draw_matches(QUERY, hits)
        assert find_text(drawing, "No picture is proven to contain it", 17, MUTED)
        assert find_text(drawing, "Query", 17, ACCENT)
        assert is_colour(drawing, "#ddeeff").sum() == PANEL * PANEL
        assert drawing.width == draw_matches(QUERY, [hit_of(pale)]).width


def test_a_hit_that_cannot_be_read_is_an_empty_panel_of_its_shape(pale: Path, tmp_path: Path) -> None:
    hit = hit_of(tmp_path / "gone.png", facts={"_width": 800, "_height": 400})
    for missing in (hit, replace(hit, uri="https://example.org/a.png")):
        drawing = draw_matches(QUERY, [missing])
        rows, columns = np.nonzero(is_colour(drawing, "#f3f4f6"))
        panel = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
        assert panel[2] - panel[0] == pytest.approx(PANEL, abs=6)
        assert panel[3] - panel[1] == pytest.approx(PANEL / 2, abs=6)
        assert around(drawing, GREEN, panel) == pytest.approx((0, 0, 210, 210), abs=8)


def test_a_query_that_cannot_be_read_is_an_error(pale: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        draw_matches(tmp_path / "gone.png", [hit_of(pale)])


def test_transparency_is_white_and_few_pixels_stay_sharp() -> None:
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    half.paste((0, 0, 0, 0), (0, 0, 2, 4))
    drawing = draw_matches(half, [])
    assert is_colour(drawing, "#ff0000").sum() == PANEL * PANEL / 2
    noise = Image.effect_noise((300, 300), 90).convert("RGB")
    assert is_colour(draw_matches(noise, []), "#ff0000").sum() == 0


def test_places_are_in_the_pixels_of_the_file_however_it_is_decoded(tmp_path: Path) -> None:
    """A large JPEG is read at a reduced scale, and places in it are not."""
    Image.new("RGB", (4000, 2000), "#ffeedd").save(tmp_path / "large.jpg", quality=95)
    hit = hit_of(
        tmp_path / "large.jpg",
        facts={"_width": 4000, "_height": 2000},
        polygon=((2000.0, 1000.0), (4000.0, 1000.0), (4000.0, 2000.0), (2000.0, 2000.0)),
    )
    drawing = draw_matches(QUERY, [hit])
    right = drawing.crop((drawing.width // 2, 0, *drawing.size))
    rows, columns = np.nonzero(is_colour(right, GREEN, near=40))
    assert np.ptp(columns) == pytest.approx(210, abs=8)
    assert np.ptp(rows) == pytest.approx(105, abs=8)


def test_a_shared_part_is_outlined_in_both(pale: Path) -> None:
    square = ((40.0, 40.0), (140.0, 40.0), (140.0, 140.0), (40.0, 140.0))
    triangle = ((500.0, 100.0), (700.0, 100.0), (600.0, 300.0))
    hit = hit_of(pale, verdict="shared part", part_in_query=square, part_in_hit=triangle)
    drawing = draw_matches(QUERY, [hit])
    left, right = panels(drawing)
    assert around(drawing, ACCENT, left) == pytest.approx((42, 42, 147, 147), abs=6)
    assert around(drawing, GREEN, right) == pytest.approx((262, 52, 368, 158), abs=6)
    assert find_text(drawing, "shared part · 99.5 % sure · 17 details agree", 15, MUTED)
