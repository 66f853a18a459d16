"""What files of pictures are called."""

from __future__ import annotations

__all__ = ["PICTURE_SUFFIXES", "has_picture_suffix"]

PICTURE_SUFFIXES = frozenset(
    {
        "png",
        "apng",
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "gif",
        "webp",
        "avif",
        "heic",
        "heif",
        "hif",
        "tif",
        "tiff",
        "bmp",
        "dib",
        "ppm",
        "pgm",
        "pbm",
        "pnm",
        "jp2",
        "j2k",
        "ico",
        "tga",
        "pcx",
        "qoi",
        "psd",
    }
)
"""Files of other names are left alone and not counted as found; what these hold is only known after reading."""


def has_picture_suffix(name: str) -> bool:
    """Whether a file's name is one of a picture."""
    return name.rpartition(".")[2].lower() in PICTURE_SUFFIXES
