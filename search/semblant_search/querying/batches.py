"""Many queries in one call: pictures are decoded, encoded and asked for a chunk at a time, and a bad one is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from semblant_search.errors import ImageError, InvalidInput, PointNotFound
from semblant_search.store import Nearest

from .answers import by_look
from .requests import hits_of
from .resolving import resolve
from .selection import Selection, beyond_chance, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from semblant_search.images import ImageSource
    from semblant_search.results import Hit
    from semblant_search.serving import Generation, Serving
    from semblant_search.store import SearchRequest

    from .regions import Region

__all__ = ["QUERIES_AT_ONCE", "Asked", "OnError", "check_on_error", "search_many"]

OnError = Literal["raise", "return"]
"""What becomes of the error of a picture that cannot be used: it ends the call, or stands where the picture's hits would."""
QUERIES_AT_ONCE = 64
"""Pictures that are held as the encoder takes them, and queries in one request to the store."""


class Asked(NamedTuple):
    """What is asked of each picture: the request but for its query, how hits are chosen, and the part that is looked for."""

    request: SearchRequest
    selection: Selection
    region: Region | None = None


class _Query(NamedTuple):
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
    asked: Asked,
    *,
    include_self: bool,
    on_error: OnError,
) -> Iterator[list[Hit] | ImageError | PointNotFound]:
    """The hits of each picture, or for a bad one its error. Pictures that are asked for together are of one generation.

    Args:
        asked: what is asked of each.
        on_error: for errors of a picture; those of the encoder and the store are raised either way.

    Raises:
        ImageError, PointNotFound: of a picture that cannot be used, with its place among the pictures.
    """
    numbered = enumerate(pictures)
    while chunk := list(islice(numbered, QUERIES_AT_ONCE)):
        yield from serving.call(partial(_answers, chunk=chunk, asked=asked, include_self=include_self, on_error=on_error))


def _answers(
    generation: Generation,
    *,
    chunk: Sequence[tuple[int, ImageSource]],
    asked: Asked,
    include_self: bool,
    on_error: OnError,
) -> list[list[Hit] | ImageError | PointNotFound]:
    queries: dict[int, _Query] = {}
    hits: dict[int, list[Hit]] = {}
    failed: dict[int, ImageError | PointNotFound] = {}
    for number, picture in chunk:
        try:
            if asked.region is None:
                queries[number] = _query(generation, picture)
            else:  # the cells of a picture, as the encoder makes them, are many times its vector
                hits[number] = by_look(
                    generation, picture, asked.request, asked.region, asked.selection, include_self=include_self
                )
        except (ImageError, PointNotFound) as error:
            failed[number] = _in_place(error, number)
            if on_error == "raise":
                raise failed[number] from error
    todo = [query.fitted for query in queries.values() if query.fitted is not None]
    encoded = iter(generation.encoder.load().encode_each(todo) if todo else ())
    vectors = [next(encoded) if query.vector is None else query.vector for query in queries.values()]
    left_out = [() if include_self or query.id is None else (query.id,) for query in queries.values()]
    found = _hits(generation, asked, list(zip(vectors, left_out, strict=True)))
    hits |= zip(queries, found, strict=True)
    return [failed[number] if number in failed else hits[number] for number, _ in chunk]


def _hits(generation: Generation, asked: Asked, queries: Sequence[tuple[np.ndarray, tuple[str, ...]]]) -> list[list[Hit]]:
    """The hits of each vector without the pictures of those ids; in one request where they are but the best ones."""
    request, selection = asked.request, asked.selection
    if not selection.plain:
        return [select(generation, replace(request, query=Nearest(vector)), selection, ids) for vector, ids in queries]
    request = beyond_chance(generation, request, selection.fpr)
    # One more than asked for, and cut here: the picture itself need not come first among its copies.
    wide = replace(request, limit=request.limit + request.offset + 1, offset=0)
    found = generation.store.query_batch([replace(wide, query=Nearest(vector)) for vector, _ in queries])
    others = [[one for one in records if one.id not in ids] for records, (_, ids) in zip(found, queries, strict=True)]
    return [hits_of(records[request.offset : request.offset + request.limit], generation.background) for records in others]


def _query(generation: Generation, picture: ImageSource) -> _Query:
    query = resolve(generation.store, picture, with_image=True)
    stored = query.record.image if query.record is not None else None
    if stored is not None:
        return _Query(query.id, stored, None)
    return _Query(query.id, None, generation.encoder.load().prepare(query.source, max_pixels=generation.max_pixels))


def _in_place(error: ImageError | PointNotFound, number: int) -> ImageError | PointNotFound:
    return error.in_place(number) if isinstance(error, ImageError) else PointNotFound(f"pictures[{number}]: {error}")
