"""What a report says beside its numbers: of other sources, and of what the collection cannot do as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.errors import StoreError
from semblant_search.orb import OrbSettings
from semblant_search.shown import shown_name
from semblant_search.where import F

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from semblant_search.store import Store

    from .job import IndexJob
    from .source_run import SourceRun

__all__ = ["leads_to", "of_collection", "of_damaged", "rebuilt_as_well", "skipped"]


def of_collection(store: Store, job: IndexJob, *, built: bool) -> list[str]:
    """Notes on the collection; `built` says whether its search graph is done."""
    return [*_without_details(store, job), *_without_index(store), *_unbuilt(built)]


def of_damaged(damaged: Mapping[str, str], own: str) -> list[str]:
    """Notes on the sources whose records cannot be read; that of the job's `own` source is written anew."""
    anew = f"the record of this source ({own}) was damaged and is written anew: its name and settings are those of this job"
    return [anew if id == own else f"a source is left as it is: {why}" for id, why in damaged.items()]


def leads_to(job: IndexJob, known: IndexJob) -> str:
    """That a job's source is indexed as the one that the collection has of the same folder."""
    return (
        f"{shown_name(job.source)} is the same folder as {shown_name(known.source)}, a source of this collection, and is "
        "indexed as that; to have its pictures a second time, under these names, give it a name of its own (--source NAME)"
    )


def rebuilt_as_well(part: SourceRun) -> str:
    """What became of another source that was rebuilt as well."""
    counts = part.ledger.account()
    account = " + ".join(f"{counts[name]:,} {name}" for name in ("indexed", "unchanged", "duplicate", "failed", "skipped"))
    return f"source {part.record.name!r} was rebuilt as well: found {part.found:,} = {account}"


def skipped(reasons: Mapping[str, Sequence[str]]) -> list[str]:
    """Notes on what was skipped, by what `Ledger.skipped` says of it."""
    return [f"{len(uris):,} skipped, such as {uris[0]!r}: {why}" for why, uris in sorted(reasons.items())]


def _without_details(store: Store, job: IndexJob) -> list[str]:
    """A note where the collection has no details although they were asked for, or its pictures are too small for them."""
    if store.manifest.orb is None:
        ignored = f"collection {job.collection!r} was made without details (--no-orb), and stays so: --rebuild adds them"
        return [] if job.orb is None else [ignored]
    least = OrbSettings.from_json(store.manifest.orb.get("settings")).least_side
    try:
        small, points = store.count((F("_width") < least) & (F("_height") < least)), store.count()
    except StoreError:
        if "_width" in store.index_rest():  # a strict server, which has no room for an index of it
            return []
        raise
    if small == 0:
        return []
    some = f"{small:,} of {points:,} pictures are" if small < points else "all pictures are"
    return [f"{some} smaller than {least} pixels: too small for details, so that only searches by look find them"]


def _without_index(store: Store) -> list[str]:
    """A note where a server had no room for the indexes of all fields."""
    missing = store.index_rest()
    if not missing:
        return []
    shown, more = ", ".join(missing[:8]), f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    return [
        f"{len(missing)} of {len(store.manifest.fields)} fields have no index, because the server allows no more of them in a "
        f"collection (max_payload_index_count of its strict mode): {shown}{more}. Filters by them are slow, or refused where "
        "the server is strict. Allow more and run the job again, or declare what is to be filtered by (--field "
        "NAME:TYPE), which gets its index first, and use --rebuild"
    ]


def _unbuilt(built: bool) -> list[str]:
    """A note where a server was not waited for any longer."""
    if built:
        return []
    return [
        "the server makes no progress with its search graph, which it builds by itself, and was not waited for any longer; "
        "searches are slower until it is done (is it busy, or are its optimizers off?)"
    ]
