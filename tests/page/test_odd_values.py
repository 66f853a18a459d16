"""Fields and values that nobody thinks of, and answers that come late or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Locator, Route

    from .conftest import Shown


@pytest.fixture
def size() -> str:
    """What is shown is the same on each."""
    return "desktop"


def _tag(own: Shown, metadata: dict[str, Any], part: str = "whole") -> None:
    change = {"where": f'part == "{part}"', "metadata": metadata}
    assert own.page.request.patch(f"{own.address}/v1/pictures", data=change).ok


def _section(own: Shown, name: str) -> Locator:
    section = own.page.locator("details.filter").filter(has=own.page.locator("summary", has_text=re.compile(f"^{name}$")))
    if section.get_attribute("open") is None:
        section.locator("summary").click()
    return section


def test_fields_may_be_called_like_anything_that_objects_have(own: Shown) -> None:
    page = own.page
    _tag(own, {"constructor": "Lotus", "toString": 5})
    _tag(own, {"constructor": "Ferrari", "toString": 7}, "halves")
    page.reload()
    _section(own, "constructor").get_by_label("Lotus").check()
    expect(page).to_have_url(re.compile("in.constructor=%22Lotus%22"))
    expect(page.locator(".said")).to_contain_text(" of 97")
    page.reload()  # the same of the address
    expect(_section(own, "constructor").get_by_label("Lotus")).to_be_checked()
    expect(_section(own, "toString").get_by_label("toString from")).to_have_value("")


def test_small_and_huge_numbers_are_shown_as_what_they_are(own: Shown) -> None:
    _tag(own, {"tiny": 0.00001234, "vast": 1.5e300})
    own.open('?where=part == "whole"')
    own.page.locator('[data-index="0"] a').click()
    about = own.page.get_by_role("dialog").get_by_label("Metadata")
    expect(about).to_contain_text("1.234E-5")
    expect(about).to_contain_text("1.5E300")


def test_the_calendar_ends_where_dates_do(own: Shown) -> None:
    _tag(own, {"until": "9999-12-31T23:59:59Z"})
    own.page.reload()
    until = _section(own, "until")
    after = until.get_by_role("button", name="The month after")
    expect(after).to_be_disabled()
    until.get_by_role("button", name=re.compile(r"^December 31, 9999: [1-9]\d* pictures")).click()
    expect(own.page.locator(".said")).to_contain_text(re.compile(r"^[1-9]\d* pictures of 97"))
    _tag(own, {"until": "0001-01-01T00:00:00Z"})
    own.open("?range.until=0001-01-01..0001-01-01")
    expect(_section(own, "until").get_by_role("button", name="The month before")).to_be_disabled()
    expect(own.page.locator(".said")).to_contain_text(re.compile(r"^[1-9]\d* pictures of 97"))


def test_what_is_neither_yes_nor_no_is_not_taken_for_no(own: Shown) -> None:
    page = own.page
    _tag(own, {"sold": True})
    own.open('?where=part == "whole"')
    before = page.request.get(f"{own.address}/v1/count?where=sold").json()
    page.locator('[data-index="0"] a').click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Tag it…").click()
    dialog.get_by_label("Field").fill("sold")
    dialog.get_by_label("Value", exact=True).fill("perhaps")
    own.wrong_is_expected("422")
    dialog.get_by_label("Value", exact=True).press("Enter")
    expect(page.locator(".notices .notice")).to_be_visible()
    assert page.request.get(f"{own.address}/v1/count?where=sold").json() == before


def test_the_count_under_a_filter_follows_a_removal(own: Shown) -> None:
    page = own.page
    own.open('?where=part == "whole"')
    said = page.locator(".said p")
    expect(said).to_contain_text(" of 97")
    count = int(said.inner_text().split()[0])
    page.locator('[data-index="0"] a').click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(said).to_contain_text(f"{count - 1} pictures of 96")


def test_the_last_filter_that_was_entered_is_the_one_that_holds(own: Shown) -> None:
    page = own.page
    held: list[Route] = []
    page.route(lambda url: "/v1/count" in url and "astronaut" in url, lambda route: held.append(route))
    field = page.get_by_label("Filter by name or expression")
    field.fill("astronaut")
    field.press("Enter")
    field.fill('part == "quarters"')
    field.press("Enter")
    expect(page).to_have_url(re.compile("quarters"))
    with page.expect_response(lambda answer: "astronaut" in answer.url):
        held[0].continue_()
    page.wait_for_timeout(300)
    assert "astronaut" not in page.url
    expect(field).to_have_value('part == "quarters"')


def test_a_name_stays_what_was_typed_where_the_service_cannot_answer_now(own: Shown) -> None:
    page = own.page
    own.wrong_is_expected("503")
    busy = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "Too much at once.", "code": "busy"}
    page.route("**/v1/count?*astronaut*", lambda route: route.fulfill(status=503, json=busy))
    field = page.get_by_label("Filter by name or expression")
    field.fill("astronaut")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Too much at once.")
    expect(field).to_have_value("astronaut")


def test_what_could_not_be_listed_now_is_asked_again(own: Shown) -> None:
    page = own.page
    own.wrong_is_expected("503")
    busy = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "Too much at once.", "code": "busy"}
    listed = re.compile(r"/v1/pictures\?.*order_by=area")
    page.route(listed, lambda route: route.fulfill(status=503, json=busy))
    page.get_by_label("Order").select_option("area up")
    expect(page.get_by_role("alert")).to_contain_text("Too much at once.")
    page.unroute(listed)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_pictures_of_one_size_are_two_where_a_page_has_no_digests(own: Shown) -> None:
    page = own.page
    page.add_init_script("Object.defineProperty(crypto, 'subtle', {value: undefined}); Date.now = () => 1e12")  # plain HTTP
    own.open()
    files: list[FilePayload] = [
        {"name": f"{colour}.bmp", "mimeType": "image/bmp", "buffer": _bitmap(colour)} for colour in ("red", "blue")
    ]
    with page.expect_response("**/v1/search") as asked:
        page.locator('[data-role="pick"]').set_input_files(files)
    assert asked.value.ok
    expect(page.locator(".example")).to_have_count(2)
    assert len(set(re.findall("like=(upload[^&]*)", page.url))) == 2


def _bitmap(colour: str) -> bytes:
    from io import BytesIO

    from PIL import Image

    Image.new("RGB", (40, 30), colour).save(made := BytesIO(), "BMP")
    return made.getvalue()
