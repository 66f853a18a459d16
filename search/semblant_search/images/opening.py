"""From a file, bytes, Pillow image or array to a decoded picture as it is meant to be seen."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from semblant_search.errors import ImageError
from semblant_search.frame_names import split_bytes
from semblant_search.stages import in_stage

from .alpha import has_no_alpha
from .colour import grey_curve, profile_for
from .exif import is_adobe_rgb, orientation_in
from .headers import as_icon, icon_sizes, open_header
from .icc import ADOBE_RGB
from .kinds import rare_packing
from .light import in_srgb_curve, light_curve, low_bytes, with_srgb_curve
from .modes import simple_mode
from .own_range import with_own_range
from .parts import bands, part
from .png import with_right_sum
from .samples import range_of
from .sources import bytes_of, describe
from .turning import upright
from .viewers import as_viewers_show

if TYPE_CHECKING:
    from PIL import Image

    from .sources import ImageSource

__all__ = ["BYTES_PER_PIXEL", "DEFAULT_MAX_PIXELS", "RAISE_MAX_PIXELS", "OpenedPicture", "open_image", "open_picture"]

DEFAULT_MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded.

Decoding one takes less than `BYTES_PER_PIXEL` bytes of memory for each of its pixels, beside the file: 3.2 GB at this limit.
"""
RAISE_MAX_PIXELS = "raise max_pixels (SearchClient(max_pixels=…), semblant index --max-pixels), or make it smaller"
"""What to do about a larger one, where one can: who asks a service cannot."""
BYTES_PER_PIXEL = 32
"""What is measured: 25 for JPEG 2000, 18 for WebP, 13 for AVIF and progressive JPEG of CMYK, 3 to 9 for other files."""

_CAMERA_TAGS, _CAMERA_DIRECTORIES = (0x010F, 0x0110, 0x0132), (0x8769, 0x8825)
"""Make, model and date; what else EXIF says, and GPS."""
_UPRIGHT = ("JXL", "RAW", "VIDEO")
"""Formats that their libraries turn."""
_NEVER_KEPT = ("CMYK", "LAB")
"""Modes that never keep their numbers, for there is no such mode among the four."""
_JPEG_END = b"\xff\xd9"
_ANY_CODE = bytes(37 * number % 251 + 1 for number in range(4096))
"""What no picture would take for nothing, if it still waited for pixels."""
_TRUNCATED = ("truncated", "unexpected end", "not enough image data", "broken data stream", "incomplete")


@dataclass(frozen=True)
class OpenedPicture:
    """A decoded picture with the facts of its file.

    Attributes:
        image: first frame, upright, mode L, RGB, LA or RGBA, in sRGB; smaller than the file where it was decoded at a reduced
            scale.
        width, height: pixels of the file as it is meant to be seen.
        format: Pillow's name (`PNG`, `JPEG`), or None for an array.
    """

    image: Image.Image
    width: int
    height: int
    format: str | None


def open_image(
    source: ImageSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: tuple[int, int] | None = None,
    luma: bool = False,
    srgb: bool = True,
) -> Image.Image:
    """Decode a picture as a viewer shows it: EXIF orientation applied, mode L, RGB, LA or RGBA, in sRGB.

    Of a file with several pictures it is the first, or the one that its bytes name (`frame_names.frame_bytes`).

    Args:
        source: a path, the bytes of a file (`bytes`, `bytearray`, `memoryview`), an open binary file or `BytesIO`, a Pillow
            image, or an array: uint8 `[h, w]` or `[h, w, 1 | 3 | 4]`. An open file is read from its beginning, and left where
            it stood.
        max_pixels: refuse larger pictures before decoding them, and files of more bytes than so many pixels can have. Decoding
            takes less memory than 32 bytes for each pixel, beside the file.
        at_least: `(height, width)` in pixels: a JPEG may be decoded at a reduced scale (its DCT allows 1/2, 1/4, 1/8) that is
            still at least twice as large, so that the resize which follows does the averaging.
        luma: the caller wants no more than greys: of a JPEG that stores luma and colours apart, only its luma is decoded.
        srgb: False leaves the numbers of RGB and greys as the file has them, with their profile in `info["icc_profile"]`.

    Raises:
        ImageError: the picture cannot be used; `reason` says why in one word.
    """
    return open_picture(source, max_pixels=max_pixels, at_least=at_least, luma=luma, srgb=srgb).image


@in_stage("decode")
def open_picture(
    source: ImageSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: tuple[int, int] | None = None,
    luma: bool = False,
    srgb: bool = True,
) -> OpenedPicture:
    """`open_image` that also tells the true size and the format of the file. Same arguments, same errors."""
    from PIL import Image

    name = describe(source)
    if isinstance(source, np.ndarray):
        array_image = _from_array(source, max_pixels)
        return OpenedPicture(array_image, *array_image.size, None)
    data = None if isinstance(source, Image.Image) else bytes_of(source, max_pixels)
    try:
        whole = as_icon(data or b"")
        data = None if data is None else split_bytes(whole)[0]  # from here on the file, whichever of its pictures is meant
        for wide, high in icon_sizes(whole):
            _check_size(max(wide, 1), max(high, 1), max_pixels, name)
        image = open_header(whole, name) if data is not None else cast("Image.Image", source)
        width, height = image.size
        _check_size(width, height, max_pixels, name)
        kind = image.format
        profile = _profile(image)
        reduced = None
        if (at_least is not None or luma) and kind == "JPEG" and data is not None:
            high, wide = at_least or (height, width)
            if _orientation(image, data) >= 5:  # of the pixels as they lie in the file
                high, wide = wide, high
            only_luma = luma and image.mode == "RGB" and profile is None
            reduced = ("L" if only_luma else None, (2 * wide, 2 * high))
        image = _loaded(image, data, reduced)
        if image.width * image.height > width * height:  # some learn their size while decoding
            width, height = image.size
            _check_size(width, height, max_pixels, name)
        if kind in _UPRIGHT and data is not None:  # profile and size are known only now
            profile, (width, height) = _profile(image), image.size
        image = image if data is None else with_own_range(as_viewers_show(image, data), whole)
        if srgb and data is not None and profile is not None:
            profile = _with_all_bits(image, whole, profile)
        file, orientation, samples = image, _orientation(image, data), range_of(image)
        image = upright(image, orientation)
        width, height = (height, width) if 5 <= orientation <= 8 else (width, height)
        if data is not None and has_no_alpha(file, data):
            image = image.convert({"RGBA": "RGB", "LA": "L"}[image.mode])
        converted = srgb or image.mode in _NEVER_KEPT
        shown = simple_mode(image, profile if converted else None, samples=samples)
        if shown is not file and kind == "TIFF" and data is not None:
            _keep_exif(file, shown)
        borrowed = shown is image and data is None
        return OpenedPicture(_labelled(shown, None if converted else profile, borrowed), width, height, kind)
    except ImageError as error:
        if str(error).startswith(name):
            raise
        raise ImageError(f"{name}: {error}", reason=error.reason) from error  # of a library's, which knows no name
    except Image.DecompressionBombError as error:  # a few plugins ask for the program's limit by themselves
        text = f"{name}: Pillow refuses its size by PIL.Image.MAX_IMAGE_PIXELS, which this program may change: {error}"
        raise ImageError(text, reason="too-large") from error
    except Warning as error:
        text = f"{name}: Pillow warns of it, and this program makes errors of warnings: {error}"
        raise ImageError(text, reason="not-an-image") from error
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to decode it", reason="too-large") from error
    except Exception as error:  # what Pillow's plugins raise on malformed files has no common base
        text = str(error) or type(error).__name__
        is_cut = any(word in text.lower() for word in _TRUNCATED) or _is_cut_riff(data or b"")
        reason = "truncated" if is_cut else "not-an-image"
        raise ImageError(f"{name}: cannot be decoded: {text}", reason=reason) from error


def _is_cut_riff(data: bytes) -> bool:
    """Whether a WebP file is shorter than it says, of which its decoder says no more than that it makes nothing of it."""
    return data.startswith(b"RIFF") and int.from_bytes(data[4:8], "little") + 8 > len(data)


def _check_size(width: int, height: int, max_pixels: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width}×{height} has no pixels", reason="empty")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}×{height} is {width * height / 1e6:.0f} megapixels, over the limit of "
            f"{max_pixels / 1e6:g}; {RAISE_MAX_PIXELS}",
            reason="too-large",
        )


def _profile(image: Image.Image) -> bytes | None:
    """ICC profile of a picture's numbers by all that its file says; None where they are sRGB."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return profile_for(profile, image.mode)
    return profile_for(ADOBE_RGB, image.mode) if is_adobe_rgb(image.info) else None


def _with_all_bits(image: Image.Image, data: bytes, profile: bytes) -> bytes | None:
    """The profile of a picture's numbers, which are brought to sRGB's curve where 8 bits of them are too few (see `light`)."""
    from PIL import Image as Pillow

    if image.format not in ("PNG", "TIFF") or image.mode not in ("LA", "RGB", "RGBA") or "transparency" in image.info:
        return profile
    if image.mode == "LA":
        return _greys_with_all_bits(image, data, profile)
    curve, low = light_curve(profile), None
    if curve is not None:
        with contextlib.suppress(OSError):  # a file that was mended before it was read
            low = low_bytes(open_header(data))
    if curve is None or low is None or (low.mode, low.size) != (image.mode, image.size):
        return profile
    levels = np.rint(in_srgb_curve(curve) * 255).astype(np.uint8)
    for top, band in bands(image):
        upper, lower = np.asarray(band), np.asarray(part(low, (0, top, band.width, top + band.height)))
        numbers = upper.astype(np.uint16) << 8 | lower
        shown = np.dstack([levels[numbers[..., :3]], upper[..., 3:]])
        image.paste(Pillow.fromarray(shown), (0, top))
    return profile_for(with_srgb_curve(profile), image.mode)


def _greys_with_all_bits(image: Image.Image, data: bytes, profile: bytes) -> bytes | None:
    from .grey_alpha import GreyAlphaPng
    from .tiff import WideTiff

    if not isinstance(image, (GreyAlphaPng, WideTiff)):
        return profile
    with contextlib.suppress(OSError):  # as above
        wide, curve = open_header(data), grey_curve(profile)
        if isinstance(wide, type(image)) and curve is not None:
            wide.curve = curve
            image.paste(wide, (0, 0))
            return None
    return profile


def _keep_exif(picture: Image.Image, made: Image.Image) -> None:
    """Give what was made of a TIFF its tags and EXIF block, which in other formats are a part of `info`."""
    tags = getattr(picture, "tag_v2", None)
    if tags is not None and tags.keys().isdisjoint((*_CAMERA_TAGS, *_CAMERA_DIRECTORIES)):
        return
    with contextlib.suppress(Exception):  # damaged ones: what Pillow raises has no common base
        exif, kept = picture.getexif(), made.getexif()
        kept.update({tag: value for tag, value in exif.items() if tag in _CAMERA_TAGS})
        for directory in _CAMERA_DIRECTORIES:
            kept.get_ifd(directory).update(exif.get_ifd(directory))


def _labelled(image: Image.Image, profile: bytes | None, borrowed: bool) -> Image.Image:
    """The picture with no other profile than this in its `info`; a copy where it is the caller's own."""
    if image.info.get("icc_profile") == profile:
        return image
    labelled = image.copy() if borrowed else image
    if profile is None:
        del labelled.info["icc_profile"]
    else:
        labelled.info["icc_profile"] = profile
    return labelled


def _loaded(image: Image.Image, data: bytes | None, reduced: tuple[str | None, tuple[int, int]] | None) -> Image.Image:
    """The same picture, decoded. A JPEG without its end is whole where nothing behind its last byte would change a pixel.

    So is a PNG whose pixels are all there and do not add up to their checksum, which browsers do not mind.
    """
    if reduced is not None:
        image.draft(*reduced)
    file = getattr(image, "fp", None)
    try:
        image.load()
    except OSError as error:
        packing = rare_packing(getattr(image, "tag_v2", {}))
        if packing is not None and "decoder error -2" in str(error):
            text = f"is a TIFF compressed as {packing}, which is not read; save it with deflate or LZW"
            raise ImageError(text, reason="unsupported") from error
        summed = with_right_sum(data) if data is not None and image.format == "PNG" else None
        if summed is not None:
            mended = open_header(summed)
            mended.load()
            return mended
        if data is None or image.format != "JPEG":
            raise
        ends = [open_header(data + tail) for tail in (_JPEG_END, _ANY_CODE + _JPEG_END)]
        for end in ends:
            if reduced is not None:
                end.draft(*reduced)
            end.load()
        if ends[0].tobytes() != ends[1].tobytes():
            raise
        return ends[0]
    from .jpeg import early_end  # which needs Pillow, and the client's module none

    read = file.tell() if isinstance(file, io.BytesIO) and not file.closed else 0
    if data is not None and image.format == "JPEG" and (place := early_end(data, read)) is not None:
        # A decoder takes it for whole, and fills what is missing with grey: would pixels in place of its end be seen?
        other = open_header(data[:place] + _ANY_CODE + _JPEG_END)
        if reduced is not None:
            other.draft(*reduced)
        other.load()
        if other.tobytes() != image.tobytes():
            raise OSError(f"image file is truncated: its end stands amid its pixels, at byte {place:,}")
    return image


def _orientation(image: Image.Image, data: bytes | None) -> int:
    """EXIF orientation, 1–8; 1 where the EXIF block is damaged, which is no reason to lose the picture.

    Of an image that is the caller's, or a TIFF, what Pillow knows. A program that makes errors of warnings hears of them: else
    the picture would lie on its side for that program only.
    """
    if image.format in _UPRIGHT and not getattr(image, "jpeg", False):  # but for what pillow-jxl makes of a JPEG in JPEG XL
        return 1
    if data is not None and image.format != "TIFF" and "Raw profile type exif" not in image.info:
        return orientation_in(image.info) or 1
    tags = getattr(image, "tag_v2", None)  # of a TIFF itself: Pillow's EXIF warns of what it does not know of BigTIFF
    if tags is not None:
        found = tags.get(0x0112, 1)
        return int(found) if isinstance(found, int) else 1
    try:
        return int(image.getexif().get(0x0112, 1))
    except Warning:
        raise
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
