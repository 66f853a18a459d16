"""A small picture and its variants, for tests of how files are decoded."""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image, ImageCms

from support.golden import GOLDEN

__all__ = ["COLOURS", "GREY", "PHOTOGRAPH", "SHOWN", "away", "chunk", "encoded", "in_space", "with_chunks"]

SHOWN = GOLDEN / "shown"
PHOTOGRAPH = Image.effect_mandelbrot((80, 60), (-2.0, -1.5, 1.0, 1.5), 60).convert("L")
COLOURS = Image.merge(
    "RGB", (PHOTOGRAPH, PHOTOGRAPH.transpose(Image.Transpose.ROTATE_180), PHOTOGRAPH.point(lambda v: 255 - v))
)
GREY = np.asarray(PHOTOGRAPH)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def away(image: Image.Image, expected: Image.Image) -> float:
    """Mean difference in levels."""
    return float(np.abs(np.asarray(image.convert("RGB"), float) - np.asarray(expected.convert("RGB"), float)).mean())


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Chunks behind the header of a PNG."""
    return png[:33] + b"".join(chunks) + png[33:]


def in_space(profile: bytes, image: Image.Image = COLOURS) -> Image.Image:
    """The picture in numbers of another space."""
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), given)
    assert shown is not None
    shown.info.clear()
    return shown
