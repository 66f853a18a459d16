"""Whether pictures that a source no longer names may be deleted: only after a complete scan, and no more than a share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sources.remembered import SELECTION, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.sources import SourceRecord

    from .job import IndexJob
    from .sources import Source

__all__ = ["incomplete", "kept_though_bad", "unprunable"]


def kept_though_bad(uris: Sequence[str]) -> list[str]:
    """A note on pictures that stay, though their files hold no picture any more; none where there are none."""
    if not uris:
        return []
    some = (
        "1 indexed picture has a file that holds" if len(uris) == 1 else f"{len(uris):,} indexed pictures have files that hold"
    )
    return [f"{some} no picture any more, such as {uris[0]!r}; what was indexed of them stays, and --prune removes it"]


def incomplete(source: Source, record: SourceRecord, job: IndexJob) -> str | None:
    """Why what the scan did not find may be there all the same; None after a complete one."""
    if source.incomplete:
        more = f", and {len(source.incomplete) - 1} more" if len(source.incomplete) > 1 else ""
        return f"the source was not seen completely: {source.incomplete[0]}{more}"
    wanted = settings_of(job)
    changed = [name for name in SELECTION if record.settings.get(name, wanted[name]) != wanted[name]]
    if record.scanned_at is not None and changed:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        return f"{options}: others than the last time, which may leave out pictures that are there; they count from now on"
    return None


def unprunable(source: Source, record: SourceRecord, job: IndexJob, *, removed: int, bad: int, before: int) -> str | None:
    """Why pictures that are gone are not to be deleted; None where they may be.

    Args:
        source, record, job: what was scanned, what the collection remembers of it, and what is to be done.
        removed: how many pictures of the source have a point, but are gone.
        bad: how many of these have a file still, which holds no picture any more.
        before: how many had a point when the job began.
    """
    if removed == 0:
        return None
    turned = f" ({bad:,} of them have files that hold no picture any more)" if bad else ""
    begin = f"--prune removed nothing of {removed:,} pictures that are gone{turned}: "
    reason = incomplete(source, record, job)
    if reason is not None:
        return begin + reason
    if record.scanned_at is None:
        return begin + "the collection remembers no complete scan of this source yet, as of this run it does; run it again"
    if removed > job.prune_limit * before:
        share = removed / max(1, before)
        enough = next((percent for percent in range(100) if removed <= percent / 100 * before), 100)
        return (
            f"{begin}they are {share:.0%} of the source's {before:,} pictures, and the limit is {job.prune_limit:.0%}; where "
            f"they are to go, run it again with --prune-limit {enough}"
        )
    return None
