"""From a picture to the pixels that an encoder takes: decoding and fitting, written once for training, indexing and search.

Everything that changes a pixel before the ONNX graph happens here, steered by the `Fit` that travels inside the encoder file,
so that train and serve cannot drift apart.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .errors import ImageError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    ImageSource = str | os.PathLike[str] | bytes | Image.Image | np.ndarray

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Fit",
    "ImageSource",
    "OpenedPicture",
    "fit_image",
    "open_image",
    "open_picture",
    "read_bytes",
    "read_file",
    "to_grey",
]

DEFAULT_MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded: 100 megapixels are 400 MB of RGBA."""

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientations, and what brings each upright."""
# Raster formats that Pillow decodes by itself: no EPS (it would start Ghostscript), no documents, no stubs.
_FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "WEBP",
    "BMP",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
    "ICO",
    "TGA",
    "PCX",
    "QOI",
    "SGI",
    "DIB",
    "PSD",
)
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"RIFF", "WebP"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)
_TRUNCATED = ("truncated", "unexpected end", "not enough image data", "broken data stream", "incomplete")
_POLICIES = ("stretch", "pad", "crop")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "area")


def __getattr__(name: str) -> Any:
    if name == "ImageSource":  # names Pillow's type, which importing semblant_search must not load
        from PIL import Image

        return str | os.PathLike | bytes | Image.Image | np.ndarray
    raise AttributeError(name)


@dataclass(frozen=True)
class Fit:
    """How a decoded picture becomes uint8 `[height, width, channels]`.

    Attributes:
        height, width: pixels, at least 1.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        policy: `stretch` ignores the aspect ratio, `pad` keeps it and fills with `background`, `crop` keeps it and cuts.
        interpolation: `nearest`, `bilinear`, `bicubic`, `lanczos` or `area` (box). All but `nearest` average when shrinking.
        background: RGB, 0–255: what lies behind transparency, and what `pad` fills with.
    """

    height: int
    width: int
    channels: int = 3
    policy: str = "pad"
    interpolation: str = "bilinear"
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InvalidInput(f"image size {self.height}×{self.width}: both must be at least 1")
        if self.channels not in (1, 3):
            raise InvalidInput(f"channels {self.channels}: expected 1 (grey) or 3 (RGB)")
        if self.policy not in _POLICIES:
            raise InvalidInput(f"resize policy {self.policy!r}: expected one of {', '.join(_POLICIES)}")
        if self.interpolation not in _INTERPOLATIONS:
            raise InvalidInput(f"interpolation {self.interpolation!r}: expected one of {', '.join(_INTERPOLATIONS)}")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise InvalidInput(f"background {self.background}: expected three numbers from 0 to 255")

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`, the shape of a fitted picture."""
        return self.height, self.width, self.channels

    def to_json(self) -> dict[str, Any]:
        """The form that is stored inside `encoder.onnx`."""
        return {
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "policy": self.policy,
            "interpolation": self.interpolation,
            "background": list(self.background),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fit:
        """The inverse of `to_json`; raises `InvalidInput` on values that no `Fit` has."""
        try:
            red, green, blue = data["background"]
            return cls(
                height=int(data["height"]),
                width=int(data["width"]),
                channels=int(data["channels"]),
                policy=str(data["policy"]),
                interpolation=str(data["interpolation"]),
                background=(int(red), int(green), int(blue)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a description of how pictures are fitted: {error!r} in {dict(data)!r}") from error


@dataclass(frozen=True)
class OpenedPicture:
    """A decoded picture with the facts of its file.

    Attributes:
        image: first frame, upright, mode L, RGB, LA or RGBA; smaller than the file where it was decoded at a reduced scale.
        width, height: pixels of the file as it is meant to be seen.
        format: Pillow's name (`PNG`, `JPEG`), or None for an array.
    """

    image: Image.Image
    width: int
    height: int
    format: str | None


def open_image(
    source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Decode a picture as it is meant to be seen: first frame, EXIF orientation applied, mode L, RGB, LA or RGBA.

    Args:
        source: a path, the bytes of a file, a Pillow image, or an array: uint8 `[h, w]` or `[h, w, 1 | 3 | 4]`.
        max_pixels: refuse larger pictures before decoding them.
        at_least: `(height, width)` in pixels: a JPEG may be decoded at a reduced scale (its DCT allows 1/2, 1/4, 1/8) that is
            still at least twice as large, so that the resize which follows does the averaging.

    Raises:
        ImageError: the picture cannot be used; `reason` says why in one word.
    """
    return open_picture(source, max_pixels=max_pixels, at_least=at_least).image


def open_picture(
    source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, at_least: tuple[int, int] | None = None
) -> OpenedPicture:
    """`open_image` that also tells the true size and the format of the file. Same arguments, same errors."""
    from PIL import Image

    name = _describe(source)
    if isinstance(source, np.ndarray):
        array_image = _from_array(source, max_pixels)
        return OpenedPicture(array_image, *array_image.size, None)
    data = None if isinstance(source, Image.Image) else source if isinstance(source, bytes) else read_bytes(source)
    try:
        with _PILLOW_QUIET:
            image = _open_lazily(data, name) if data is not None else cast("Image.Image", source)
            width, height = image.size
            _check_size(width, height, max_pixels, name)
            kind = image.format
            if at_least is not None and kind == "JPEG" and data is not None:
                image.draft(None, (2 * at_least[1], 2 * at_least[0]))
            image.load()
            if image.width * image.height > width * height:  # icons and the like learn their size while decoding
                width, height = image.size
                _check_size(width, height, max_pixels, name)
            orientation = _orientation(image)
            if orientation in _TURNS:
                image = image.transpose(Image.Transpose[_TURNS[orientation]])
                width, height = (height, width) if orientation >= 5 else (width, height)
            return OpenedPicture(_simple_mode(image), width, height, kind)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to decode it", reason="too-large") from error
    except Exception as error:  # what Pillow's plugins raise on malformed files has no common base
        text = str(error) or type(error).__name__
        reason = "truncated" if any(word in text.lower() for word in _TRUNCATED) else "not-an-image"
        raise ImageError(f"{name}: cannot be decoded: {text}", reason=reason) from error


def fit_image(image: Image.Image, fit: Fit) -> np.ndarray:
    """Bring a picture from `open_image` to the encoder's size: uint8 `[height, width, channels]`."""
    from PIL import Image

    image = _flatten(image, fit.background).convert("L" if fit.channels == 1 else "RGB")
    size = (fit.width, fit.height)
    if image.size != size:
        resample = {
            "nearest": Image.Resampling.NEAREST,
            "bilinear": Image.Resampling.BILINEAR,
            "bicubic": Image.Resampling.BICUBIC,
            "lanczos": Image.Resampling.LANCZOS,
            "area": Image.Resampling.BOX,
        }[fit.interpolation]
        if fit.policy == "stretch":
            image = image.resize(size, resample)
        elif fit.policy == "crop":
            image = image.resize(size, resample, box=_centre_crop(image.size, size))
        else:
            image = _pad(image, size, resample, fit)
    return np.asarray(image, dtype=np.uint8).reshape(fit.shape)


def to_grey(image: Image.Image, *, longest_side: int) -> np.ndarray:
    """A picture from `open_image` as uint8 `[h, w]` luma over white, shrunk (never grown) to `longest_side` pixels."""
    from PIL import Image

    grey = _flatten(image, (255, 255, 255)).convert("L")
    scale = longest_side / max(grey.size)
    if scale < 1:
        size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
        grey = grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(grey, dtype=np.uint8)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a picture file. `ImageError`: missing, empty, unreadable, or no regular file (a FIFO would block)."""
    return read_file(path)[0]


def read_file(path: str | os.PathLike[str]) -> tuple[bytes, os.stat_result]:
    """The bytes of a picture file and the facts of the very file that they came from. Same errors as `read_bytes`."""
    name = _describe(path)
    try:
        # Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ImageError(f"{name}: is not a regular file", reason="unreadable")
            data = file.read()
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file", reason="missing") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise ImageError(f"{name}: cannot be read: {text}", reason="unreadable") from error
    if not data:
        raise ImageError(f"{name}: is empty (0 bytes)", reason="empty")
    return data, facts


def _check_size(width: int, height: int, max_pixels: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width}×{height} has no pixels", reason="empty")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}×{height} is {width * height / 1e6:.0f} megapixels, over the limit of "
            f"{max_pixels / 1e6:g}; raise max_pixels (--max-pixels) to accept it",
            reason="too-large",
        )


class _Quiet:
    """Pillow warns about damaged metadata of pictures that it decodes all the same; that is no news to a user.

    `warnings.catch_warnings` is not safe between threads, so the first thread in silences Pillow and the last one out
    restores the filters. Pillow's own size limit is a global, too; ours is an argument, so Pillow's is lifted meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._context: warnings.catch_warnings[Any] | None = None
        self._limit: int | None = None

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            if self._inside == 0:
                self._context = warnings.catch_warnings()
                self._context.__enter__()
                warnings.filterwarnings("ignore", module="PIL")
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        from PIL import Image

        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._context is not None:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._context.__exit__(None, None, None)


_PILLOW_QUIET = _Quiet()


def _open_lazily(data: bytes, name: str) -> Image.Image:
    """Parse the header only."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageError(f"{name}: is empty (0 bytes)", reason="empty")
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        for magic, kind in _SIGNATURES:
            if data.startswith(magic) or magic.startswith(data):
                raise ImageError(f"{name}: begins like a {kind}, but is cut short or broken", reason="truncated") from error
        raise ImageError(
            f"{name}: is not a picture in a format that Semblant reads (PNG, JPEG, GIF, WebP, AVIF, TIFF, BMP, …)",
            reason="not-an-image",
        ) from error


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1–8; 1 where the EXIF block is damaged, which is no reason to lose the picture."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # as above: no common base
        return 1


def _from_array(array: np.ndarray, max_pixels: int) -> Image.Image:
    from PIL import Image

    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"array of {array.dtype} {list(array.shape)}: expected uint8 [h, w], [h, w, 1], [h, w, 3] or [h, w, 4]",
            reason="unsupported",
        )
    if array.size == 0:
        raise ImageError(f"array of shape {list(array.shape)}: has no pixels", reason="empty")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise ImageError(f"array of shape {list(array.shape)}: over the limit of {max_pixels} pixels", reason="too-large")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _simple_mode(image: Image.Image) -> Image.Image:
    """L, RGB, LA or RGBA. 16-bit and float grey are scaled to 8 bits, where Pillow's own conversion would clip them."""
    from PIL import Image

    if image.mode in ("L", "RGB", "RGBA", "LA"):
        if "transparency" in image.info and image.mode in ("L", "RGB"):
            return image.convert("LA" if image.mode == "L" else "RGBA")
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        finite = values[np.isfinite(values)]
        top = float(finite.max()) if finite.size else 0.0
        # Integers beyond 8 bits are 16-bit pictures; floats are taken as 0–1 unless they go beyond it.
        full = (1.0 if top <= 1.0 else 255.0) if image.mode == "F" else (255.0 if top <= 255 and image.mode == "I" else 65535.0)
        scaled = np.nan_to_num(values) * (255.0 / full)
        return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "LAB":
        from PIL import ImageCms

        to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return cast("Image.Image", ImageCms.applyTransform(image, to_rgb))
    return image.convert("L" if image.mode == "1" else "RGB")


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Lay a picture with transparency over `background`."""
    from PIL import Image

    if image.mode not in ("RGBA", "LA"):
        return image
    rgba = image.convert("RGBA")
    below = Image.new("RGB", rgba.size, background)
    below.paste(rgba, mask=rgba.getchannel("A"))
    return below


def _centre_crop(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    aspect = target[0] / target[1]
    crop_width, crop_height = min(width, height * aspect), min(height, width / aspect)
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return left, top, left + crop_width, top + crop_height


def _pad(image: Image.Image, size: tuple[int, int], resample: Any, fit: Fit) -> Image.Image:
    from PIL import Image

    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    fill: Any = fit.background if image.mode == "RGB" else int(np.rint(np.dot(fit.background, (0.299, 0.587, 0.114))))
    canvas = Image.new(image.mode, size, fill)
    canvas.paste(image.resize(inner, resample), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return canvas


def _describe(source: object) -> str:
    if isinstance(source, bytes):
        return f"picture of {len(source)} bytes"
    if isinstance(source, (str, os.PathLike)):
        return repr(os.fspath(source))
    return "picture"
