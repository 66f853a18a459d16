"""Searches of a collection behind a Semblant service."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from semblant_search.collection import Manifest
from semblant_search.errors import ImageError
from semblant_search.images.sources import buffered
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.querying.resolving import id_of, name_as_uri

from .http import NoSuchAddressError, ServiceConnection
from .parsing import feature_hit_of, group_of, hit_of, picture_of
from .sending import PictureQuery, PictureSender, region_values, request_values, selection_values, vector_values

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from semblant_search.images import ImageSource
    from semblant_search.querying.answers import Details
    from semblant_search.querying.batches import Asked, OnError
    from semblant_search.querying.examples import Given
    from semblant_search.querying.regions import Region
    from semblant_search.querying.selection import Selection
    from semblant_search.results import FeatureHit, Hit, HitGroup, Picture
    from semblant_search.store import SearchRequest

__all__ = ["RemoteSearches"]

_PAGE = 1000
"""What is asked for at once, where the service gives as much in one answer."""
_TOGETHER = 16
"""Pictures in one request."""


class RemoteSearches:
    """The half of `RemoteCollection` that searches; see `OpenCollection`.

    Args:
        address: of the service.
        name: of the collection.
        key: of the service, or None.
        timeout: seconds for one call.
        max_pixels: larger pictures are refused before they are sent, where that can be told without decoding them.
    """

    def __init__(self, address: str, name: str, key: str | None, timeout: float, max_pixels: int) -> None:
        self._service = ServiceConnection(address, key, timeout)
        self._name = name
        self._max_pixels = max_pixels
        self._most: int | None = None
        self._sender = PictureSender(self, self._service, name, max_pixels)
        try:
            self.manifest()
        except BaseException:
            self._service.close()
            raise

    @property
    def location(self) -> str:  # noqa: D102
        return self._service.location

    @property
    def closed(self) -> bool:  # noqa: D102
        return self._service.closed

    def close(self) -> None:  # noqa: D102
        self._service.close()

    def manifest(self) -> Manifest:  # noqa: D102
        facts = self._service.get(f"/collections/{quote(self._name, safe='')}")
        return Manifest.from_json(facts["manifest"], f"the manifest that service {self.location!r} sends")

    def get_many(  # noqa: D102
        self, names: Sequence[str | os.PathLike[str]], *, with_vectors: bool
    ) -> list[Picture | None]:
        ids = []
        for number, name in enumerate(names):
            try:
                id = id_of(name)
                ids.append(id if id == str(name).lower() else name_as_uri(name))  # a URI may be another name of a picture
            except ITEM_ERRORS as error:
                raise in_place(error, number) from error
        found: list[Picture | None] = []
        together = self._at_once() if with_vectors else _PAGE
        for start in range(0, len(ids), together):
            asked = {"collection": self._name, "pictures": ids[start : start + together], "with_vectors": with_vectors}
            listed = self._service.send("POST", "/pictures/get", asked)["pictures"]
            found += [None if one is None else picture_of(one) for one in listed]
        return found

    def by_look(  # noqa: D102
        self,
        picture: ImageSource,
        request: SearchRequest,
        region: Region | None,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]:
        options = {**selection_values(selection), **region_values(region)}
        return self._pages(self._sender.resolve(picture), request, options, include_self=include_self)

    def by_look_each(  # noqa: D102
        self, pictures: Iterable[ImageSource], asked: Asked, *, include_self: bool, on_error: OnError
    ) -> list[Any]:
        answers: list[Any] = []
        for number, picture in enumerate(pictures):
            try:
                source = buffered(picture, self._max_pixels)
                answers.append(self.by_look(source, asked.request, asked.region, asked.selection, include_self=include_self))
            except ITEM_ERRORS as error:
                named = in_place(error, number)
                if on_error == "raise":
                    raise named from error
                answers.append(named)
        return answers

    def by_vector(  # noqa: D102
        self, vector: np.ndarray | Sequence[float], request: SearchRequest, selection: Selection
    ) -> list[Hit]:
        options: dict[str, Any] = {"vector": vector_values(vector, self.manifest()), **selection_values(selection)}
        if request.ef_search is not None:
            options["ef_search"] = request.ef_search
        return self._pages(PictureQuery(), request, options, include_self=True)

    def by_details(  # noqa: D102
        self, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
    ) -> list[FeatureHit]:
        options = {"verify": details.verify, "min_confidence": details.min_confidence, **region_values(details.region)}
        return self._proofs("/search/features", picture, request, details, options, include_self=include_self)

    def fused(  # noqa: D102
        self, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
    ) -> list[FeatureHit]:
        return self._proofs("/search/fused", picture, request, details, {}, include_self=include_self)

    def by_examples(  # noqa: D102
        self,
        like: Sequence[Given],
        unlike: Sequence[Given],
        strategy: str,
        request: SearchRequest,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]:
        examples = self._sender.examples([*like, *unlike])
        options = {
            "like": examples[: len(like)],
            "unlike": examples[len(like) :],
            "strategy": strategy,
            **selection_values(selection),
        }
        return self._pages(PictureQuery(), request, options, include_self=include_self, of_itself=True)

    def by_context(  # noqa: D102
        self,
        target: Given,
        context: Sequence[tuple[Given, Given]],
        request: SearchRequest,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]:
        first, *others = self._sender.examples([target, *(one for pair in context for one in pair)])
        pairs = [{"positive": one, "negative": other} for one, other in zip(others[::2], others[1::2], strict=True)]
        options = {"target": first, "context": pairs, **selection_values(selection)}
        return self._pages(PictureQuery(), request, options, include_self=include_self, of_itself=True)

    def in_groups(  # noqa: D102
        self,
        picture: ImageSource,
        request: SearchRequest,
        group_by: str,
        group_size: int,
        *,
        fpr: float | None,
        include_self: bool,
    ) -> list[HitGroup]:
        query = self._sender.resolve(picture)
        options: dict[str, Any] = {"group_by": group_by, "group_size": group_size}
        if fpr is not None:
            options["fpr"] = fpr
        return [
            group_of(group)
            for answer in self._answers(query, request, options, include_self=include_self)
            for group in answer["groups"]
        ]

    def embed(self, pictures: Iterable[ImageSource]) -> np.ndarray:  # noqa: D102
        numbered, rows = enumerate(pictures), []
        while chunk := list(islice(numbered, _TOGETHER)):
            sent = []
            for number, picture in chunk:
                try:
                    sent.append(self._sender.bytes_of(picture))
                except ITEM_ERRORS as error:
                    raise in_place(error, number) from error
            try:
                rows += self._service.upload("/embed", sent, [("collection", self._name)])["embeddings"]
            except ImageError as error:
                raise _at(error, chunk[0][0]) from error
        return np.array(rows, dtype=np.float32).reshape(len(rows), -1 if rows else self.manifest().dim)

    def _at_once(self) -> int:
        """Hits or pictures that one answer of the service may hold."""
        if self._most is None:
            try:
                self._most = max(1, int(self._service.get("/about")["max_limit"]))
            except NoSuchAddressError:  # of a version that does not say so
                self._most = _PAGE
        return min(_PAGE, self._most)

    def _pages(
        self,
        query: PictureQuery,
        request: SearchRequest,
        options: Mapping[str, Any],
        *,
        include_self: bool,
        of_itself: bool = False,
    ) -> list[Hit]:
        answers = self._answers(query, request, options, include_self=include_self, of_itself=of_itself)
        return [hit_of(hit) for answer in answers for hit in answer["hits"]]

    def _answers(
        self,
        query: PictureQuery,
        request: SearchRequest,
        options: Mapping[str, Any],
        *,
        include_self: bool,
        of_itself: bool = False,
        path: str = "/search",
    ) -> Iterator[Any]:
        """As many as it takes for the limit.

        Args:
            query: what is looked for, where it is one picture.
            options: beside those of the request.
            include_self: keep the queried picture.
            of_itself: what is looked for is in the options, and can be pictures of the collection.
            path: what is asked.
        """
        left, offset = request.limit, request.offset
        together = max(1, self._at_once() // options.get("group_size", 1))
        named = query.id is not None or of_itself
        while left > 0:
            asked = {
                **request_values(request, query, include_self=include_self),
                **({"include_self": include_self} if named else {}),
                **{name: value for name, value in options.items() if value is not None},
                "collection": self._name,
                "limit": min(left, together),
                "offset": offset,
            }
            answer = self._send(path, query, asked)
            yield answer
            found = len(answer.get("groups") or answer["hits"])
            if found < min(left, together):
                return
            left, offset = left - found, offset + found

    def _proofs(
        self,
        path: str,
        picture: ImageSource,
        request: SearchRequest,
        details: Details,
        options: Mapping[str, Any],
        *,
        include_self: bool,
    ) -> list[FeatureHit]:
        query = self._sender.resolve(picture)
        more = {**options, "shared_parts": details.shared_parts, "pairs": True}
        answers = self._answers(query, request, more, include_self=include_self, path=path)
        return [feature_hit_of(hit) for answer in answers for hit in answer["hits"]]

    def _send(self, path: str, query: PictureQuery, asked: Mapping[str, Any]) -> Any:
        if query.data is None:
            return self._service.send("POST", path, {**asked, **({} if query.id is None else {"id": query.id})})
        fields = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in asked.items()]
        return self._service.upload(path, [query.data], fields)


def _at(error: ImageError, start: int) -> ImageError:
    """An error that names its place among some pictures, with that among all."""
    text = str(error)
    place, colon, rest = text.partition("]: ")
    if not colon or not place.startswith("pictures[") or not place[9:].isdecimal():
        return error
    index = start + int(place[9:])
    return ImageError(f"pictures[{index}]: {rest}", reason=error.reason, index=index)
