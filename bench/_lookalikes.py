"""Pictures that look alike and are not the same: one page filled in many times, one family of icons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["calendars", "forms", "icons", "invoices", "tables"]

_FIELDS = ("Name", "Street", "Town", "Telephone", "Date of birth", "Occupation", "Remarks", "Signature")
_SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vor", "ul", "den", "sha", "pe", "quo", "bri", "nad", "ef", "wy", "zan", "tor")


def _words(rng: np.random.Generator, least: int, most: int) -> str:
    def word() -> str:
        return "".join(rng.choice(_SYLLABLES, size=int(rng.integers(2, 4)))).capitalize()

    return " ".join(word() for _ in range(int(rng.integers(least, most + 1))))


def _form(number: int) -> Image.Image:
    rng = np.random.default_rng(number)
    page = Image.new("L", (620, 877), 255)
    draw = ImageDraw.Draw(page)
    draw.rectangle((30, 30, 590, 110), fill=225, outline=0, width=2)
    draw.text((50, 45), "Application for membership", fill=0, font=ImageFont.load_default(30))
    draw.text((50, 82), "Please fill in all fields in capital letters and return to the office", fill=60)
    for row, name in enumerate(_FIELDS):
        top = 140 + row * 85
        draw.text((40, top), name, fill=0, font=ImageFont.load_default(16))
        draw.rectangle((180, top - 8, 590, top + 52), outline=0)
        draw.text((190, top), _words(rng, 1, 3), fill=20, font=ImageFont.load_default(22))
        if rng.random() < 0.5:
            draw.text((190, top + 26), _words(rng, 1, 4), fill=20, font=ImageFont.load_default(18))
    draw.text((40, 830), "Form 27 b (2019)    Do not write below this line", fill=90)
    return page


def _icon(number: int) -> Image.Image:
    rng = np.random.default_rng(10_000 + number)
    icon = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(icon)
    draw.ellipse((16, 16, 240, 240), fill=(40, 90, 160), outline=(20, 40, 80), width=6)
    draw.ellipse((36, 36, 220, 220), outline=(230, 230, 240), width=4)
    for tick in range(24):
        angle = tick * np.pi / 12
        inner, outer = (128 + length * np.array([np.cos(angle), np.sin(angle)]) for length in (94, 108))
        draw.line((*inner, *outer), fill=(230, 230, 240), width=3)
    draw.polygon([(30, 200), (226, 200), (206, 222), (226, 244), (30, 244), (50, 222)], fill=(200, 60, 50))
    for _ in range(int(rng.integers(3, 6))):
        x, y = rng.integers(70, 150, size=2)
        width, height = rng.integers(15, 50, size=2)
        fill = tuple(int(value) for value in rng.integers(150, 256, size=3))
        box = (int(x), int(y), int(x + width), int(y + height))
        kind = int(rng.integers(3))
        if kind == 0:
            draw.rectangle(box, fill=fill)
        elif kind == 1:
            draw.ellipse(box, fill=fill)
        else:
            draw.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=fill)
    draw.text((70, 208), _words(rng, 1, 1), fill="white", font=ImageFont.load_default(22))
    return icon


def _invoice(number: int) -> Image.Image:
    text = np.random.default_rng(77)
    lines = [_words(text, 11, 13) for _ in range(34)]
    rng = np.random.default_rng(20_000 + number)
    page = Image.new("L", (1240, 1754), 255)
    draw = ImageDraw.Draw(page)
    draw.text((100, 80), "INVOICE", fill=0, font=ImageFont.load_default(60))
    amount, day, month = rng.integers(1000, 999_999) / 100, rng.integers(1, 29), rng.integers(1, 13)
    written = (f"Number: {rng.integers(10_000, 999_999)}", f"Date: {day:02d}.{month:02d}.2024", f"Amount: {amount:.2f} EUR")
    for row, line in enumerate(written):
        draw.text((100, 200 + 40 * row), line, fill=0, font=ImageFont.load_default(24))
    for row, line in enumerate(lines):
        draw.text((100, 420 + 34 * row), line, fill=0, font=ImageFont.load_default(22))
    return page


def _table(number: int) -> Image.Image:
    rng = np.random.default_rng(30_000 + number)
    page = Image.new("RGB", (900, 640), "white")
    draw = ImageDraw.Draw(page)
    draw.text((20, 10), "Quarterly report: units sold by region", fill=0, font=ImageFont.load_default(16))
    for column, head in enumerate(("Region", "January", "February", "March", "April", "May", "June", "Total")):
        draw.text((24 + 108 * column, 42), head, fill=0, font=ImageFont.load_default(15))
    for row in range(22):
        top = 66 + 25 * row
        draw.line((18, top - 2, 882, top - 2), fill=(180, 180, 180))
        draw.text((24, top + 2), _FIELDS[row % len(_FIELDS)], fill=0, font=ImageFont.load_default(15))
        for column in range(1, 8):
            value = str(rng.integers(100, 10_000))
            draw.text((24 + 108 * column, top + 2), value, fill=0, font=ImageFont.load_default(15))
    for column in range(9):
        draw.line((18 + 108 * column, 38, 18 + 108 * column, 616), fill=(180, 180, 180))
    return page


def _calendar(number: int) -> Image.Image:
    months = ("January", "March", "May", "July", "August", "October", "December")
    page = Image.new("RGB", (800, 700), "white")
    draw = ImageDraw.Draw(page)
    title = f"{months[number // 7 % 7]} {1900 + number // 49}"
    draw.text((400, 35), title, fill=(150, 0, 0), font=ImageFont.load_default(34), anchor="mm")
    for column, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        draw.text((20 + 110 * column, 75), name, fill=0, font=ImageFont.load_default(18))
    for day in range(31):
        row, column = divmod(day + number % 7, 7)
        left, top = 15 + 110 * column, 105 + 95 * row
        draw.rectangle((left, top, left + 105, top + 90), outline=(150, 150, 150))
        draw.text((left + 7, top + 5), str(day + 1), fill=0, font=ImageFont.load_default(20))
    return page


def _write(draw: Callable[[int], Image.Image], name: str, folder: Path, count: int, first: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        draw(number).save(folder / f"{name}-{number:04d}.png")


def forms(folder: Path, count: int, *, first: int = 0) -> None:
    """`count` PNG files of 620 × 877 pixels: one printed form, each with another text in its fields."""
    _write(_form, "form", folder, count, first)


def icons(folder: Path, count: int, *, first: int = 0) -> None:
    """`count` PNG files of 256 × 256 pixels: one badge with a ring and a ribbon, each with another sign in it."""
    _write(_icon, "icon", folder, count, first)


def invoices(folder: Path, count: int, *, first: int = 0) -> None:
    """`count` PNG files of 1,240 × 1,754 pixels: one page of text, on which number, date and amount are others each time."""
    _write(_invoice, "invoice", folder, count, first)


def tables(folder: Path, count: int, *, first: int = 0) -> None:
    """`count` PNG files of 900 × 640 pixels: one ruled table with the same heads, and other numbers in it."""
    _write(_table, "table", folder, count, first)


def calendars(folder: Path, count: int, *, first: int = 0) -> None:
    """`count` PNG files of 800 × 700 pixels: months that begin on any of seven days, each with another name and year."""
    _write(_calendar, "calendar", folder, count, first)
