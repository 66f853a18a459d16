"""Moments of films, by PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from semblant_search.errors import ImageError
from semblant_search.images.frames import no_such

from .base import LibraryPicture

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["opened", "other_frames"]

_MOST_SECONDS = 100_000
_MOST_DECODED = 5000
"""Frames that are gone through from a key frame to the moment that is wanted."""


class VideoFrame(LibraryPicture):
    """The picture that is shown at a moment: square pixels, upright as it comes."""

    format = "VIDEO"
    format_description = "Frame of a video"

    def _open(self) -> None:
        with _container(self._data) as container:
            stream = _stream(container)
            self._size = stream.codec_context.width, stream.codec_context.height
        self._mode = "RGB"

    def decoded(self) -> Image.Image:
        """The last frame that begins at the moment or before it."""
        import av

        moment = 0.0 if self._fragment is None else float(self._fragment.partition("=")[2])
        frame = None
        with _container(self._data) as container:
            stream = _stream(container)
            try:
                if moment and stream.time_base is not None:
                    container.seek(int(moment / stream.time_base) + (stream.start_time or 0), stream=stream)
                start = float((stream.start_time or 0) * stream.time_base) if stream.time_base is not None else 0.0
                for number, found in enumerate(container.decode(stream)):
                    if frame is not None and (found.time is None or found.time - start > moment + 1e-6):
                        break
                    frame = found
                    if number > _MOST_DECODED:
                        break
            except av.error.FFmpegError as error:
                if frame is None:
                    raise ImageError(f"is a video that cannot be decoded: {error.strerror}", reason="truncated") from error
        if frame is None:
            raise ImageError("is a video without a picture", reason="empty")
        return _upright(frame, stream)


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    if fragment is not None and not fragment.startswith("t="):
        raise no_such(name, fragment)
    return VideoFrame(data, fragment)


def other_frames(data: bytes) -> list[str]:
    """Each full second but the beginning."""
    with _container(data) as container:
        stream = _stream(container)
        seconds = 0.0
        if container.duration:
            seconds = container.duration / 1_000_000
        elif stream.duration and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
    return [f"t={second}" for second in range(1, min(math.ceil(seconds), _MOST_SECONDS))]


def _container(data: bytes) -> Any:
    import av

    try:
        return av.open(io.BytesIO(data), mode="r")
    except av.error.FFmpegError as error:
        raise ImageError(f"is a video that cannot be read: {error.strerror}", reason="not-an-image") from error


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise ImageError("is a film without pictures", reason="not-an-image")
    stream = container.streams.video[0]
    stream.thread_type = "NONE"
    return stream


def _upright(frame: Any, stream: Any) -> Image.Image:
    from PIL import Image

    picture: Image.Image = frame.to_image()
    aspect = stream.codec_context.sample_aspect_ratio
    if aspect and aspect != 1 and 0.1 < aspect < 10:
        picture = picture.resize((max(round(picture.width * float(aspect)), 1), picture.height), Image.Resampling.BILINEAR)
    turned = int(getattr(frame, "rotation", 0)) % 360
    turns = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    return picture.transpose(turns[turned]) if turned in turns else picture
