"""Rows of JSON Lines, of a JSON list of objects, and of COCO's JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from semblant_search.errors import MetadataError

from semblant_indexer.records import kept_record, read_json

from .columns import NoFileColumnError, Row, file_column, picture_named
from .texts import decoded, encoding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["coco_pictures", "read_json_file", "read_json_lines"]


def read_json_lines(path: Path, losses: Losses, wanted: str | None = None) -> Iterator[Row]:
    """The rows of a `.jsonl` file. Raises `MetadataError` where the file cannot be read or no line names a picture."""
    try:
        encoding, errors = encoding_of(path, losses)
        with path.open(encoding=encoding, errors=errors) as file:
            yield from _rows(_objects(file, path, losses), path, losses, wanted)
    except OSError as error:
        raise MetadataError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from error


def read_json_file(path: Path, losses: Losses, wanted: str | None = None) -> Iterator[Row]:
    """The rows of a `.json` file: a list of objects, or COCO's `images` with the names of their categories.

    Raises `MetadataError` where the file cannot be read, holds something else, or no object names a picture.
    """
    try:
        content = read_json(decoded(path.read_bytes()))
    except OSError as error:
        raise MetadataError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise MetadataError(f"{str(path)!r}: not JSON: {error}") from error
    if (pictures := coco_pictures(content)) is not None:
        content = pictures
        wanted = wanted or ("file_name" if any(isinstance(each, dict) and "file_name" in each for each in pictures) else None)
    if not isinstance(content, list):
        raise NoFileColumnError(f"{str(path)!r}: expected a list of objects that name pictures, or COCO's annotations")
    yield from _rows(enumerate(content, start=1), path, losses, wanted)


def _objects(lines: Iterable[str], path: Path, losses: Losses) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, read_json(line)
        except ValueError as error:
            losses.add("rows that are no JSON", f"{path.name}, line {number}: {error}")


def _rows(objects: Iterable[tuple[int, Any]], path: Path, losses: Losses, wanted: str | None) -> Iterator[Row]:
    without: NoFileColumnError | None = None
    found = False
    for number, record in objects:
        if not isinstance(record, dict):
            text = json.dumps(record)[:60]
            losses.add("rows that are no JSON objects", f"{path.name}, line {number}: expected one object, found {text}")
            continue
        try:
            column = list(record)[file_column(list(record), path, wanted, number)]
        except NoFileColumnError as error:
            without = without or error
            losses.add("rows that say no picture's name", f"{path.name}, line {number}: no column names the picture")
            continue
        value = record.pop(column)
        name = picture_named(value)
        found = True
        if name is None:
            losses.add(
                "rows that say no picture's name",
                f"{path.name}, line {number}: {column!r} must name a picture, found {str(value)[:60]!r}",
            )
            continue
        yield Row(number, name, kept_record(record, f"{path.name}, line {number}", losses))
    if without is not None and not found:
        raise without


def coco_pictures(content: Any) -> list[Any] | None:
    """COCO's pictures, each with the names of what is in it as `category`; boxes and outlines are no picture's fields.

    None for what is none of COCO's files.
    """
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return None
    categories = content.get("categories")
    names = {
        each.get("id"): each.get("name")
        for each in (categories if isinstance(categories, list) else ())
        if isinstance(each, dict) and isinstance(each.get("id"), (int, str))
    }
    of_picture: dict[Any, dict[str, None]] = {}
    annotations = content.get("annotations")
    for each in annotations if isinstance(annotations, list) else ():
        if isinstance(each, dict) and isinstance(each.get("image_id"), (int, str)):
            category = each.get("category_id")
            name = names.get(category) if isinstance(category, (int, str)) else None
            if isinstance(name, str):
                of_picture.setdefault(each["image_id"], {})[name] = None
    return [
        {**image, "category": list(of_picture.get(image.get("id"), {}))} if isinstance(image, dict) else image
        for image in content["images"]
        if not isinstance(image, dict) or isinstance(image.get("id"), (int, str, type(None)))
    ]
