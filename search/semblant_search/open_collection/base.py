"""What there is to ask of an open collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from semblant_search.collection import Manifest
    from semblant_search.duplicates import DuplicateGroup
    from semblant_search.images import ImageSource
    from semblant_search.querying.answers import Details
    from semblant_search.querying.batches import Asked, OnError
    from semblant_search.querying.examples import Given
    from semblant_search.querying.listing import Listing
    from semblant_search.querying.regions import Region
    from semblant_search.querying.selection import Selection
    from semblant_search.results import FeatureHit, Hit, HitGroup, Picture, PicturePage
    from semblant_search.store import SearchRequest
    from semblant_search.where import Where
    from semblant_search.writing.relocating import Relocation
    from semblant_search.writing.shared_pictures import Released
    from semblant_search.writing.source_changes import SourceSummary

    from .service_jobs import ServiceJobs

__all__ = ["OpenCollection"]


class OpenCollection(Protocol):
    """Thread-safe. What each method is for, and what it raises, is said by the method of `SearchClient` that calls it."""

    @property
    def location(self) -> str:
        """Where it is, for messages; without secrets."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it answers no more."""
        ...

    @property
    def service_jobs(self) -> ServiceJobs | None:
        """Its jobs, where it is behind a service."""
        ...

    def close(self) -> None:
        """Answer no more. Closing twice is no error."""
        ...

    def manifest(self) -> Manifest: ...  # noqa: D102

    def manifests(self) -> dict[str, Manifest]:
        """Of all collections of the database."""
        ...

    def by_look(  # noqa: D102
        self,
        picture: ImageSource,
        request: SearchRequest,
        region: Region | None,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]: ...

    def by_look_each(
        self, pictures: Iterable[ImageSource], asked: Asked, *, include_self: bool, on_error: OnError
    ) -> list[Any]:
        """`by_look` of each picture, or its error."""
        ...

    def by_vector(  # noqa: D102
        self, vector: np.ndarray | Sequence[float], request: SearchRequest, selection: Selection
    ) -> list[Hit]: ...

    def by_details(  # noqa: D102
        self, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
    ) -> list[FeatureHit]: ...

    def fused(  # noqa: D102
        self, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
    ) -> list[FeatureHit]: ...

    def by_examples(  # noqa: D102
        self,
        like: Sequence[Given],
        unlike: Sequence[Given],
        strategy: str,
        request: SearchRequest,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]: ...

    def by_context(  # noqa: D102
        self,
        target: Given,
        context: Sequence[tuple[Given, Given]],
        request: SearchRequest,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]: ...

    def in_groups(  # noqa: D102
        self,
        picture: ImageSource,
        request: SearchRequest,
        group_by: str,
        group_size: int,
        *,
        fpr: float | None,
        include_self: bool,
    ) -> list[HitGroup]: ...

    def duplicates(  # noqa: D102
        self,
        where: Where | None,
        min_score: float,
        min_confidence: float,
        on_progress: Callable[[int], None] | None,
    ) -> list[DuplicateGroup]: ...

    def embed(self, pictures: Iterable[ImageSource]) -> np.ndarray: ...  # noqa: D102

    def count(self, where: Where | None) -> int: ...  # noqa: D102

    def facet(self, field: str, where: Where | None, limit: int) -> dict[Any, int]: ...  # noqa: D102

    def get_many(  # noqa: D102
        self, names: Sequence[str | os.PathLike[str]], *, with_vectors: bool
    ) -> list[Picture | None]: ...

    def thumbnail(self, picture: Picture, side: int) -> bytes:
        """A WebP of `side` pixels at most, one of `THUMBNAIL_SIDES`."""
        ...

    def page(self, listing: Listing, limit: int, cursor: str | None) -> PicturePage:
        """Some pictures of a listing, from a cursor on."""
        ...

    def pictures(self, listing: Listing) -> Iterator[Picture]:
        """All pictures of a listing. Bad arguments raise at the call."""
        ...

    def delete(self, names: Sequence[str | os.PathLike[str]] | None, where: Where | None) -> int: ...  # noqa: D102

    def update_metadata(  # noqa: D102
        self,
        names: Sequence[str | os.PathLike[str]] | None,
        where: Where | None,
        metadata: Mapping[str, Any],
        *,
        replace: bool,
    ) -> int: ...

    def add_many(self, items: Iterable[object], on_error: OnError) -> list[Any]:
        """Each picture as it is in the collection now, or its error."""
        ...

    def sources(self) -> list[SourceSummary]: ...  # noqa: D102

    def remove_source(self, name: str | os.PathLike[str]) -> Released: ...  # noqa: D102

    def relocate_source(  # noqa: D102
        self, name: str | os.PathLike[str], root: str | os.PathLike[str], *, check: bool, dry_run: bool
    ) -> Relocation: ...

    def rename_source(self, name: str | os.PathLike[str], new: str) -> SourceSummary: ...  # noqa: D102
