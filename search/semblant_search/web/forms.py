"""A form is the same request as JSON, written as fields beside an uploaded picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from .problems import ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pydantic import BaseModel
    from starlette.datastructures import FormData

__all__ = ["PICTURE", "form_schema", "read_form"]

PICTURE = "picture"
_MOST_FIELDS = 100


async def read_form(kind: str, body: bytes, model: type[BaseModel], most_pictures: int) -> tuple[dict[str, Any], list[bytes]]:
    """The fields of a form as the JSON object that they stand for, and the files that came with it.

    Text of fields that are text is taken as it is, that of a list of texts is one of them; that of all others is JSON:
    `limit=5`, `region=[0, 0, 40, 40]`.

    Args:
        kind: the Content-Type of the request.
        body: of it.
        model: what the fields stand for.
        most_pictures: files that it may hold.

    Raises:
        ServiceError: no form, or too many parts; a file in another field than `picture`; text that is not UTF-8.
    """
    values: dict[str, Any] = {}
    pictures: list[bytes] = []
    try:
        form = await _parsed(kind, body, most_pictures)
        try:
            for name, value in form.multi_items():
                name = _utf8(name, "the name of a field")
                if isinstance(value, UploadFile):
                    if name != PICTURE:
                        raise ServiceError(
                            "invalid-request", f"file in the field {name!r}: expected it in {PICTURE!r}", pointer=_pointer(name)
                        )
                    pictures.append(await value.read())
                    continue
                value, content = _utf8(value, f"field {name!r}"), _kind_of(model, name)
                if content == "texts" and not value.lstrip().startswith("["):
                    values.setdefault(name, []).append(value)
                elif name in values:
                    raise ServiceError("invalid-request", f"field {name!r}: is given twice", pointer=_pointer(name))
                else:
                    values[name] = value if content == "text" else _json(value)
        finally:
            await form.close()
    except ServiceError:
        raise
    except MultiPartException as error:
        raise ServiceError("invalid-request", f"the form cannot be read: {error.message}") from error
    except Exception as error:  # of the parser, for a body that is cut short or damaged
        raise ServiceError("invalid-request", "the form cannot be read: it is cut short or damaged") from error
    return values, pictures


def form_schema(model: type[BaseModel], *, several: bool = False) -> dict[str, Any]:
    """The OpenAPI schema of the form: the picture and the model's fields that hold no other models."""
    whole = model.model_json_schema()
    fields = {name: schema for name, schema in whole["properties"].items() if "$ref" not in json.dumps(schema)}
    examples = [example for example in whole.get("examples", ()) if example.keys() <= fields.keys()]
    picture: dict[str, Any] = {"type": "string", "format": "binary", "description": "The file of a picture."}
    if several:
        picture = {"type": "array", "items": picture, "minItems": 1}
    return {"type": "object", "properties": {PICTURE: picture, **fields}, "required": [PICTURE], "examples": examples}


async def _parsed(kind: str, body: bytes, most_pictures: int) -> FormData:
    """The form, its text read as Latin-1: one character for each byte, where the parser would guess at what is no UTF-8."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body

    headers = Headers({"Content-Type": f"{kind}; charset=latin-1"})
    # Sizes are limited by the body's, which was read.
    parser = MultiPartParser(headers, pieces(), max_files=most_pictures, max_fields=_MOST_FIELDS, max_part_size=2**31)
    return await parser.parse()


def _pointer(name: str) -> str:
    return "/" + name[:100].replace("~", "~0").replace("/", "~1")


def _utf8(text: str, what: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        told = f"{what}: byte {error.start} is not UTF-8; send the text of a form as UTF-8"
        raise ServiceError("invalid-request", told) from error


def _kind_of(model: type[BaseModel], name: str) -> str:
    """Whether a field is `text`, a list of `texts`, or `json`."""
    field = model.model_fields.get(name)
    if field is None:
        return "text"
    choices = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    plain = [get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in choices]
    if all(kind is str or isinstance(kind, str) for kind in plain):  # a Literal's choices are its texts
        return "text"
    return "texts" if plain == [list[str]] else "json"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # the model says what was expected
