"""`docs/details.md` explains every verdict and every number of a hit by details, with pictures that are there and are small."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image
from semblant_search import FeatureHit, Hit
from semblant_search.orb.relation import VERDICTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "details.md").read_text(encoding="utf-8")
PICTURES = ROOT / "bench" / "pictures"
SHOWN = sorted(PICTURES.glob("details-*"))
NUMBERS = [field.name for field in fields(FeatureHit) if field.name not in {field.name for field in fields(Hit)}]


def section(title: str) -> str:
    """What is below a heading, up to the next one of its level."""
    level = title.split(" ")[0]
    _, found, rest = PAGE.partition(f"\n{title}\n")
    assert found, title
    return re.split(rf"\n#{{1,{len(level)}}} ", rest)[0]


@pytest.mark.parametrize("verdict", [verdict for verdict in VERDICTS if verdict != "lookalike"])
def test_every_verdict_has_its_picture(verdict: str) -> None:
    assert re.search(r"^!\[.+\]\(\.\./bench/pictures/details-\w+\.(png|jpg)\)$", section(f"### `{verdict}`"), re.M)


def test_what_is_not_proven_has_its_pictures() -> None:
    assert "`lookalike`" in section("### `lookalike`, `none`")
    assert len(re.findall(r"^!\[.+\]\(", section("## What is not proven, and why"), re.M)) >= 5


@pytest.mark.parametrize("name", ["score", *(name for name in NUMBERS if name != "verdict")])
def test_every_number_has_its_line(name: str) -> None:
    assert re.search(rf"^\| [^|]*`{name}`[^|]* \| [^|]*\| [^|]+ \|$", section("## Numbers"), re.M)


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_a_picture_is_small_enough_and_is_shown(path: Path) -> None:
    assert path.stat().st_size <= 150_000
    with Image.open(path) as picture:
        assert picture.width <= 940
    assert f"(../bench/pictures/{path.name})" in PAGE


def test_all_pictures_together_are_small() -> None:
    assert len(SHOWN) >= 11
    assert sum(path.stat().st_size for path in SHOWN) <= 800_000


def test_every_link_of_the_page_leads_somewhere() -> None:
    headings = {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", PAGE, re.M)}
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        assert not path or (ROOT / "docs" / path).exists(), target
        assert path or anchor in headings, target


@pytest.mark.parametrize(("readme", "link"), [("README.md", "docs/details.md"), ("search/README.md", "../docs/details.md")])
def test_both_readmes_lead_to_the_page(readme: str, link: str) -> None:
    assert f"]({link})" in (ROOT / readme).read_text(encoding="utf-8")
