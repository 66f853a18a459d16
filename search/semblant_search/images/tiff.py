"""Kinds of TIFF that Pillow does not read: samples of half, double or 64 bits, of many bits with colours, and rarer ones.

They are read by tifffile where it is installed (`semblant-search[tiff]`), and by their numbers as `samples` says.
"""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image, ImageFile

from semblant_search.errors import ImageError

from .kinds import is_unknown_to_pillow, raw_by_tags
from .light import in_srgb_curve, light_curve, with_srgb_curve
from .samples import has_own_range, range_by_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["WideTiff", "is_misread", "pages", "wide_tiff"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_PLANES, _EXTRA, _FORMAT, _ICC = 284, 338, 339, 34675
_FILL, _STRIPS, _STRIP_SIZES = 266, 273, 279
_KINDS = {1: "unsigned", 2: "signed", 3: "float", 5: "complex integer", 6: "complex float"}
_CHANNELS = {0: 1, 1: 1, 2: 3, 5: 4}
"""Photometric interpretations that are read, and their channels: MinIsWhite, MinIsBlack, RGB, CMYK (separated)."""
_ASSOCIATED, _UNASSOCIATED = 1, 2
_SIMPLE = (1, 8, 32946, 32773)
"""Compressions that tifffile knows by itself: none, deflate by its two numbers, PackBits."""


def is_misread(picture: ImageFile.ImageFile) -> bool:
    """Whether Pillow takes the samples of a TIFF for others, of more than 8 bits and several a pixel.

    They stand in one plane for each colour, not compressed, or have a range of their own, of which it knows nothing.
    """
    tags = getattr(picture, "tag_v2", None)
    if tags is None or _first(tags, _BITS, 1) <= 8 or _first(tags, _SAMPLES, 1) < 2:
        return False
    if tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1:
        return True
    return has_own_range(tags) and tags.get(_PHOTOMETRIC) in _CHANNELS and _is_read(tags)


def _is_read(tags: Mapping[int, Any]) -> bool:
    """Whether tifffile unpacks it: a picture that is too dark is better than none."""
    simply = tags.get(_COMPRESSION, 1) in _SIMPLE or find_spec("imagecodecs") is not None
    return simply and find_spec("tifffile") is not None


def wide_tiff(data: bytes, name: str, number: int = 0) -> ImageFile.ImageFile | None:
    """A page of a TIFF that Pillow does not know, not yet decoded; None where its head cannot be read at all.

    A camera's raw file is the picture of its own library.

    Raises:
        ImageError: of a kind that is not read, or that needs tifffile.
    """
    if is_unknown_to_pillow(data) and find_spec("tifffile") is None:
        text = f"{name}: is a BigTIFF, big-endian, which needs another library: pip install 'semblant-search[tiff]'"
        raise ImageError(text, reason="unsupported")
    tags = _tags(data, number)
    if tags is None or _PHOTOMETRIC not in tags:  # no kind of its own, but cut or damaged
        return None
    raw = raw_by_tags(tags)
    if raw is not None:
        return raw.opened(data, name)
    if find_spec("tifffile") is None:
        raise ImageError(
            f"{name}: is a TIFF of {_kind(tags)}, which needs another library: pip install 'semblant-search[tiff]'",
            reason="unsupported",
        )
    if _first(tags, _FORMAT, 1) not in (1, 2, 3) or tags.get(_PHOTOMETRIC) not in _CHANNELS:
        text = f"{name}: is a TIFF of {_kind(tags)}, which is not read; save it as greys or RGB of 8 or 16 bits"
        raise ImageError(text, reason="unsupported")
    return WideTiff(data, number)


class WideTiff(ImageFile.ImageFile):
    """As a plugin of Pillow: size and mode first, pixels by `load`.

    Attributes:
        curve: of greys with transparency, set before they are decoded, uint8 `[65536]`: the level of each grey of 16 bits
            (`colour.grey_curve`); None for a straight line.
    """

    format = "TIFF"
    format_description = "TIFF, read by tifffile"
    curve: np.ndarray | None = None

    def __init__(self, data: bytes, number: int = 0) -> None:
        self._number = number
        super().__init__(io.BytesIO(data), "")

    def _open(self) -> None:
        assert self.fp is not None
        tags = _tags(self.fp.read(), self._number)
        if tags is None:
            raise SyntaxError("not a TIFF")
        self._tags = tags
        channels = _CHANNELS[tags[_PHOTOMETRIC]]
        clear = channels < 4 and self._alpha() is not None
        self._mode = {1: "LA" if clear else "F", 3: "RGBA" if clear else "RGB", 4: "CMYK"}[channels]
        self._size = int(tags[_WIDTH]), int(tags[_HEIGHT])
        self._light = None
        if _ICC in tags:
            self._light = light_curve(tags[_ICC]) if channels == 3 and isinstance(tags[_ICC], bytes) else None
            self.info["icc_profile"] = tags[_ICC] if self._light is None else with_srgb_curve(tags[_ICC])
        self.fp.seek(0)
        if is_unknown_to_pillow(self.fp.read(4)):
            return
        with contextlib.suppress(Exception):  # damaged tags: what Pillow raises on them has no common base
            self.fp.seek(0)
            self.getexif().load_from_fp(self.fp)

    def _alpha(self) -> int | None:
        """The first extra channel that is transparency, and what kind: the colours are multiplied by it, or not."""
        extra = self._tags.get(_EXTRA, ())
        kind = extra[0] if isinstance(extra, tuple) and extra else extra
        return cast("int", kind) if kind in (_ASSOCIATED, _UNASSOCIATED) else None

    def load(self) -> Any:
        """Decode it, once."""
        if self.fp is not None:
            self.im = self._decoded().im
            self.fp = None
        return Image.Image.load(self)

    def _decoded(self) -> Image.Image:
        import tifffile

        assert self.fp is not None
        self.fp.seek(0)
        with tifffile.TiffFile(self.fp) as file:
            page = file.pages[self._number]
            try:
                packed = self._packed(self.fp)
                array, planes_first = (page.asarray(maxworkers=1), page.axes[0] == "S") if packed is None else (packed, False)
            except (ValueError, NotImplementedError) as error:
                if "imagecodecs" not in str(error):
                    raise
                how = "compressed or packed in a way that needs another library: pip install imagecodecs"
                text = f"is a TIFF of {_kind(self._tags)}, {how}"
                raise ImageError(text, reason="unsupported") from error
        if array.ndim == 3 and planes_first:
            array = np.moveaxis(array, 0, -1)
        array = array.reshape(self.height, self.width, -1)
        channels, ranges = _CHANNELS[self._tags[_PHOTOMETRIC]], range_by_tags(self._tags)
        alpha = self._alpha() if channels < 4 else None
        used = channels + (alpha is not None)
        grey = self._mode == "F"  # 0 to 1: eight bits are too few for a profile
        levels = np.empty((self.height, self.width, used), np.float32 if grey else np.uint8)
        rows = max(1, (1 << 17) // self.width)
        full = range_by_tags({tag: value for tag, value in self._tags.items() if tag in (_BITS, _FORMAT)})
        for top in range(0, self.height, rows):
            part = array[top : top + rows]
            shares = ranges.shares(part[..., :channels])
            if alpha is not None:
                clear = full.shares(part[..., channels:used])
                if alpha == _ASSOCIATED:
                    shares = np.divide(shares, clear, out=np.zeros_like(shares), where=clear > 0).clip(0, 1)
                shares = np.concatenate([shares, clear], axis=2)
            if self._light is not None:
                numbers = np.rint(shares[..., :3] * 65535).astype(np.uint16)
                shares[..., :3] = in_srgb_curve(self._light[numbers])
            levels[top : top + rows] = shares if grey else np.rint(shares * 255)
            if self.curve is not None:
                levels[top : top + rows, :, 0] = self.curve[np.rint(shares[..., 0] * 65535).astype(np.uint16)]
        return Image.frombytes(self._mode, self.size, levels.tobytes())

    def _packed(self, file: IO[bytes]) -> np.ndarray | None:
        """uint16 `[h, w, c]` of samples that are no whole bytes, in plain strips, as cameras write 10, 12 and 14 bits."""
        tags, bits, samples = self._tags, _first(self._tags, _BITS, 1), _first(self._tags, _SAMPLES, 1)
        is_plain = _first(tags, _COMPRESSION, 1) == 1 and _first(tags, _FORMAT, 1) == 1 and _STRIPS in tags
        if not is_plain or bits % 8 == 0 or bits > 16 or _first(tags, _FILL, 1) != 1 or _first(tags, _PLANES, 1) != 1:
            return None
        stride = (self.width * samples * bits + 7) // 8
        strips = bytearray()
        for start, size in zip(_all(tags[_STRIPS]), _all(tags[_STRIP_SIZES]), strict=True):
            file.seek(start)
            strips += file.read(min(size, stride * self.height - len(strips)))  # strips may overlap: no more than there is
        rows = np.frombuffer(strips, np.uint8)
        if rows.size < stride * self.height:
            raise ValueError("image file is truncated")
        values = np.zeros((self.height, self.width * samples), np.uint16)
        for number, row in enumerate(rows[: stride * self.height].reshape(self.height, stride)):
            each = np.unpackbits(row)[: values.shape[1] * bits].reshape(-1, bits)
            for place in range(bits):
                values[number] = values[number] << 1 | each[:, place]
        return values.reshape(self.height, self.width, samples)


def _all(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _tags(data: bytes, number: int) -> Mapping[int, Any] | None:
    found = next(islice(pages(data), number, None), None)
    return found if found is not None and {_WIDTH, _HEIGHT} <= found.keys() else None


def pages(data: bytes) -> Iterator[Mapping[int, Any]]:
    """The tags of each page of a TIFF, as Pillow reads them, up to one that is damaged."""
    from PIL import TiffImagePlugin

    seen: set[int] = set()
    if is_unknown_to_pillow(data):
        with contextlib.suppress(Exception):  # as below
            import tifffile

            with tifffile.TiffFile(io.BytesIO(data)) as whole:
                for page in whole.pages:
                    yield {tag.code: tag.value for tag in page.aspage().tags.values()}
        return
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[:16] if data[2:3] in b"+\0" and b"+" in data[2:4] else data[:8])
        file = io.BytesIO(data)
        while directory.next and directory.next not in seen:
            seen.add(directory.next)
            file.seek(directory.next)
            directory.load(file)
            yield dict(directory)
    except Exception:  # of a damaged head: its errors have no common base
        return


def _first(tags: Mapping[int, Any], tag: int, default: int) -> int:
    value = tags.get(tag, default)
    return int(value[0] if isinstance(value, tuple) and value else value)


def _kind(tags: Mapping[int, Any]) -> str:
    """As in `64-bit float samples, 3 a pixel`."""
    kind = _KINDS.get(_first(tags, _FORMAT, 1), "unknown")
    bits, samples = _first(tags, _BITS, 1), _first(tags, _SAMPLES, 1)
    return f"{bits}-bit {kind} samples, {samples} a pixel (photometric {tags.get(_PHOTOMETRIC)})"
