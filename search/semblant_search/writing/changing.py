"""Changing what a collection says of its pictures, and taking pictures out of it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from semblant_search.querying.naming import by_other_names
from semblant_search.querying.resolving import id_of, name_as_uri, not_found

from .values import typed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from semblant_search.serving import Generation
    from semblant_search.where import Where

__all__ = ["delete", "ids_of_names", "ids_that_match", "update_metadata"]

_AT_ONCE = 500


def update_metadata(
    generation: Generation,
    pictures: Sequence[str | os.PathLike[str]] | None,
    where: Where | None,
    metadata: Mapping[str, Any],
    *,
    replace: bool,
) -> int:
    """Merge JSON values into the metadata of pictures, or put them in its place; how many pictures there were.

    Raises:
        MetadataError: a value does not fit its field; nothing is changed.
        PointNotFound: a picture that was named is not there; nothing is changed.
    """
    store = generation.store
    with generation.writing:
        said, new = typed(metadata, generation.fields_for([metadata]))
        if pictures is None:
            ids = ids_that_match(generation, where)
        else:
            found = ids_of_names(generation, pictures)
            for picture, id in zip(pictures, found, strict=True):
                if id is None:
                    raise not_found(store.manifest.collection, picture)
            ids = list(dict.fromkeys(id for id in found if id is not None))
        if ids:
            store.add_fields({name: field.kind for name, field in new.items()})
        for part in _parts(ids):
            payloads = {}
            for record in store.retrieve(part):
                facts = {name: value for name, value in record.payload.items() if name.startswith("_")}
                kept = {} if replace else {name: value for name, value in record.payload.items() if name not in metadata}
                payloads[record.id] = {**kept, **said, **facts}
            store.set_payloads(payloads)
        return len(ids)


def delete(generation: Generation, pictures: Sequence[str | os.PathLike[str]] | None, where: Where | None) -> int:
    """Remove pictures, and say how many of them were there."""
    store = generation.store
    with generation.writing:
        if pictures is None:
            ids = ids_that_match(generation, where)
        else:
            ids = sorted({id for id in ids_of_names(generation, pictures) if id is not None})
        for part in _parts(ids):
            store.delete(part)
        return len(ids)


def ids_that_match(generation: Generation, where: Where | None) -> list[str]:
    """The ids of pictures that match a filter."""
    return [record.id for record in generation.store.scroll(where=where, fields=())]


def ids_of_names(generation: Generation, pictures: Sequence[str | os.PathLike[str]]) -> list[str | None]:
    """The id of each picture by any of its names, those of links and of merged copies too; None for what is not there."""
    store = generation.store
    ids = [id_of(picture) for picture in pictures]
    there = {record.id for part in _parts(dict.fromkeys(ids)) for record in store.retrieve(part, fields=())}
    missing = {id: name_as_uri(name) for id, name in zip(ids, pictures, strict=True) if id not in there and name != id}
    others = by_other_names(store, list(missing.values())) if missing else {}
    found = {id: others[uri].id for id, uri in missing.items() if uri in others}
    return [id if id in there else found.get(id) for id in ids]


def _parts(ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while part := list(islice(left, _AT_ONCE)):
        yield part
