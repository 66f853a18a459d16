"""A client that explores a collection: by several examples, by pairs of them, and by the values of a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from .errors import InvalidInput
from .images.sources import buffered
from .job_client import JobClient
from .querying.examples import given_example, given_examples, given_pairs
from .querying.requests import check_field, check_fpr, check_group_size, check_switches, request_of
from .querying.selection import selection_of
from .shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .images import ImageSource
    from .querying.examples import Example
    from .results import Hit, HitGroup
    from .where import Where

__all__ = ["ExampleClient"]

Strategy = Literal["average_vector", "best_score"]


class ExampleClient(JobClient):
    """Searches by examples. `SearchClient` is what one opens."""

    def search_like(
        self,
        like: Iterable[Example],
        unlike: Iterable[Example] = (),
        limit: int = 10,
        *,
        strategy: Strategy = "average_vector",
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        diversity: float | None = None,
        unique: bool = False,
        order_by: str | None = None,
        descending: bool = False,
    ) -> list[Hit]:
        """The pictures that look most like some examples and least like others, best first.

        >>> client.search_like(["a.jpg", ("file:///b.jpg", 2.0)], unlike=["c.jpg"])  # doctest: +SKIP

        Args:
            like: pictures as in `search`, vectors `[D]`, or pairs of one and its weight, above 0; at least one.
            unlike: as many of the same as you like.
            strategy: `average_vector` looks once, near the weighted mean of `like`, pushed away from the mean of `unlike` (an
                example of weight 0.5 pushes half as far); the score is the cosine with that place. `best_score` compares each
                picture with every example, so that examples of several kinds stay apart; it knows no weights. A picture that
                is nearest to a liked one, at cosine c, scores s = (1 + c / (1 + |c|)) / 2, nearest to an unliked one -s.
            include_self: keep the examples themselves among the hits; otherwise those of the collection are left out.
            limit, where, offset, min_score, exact, diversity, unique, order_by, descending: as in `search`, with this score.

        Raises:
            InvalidInput: no liked example; weights that are none, or with `best_score`; examples that cancel each other out;
                otherwise as `search`.
            ImageError, PointNotFound, InvalidInput: of an example; the message begins with its place, as `like[1]: …`.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        selection = selection_of(request, diversity, unique, order_by, descending)
        check_switches(include_self=include_self)
        liked, unliked = (
            given_examples(name, examples, self._max_pixels) for name, examples in (("like", like), ("unlike", unlike))
        )
        if not liked:
            raise InvalidInput("like: expected at least one example")
        if not isinstance(strategy, str) or strategy not in get_args(Strategy):
            raise InvalidInput(f"strategy {shown(strategy)}: expected one of {', '.join(map(repr, get_args(Strategy)))}")
        weighed = next((one for one in (*liked, *unliked) if one.weight != 1), None)
        if strategy == "best_score" and weighed is not None:
            raise InvalidInput(f"{weighed.name}: the strategy 'best_score' has no weights; leave them out")
        if strategy == "best_score" and diversity is not None:
            raise InvalidInput("diversity with the strategy 'best_score': each is an order of its own; leave one out")
        return self._collection.by_examples(liked, unliked, strategy, request, selection, include_self=include_self)

    def discover(
        self,
        target: Example,
        context: Iterable[tuple[Example, Example]],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        exact: bool = False,
        include_self: bool = False,
        unique: bool = False,
    ) -> list[Hit]:
        """The pictures near a target in the part of the collection that pairs of examples point out, best first.

        >>> client.discover("red-boot.jpg", [("blue-1.jpg", "red-1.jpg"), ("blue-2.jpg", "red-2.jpg")])  # doctest: +SKIP

        Args:
            target: a picture as in `search`, or a vector `[D]`.
            context: pairs `(positive, negative)` of the same: hits are nearer to the positive than to the negative one. At
                least one pair.
            include_self: keep the target and the examples among the hits; otherwise those of the collection are left out.
            limit, where, offset, exact, unique: as in `search`.

        Returns:
            Hits with, as their score, the number of pairs whose positive is nearer, less that of the others, plus
            s in [.25, .75] of the cosine with the target (s as in `search_like`).

        Raises:
            InvalidInput: no pair, or weights; otherwise as `search_like`.
        """
        request = request_of(limit, where, offset, exact=exact)
        selection = selection_of(request, unique=unique)
        check_switches(include_self=include_self)
        wanted = given_example("target", None, target, self._max_pixels)
        if wanted.weight != 1:
            raise InvalidInput("target: has no weight")
        pairs = given_pairs(context, self._max_pixels)
        return self._collection.by_context(wanted, pairs, request, selection, include_self=include_self)

    def search_groups(
        self,
        picture: ImageSource,
        group_by: str,
        limit: int = 10,
        *,
        group_size: int = 3,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        fpr: float | None = None,
        exact: bool = False,
        include_self: bool = False,
    ) -> list[HitGroup]:
        """The pictures that look most like one, by the values of a field such as an album: the groups of the best hits first.

        Args:
            picture, where, min_score, fpr, exact, include_self: as in `search`.
            group_by: a keyword, whole number or bool field. A picture with several values is in the group of each, one
                without is in none.
            limit, offset: groups at most, and to skip.
            group_size: hits in a group at most, at least 1.

        Raises:
            InvalidInput: a field that cannot be grouped by; otherwise as `search`.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        size = check_group_size(group_size)
        check_field("group_by", group_by)
        check_switches(include_self=include_self)
        picture = buffered(picture, self._max_pixels)
        return self._collection.in_groups(picture, request, group_by, size, fpr=check_fpr(fpr), include_self=include_self)
