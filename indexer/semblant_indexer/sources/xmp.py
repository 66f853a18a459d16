"""XMP sidecars, as Lightroom, darktable and digiKam write them: what people say about a picture, not how it was developed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from semblant_indexer.tables.texts import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_xmp"]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_IPTC = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_PERSONS = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}PersonInImage"
_REGIONS = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_FACE = "{http://ns.microsoft.com/photo/1.2/t/Region#}PersonDisplayName"
_FIELDS = {
    f"{_DC}title": "title",
    f"{_DC}description": "description",
    f"{_DC}subject": "keywords",
    f"{_DC}creator": "creator",
    f"{_DC}rights": "rights",
    f"{_XMP}Rating": "rating",
    f"{_XMP}Label": "color_label",
    f"{_XMP}CreateDate": "created",
    f"{_EXIF}DateTimeOriginal": "created",
    f"{_PHOTOSHOP}DateCreated": "created",
    f"{_PHOTOSHOP}Headline": "headline",
    f"{_PHOTOSHOP}City": "city",
    f"{_PHOTOSHOP}State": "state",
    f"{_PHOTOSHOP}Country": "country",
    f"{_IPTC}Location": "location",
    _PERSONS: "people",
    "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject": "hierarchical_keywords",
    "{http://www.digikam.org/ns/1.0/}TagsList": "hierarchical_keywords",
}
"""Properties that become fields. `created` is the last of those that are there."""
_LISTS = {"keywords", "people", "hierarchical_keywords"}
_DEGREES = re.compile(r"(\d+),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])")
_DECIMAL = re.compile(r"([+-]?\d+(?:\.\d+)?) ?([NSEW]?)")
_REFERENCES = {"N", "S", "E", "W", "NORTH", "SOUTH", "EAST", "WEST"}


def read_xmp(content: bytes) -> dict[str, Any]:
    """The fields of an XMP packet: text, lists of text, `rating` as a number, `place`. Raises `ValueError` on what is none."""
    text = decoded(content).lstrip("\ufeff")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # XMP has neither, and entities can grow without bounds
        raise ValueError("an XMP file has no document type")
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # the text is decoded already
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    said: dict[str, Any] = {}
    positions: dict[str, str] = {}
    for name, value in _properties(root):
        field = _FIELDS.get(name)
        if field is not None and value:
            said[field] = value if field in _LISTS else _one(field, value[0])
        elif name.startswith(f"{_EXIF}GPSL") and value:
            positions[name.removeprefix(f"{_EXIF}GPS")] = value[0]
    if people := list(dict.fromkeys([*said.get("people", []), *_faces(root)])):
        said["people"] = people
    latitude, longitude = (
        _degrees(positions.get(each, ""), positions.get(f"{each}Ref", "")) for each in ("Latitude", "Longitude")
    )
    if latitude is not None and longitude is not None:
        said["place"] = {"lat": latitude, "lon": longitude}
    return said


def _faces(root: ElementTree.Element) -> Iterator[str]:
    """The names of people whose faces are marked, as digiKam, Lightroom and Picasa mark them, and Microsoft."""
    for element in root.iter():
        texts = {**element.attrib, **{child.tag: child.text or "" for child in element}}
        name = texts.get(_FACE) or (texts.get(f"{_REGIONS}Name") if texts.get(f"{_REGIONS}Type", "Face") == "Face" else None)
        if name and name.strip():
            yield name.strip()


def _properties(root: ElementTree.Element) -> Iterator[tuple[str, list[str]]]:
    """Each property with its texts: attributes, elements, and lists in elements."""
    for description in root.iter(f"{_RDF}Description"):
        for name, text in description.attrib.items():
            yield name, [text.strip()] if text.strip() else []
        for element in description:
            items = [item.text.strip() for item in element.iter(f"{_RDF}li") if item.text and item.text.strip()]
            yield element.tag, items or ([element.text.strip()] if element.text and element.text.strip() else [])


def _one(field: str, text: str) -> Any:
    if field == "rating":
        return int(float(text)) if re.fullmatch(r"-?\d(\.\d+)?", text) else None
    return text


def _degrees(text: str, reference: str) -> float | None:
    """`48,51.5N` and `48,51,30N` as degrees, and `48.85`, whose direction may stand beside it, as Apple's Photos writes it."""
    found = _DEGREES.fullmatch(text.strip())
    if found is not None:
        value = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
        direction = found[4]
    else:
        found = _DECIMAL.fullmatch(text.strip())
        if found is None:
            return None
        value, direction = float(found[1]), found[2] or reference.strip().upper()
        if direction and direction not in _REFERENCES:
            return None
    return round(-value if direction[:1] in ("S", "W") and value > 0 else value, 7)
