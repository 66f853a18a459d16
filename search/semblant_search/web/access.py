"""What a caller may do, and which pictures there are for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from semblant_search.collection import canonical_uri, point_id
from semblant_search.errors import InvalidInput, PointNotFound
from semblant_search.querying.resolving import id_of
from semblant_search.shown import shown_name
from semblant_search.where import And, F, as_where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.async_client import AsyncSearchClient
    from semblant_search.results import Picture
    from semblant_search.where import Where

__all__ = ["ANYONE", "SCOPES", "Access", "Scope", "name_to_id", "named", "named_or_none", "names_of"]

Scope = Literal["search", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("search", "write", "admin")
"""Each with all that is before it."""


@dataclass(frozen=True)
class Access:
    """What a caller may do.

    Attributes:
        scope: `search` reads, `write` adds, updates and deletes pictures, `admin` does the rest.
        where: the pictures that there are for this caller; None for all. No option of a request widens it.
        key: the name of the key, for the log; None without one.
    """

    scope: Scope = "admin"
    where: Where | None = None
    key: str | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether it may do what takes this scope."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def filter(self, where: str | None, longest: int) -> Where | None:
        """The filter of a request within its pictures. Raises `WhereError`, and `InvalidInput` for one that is too long."""
        if where is not None and len(where) > longest:
            raise InvalidInput(f"where of {len(where):,} characters: this service takes {longest:,}", argument="where")
        given = as_where(where)
        if self.where is None or given is None:
            return self.where if given is None else given
        return And((self.where, given))


ANYONE = Access()
"""Where no keys are asked for."""


async def named(client: AsyncSearchClient, names: Sequence[str], access: Access) -> list[Picture]:
    """The pictures of those point ids or URIs, in their order.

    A caller of some pictures only is told of the others what it would be told if they did not exist.

    Raises:
        PointNotFound: there is none of such a name, for this caller.
        InvalidInput: a name that is neither.
    """
    found = await named_or_none(client, names, access)
    for name, picture in zip(names, found, strict=True):
        if picture is None:
            raise _not_found(name)
    return [picture for picture in found if picture is not None]


async def named_or_none(
    client: AsyncSearchClient, names: Sequence[str], access: Access, *, with_vectors: bool = False
) -> list[Picture | None]:
    """`named` with None for what there is not, for this caller."""
    # A URI stays one: it may be another name of a picture. No file is opened for it.
    wanted = [canonical_uri(name) if "://" in name else name_to_id(name) for name in names]
    found = await client.get_many(wanted, with_vectors=with_vectors)
    distinct = {picture.uri for picture in found if picture is not None}
    if access.where is None or not distinct:
        return found
    mine = And((access.where, F("_uri").in_(sorted(distinct))))
    if await client.count(mine) == len(distinct):
        return found
    seen = {picture.uri async for picture in client.pictures(where=mine)}
    return [picture if picture is not None and picture.uri in seen else None for picture in found]


def names_of(id: str | None, uri: str | None) -> str | None:
    """The one name that was given, or None. Raises `InvalidInput` for two."""
    if id is not None and uri is not None:
        raise InvalidInput("id and uri: name the picture by one of the two")
    return id if id is not None else uri


def name_to_id(name: str) -> str:
    """The point id of a picture by its id or URI; never that of a path of the service's machine. Raises `InvalidInput`."""
    if "://" in name:
        return point_id(canonical_uri(name))
    if (id := _as_id(name)) is not None:
        return id
    raise InvalidInput(f"picture {shown_name(name)}: expected its point id or its URI, as a search gives them")


def _as_id(name: str) -> str | None:
    id = id_of(name) if len(name) == 36 else None
    return id if id == name.lower() else None


def _not_found(name: str) -> PointNotFound:
    return PointNotFound(f"{shown_name(name)}: there is no such picture; expected a point id or a URI, as a search gives them")
