"""From a request's model to the calls of the client, and from hits to JSON."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.errors import InvalidInput
from semblant_search.images import open_image

from .access import name_to_id, named, names_of
from .answer_limits import group_limits, limit_of
from .cursors import cursor_of, offset_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from semblant_search.async_client import AsyncSearchClient
    from semblant_search.results import FeatureHit, Hit, Picture

    from .access import Access
    from .models import Example, FeaturesQuery, FusedQuery, SingleQuery
    from .settings import ServiceSettings

__all__ = ["by_details", "by_look", "fused", "picture_json"]

_ALWAYS = {"limit", "where", "offset", "cursor", "fields", "collection"}
_SELECTING = {"min_score", "exact", "include_self", "diversity", "unique", "order_by", "descending"}
_KINDS = {
    "picture": {"id", "uri", "url", "fpr", "region", "mask", "group_by", "group_size", "within_cluster", *_SELECTING},
    "vector": {"vector", "fpr", "ef_search", "within_cluster", *_SELECTING} - {"include_self"},
    "like": {"url", "like", "unlike", "strategy", *_SELECTING},
    "context": {"url", "target", "context", "exact", "include_self", "unique"},
    "group_by": {"id", "uri", "url", "group_by", "group_size", "min_score", "fpr", "exact", "include_self"},
}
"""Which options belong to which kind of search. One that has no meaning is refused: it would be ignored."""


async def by_look(
    client: AsyncSearchClient,
    query: SingleQuery,
    pictures: Sequence[bytes],
    collection: str,
    access: Access,
    settings: ServiceSettings,
) -> dict[str, Any]:
    """The answer to one search by look, as JSON values of `SearchAnswer`."""
    kind = _kind(query, pictures)
    offset = offset_of(query, list(pictures), collection, access)
    page: dict[str, Any] = {
        "where": access.filter(query.where, settings.max_filter),
        "offset": offset,
        "exact": query.exact,
    }
    chosen: dict[str, Any] = {
        "min_score": query.min_score,
        "diversity": query.diversity,
        "unique": query.unique,
        "order_by": query.order_by,
        "descending": query.descending,
    }
    limit = limit_of(query, settings)
    if kind == "group_by":
        assert query.group_by is not None
        limit, group_size = group_limits(query, settings)
        picture = await _picture(client, query, pictures, access)
        groups = await client.search_groups(
            picture,
            query.group_by,
            limit,
            group_size=group_size,
            min_score=query.min_score,
            fpr=query.fpr,
            include_self=query.include_self,
            **page,
        )
        told = [{"value": group.value, "hits": [_hit_json(hit, query.fields) for hit in group.hits]} for group in groups]
        return {"hits": [], "groups": told, **_following(groups, offset, limit, query, pictures, collection, access)}
    if kind == "vector":
        assert query.vector is not None
        within = query.within_cluster or False
        hits = await client.search_vector(
            query.vector, limit, fpr=query.fpr, ef_search=query.ef_search, within_cluster=within, **page, **chosen
        )
    elif kind == "like":
        liked = [*map(bytes, pictures), *await _examples(client, query.like or [], access)]
        unliked = await _examples(client, query.unlike or [], access)
        hits = await client.search_like(
            liked, unliked, limit, strategy=query.strategy, include_self=query.include_self, **page, **chosen
        )
    elif kind == "context":
        context = query.context or []
        target = (
            bytes(pictures[0]) if pictures else (await _examples(client, [query.target] if query.target else [], access))[0]
        )
        places = await _examples(client, [one for pair in context for one in (pair.positive, pair.negative)], access)
        pairs = list(zip(places[::2], places[1::2], strict=True))
        hits = await client.discover(target, pairs, limit, include_self=query.include_self, unique=query.unique, **page)
    else:
        picture = await _picture(client, query, pictures, access)
        hits = await client.search(
            picture,
            limit,
            fpr=query.fpr,
            region=_region(query),
            include_self=query.include_self,
            within_cluster=query.within_cluster or False,
            **page,
            **chosen,
        )
    told = [_hit_json(hit, query.fields) for hit in hits]
    return {"hits": told, **_following(hits, offset, limit, query, pictures, collection, access)}


async def by_details(
    client: AsyncSearchClient, query: FeaturesQuery, pictures: Sequence[bytes], access: Access, settings: ServiceSettings
) -> dict[str, Any]:
    """The answer to a search by details, as JSON values of `ProvenAnswer`."""
    hits = await client.search_features(
        await _picture(client, query, pictures, access),
        limit_of(query, settings),
        region=_region(query),
        where=access.filter(query.where, settings.max_filter),
        offset=query.offset,
        verify=query.verify,
        min_confidence=query.min_confidence,
        shared_parts=query.shared_parts,
        include_self=query.include_self,
    )
    return {"hits": [_proof_json(hit, query.fields, pairs=query.pairs) for hit in hits]}


async def fused(
    client: AsyncSearchClient, query: FusedQuery, pictures: Sequence[bytes], access: Access, settings: ServiceSettings
) -> dict[str, Any]:
    """The answer to a search by look and details together, as JSON values of `ProvenAnswer`."""
    hits = await client.search_fused(
        await _picture(client, query, pictures, access),
        limit_of(query, settings),
        where=access.filter(query.where, settings.max_filter),
        offset=query.offset,
        min_score=query.min_score,
        exact=query.exact,
        include_self=query.include_self,
        shared_parts=query.shared_parts,
    )
    return {"hits": [_proof_json(hit, query.fields, pairs=query.pairs) for hit in hits]}


def picture_json(picture: Picture, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """JSON values of `models.Picture`."""
    return _chosen_fields(picture.to_json(), fields)


def _kind(query: SingleQuery, pictures: Sequence[bytes]) -> str:
    """Which kind of search it is. Raises `InvalidInput` for none, for two, and for options of another."""
    given = [name for name in ("id", "uri", "vector", "like", "target") if getattr(query, name) is not None]
    kind = {"id": "picture", "uri": "picture", "target": "context"}.get(given[0], given[0]) if given else None
    if kind is None and query.context is not None and pictures:
        kind = "context"  # the uploaded picture is the target
    elif kind is None and pictures:
        kind = "picture"
    elif pictures and kind != "like":
        raise InvalidInput(f"{given[0]} and an uploaded picture: look for one of the two")
    if kind is None:
        raise InvalidInput(
            "what to look for? Expected one of id, uri, url, vector, like, target with context, or a picture in a form"
        )
    if len(given) > 1:
        raise InvalidInput(f"{' and '.join(given)}: look for one of them")
    if len(pictures) > 1 and kind != "like":
        raise InvalidInput(f"{len(pictures)} pictures: expected one, or all of them as examples with like")
    if kind == "picture" and query.group_by is not None:
        kind = "group_by"
    foreign = sorted(query.given - _KINDS[kind] - _ALWAYS)
    if foreign:
        what = {"context": "target and context", "group_by": "group_by", "picture": "one picture"}.get(kind, kind)
        raise InvalidInput(f"{', '.join(foreign)}: goes with no search by {what}; leave it out")
    if kind == "context" and not query.context:
        raise InvalidInput("target without context: give at least one pair, or look for the target itself")
    return kind


async def _picture(
    client: AsyncSearchClient, query: SingleQuery | FeaturesQuery | FusedQuery, pictures: Sequence[bytes], access: Access
) -> str | bytes:
    """The uploaded picture, or the id of the named one."""
    name = names_of(query.id, query.uri)
    if len(pictures) > 1 or (name is not None) == bool(pictures):
        raise InvalidInput("expected one picture: its id, its uri, or the file in a form")
    if name is None:
        return bytes(pictures[0])
    if access.where is None:
        return name_to_id(name)  # the search itself says where there is none
    return (await named(client, [name], access))[0].id


def _region(query: SingleQuery | FeaturesQuery) -> Any:
    """The part that is looked for: four numbers, a mask bool `[h, w]`, or None."""
    if query.mask is None:
        return query.region
    if query.region is not None:
        raise InvalidInput("region and mask: give one of the two")
    try:
        data = base64.b64decode(query.mask, validate=True)
    except ValueError as error:
        raise InvalidInput("mask: expected a picture file in base64", argument="mask") from error
    return np.asarray(open_image(data).convert("L")) > 127


async def _examples(client: AsyncSearchClient, examples: Sequence[Example], access: Access) -> list[Any]:
    """As the client takes them: vectors, ids, and pairs with their weights."""
    names = [name for one in examples if (name := names_of(one.id, one.uri)) is not None]
    found = iter(await named(client, names, access)) if names else iter(())
    places = [one.vector if one.vector is not None else next(found).id for one in examples]
    return [(place, one.weight) if one.weight != 1 else place for place, one in zip(places, examples, strict=True)]


def _following(
    found: Sequence[object],
    offset: int,
    limit: int,
    query: SingleQuery,
    pictures: Sequence[bytes],
    collection: str,
    access: Access,
) -> dict[str, Any]:
    if len(found) < limit:
        return {}
    return {"cursor": cursor_of(offset + len(found), query, list(pictures), collection, access)}


def _hit_json(hit: Hit, fields: Sequence[str] | None) -> dict[str, Any]:
    return _chosen_fields(hit.to_json(), fields)


def _proof_json(hit: FeatureHit, fields: Sequence[str] | None, *, pairs: bool) -> dict[str, Any]:
    told = _chosen_fields(hit.to_json(), fields)
    return {**told, "pairs": hit.pairs} if pairs else told


def _chosen_fields(told: dict[str, Any], fields: Iterable[str] | None) -> dict[str, Any]:
    if fields is None:
        return told
    wanted = set(fields)

    def kept(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name in wanted}

    return {**told, "metadata": kept(told["metadata"]), "facts": kept(told["facts"])}
