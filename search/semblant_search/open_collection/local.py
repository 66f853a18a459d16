"""A collection whose database this process has open: each call works on one generation, from its beginning to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semblant_search.querying.answers import by_details, by_look, fused, in_groups
from semblant_search.querying.batches import search_many
from semblant_search.querying.examples import by_context, by_examples
from semblant_search.querying.listing import page_of, pictures_by_name, pictures_of
from semblant_search.querying.previews import preview_of
from semblant_search.querying.requests import check_vector
from semblant_search.querying.selection import select
from semblant_search.serving import Serving
from semblant_search.store import Nearest
from semblant_search.writing import changing, relocating, source_changes
from semblant_search.writing.adding import add_many

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
    from semblant_search.serving import Generation, Settings
    from semblant_search.store import Database, SearchRequest
    from semblant_search.where import Where
    from semblant_search.writing.relocating import Relocation
    from semblant_search.writing.shared_pictures import Released
    from semblant_search.writing.source_changes import SourceSummary

__all__ = ["LocalCollection"]


class LocalCollection:
    """See `OpenCollection`.

    Args:
        database: where the collection is.
        name: its name.
        settings: of the client.
        refresh: as in `Serving`.
        owns_database: whether the database is closed with it.
    """

    def __init__(self, database: Database, name: str, settings: Settings, *, refresh: float, owns_database: bool) -> None:
        self._database, self._name = database, name
        self._max_pixels = settings.max_pixels
        self._owns_database = owns_database
        try:
            self.serving = Serving(database, name, settings, refresh=refresh)
        except BaseException:
            if owns_database:
                database.close()
            raise

    @property
    def location(self) -> str:  # noqa: D102
        return self._database.location

    @property
    def closed(self) -> bool:  # noqa: D102
        return self.serving.closed

    @property
    def service_jobs(self) -> None:
        """None: this process is no service."""
        return

    def close(self) -> None:  # noqa: D102
        self.serving.close()
        if self._owns_database:
            self._database.close()

    def manifest(self) -> Manifest:  # noqa: D102
        return self.serving.call(lambda generation: generation.manifest)

    def manifests(self) -> dict[str, Manifest]:  # noqa: D102
        with self.serving.current():
            return self._database.manifests()

    def by_look(  # noqa: D102
        self,
        picture: ImageSource,
        request: SearchRequest,
        region: Region | None,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]:
        return self.serving.call(
            lambda generation: by_look(generation, picture, request, region, selection, include_self=include_self)
        )

    def by_look_each(  # noqa: D102
        self, pictures: Iterable[ImageSource], asked: Asked, *, include_self: bool, on_error: OnError
    ) -> list[Any]:
        return list(search_many(self.serving, pictures, asked, include_self=include_self, on_error=on_error))

    def by_vector(  # noqa: D102
        self, vector: np.ndarray | Sequence[float], request: SearchRequest, selection: Selection
    ) -> list[Hit]:
        def ask(generation: Generation) -> list[Hit]:
            query = Nearest(check_vector(vector, generation.manifest))
            return select(generation, request.asking(query), selection)

        return self.serving.call(ask)

    def by_details(  # noqa: D102
        self, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
    ) -> list[FeatureHit]:
        return self.serving.call(
            lambda generation: by_details(generation, picture, request, details, include_self=include_self)
        )

    def fused(  # noqa: D102
        self, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
    ) -> list[FeatureHit]:
        return self.serving.call(lambda generation: fused(generation, picture, request, details, include_self=include_self))

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
        return self.serving.call(
            lambda generation: by_examples(generation, like, unlike, strategy, request, selection, include_self=include_self)
        )

    def by_context(  # noqa: D102
        self,
        target: Given,
        context: Sequence[tuple[Given, Given]],
        request: SearchRequest,
        selection: Selection,
        *,
        include_self: bool,
    ) -> list[Hit]:
        return self.serving.call(
            lambda generation: by_context(generation, target, context, request, selection, include_self=include_self)
        )

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
        return self.serving.call(
            lambda generation: in_groups(generation, picture, request, group_by, group_size, fpr=fpr, include_self=include_self)
        )

    def duplicates(  # noqa: D102
        self,
        where: Where | None,
        min_score: float,
        min_confidence: float,
        on_progress: Callable[[int], None] | None,
    ) -> list[DuplicateGroup]:
        from semblant_search.duplicates import find_duplicates

        with self.serving.current() as generation:
            return find_duplicates(
                generation.store,
                None if generation.manifest.orb is None else lambda: generation.features,
                where=where,
                min_score=min_score,
                min_confidence=min_confidence,
                max_pixels=self._max_pixels,
                on_progress=on_progress,
            )

    def embed(self, pictures: Iterable[ImageSource]) -> np.ndarray:  # noqa: D102
        with self.serving.current() as generation:
            return generation.encoder.load().encode_pictures(pictures, max_pixels=self._max_pixels)

    def count(self, where: Where | None) -> int:  # noqa: D102
        return self.serving.call(lambda generation: generation.store.count(where))

    def facet(self, field: str, where: Where | None, limit: int) -> dict[Any, int]:  # noqa: D102
        return self.serving.call(lambda generation: generation.store.facet(field, where=where, limit=limit))

    def get_many(  # noqa: D102
        self, names: Sequence[str | os.PathLike[str]], *, with_vectors: bool
    ) -> list[Picture | None]:
        return self.serving.call(lambda generation: pictures_by_name(generation.store, names, with_vectors=with_vectors))

    def thumbnail(self, picture: Picture, side: int) -> bytes:  # noqa: D102
        return self.serving.call(lambda generation: preview_of(generation.store, picture, side, self._max_pixels))

    def page(self, listing: Listing, limit: int, cursor: str | None) -> PicturePage:  # noqa: D102
        return self.serving.call(lambda generation: page_of(generation, listing, limit, cursor))

    def pictures(self, listing: Listing) -> Iterator[Picture]:  # noqa: D102
        self.serving.call(lambda generation: pictures_of(generation.store, listing))  # bad arguments raise now
        return self._pictures(listing)

    def _pictures(self, listing: Listing) -> Iterator[Picture]:
        with self.serving.current() as generation:
            yield from pictures_of(generation.store, listing)

    def delete(self, names: Sequence[str | os.PathLike[str]] | None, where: Where | None) -> int:  # noqa: D102
        counts: list[int] = []

        def make(generation: Generation) -> int:
            counts.append(changing.delete(generation, names, where))
            return max(counts)  # what began to serve meanwhile may have been made after the first time, without them

        return self.serving.change(make)

    def update_metadata(  # noqa: D102
        self,
        names: Sequence[str | os.PathLike[str]] | None,
        where: Where | None,
        metadata: Mapping[str, Any],
        *,
        replace: bool,
    ) -> int:
        return self.serving.change(
            lambda generation: changing.update_metadata(generation, names, where, metadata, replace=replace)
        )

    def add_many(self, items: Iterable[object], on_error: OnError) -> list[Any]:  # noqa: D102
        return list(add_many(self.serving, items, self._max_pixels, on_error))

    def sources(self) -> list[SourceSummary]:  # noqa: D102
        return self.serving.call(source_changes.summaries)

    def remove_source(self, name: str | os.PathLike[str]) -> Released:  # noqa: D102
        with self._database.claim_opened(self._name):
            return self.serving.change(lambda generation: source_changes.remove_source(generation, name))

    def relocate_source(  # noqa: D102
        self, name: str | os.PathLike[str], root: str | os.PathLike[str], *, check: bool, dry_run: bool
    ) -> Relocation:
        with self._database.claim_opened(self._name):
            return self.serving.change(
                lambda generation: relocating.relocate_source(generation, name, root, check=check, dry_run=dry_run)
            )

    def rename_source(self, name: str | os.PathLike[str], new: str) -> SourceSummary:  # noqa: D102
        with self._database.claim_opened(self._name):
            return self.serving.change(lambda generation: source_changes.rename_source(generation, name, new))
