"""A collection behind a Semblant service: nothing is decoded, encoded or searched in this process."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import Manifest, canonical_uri, uri_path
from semblant_search.errors import InvalidInput, MetadataError, PointNotFound
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.querying.requests import SCORE_TOLERANCE, check_limit
from semblant_search.querying.resolving import check_name, not_found
from semblant_search.results import Picture, PicturePage
from semblant_search.shown import shown, shown_name

from .http import error_of
from .parsing import picture_of, relocation_of, source_of
from .searches import RemoteSearches
from .sending import where_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from semblant_search.duplicates import DuplicateGroup
    from semblant_search.images import ImageSource
    from semblant_search.querying.batches import OnError
    from semblant_search.querying.listing import Listing
    from semblant_search.where import Where
    from semblant_search.writing.relocating import Relocation
    from semblant_search.writing.shared_pictures import Released
    from semblant_search.writing.source_changes import SourceSummary

    from .service_jobs import ServiceJobs

__all__ = ["RemoteCollection"]

_WAIT = 2.0
"""Seconds after which a service tells how far it is."""
_TOGETHER = 16
"""Pictures in one request."""
_CHANGED_TOGETHER = 10_000
"""Names in one request, at most what a service takes."""


class RemoteCollection(RemoteSearches):
    """See `OpenCollection`.

    Args:
        address: of the service.
        name: of the collection.
        key: of the service, or None.
        timeout: seconds for one call.
        max_pixels: larger pictures are refused before they are sent, where that can be told without decoding them.
    """

    @property
    def service_jobs(self) -> ServiceJobs:  # noqa: D102
        from .service_jobs import ServiceJobs

        return ServiceJobs(self._service)

    def manifests(self) -> dict[str, Manifest]:  # noqa: D102
        what = f"a manifest that service {self.location!r} sends"
        listed = self._service.get("/collections")["collections"]
        return {facts["name"]: Manifest.from_json(facts["manifest"], what) for facts in listed}

    def duplicates(  # noqa: D102
        self,
        where: Where | None,
        min_score: float,
        min_confidence: float,
        on_progress: Callable[[int], None] | None,
    ) -> list[DuplicateGroup]:
        from semblant_search.duplicates import DuplicatesInterrupted

        from .parsing import duplicate_group_of

        asked = {
            "collection": self._name,
            "where": where_text(where),
            "min_score": min(1.0, min_score + SCORE_TOLERANCE),
            "min_confidence": min_confidence,
            "wait": min(_WAIT, self._service.timeout / 2),
        }
        read = 0
        try:
            while "groups" not in (told := self._service.send("POST", "/duplicates", asked)):
                read = told["pictures_read"]
                if on_progress is not None:
                    on_progress(read)
                asked["ticket"] = told["ticket"]
        except KeyboardInterrupt:
            raise DuplicatesInterrupted((), "reading", read) from None
        return [duplicate_group_of(group) for group in told["groups"]]

    def count(self, where: Where | None) -> int:  # noqa: D102
        return int(self._service.send("POST", "/count", {"collection": self._name, "where": where_text(where)})["count"])

    def facet(self, field: str, where: Where | None, limit: int) -> dict[Any, int]:  # noqa: D102
        asked = {"collection": self._name, "field": field, "where": where_text(where), "limit": limit}
        return {one["value"]: one["count"] for one in self._service.send("POST", "/facets", asked)["values"]}

    def thumbnail(self, picture: Picture, side: int) -> bytes:  # noqa: D102
        return self._service.get_picture(f"/pictures/{picture.id}/thumbnail", size=side, collection=self._name)

    def page(self, listing: Listing, limit: int, cursor: str | None) -> PicturePage:  # noqa: D102
        wanted = check_limit(limit)
        pictures: list[Picture] = []
        while True:
            asked = {
                "collection": self._name,
                "where": where_text(listing.where),
                "limit": min(self._at_once(), wanted - len(pictures)),
                "order_by": None if listing.order_by is None else listing.order_by.field,
                "descending": listing.order_by is not None and listing.order_by.descending,
                "cursor": cursor,
                "with_vectors": listing.with_vectors,
            }
            answer = self._service.send("POST", "/pictures/list", asked)
            pictures += map(picture_of, answer["pictures"])
            cursor = answer.get("cursor")
            if cursor is None or len(pictures) >= wanted:
                return PicturePage(pictures, cursor)

    def pictures(self, listing: Listing) -> Iterator[Picture]:  # noqa: D102
        together = self._at_once()
        first = self.page(listing, together, None)  # bad arguments raise now

        def go_on() -> Iterator[Picture]:
            page = first
            yield from page.pictures
            while page.cursor is not None:
                page = self.page(listing, together, page.cursor)
                yield from page.pictures

        return go_on()

    def delete(self, names: Sequence[str | os.PathLike[str]] | None, where: Where | None) -> int:  # noqa: D102
        if names is None:
            asked = {"collection": self._name, "where": where_text(where)}
            return int(self._service.send("POST", "/pictures/delete", asked, once=True)["count"])
        parts = range(0, max(1, len(names)), _CHANGED_TOGETHER)
        return sum(self._delete(names[start : start + _CHANGED_TOGETHER]) for start in parts)

    def _delete(self, names: Sequence[str | os.PathLike[str]], tries: int = 5) -> int:
        found = self.get_many(names, with_vectors=False)
        ids = list(dict.fromkeys(picture.id for picture in found if picture is not None))
        try:
            asked = {"collection": self._name, "pictures": ids}
            return int(self._service.send("POST", "/pictures/delete", asked, once=True)["count"])
        except PointNotFound:  # somebody else has deleted one of them since; none was
            if tries == 1:
                raise
        return self._delete(names, tries - 1)

    def update_metadata(  # noqa: D102
        self,
        names: Sequence[str | os.PathLike[str]] | None,
        where: Where | None,
        metadata: Mapping[str, Any],
        *,
        replace: bool,
    ) -> int:
        _check_finite(metadata)
        asked: dict[str, Any] = {"collection": self._name, "metadata": metadata, "replace": replace}
        if names is None:
            return int(self._service.send("PATCH", "/pictures", {**asked, "where": where_text(where)})["count"])
        found = self.get_many(names, with_vectors=False)
        for name, picture in zip(names, found, strict=True):
            if picture is None:
                raise not_found(self._name, name)
        ids = list(dict.fromkeys(picture.id for picture in found if picture is not None))
        parts = [ids[start : start + _CHANGED_TOGETHER] for start in range(0, max(1, len(ids)), _CHANGED_TOGETHER)]
        return sum(int(self._service.send("PATCH", "/pictures", {**asked, "pictures": part})["count"]) for part in parts)

    def add_many(self, items: Iterable[object], on_error: OnError) -> list[Any]:  # noqa: D102
        from semblant_search.writing.adding import as_new_picture

        answers: list[Any] = []
        for number, item in enumerate(items):
            try:
                answers.append(self._add(*as_new_picture(item)))
            except ITEM_ERRORS as error:
                named = in_place(error, number)
                if on_error == "raise":
                    raise named from error
                answers.append(named)
        return answers

    def sources(self) -> list[SourceSummary]:  # noqa: D102
        return [source_of(one) for one in self._service.get("/sources", collection=self._name)["sources"]]

    def remove_source(self, name: str | os.PathLike[str]) -> Released:  # noqa: D102
        from semblant_search.writing.shared_pictures import Released

        told = self._service.send("POST", "/sources/remove", {"collection": self._name, "name": _root_of(name)}, once=True)
        return Released(told["deleted"], told["kept"])

    def rename_source(self, name: str | os.PathLike[str], new: str) -> SourceSummary:  # noqa: D102
        asked = {"collection": self._name, "name": _root_of(name), "new_name": new}
        return source_of(self._service.send("POST", "/sources/rename", asked, once=True))

    def relocate_source(  # noqa: D102
        self, name: str | os.PathLike[str], root: str | os.PathLike[str], *, check: bool, dry_run: bool
    ) -> Relocation:
        asked = {
            "collection": self._name,
            "name": _root_of(name),
            "root": os.fspath(root) if isinstance(root, os.PathLike) else root,
            "check": check,
            "dry_run": dry_run,
        }
        return relocation_of(self._service.send("POST", "/sources/relocate", asked))

    def _add(self, picture: ImageSource, metadata: Any, uri: str | os.PathLike[str] | None) -> Picture:
        from semblant_search.writing.adding import checked_uri
        from semblant_search.writing.values import as_json

        values, name = as_json(metadata), checked_uri(uri)
        if name is None and isinstance(picture, (str, os.PathLike)):
            check_name(picture)
            name = canonical_uri(picture if isinstance(picture, str) else Path(picture))
            if uri_path(name) is None:
                raise InvalidInput(f"{shown_name(picture)}: is a URL; read it, and give its bytes with uri=…")
        fields = [("collection", self._name)] + ([] if name is None else [("uri", name)])
        answer = self._service.upload(
            "/pictures", [self._sender.bytes_of(picture)], [*fields, ("metadata", json.dumps(values))]
        )
        added = answer["pictures"][0]
        if "code" in added:
            raise error_of(added, added["code"], added["detail"].removeprefix("pictures[0]: "))
        return picture_of(added)


def _check_finite(metadata: Mapping[str, Any]) -> None:
    """Raise `MetadataError`, as the database's client does, for numbers that no JSON holds."""
    for name, value in metadata.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, float) and not math.isfinite(one):
                raise MetadataError(f"metadata field {name!r}: {shown(one)} is not a value of type float")


def _root_of(name: str | os.PathLike[str]) -> str:
    """A source as the service is to look for it: what is a path is one of this machine and this folder."""
    place = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(place, str) or (place is name and ("/" not in place or "://" in place)):
        return place  # what is none at all, the service says
    return canonical_uri(Path(place))
