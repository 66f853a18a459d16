"""Many queries in one call: pictures are decoded, encoded and asked for a chunk at a time, and a bad one is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from semblant_search.errors import InvalidInput
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.shown import shown
from semblant_search.store import Cells, Nearest

from .requests import hits_of
from .resolving import cells_of, check_cells, resolve
from .selection import Selection, beyond_chance, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from semblant_search.images import ImageSource
    from semblant_search.item_errors import ItemError
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
    """A query of the batch: the point id of its name, if it has one, and its vector, what the encoder is to make it of, or the
    cells of its region."""

    id: str | None
    vector: np.ndarray | None = None
    fitted: np.ndarray | None = None
    cells: np.ndarray | None = None


def check_on_error(on_error: str) -> None:
    """Raise `InvalidInput` unless it is one of `OnError`."""
    if not isinstance(on_error, str) or on_error not in get_args(OnError):
        raise InvalidInput(f"on_error {shown(on_error)}: expected one of {', '.join(map(repr, get_args(OnError)))}")


def search_many(
    serving: Serving,
    pictures: Iterable[ImageSource],
    asked: Asked,
    *,
    include_self: bool,
    on_error: OnError,
) -> Iterator[list[Hit] | ItemError]:
    """The hits of each picture, or for a bad one its error. Pictures that are asked for together are of one generation.

    Args:
        asked: what is asked of each.
        on_error: for errors of a picture, as `item_errors` tells them from others, which are raised either way.

    Raises:
        ItemError: of a picture that cannot be used, with its place among the pictures.
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
) -> list[list[Hit] | ItemError]:
    queries: dict[int, _Query] = {}
    hits: dict[int, list[Hit]] = {}
    failed: dict[int, ItemError] = {}
    if asked.region is not None:
        check_cells(generation.manifest)
    for number, picture in chunk:
        try:
            query = _query(generation, picture, asked.region)
        except ITEM_ERRORS as error:
            failed[number] = in_place(error, number)
            if on_error == "raise":
                raise failed[number] from error
            continue
        if query.cells is None:
            queries[number] = query
        else:  # the cells of a picture, as the encoder makes them, are many times its vector
            look = replace(asked.request, query=Cells(query.cells))
            hits[number] = select(generation, look, asked.selection, _left_out(query, include_self))
    todo = [query.fitted for query in queries.values() if query.fitted is not None]
    encoded = iter(generation.encoder.load().encode_each(todo) if todo else ())
    vectors = [next(encoded) if query.vector is None else query.vector for query in queries.values()]
    left_out = [_left_out(query, include_self) for query in queries.values()]
    found = _hits(generation, asked, list(zip(vectors, left_out, strict=True)))
    hits |= zip(queries, found, strict=True)
    return [failed[number] if number in failed else hits[number] for number, _ in chunk]


def _hits(generation: Generation, asked: Asked, queries: Sequence[tuple[np.ndarray, tuple[str, ...]]]) -> list[list[Hit]]:
    """The hits of each vector without the pictures of those ids; in one request where they are but the best ones."""
    request, selection = asked.request, asked.selection
    if not selection.plain or selection.within_cluster:
        return [select(generation, replace(request, query=Nearest(vector)), selection, ids) for vector, ids in queries]
    request = beyond_chance(generation, request, selection.fpr)
    # One more than asked for, and cut here: the picture itself need not come first among its copies.
    wide = replace(request, limit=request.limit + request.offset + 1, offset=0)
    found = generation.store.query_batch([replace(wide, query=Nearest(vector)) for vector, _ in queries])
    others = [[one for one in records if one.id not in ids] for records, (_, ids) in zip(found, queries, strict=True)]
    return [hits_of(records[request.offset : request.offset + request.limit], generation.background) for records in others]


def _query(generation: Generation, picture: ImageSource, region: Region | None) -> _Query:
    if region is not None:
        query = resolve(generation.store, picture, with_cells=True)
        cells = cells_of(generation.manifest, generation.encoder, query, region, generation.max_pixels)
        return _Query(query.id, cells=cells)
    query = resolve(generation.store, picture, with_image=True)
    stored = query.record.image if query.record is not None else None
    if stored is not None:
        return _Query(query.id, stored)
    fitted = generation.encoder.load().prepare(query.source, max_pixels=generation.max_pixels)
    return _Query(query.id, fitted=fitted)


def _left_out(query: _Query, include_self: bool) -> tuple[str, ...]:
    return () if include_self or query.id is None else (query.id,)
