"""Facts that cameras write into pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType
from semblant_search.images.headers import open_header

from .metadata import parse_date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

__all__ = ["EXIF_FIELDS", "exif_facts", "exif_facts_of"]

EXIF_FIELDS: Mapping[str, FieldType] = {
    "_taken_at": FieldType.DATETIME,
    "_camera": FieldType.KEYWORD,
    "_place": FieldType.GEO,
}
"""Payload fields of a job with EXIF: when (a camera without a time zone is taken to be in UTC), with what, and where."""

_MAKE, _MODEL, _DATE, _EXIF_IFD, _GPS_IFD = 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
_ORIGINAL, _OFFSET = 0x9003, 0x9011


def exif_facts(image: Image.Image) -> dict[str, Any]:
    """`_taken_at`, `_camera` and `_place` of a picture, as far as they are there and make sense."""
    facts: dict[str, Any] = {}
    try:
        exif = image.getexif()
        details, gps = exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
    except Exception:  # damaged EXIF is no reason to lose a picture; Pillow's errors have no common base
        return facts
    taken = _text(details.get(_ORIGINAL) or exif.get(_DATE))
    if len(taken) >= 19:
        moment = parse_date(taken[:10].replace(":", "-") + "T" + taken[11:19] + _text(details.get(_OFFSET)))
        if moment is not None:
            facts["_taken_at"] = moment
    make, model = _text(exif.get(_MAKE)), _text(exif.get(_MODEL))
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    if camera:
        facts["_camera"] = camera
    latitude, longitude = _degrees(gps.get(2), gps.get(1), "S", 90), _degrees(gps.get(4), gps.get(3), "W", 180)
    if latitude is not None and longitude is not None:
        facts["_place"] = {"lat": latitude, "lon": longitude}
    return facts


def exif_facts_of(data: bytes) -> dict[str, Any]:
    """The same of a picture's bytes, which are not decoded; nothing of bytes that are no picture."""
    try:
        with open_header(data) as image:
            return exif_facts(image)
    except Exception:  # as above; whether it is a picture is for others to say
        return {}


def _text(value: object) -> str:
    """What stands before the first zero, behind which cameras leave whatever was there."""
    return "".join(c for c in value.partition("\0")[0] if c.isprintable()).strip() if isinstance(value, str) else ""


def _degrees(parts: Any, reference: object, negative: str, limit: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not 0 <= value <= limit:  # also refuses nan
        return None
    return round(-value if _text(reference).upper() == negative else value, 7)
