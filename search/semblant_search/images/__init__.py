"""From a picture to the pixels that an encoder takes: decoding and fitting, written once for training, indexing and search.

Everything that changes a pixel before the ONNX graph happens here, steered by the `Fit` that travels inside the encoder file,
so that train and serve cannot drift apart.
"""

from typing import TYPE_CHECKING

from .files import most_bytes, picture_source, read_bytes, read_file
from .fit import Fit, fit_image, flatten, scaled_size, size_within, to_grey
from .opening import DEFAULT_MAX_PIXELS, OpenedPicture, open_image, open_picture

if TYPE_CHECKING:
    from .sources import ImageSource as ImageSource  # names Pillow's type: for type checkers only

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Fit",
    "OpenedPicture",
    "fit_image",
    "flatten",
    "most_bytes",
    "open_image",
    "open_picture",
    "picture_source",
    "read_bytes",
    "read_file",
    "scaled_size",
    "size_within",
    "to_grey",
]
