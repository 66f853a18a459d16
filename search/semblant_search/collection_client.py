"""A client of one collection, before it is searched: opening, following, reading and changing what it holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn, cast

from .collection import check_collection_name
from .encoder import Encoder, check_runtime, encoder_name
from .errors import InvalidInput
from .images import DEFAULT_MAX_PIXELS
from .images.small import thumbnail_side
from .images.sources import buffered, is_single
from .item_errors import ITEM_ERRORS, in_place
from .open_collection import LocalCollection
from .querying.batches import check_on_error
from .querying.listing import listing_of
from .querying.requests import (
    check_field,
    check_limit,
    check_max_pixels,
    check_refresh,
    check_several,
    check_switches,
    check_timeout,
)
from .querying.resolving import check_name, id_of, not_found
from .serving import Settings
from .shown import shown_name
from .store import Database, open_database
from .where import as_where
from .writing.values import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from qdrant_client import QdrantClient
    from typing_extensions import Self

    from .collection import Manifest
    from .images import ImageSource
    from .open_collection import OpenCollection
    from .querying.batches import OnError
    from .results import Picture, PicturePage
    from .store import RetryPolicy
    from .where import Where
    from .writing.adding import NewPicture
    from .writing.relocating import Relocation
    from .writing.shared_pictures import Released
    from .writing.source_changes import SourceSummary

__all__ = ["CollectionClient"]


class CollectionClient:
    """One collection, open. `SearchClient`, which says what the arguments are, searches it."""

    def __init__(
        self,
        db: str | os.PathLike[str] | QdrantClient | Database,
        encoder: str | os.PathLike[str] | bytes | Encoder | None = None,
        collection: str = "images",
        api_key: str | None = None,
        timeout: float = 30.0,
        *,
        retry: RetryPolicy | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        refresh: float = 2.0,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
    ) -> None:
        check_collection_name(collection)
        refresh = check_refresh(refresh)
        timeout = check_timeout(timeout)
        self._max_pixels = check_max_pixels(max_pixels)
        check_runtime(threads, providers)
        if encoder is not None and not isinstance(encoder, Encoder):
            encoder_name(encoder)
        settings = Settings(encoder, self._max_pixels, threads, None if providers is None else tuple(providers))
        if (service := service_address(db)) is not None:
            if encoder is not None or retry is not None or threads is not None or providers is not None:
                raise InvalidInput("encoder, retry, threads and providers: are the service's own; leave them out")
            from .open_collection.remote import RemoteCollection

            self._name = collection
            self._collection: OpenCollection = RemoteCollection(service, collection, api_key, timeout, self._max_pixels)
            return
        database = db if isinstance(db, Database) else open_database(db, api_key=api_key, timeout=timeout, retry=retry)
        self._name = collection
        self._collection = LocalCollection(database, collection, settings, refresh=refresh, owns_database=database is not db)

    def __repr__(self) -> str:
        if self._collection.closed:
            return f"{type(self).__name__}(closed)"
        return f"{type(self).__name__}({self._collection.location!r}, collection={self._name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be copied or sent to another process; make one there, with the same arguments")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release the database; the client answers nothing afterwards. Closing twice is no error."""
        self._collection.close()

    @property
    def manifest(self) -> Manifest:
        """What the collection knows about itself: its encoder's card, its fields and their types, its ORB settings."""
        return self._collection.manifest()

    def count(self, where: str | Where | None = None) -> int:
        """How many pictures match a filter, exactly; all without one."""
        return self._collection.count(as_where(where))

    def facet(self, field: str, *, where: str | Where | None = None, limit: int = 100) -> dict[Any, int]:
        """The values of a field with the number of pictures that have each, most frequent first, at most `limit` values."""
        chosen, most = as_where(where), check_limit(limit)
        check_field("field", field)
        return self._collection.facet(field, chosen, most)

    def collections(self) -> dict[str, Manifest]:
        """All collections of the database, by name, each with what it knows about itself. Opens none of them."""
        return self._collection.manifests()

    def get(self, picture: str | os.PathLike[str], *, with_vectors: bool = False) -> Picture:
        """One picture of the collection by URI, path or point id. Raises `PointNotFound`."""
        check_switches(with_vectors=with_vectors)
        id_of(picture)  # raises for what is no name
        found = self._collection.get_many([picture], with_vectors=with_vectors)[0]
        if found is None:
            raise not_found(self._name, picture)
        return found

    def thumbnail(self, picture: str | os.PathLike[str], *, size: int = 256) -> bytes:
        """A small copy of a picture of the collection, as a WebP: upright, with transparency where it has some.

        It is made of the picture's file where that is as it was indexed. Of one that was added without a file a service gives
        what it made then; without a service it is the grey one that is kept beside the details.

        Args:
            picture: its URI, path or point id.
            size: least pixels of the longer side, up to 1,024; the next of 64, 128, 256, 512 and 1,024 is taken. Nothing is
                enlarged.

        Raises:
            PointNotFound: there is no such picture.
            ImageError: its file is gone, is another one by now, or may not be opened (`reason` is `missing`).
        """
        side = thumbnail_side(size)
        return self._collection.thumbnail(self.get(picture), side)

    def get_many(self, pictures: Iterable[str | os.PathLike[str]], *, with_vectors: bool = False) -> list[Picture | None]:
        """Pictures of the collection by URI, path or point id, in their order; None for each that is not there.

        Args:
            with_vectors: give each its embedding, too, as `Picture.vector`.
        """
        check_several(pictures, "get_many")
        check_switches(with_vectors=with_vectors)
        return self._collection.get_many(list(pictures), with_vectors=with_vectors)

    def scroll(
        self,
        limit: int = 100,
        *,
        where: str | Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        cursor: str | None = None,
        with_vectors: bool = False,
    ) -> PicturePage:
        """A page of the collection's pictures, and the cursor of the next page. A late page takes no longer than the first.

        A cursor stays good while the collection changes, and when it is rebuilt: what is there all the time comes once. Only
        with vectors it ends with a generation of another encoder, whose vectors are not comparable.

        Args:
            limit: pictures at most, at least 1.
            where: a filter, as in `SearchClient.search`.
            order_by: a field of whole numbers, numbers or dates, ties by id; pictures without a value are left out, one with
                several comes at its lowest (descending: its highest). None: in the order of ids.
            descending: begin with the highest value.
            cursor: that of the page before, asked for with the same arguments but `limit`; None for the first page.
            with_vectors: give each its embedding, too, as `Picture.vector`.

        Raises:
            InvalidInput: a field that has no order; a cursor that is none, or belongs to other arguments.
        """
        listing = listing_of(where, order_by, descending, with_vectors)
        return self._collection.page(listing, limit, cursor)

    def pictures(
        self,
        *,
        where: str | Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        with_vectors: bool = False,
    ) -> Iterator[Picture]:
        """All pictures of the collection, one by one, in bounded memory; of one generation, which is held open meanwhile.

        Args:
            where, order_by, descending, with_vectors: as in `scroll`.

        Raises:
            InvalidInput: at the call. While it is gone through, `CollectionNotFound` where a server's generation was deleted.
        """
        listing = listing_of(where, order_by, descending, with_vectors)
        return self._collection.pictures(listing)

    def delete(self, pictures: Iterable[str | os.PathLike[str]] | None = None, *, where: str | Where | None = None) -> int:
        """Remove pictures from the collection, and say how many of them were in it. The files stay where they are.

        Args:
            pictures: URIs, paths or point ids; or
            where: a filter, which all that are to go match.
        """
        if isinstance(pictures, (str, os.PathLike)):
            raise InvalidInput(f"delete({shown_name(pictures)}): expected a list of pictures, not one")
        wanted, chosen = _chosen("delete", pictures, where)
        return self._collection.delete(wanted, chosen)

    def sources(self) -> list[SourceSummary]:
        """Where the pictures come from: the folders, lists and tar files of index jobs, and `client`, what was added here.

        A picture that several sources hold counts in each.
        """
        return self._collection.sources()

    def remove_source(self, name: str | os.PathLike[str]) -> Released:
        """Forget a source and its pictures; those that another source holds, too, stay. The files stay where they are.

        Args:
            name: its name, its id, or its root: any path or URL of it.

        Returns:
            How many pictures were `deleted`, and how many `kept`.

        Raises:
            InvalidInput: there is no such source.
            StoreLocked: an index job is at work on the collection of a server.
        """
        return self._collection.remove_source(name)

    def rename_source(self, name: str | os.PathLike[str], new: str) -> SourceSummary:
        """Call a source otherwise; its pictures and its root stay as they are.

        Args:
            name: its name, its id, or its root.
            new: 1 to 100 printable characters, which no other source is called by.

        Raises:
            InvalidInput: there is no such source, or the new name cannot be one or is taken.
            StoreLocked: an index job is at work on the collection.
        """
        return self._collection.rename_source(name, new)

    def relocate_source(
        self, name: str | os.PathLike[str], root: str | os.PathLike[str], *, check: bool = True, dry_run: bool = False
    ) -> Relocation:
        """Follow a source whose files moved: its pictures get their new names, and keep their vectors and metadata.

        Where the new root was indexed meanwhile, and is a source itself, that one becomes part of this one: pictures of the
        same relative path and content are one from then on, with the metadata of both (where both say a field, this source's),
        and what only one of them has stays.

        Args:
            name: its name, its id, or its old root.
            root: where its folder, list or tar is now.
            check: read all files there, and rename only pictures whose content is what was indexed.
            dry_run: change nothing, only say what would become of the pictures.

        Raises:
            InvalidInput: no such source; a root that is within the old one; fewer than half of the pictures are there as they
                were; files that cannot be read from here. Nothing is changed.
            StoreLocked: an index job is at work on the collection of a server.
        """
        check_switches(check=check, dry_run=dry_run)
        return self._collection.relocate_source(name, root, check=check, dry_run=dry_run)

    def update_metadata(
        self,
        pictures: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        where: str | Where | None = None,
        replace: bool = False,
    ) -> int:
        """Change the metadata of pictures, and say of how many. Filters know it at once.

        Args:
            pictures: one or more, by URI, path or point id; or
            where: a filter, which all that are to change match.
            metadata: names and values, as in `add`. A field that is named gets its new value, or is deleted where that is
                None; all others stay.
            replace: delete all fields that are not named, too.

        Raises:
            PointNotFound: one of the pictures is not in the collection; none is changed.
            MetadataError: a name that is Semblant's own (`_…`), or a value that does not fit its field; none is changed.
        """
        check_switches(replace=replace)
        several = [pictures] if isinstance(pictures, (str, os.PathLike)) else pictures
        wanted, chosen = _chosen("update_metadata", several, where)
        if metadata is None:
            raise InvalidInput("update_metadata: expected metadata, a mapping of names to values")
        return self._collection.update_metadata(wanted, chosen, as_json(metadata), replace=replace)

    def add(
        self,
        picture: ImageSource,
        metadata: Mapping[str, Any] | None = None,
        uri: str | os.PathLike[str] | None = None,
    ) -> Picture:
        """Add a picture, which is found from then on; one of the same name is replaced, with its metadata.

        It becomes the point that an index job would make of it. It is marked as added (`_sources`): no index job prunes or
        moves it, and one that rebuilds the collection takes it along.

        Args:
            picture: a local path, the bytes of a picture file, an open binary file, a Pillow image, or an array.
            metadata: names and values: text, bool, numbers, `datetime`, lists of these, and places `{"lat": …, "lon": …}`. A
                field that is new gets the type of its first value; whole numbers may go where decimals are, not the reverse,
                and beyond 64 bits they are text. In a directory each new field takes some tenths of a second, the longer the
                more fields there are, in which other changes wait.
            uri: its name, such as `shop://items/17`. None takes the path's, and for a picture without one `sha256://…`, made
                of its content, so that the same content is the same picture.

        Returns:
            The picture as it is in the collection now.

        Raises:
            ImageError: it cannot be read or decoded.
            MetadataError: a name that is Semblant's own (`_…`), or a value that does not fit its field.
            InvalidInput: a URL as the picture, which is to be read by the caller; a `uri` that is none.
            EncoderError: the collection's encoder is not at hand.
            MissingExtra: the collection has details, and OpenCV is not installed (`semblant-search[orb]`).
            StoreError: the database fails.
        """
        item = buffered(picture, self._max_pixels), metadata, uri
        try:
            (added,) = self._collection.add_many([item], "raise")
        except ITEM_ERRORS as error:
            plain = error.__cause__  # the same without its place among one
            raise (plain if isinstance(plain, ITEM_ERRORS) else error) from None
        return cast("Picture", added)

    def add_many(
        self, items: Iterable[NewPicture | tuple[Any, ...] | ImageSource], *, on_error: OnError = "raise"
    ) -> list[Any]:
        """`add` for any number of pictures: each as it is in the collection now, in their order.

        They are read one by one, encoded 16 together and written 64 together, so that memory grows with the answers only.
        Of a new field the first 64 pictures decide the type: decimals, where any of them has some.

        Args:
            items: `NewPicture(picture, metadata, uri)`, such a tuple or its beginning, or pictures.
            on_error: what becomes of an item that cannot be used. `raise` ends the call with an error that begins with its
                place, as `pictures[3]: …`; the items before it are added. `return` puts that error where the item's picture
                would be, and goes on.

        Raises:
            ImageError, InvalidInput: of an item, with `on_error="raise"`; else as `add`.
        """
        check_several(items, "add_many")
        check_on_error(on_error)
        return self._collection.add_many(items, on_error)


def service_address(db: object) -> str | None:
    """The address where `db` is that of a Semblant service, else None."""
    return db if isinstance(db, str) and db.partition("://")[0].lower() in ("semblant", "semblants") else None


def _chosen(
    call: str, pictures: Iterable[Any] | None, where: str | Where | None
) -> tuple[list[str | os.PathLike[str]] | None, Where | None]:
    """Pictures that are named or a filter. Raises `InvalidInput` unless it is exactly one of the two."""
    if (pictures is None) == (where is None):
        raise InvalidInput(f"{call}: expected either pictures or where=…, a filter" + ("" if where is None else "; not both"))
    if pictures is None:
        return None, as_where(where)
    if is_single(pictures):
        raise InvalidInput(f"{call}: expected URIs, paths or point ids, not {type(pictures).__name__}; a filter is where=…")
    names = list(pictures)
    for number, name in enumerate(names):
        try:
            check_name(name)
        except ITEM_ERRORS as error:
            raise in_place(error, number) from error
    return names, None
