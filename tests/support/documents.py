"""Which documents tell how Semblant is used."""

from __future__ import annotations

__all__ = ["GUIDES", "READMES"]

READMES = (
    "README.md",
    "docs/index.md",
    "CONTRIBUTING.md",
    "search/README.md",
    "indexer/README.md",
    "exporter/README.md",
    "deploy/README.md",
)
GUIDES = (
    "docs/searching.md",
    "docs/writing.md",
    "docs/duplicates.md",
    "docs/service.md",
    "docs/pictures.md",
    "docs/details-measured.md",
    "docs/indexing.md",
    "docs/sources.md",
    "docs/maps.md",
    "docs/scaling.md",
    "docs/encoders.md",
    "docs/encoders-measured.md",
)
"""What the parts do, and how well."""
