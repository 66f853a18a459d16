"""What the client answers with. Frozen: a result describes one moment of the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Hit", "Picture", "split_payload"]


@dataclass(frozen=True)
class Picture:
    """A picture of the collection.

    Attributes:
        id: its point id, a UUID made from the URI.
        uri: where it is: `file:///…` or the URL that was indexed.
        metadata: what its owner says about it, under their own names.
        facts: what Semblant noted when it indexed it: `_width`, `_height`, `_format`, `_bytes`, `_sha256`, `_indexed_at`, ….
    """

    id: str
    uri: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path | None:
        """The local file, whether or not it still exists; None for a picture that is not a local file."""
        from .collection import uri_path

        return uri_path(self.uri)

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them."""
        return {"id": self.id, "uri": self.uri, "metadata": dict(self.metadata), "facts": dict(self.facts)}


@dataclass(frozen=True)
class Hit(Picture):
    """A picture that answers a query.

    Attributes:
        score: the cosine of the two embeddings, from -1 to 1 (the same picture); for a search by features the
            sum of the IDF weights of the visual words that both pictures show, 0 and up, comparable within one query only.
    """

    score: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them."""
        return {"score": self.score, **super().to_json()}


def split_payload(payload: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A stored payload as `(uri, metadata, facts)`: the URI, the user's fields, and the other reserved ones."""
    metadata: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for name, value in payload.items():
        if name[0] == "_":  # no field has an empty name
            facts[name] = value
        else:
            metadata[name] = value
    return facts.pop("_uri", ""), metadata, facts
