"""Many queries in one call: pictures are decoded, encoded and asked for a chunk at a time, and a bad one is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from semblant_search.errors import ImageError, InvalidInput, PointNotFound
from semblant_search.store import Nearest

from .answers import beyond_chance
from .requests import hits_of
from .resolving import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from semblant_search.images import ImageSource
    from semblant_search.results import Hit
    from semblant_search.serving import Generation, Serving
    from semblant_search.store import SearchRequest

__all__ = ["QUERIES_AT_ONCE", "OnError", "check_on_error", "search_many"]

OnError = Literal["raise", "return"]
"""What becomes of the error of a picture that cannot be used: it ends the call, or stands where the picture's hits would."""
QUERIES_AT_ONCE = 64
"""Pictures that are held as the encoder takes them, and queries in one request to the store."""


class _Asked(NamedTuple):
    """A query of the batch: the point id of its name, if it has one, and its vector or what the encoder is to make it of."""

    id: str | None
    vector: np.ndarray | None
    fitted: np.ndarray | None


def check_on_error(on_error: str) -> None:
    """Raise `InvalidInput` unless it is one of `OnError`."""
    if on_error not in get_args(OnError):
        raise InvalidInput(f"on_error {on_error!r}: expected one of {', '.join(map(repr, get_args(OnError)))}")


def search_many(
    serving: Serving,
    pictures: Iterable[ImageSource],
    request: SearchRequest,
    *,
    include_self: bool,
    on_error: OnError,
    fpr: float | None = None,
) -> Iterator[list[Hit] | ImageError | PointNotFound]:
    """The hits of each picture, or for a bad one its error. Pictures that are asked for together are of one generation.

    Args:
        request: what is asked of each, but for its vector.
        fpr: share of strangers that may get a hit; None asks for no more than the request does.
        on_error: for errors of a picture; those of the encoder and the store are raised either way.

    Raises:
        ImageError, PointNotFound: of a picture that cannot be used, with its place among the pictures.
    """
    numbered = enumerate(pictures)
    while chunk := list(islice(numbered, QUERIES_AT_ONCE)):
        yield from serving.call(
            partial(_answers, chunk=chunk, request=request, include_self=include_self, on_error=on_error, fpr=fpr)
        )


def _answers(
    generation: Generation,
    *,
    chunk: Sequence[tuple[int, ImageSource]],
    request: SearchRequest,
    include_self: bool,
    on_error: OnError,
    fpr: float | None,
) -> list[list[Hit] | ImageError | PointNotFound]:
    request = beyond_chance(generation, request, fpr)
    # One more than asked for, and cut here: the picture itself need not come first among exact copies.
    wide = replace(request, limit=request.limit + request.offset + 1, offset=0)
    asked: dict[int, _Asked] = {}
    failed: dict[int, ImageError | PointNotFound] = {}
    for number, picture in chunk:
        try:
            asked[number] = _asked(generation, picture)
        except (ImageError, PointNotFound) as error:
            failed[number] = _in_place(error, number)
            if on_error == "raise":
                raise failed[number] from error
    todo = [query.fitted for query in asked.values() if query.fitted is not None]
    encoded = iter(generation.encoder.load().encode_each(todo) if todo else ())
    vectors = [next(encoded) if query.vector is None else query.vector for query in asked.values()]
    records = generation.store.query_batch([replace(wide, query=Nearest(vector)) for vector in vectors]) if vectors else []
    found = dict(zip(asked, records, strict=True))
    answers: list[list[Hit] | ImageError | PointNotFound] = []
    for number, _ in chunk:
        if number in failed:
            answers.append(failed[number])
        else:
            others = [one for one in found[number] if include_self or one.id != asked[number].id]
            answers.append(hits_of(others[request.offset : request.offset + request.limit], generation.background))
    return answers


def _asked(generation: Generation, picture: ImageSource) -> _Asked:
    query = resolve(generation.store, picture, with_image=True)
    stored = query.record.image if query.record is not None else None
    if stored is not None:
        return _Asked(query.id, stored, None)
    return _Asked(query.id, None, generation.encoder.load().prepare(query.source, max_pixels=generation.max_pixels))


def _in_place(error: ImageError | PointNotFound, number: int) -> ImageError | PointNotFound:
    return error.in_place(number) if isinstance(error, ImageError) else PointNotFound(f"pictures[{number}]: {error}")
