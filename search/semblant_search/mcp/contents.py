"""Answers as a model reads them: a line of text and a link for each picture, and small pictures where they were asked for."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mcp_types import ImageContent, ResourceLink, TextContent

from semblant_search.errors import ImageError, PointNotFound
from semblant_search.results import FeatureHit, Hit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcp_types import ContentBlock

    from semblant_search.client import SearchClient
    from semblant_search.duplicates import DuplicateGroup
    from semblant_search.results import Picture

__all__ = ["MOST_THUMBNAILS", "duplicates", "link", "pictures", "text", "thumbnail"]

MOST_THUMBNAILS = 10
_SIDE = 256
_SHOWN_METADATA = 600
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "TIFF": "image/tiff"}


def text(said: str) -> TextContent:
    """One block."""
    return TextContent(type="text", text=said)


def pictures(head: str, found: Sequence[Picture], *, client: SearchClient | None) -> list[ContentBlock]:
    """A line for each, a link for each, and where a client is given thumbnails of the first ones."""
    lines = [head, *(f"{number}. {_line(one)}" for number, one in enumerate(found, 1))]
    blocks: list[ContentBlock] = [text("\n".join(lines)), *map(link, found)]
    if client is not None:
        for number, one in enumerate(found[:MOST_THUMBNAILS], 1):
            made = thumbnail(one, client)
            blocks += [text(f"Thumbnail of {number}.{'' if made else ' cannot be made: its file is not at hand.'}")]
            blocks += [made] if made else []
    return blocks


def duplicates(groups: Sequence[DuplicateGroup], most: int) -> list[ContentBlock]:
    """The groups, largest first, with which of each may go."""
    lines = [f"{len(groups)} groups of duplicates" + (f", the first {most} of them:" if len(groups) > most else ":")]
    for number, group in enumerate(groups[:most], 1):
        lines.append(f"{number}. keep {_one_line(group.representative.uri)}")
        lines += [
            f"   {_one_line(other.uri)}: {other.label}" + (" (may go)" if other.removable else "") for other in group.others
        ]
    return [text("\n".join(lines))]


def link(picture: Picture) -> ResourceLink:
    """To a picture, by its URI."""
    kind = _MEDIA_TYPES.get(str(picture.facts.get("_format")))
    return ResourceLink(type="resource_link", uri=picture.uri, name=_name(picture), mime_type=kind)


def thumbnail(picture: Picture, client: SearchClient) -> ImageContent | None:
    """A small JPEG of it; None where its file may not be opened, is gone, or is another one by now."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(client.thumbnail(picture.id, size=_SIDE))).convert("RGB")
    except (ImageError, PointNotFound):
        return None
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return ImageContent(type="image", data=base64.b64encode(file.getvalue()).decode(), mime_type="image/jpeg")


def _line(picture: Picture) -> str:
    facts = picture.facts
    told: list[str] = [f"id {picture.id}"]
    if isinstance(picture, FeatureHit):
        told += [f"{picture.verdict}, probability {picture.probability:.2f}, {picture.inliers} agreeing details"]
    elif isinstance(picture, Hit):
        told += [f"similarity {picture.score:.3f}"]
        told += [f"probability {picture.probability:.2f}"] if picture.probability is not None else []
        told += [f"stands for {picture.copies} copies, too"] if picture.copies else []
    if "_width" in facts:
        told += [f"{facts['_width']} × {facts['_height']} pixels"]
    told += [f"metadata {_short(picture.metadata)}"] if picture.metadata else []
    return f"{_one_line(picture.uri)} ({'; '.join(told)})"


def _one_line(uri: str) -> str:
    """Older versions took names with line breaks, which would begin a line of the answer."""
    return _BREAKS.sub(lambda found: quote(found[0]), uri)


def _short(values: Any) -> str:
    written = json.dumps(dict(values), ensure_ascii=False, default=str)
    return written if len(written) <= _SHOWN_METADATA else written[:_SHOWN_METADATA] + "…"


def _name(picture: Picture) -> str:
    return picture.uri.rstrip("/").rpartition("/")[2] or picture.uri


def rows(pairs: Iterable[tuple[object, int]]) -> str:
    """Values and their counts in one line."""
    return ", ".join(f"{value} ({count:,})" for value, count in pairs)
