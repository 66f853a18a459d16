"""What a run tells, while it runs and at its end."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Failure", "IndexReport", "Progress"]

FORMAT_VERSION = 1
"""Of the report as JSON."""


@dataclass(frozen=True)
class Failure:
    """A picture that could not be used: its URI, a short stable code, and a sentence."""

    uri: str
    reason: str
    message: str


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        phase: `scan`, `vocabulary`, `index`, `optimize` or `done`.
        total: pictures that the run has to look at.
        done: of these, finished ones.
        failed: of these, failed ones.
        seconds: since the phase began.
        busy: for each stage (`decode`, `encode`, `write`) the share of time that it has been at work, 0–1.
    """

    phase: str
    total: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class IndexReport:
    """The account of a run: `found` = `indexed` + `unchanged` + `duplicate` + `failed` + `accepted` + `skipped`.

    Attributes:
        source, source_name, db, collection, generation, encoder: what was indexed into what; `encoder` is the fingerprint.
        found: items that the source yielded.
        indexed: pictures whose points were written by this run.
        unchanged: pictures that were indexed before and are as they were.
        duplicate: pictures that are byte for byte another one and have no point of their own.
        failed: pictures that cannot be used, those of earlier runs included.
        accepted: pictures that cannot be used, as somebody has accepted (`semblant failures accept`), and that did not change.
        skipped: items that are no pictures to be tried: named twice, or no regular file.
        encoded: pictures that went through the encoder; others of `indexed` only got new metadata or a new name.
        moved: pictures whose point went from a file that is gone to one of the same content.
        removed: pictures that the source held once and holds no longer, and, with `prune`, those whose files hold no picture
            any more; `pruned` of them had their points deleted.
        points: points in the collection at the end.
        recall_at_10: share of the 10 exact neighbours that a plain search finds, over a sample; None where nothing changed, and
            where a server forbids exact searches.
        reasons: number of failures by reason.
        failures: the failures, at most 1,000; the ledger knows all.
        notes: what else a user should know.
        unpruned: why `prune` deleted nothing, although pictures are gone; None where it did, or was not asked to.
        seconds: of the whole run; `stages` has the parts.
    """

    source: str
    db: str
    collection: str
    generation: str
    encoder: str
    found: int
    indexed: int
    unchanged: int
    duplicate: int
    failed: int
    skipped: int
    encoded: int
    moved: int
    removed: int
    pruned: int
    points: int
    recall_at_10: float | None
    reasons: Mapping[str, int]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    seconds: float
    stages: Mapping[str, float]
    source_name: str = ""
    unpruned: str | None = None
    accepted: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether every item found is accounted for."""
        known = self.indexed + self.unchanged + self.duplicate + self.failed + self.accepted + self.skipped
        return self.found == known

    @property
    def account(self) -> str:
        """The proof, as one line."""
        accepted = f" + {self.accepted:,} accepted" if self.accepted else ""
        return (
            f"found {self.found:,} = {self.indexed:,} indexed + {self.unchanged:,} unchanged + {self.duplicate:,} duplicate "
            f"+ {self.failed:,} failed{accepted} + {self.skipped:,} skipped"
        )

    @property
    def exit_code(self) -> int:
        """What the command line ends with: 3 where some pictures could not be used or were not pruned, else 0."""
        return 3 if self.failed or self.unpruned else 0

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; a later `format_version` may add keys, and neither drop nor rename any of these."""
        return {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
