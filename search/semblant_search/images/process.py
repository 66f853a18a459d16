"""What a process that is Semblant's own asks of Pillow."""

from __future__ import annotations

import logging
import warnings

__all__ = ["keep_pillow_quiet"]


def keep_pillow_quiet() -> None:
    """Never warn of damaged metadata of pictures that are decoded all the same, and have no limit of size beside ours.

    tifffile logs what others warn of, which is printed where nobody has asked for logs.

    Both hold for the whole process: for decode workers, never to be called in a process that is somebody else's.
    """
    from PIL import Image

    warnings.filterwarnings("ignore", module="PIL")
    Image.MAX_IMAGE_PIXELS = None
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
