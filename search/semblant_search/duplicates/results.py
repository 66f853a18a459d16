"""What a search for duplicates answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from semblant_search.results import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Duplicate", "DuplicateGroup", "DuplicatesInterrupted", "Stage"]

Stage = Literal["reading", "comparing", "changed", "checking"]
"""What a search for duplicates does, one after the other."""


@dataclass(frozen=True)
class Duplicate(Picture):
    """A picture that is the same as its group's representative.

    Attributes:
        exact: the files have the same bytes.
        verdict: how the representative lies in it: `copy` (same size and direction), `rotated/scaled`, or `none` for a changed
            picture whose pixels were compared; for files that are not at hand as in `FeatureHit`.
        probability: 0–1, that this is no chance: 1 where bytes or pixels were compared, else the one of the details.
        tier: `copy` where the two differ in nothing but size, direction, format and compression; `changed` for the same picture
            mirrored, framed, recoloured or with a watermark, and for one that is not proven: look before you delete.
        why: what makes the difference: `same bytes`, or some of `resized`, `turned 90°`, `another format`,
            `another colour profile`, `recompressed`, `mirrored`, `framed`, `recoloured`, `watermark`, `animated`,
            `fits several pictures` (too small to be told from two), `by details alone`.
        removable: it may go: a copy in which a small change would have been seen, with no transparency or bits that the group's
            representative lacks; this one was read again at the end of the search, is unchanged, and is another file (another
            device or inode) that is no link. Never more than a recommendation.
    """

    exact: bool = False
    verdict: str = "none"
    probability: float = 0.0
    tier: Literal["copy", "changed"] = "copy"
    why: tuple[str, ...] = ()
    removable: bool = False

    @property
    def label(self) -> str:
        """What it is, in a few words for people: `copy: resized`, `same picture, changed: mirrored`, `…, not to be removed`."""
        kind = "copy" if self.tier == "copy" else "same picture, changed"
        text = "same bytes" if self.exact else f"{kind}: {', '.join(self.why)}" if self.why else kind
        return text if self.removable or self.tier == "changed" else f"{text}, not to be removed"

    def to_json(self) -> dict[str, object]:
        """JSON values, as `--json` prints them."""
        names = ("exact", "verdict", "probability", "tier")
        named = {name: getattr(self, name) for name in names}
        return {**super().to_json(), **named, "why": list(self.why), "removable": self.removable}


@dataclass(frozen=True)
class DuplicateGroup:
    """Files that are one and the same picture.

    Attributes:
        representative: the one to keep: most pixels, then transparency, most bits a pixel, a format without loss, most bytes;
            of equal files the shortest name. Each of the others was compared with it.
        others: the rest: copies by URI, then changed pictures by URI.
        other_names: further indexed names (hard and symbolic links) of files of the group, by the URI that stands for the file.
    """

    representative: Picture
    others: tuple[Duplicate, ...]
    other_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def removable(self) -> tuple[Duplicate, ...]:
        """The others that may go."""
        return tuple(other for other in self.others if other.removable)

    @property
    def changed(self) -> tuple[Duplicate, ...]:
        """The others that are the same picture, but changed."""
        return tuple(other for other in self.others if other.tier == "changed")

    def to_json(self) -> dict[str, object]:
        """JSON values, as `--json` prints them."""
        return {
            "representative": self.representative.to_json(),
            "others": [other.to_json() for other in self.others],
            "other_names": {uri: list(names) for uri, names in self.other_names.items()},
        }


class DuplicatesInterrupted(KeyboardInterrupt):
    """Ctrl-C while duplicates were looked for; what was found by then is kept.

        try:
            groups = client.duplicates()
        except DuplicatesInterrupted as stop:
            groups = stop.groups

    Attributes:
        groups: those found by then, largest first. More copies may belong to them, and none is `removable`: the files were not
            read again. Empty where a service looks for them, which says nothing before its end.
        stage: `reading` the files, `comparing` them with each other, looking for `changed` pictures, `checking` what may go.
        done: pictures that were read, or contents (files of the same bytes are one) that were gone through in this stage.
        total: how many there are; None while they are being read.
    """

    def __init__(self, groups: Sequence[DuplicateGroup], stage: Stage, done: int, total: int | None = None) -> None:
        super().__init__(f"looking for duplicates was broken off while {stage}; groups found by then: {len(groups)}")
        self.groups, self.stage, self.done, self.total = list(groups), stage, done, total

    def to_json(self) -> dict[str, object]:
        """JSON values, as `--json` prints them."""
        return {"stage": self.stage, "done": self.done, "total": self.total}
