"""What is typed at the top is a part of a name, unless it is an expression: nobody has to know that there is a language."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .conftest import Shown

NAMES = [
    "photo (1)",
    "me and you",
    "<img src=x>",
    "it's not in here",
    '"quoted"',
    "a=b",
    "100% [new]",
    "what? #3",
    "part",
    "size",
    "größe",
    "x" * 251,
]


@pytest.fixture
def named(
    serve_folder: Callable[..., AbstractContextManager[str]],
    new_page: Callable[..., Shown],
    size: str,
    tmp_path: Path,
    photos: Path,
) -> Iterator[Shown]:
    """Pictures with such names, of which the table says `part`, and `size` as a number."""
    (folder := tmp_path / "pictures").mkdir()
    for name in NAMES:
        shutil.copyfile(photos / "coffee.png", folder / f"{name}.png")
    (folder / "metadata.csv").write_text("file,part,size,sold\npart.png,red,1,true\nsize.png,blue,3,false\n")
    with serve_folder(folder) as address:
        shown = new_page(address, size)
        shown.wrong_is_expected("422")
        shown.open()
        yield shown
        shown.page.goto("about:blank")


def _type(shown: Shown, text: str) -> None:
    box = shown.page.get_by_role("searchbox")
    box.fill(text)
    box.press("Enter")


def test_any_name_finds_its_picture(named: Shown) -> None:
    page = named.page
    for name in NAMES:
        _type(named, name)
        expect(page.locator(".tile")).to_have_count(1)
        expect(page.locator(".tile a")).to_have_attribute("aria-label", f"{name}.png")
        expect(page.get_by_role("searchbox")).to_have_value(name)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value(NAMES[-1])
    _type(named, "no <such> picture (is) here")
    expect(page.locator(".empty")).to_contain_text("No picture matches")


def test_an_expression_is_still_one(named: Shown) -> None:
    for expression, count in (
        ('part == "red"', 1),
        ("size < 2", 1),
        ("1 <= size <= 3", 2),
        ("sold", 1),
        ("not sold and size > 0", 1),
        ('part in ["red", "blue"]', 2),
        ('"re" in part', 1),
        ("part is not null", 2),
        ("exists(part)", 2),
        ('field("part") == "red"', 1),
    ):
        _type(named, expression)
        named.page.wait_for_function("(one) => new URLSearchParams(location.search).get('where') === one", arg=expression)
        expect(named.page.locator(".tile")).to_have_count(count)
        expect(named.page.get_by_role("searchbox")).to_have_value(expression)
    for mistaken, said in (('part = "red"', "write =="), ("prat == 3", "unknown field"), ("size < 2 and", "cannot be read")):
        _type(named, mistaken)
        expect(named.page.get_by_role("alert")).to_contain_text(said)
