"""Encoders as files, so that tests of the search and of the indexer need no exporter.

Each is the means of a raster's cells, as `semblant_exporter.pixels.pixel_encoder` writes it; `tests/contract` compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["NAMES", "Name", "encoder_bytes"]

Name = Literal["grey-28", "grey-28-finer", "grey-28-cells", "grey-14", "grey-14-coarse", "grey-64-cells"]
NAMES: tuple[Name, ...] = ("grey-28", "grey-28-finer", "grey-28-cells", "grey-14", "grey-14-coarse", "grey-64-cells")
"""Channels and side of the fitted picture; `finer` has 14 × 14 cells and a name of its own, the others 7 × 7 (64: 8 × 8)."""


def encoder_bytes(name: Name) -> bytes:
    """The file `encoder.onnx` of that name."""
    return (Path(__file__).parent / f"{name}.onnx").read_bytes()
