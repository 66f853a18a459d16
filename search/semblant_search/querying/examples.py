"""Searches by several examples: pictures, URIs and vectors, liked or not, each with a weight."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from semblant_search.errors import InvalidInput
from semblant_search.images.sources import buffered, is_single
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.shown import shown
from semblant_search.store import Discover, Nearest, Recommend

from .requests import check_vector, check_weight
from .resolving import resolve
from .selection import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from semblant_search.images import ImageSource
    from semblant_search.results import Hit
    from semblant_search.serving import Generation
    from semblant_search.store import Query, SearchRequest

    from .selection import Selection

    Example = ImageSource | np.ndarray | Sequence[float] | tuple[ImageSource | np.ndarray | Sequence[float], float]
    """A picture as in `search`, or a vector `[D]`; or a pair of one and its weight."""

__all__ = ["Given", "by_context", "by_examples", "given_examples", "given_pairs"]


class Given(NamedTuple):
    """An example as it was given.

    Attributes:
        name: what messages call it, such as `like` and its place.
        among, place: where it stands.
        what: a picture, or a vector.
        weight: above 0.
    """

    among: str
    place: int | None
    what: ImageSource | Sequence[float]
    weight: float

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.among if self.place is None else f"{self.among}[{self.place}]"


def given_examples(among: str, examples: Iterable[Example], max_pixels: int) -> list[Given]:
    """Checked examples; open files are read. Raises `InvalidInput`, and `ImageError` for a file that cannot be read."""
    if is_single(examples):
        raise InvalidInput(f"{among}: expected a list of examples, not one ({type(examples).__name__})")
    return [given_example(among, place, example, max_pixels) for place, example in enumerate(examples)]


def given_example(among: str, place: int | None, example: Example, max_pixels: int) -> Given:
    """One checked example."""
    name = among if place is None else f"{among}[{place}]"
    given: object = example
    weight: object = 1.0
    if isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], Real):
        given, weight = given
    if isinstance(given, Real):
        raise InvalidInput(
            f"{name}: {shown(given)}: expected a picture, its URI or a vector; a weight goes with its own: [(picture, 2.0)]"
        )
    what = cast("ImageSource | Sequence[float]", given)
    if not _is_vector(what):
        try:
            what = buffered(cast("ImageSource", what), max_pixels)
        except ITEM_ERRORS as error:
            raise in_place(error, place, among) from error
    return Given(among, place, what, check_weight(weight, name))


def given_pairs(context: Iterable[tuple[Example, Example]], max_pixels: int) -> list[tuple[Given, Given]]:
    """Checked pairs of a positive and a negative example, without weights."""
    pairs: list[tuple[Given, Given]] = []
    if is_single(context):
        raise InvalidInput("context: expected a list of pairs (positive, negative)")
    for place, pair in enumerate(context):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InvalidInput(f"context[{place}]: expected a pair (positive, negative)")
        positive, negative = (given_example("context", place, example, max_pixels) for example in pair)
        if (positive.weight, negative.weight) != (1.0, 1.0):
            raise InvalidInput(f"context[{place}]: pairs have no weights")
        pairs.append((positive, negative))
    if not pairs:
        raise InvalidInput("context: expected at least one pair (positive, negative); or use search")
    return pairs


def by_examples(
    generation: Generation,
    like: Sequence[Given],
    unlike: Sequence[Given],
    strategy: str,
    request: SearchRequest,
    selection: Selection,
    *,
    include_self: bool,
) -> list[Hit]:
    """What is like some examples and unlike others."""
    vectors, ids = _resolved(generation, [*like, *unlike])
    positive, negative = vectors[: len(like)], vectors[len(like) :]
    if strategy == "best_score":
        query: Query = Recommend(positive, negative, "best_score")
    else:
        query = Nearest(_centre(positive, [one.weight for one in like], negative, [one.weight for one in unlike]))
    return select(generation, replace(request, query=query), selection, () if include_self else ids, probable=False)


def by_context(
    generation: Generation,
    target: Given,
    context: Sequence[tuple[Given, Given]],
    request: SearchRequest,
    selection: Selection,
    *,
    include_self: bool,
) -> list[Hit]:
    """What is near a target, on the positive side of each pair."""
    vectors, ids = _resolved(generation, [target, *(one for pair in context for one in pair)])
    query = Discover(vectors[0], list(zip(vectors[1::2], vectors[2::2], strict=True)))
    return select(generation, replace(request, query=query), selection, () if include_self else ids, probable=False)


def _centre(
    like: Sequence[np.ndarray], weights: Sequence[float], unlike: Sequence[np.ndarray], pushes: Sequence[float]
) -> np.ndarray:
    """Where to look, float32 `[D]`: the weighted mean of what is liked, pushed away from what is not (Rocchio 1971).

    With all weights 1 it is `2 * mean(like) - mean(unlike)`, as Qdrant's `average_vector`.
    """
    # Only the direction counts: all is divided by the largest, so that weights may be as large as floats are.
    centre = np.average(np.stack(like).astype(np.float64), axis=0, weights=np.array(weights) / max(weights))
    if unlike:
        largest = max(1.0, *pushes)
        away = centre - np.stack(unlike).astype(np.float64)
        centre = centre / largest + ((np.array(pushes) / largest)[:, None] * away).mean(axis=0)
    length = float(np.linalg.norm(centre))
    if not length > 1e-6:
        raise InvalidInput("like and unlike cancel each other out; leave one out, or use the strategy 'best_score'")
    return np.asarray(centre / length, dtype=np.float32)


def _resolved(generation: Generation, examples: Sequence[Given]) -> tuple[list[np.ndarray], list[str]]:
    """The vector of each, and the ids of those that are pictures of the collection. Missing vectors are encoded together."""
    vectors: dict[int, np.ndarray] = {}
    fitted: dict[int, np.ndarray] = {}
    ids: dict[str, None] = {}
    for number, example in enumerate(examples):
        if _is_vector(example.what):
            try:
                vectors[number] = check_vector(cast("Sequence[float]", example.what), generation.manifest)
            except ITEM_ERRORS as error:
                raise in_place(error, example.place, example.among) from error
            continue
        try:
            query = resolve(generation.store, cast("ImageSource", example.what), with_image=True)
            stored = query.record.image if query.record is not None else None
            if query.id is not None:
                ids[query.id] = None
            if stored is not None:
                vectors[number] = stored
            else:
                fitted[number] = generation.encoder.load().prepare(query.source, max_pixels=generation.max_pixels)
        except ITEM_ERRORS as error:
            raise in_place(error, example.place, example.among) from error
    if fitted:
        vectors |= zip(fitted, generation.encoder.load().encode_each(list(fitted.values())), strict=True)
    return [vectors[number] for number in range(len(examples))], list(ids)


def _is_vector(what: object) -> bool:
    """Whether it is numbers in a row; pixels have rows of them."""
    if isinstance(what, np.ndarray):
        return what.ndim == 1
    return isinstance(what, (list, tuple)) and not isinstance(what, (str, bytes, os.PathLike))
