"""JPEG files as viewers open them."""

from __future__ import annotations

import io

from PIL.JpegImagePlugin import JpegImageFile

__all__ = ["FirstJpeg", "has_second_view"]


class FirstJpeg(JpegImageFile):
    """The first picture of a JPEG file, also of one with more behind it (MPO, Ultra HDR), which viewers do not show."""

    def _read_dpi_from_exif(self) -> None:
        """Not asked for; Pillow would read the EXIF block for it, and warn of one that breaks off."""


def has_second_view(picture: JpegImageFile, data: bytes) -> bool:
    """Whether another picture of the same size lies behind it; cameras put a small preview or a gain map there."""
    if "mp" not in picture.info:
        return False
    from PIL.MpoImagePlugin import MpoImageFile

    with MpoImageFile(io.BytesIO(data)) as both:
        if both.n_frames < 2:
            return False
        both.seek(1)
        return both.size == picture.size
