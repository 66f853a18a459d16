"""The encoder contract: one ONNX file that turns fitted pixels into unit vectors, and knows everything about itself.

Input `images`: uint8 `[N, H, W, C]`, pixels as decoded. Output `embedding`: float32 `[N, D]`, unit length; optional output
`cells`: float32 `[N, P, d]`, unit-length local vectors. Metadata property `semblant`: an `EncoderCard` as JSON.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from semblant_search.stages import in_stage

from .errors import EncoderError, InvalidInput
from .images import DEFAULT_MAX_PIXELS, Fit, fit_image, open_image
from .item_errors import ITEM_ERRORS, in_place
from .json_models import MAY_BE_MISSING, parse_object, read_model, write_model
from .quiet_import import no_telemetry
from .shown import shown, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import onnxruntime

    from .images import ImageSource

__all__ = ["CARD_KEY", "FORMAT_VERSION", "Encoder", "EncoderCard"]

FORMAT_VERSION = 1
ENCODED_AT_ONCE = 16
"""Pictures of a list that one run of the graph takes: what it holds meanwhile grows with them, and time hardly falls."""
_PIXELS_AT_ONCE = 2 * 384 * 384
"""Of fitted pictures that one run of the graph takes on a processor: more take as long a picture, and a gigabyte for each ten
of 384 × 384 that a pretrained network sees."""
CARD_KEY = "semblant"
"""The ONNX metadata property that holds the card."""

_CARD, _AGAIN = "the encoder's card", "export the encoder again"
_MOST_DIMENSIONS = 65_536
"""Of a vector, in Qdrant."""
_MOST_THREADS = 1024


@dataclass(frozen=True)
class EncoderCard:
    """What an encoder file says about itself.

    Attributes:
        name: for people, such as `cae-fashion`.
        architecture: the registry name that it was built from, such as `cae`.
        fit: how a picture becomes the input of the graph.
        dim: D, numbers in an embedding.
        objective: what it was trained for, such as `reconstruct`.
        training: facts of the run: pictures, epochs, seconds, seed, losses, versions.
        quality: measured results, each with what it was measured on.
        cells: `(P, d)` of the `cells` output, or None without one.
    """

    name: str
    architecture: str
    fit: Fit
    dim: int
    objective: str
    training: Mapping[str, Any] = field(default_factory=dict, metadata=MAY_BE_MISSING)
    quality: Mapping[str, Any] = field(default_factory=dict, metadata=MAY_BE_MISSING)
    cells: tuple[int, int] | None = field(default=None, metadata=MAY_BE_MISSING)

    def __post_init__(self) -> None:
        for name, size in (("dim", self.dim), *(("cells", size) for size in self.cells or ())):
            if not 1 <= size <= _MOST_DIMENSIONS:
                raise InvalidInput(f"{name} {size}: expected 1 to {_MOST_DIMENSIONS:,}")

    def to_json(self) -> dict[str, Any]:
        """The value of the `semblant` metadata property."""
        return {"format_version": FORMAT_VERSION, **write_model(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EncoderCard:
        """The inverse of `to_json`; raises `EncoderError` on another format version, and on facts missing or wrong."""
        check_card_version(data)
        return read_model(cls, data, what=_CARD, error=EncoderError, advice=_AGAIN)


def check_card_version(data: object) -> None:
    """Raise `EncoderError` for what is no card, and for a card of another version than this Semblant's."""
    if not isinstance(data, Mapping):
        raise EncoderError(f"{_CARD} is incomplete: it is {type(data).__name__}, not a JSON object; {_AGAIN}")
    version = data.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise EncoderError(
            f"encoder format version {version!r}: this Semblant reads version {FORMAT_VERSION}; "
            "export the encoder again, or use the Semblant that wrote it"
        )


class Vectors(NamedTuple):
    """Of N pictures: `image`, embeddings float32 `[N, D]`, and `cells`, float32 `[N, P, d]` or None."""

    image: np.ndarray
    cells: np.ndarray | None


class Encoder:
    """A loaded `encoder.onnx`. Safe to share between threads; one picture costs well under a millisecond for small encoders.

    Args:
        source: path of the file, or its bytes.
        threads: CPU threads of ONNX Runtime for one call; None leaves it to the runtime.
        providers: ONNX Runtime execution providers in order of preference; None takes CUDA where it is there, else the CPU.

    Raises:
        EncoderError: not an ONNX file, cut short, without a `semblant` card, or not shaped like the contract.
    """

    card: EncoderCard
    fingerprint: str
    """SHA-256 of the file, as 64 hexadecimal digits."""

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
    ) -> None:
        name = encoder_name(source)
        check_runtime(threads, providers)
        self._bytes = source if isinstance(source, bytes) else _read(Path(source), name)
        self.fingerprint = hashlib.sha256(self._bytes).hexdigest()
        self._open = partial(_open_session, self._bytes, name, threads, providers)
        self._session, self._process = self._open(), os.getpid()
        self.card = _read_card(self._session, name)
        _check_graph(self._session, self.card, name)

    def __repr__(self) -> str:
        return f"Encoder({self.card.name!r}, {self.card.architecture}, dim={self.card.dim}, {self.fingerprint[:12]})"

    @property
    def dim(self) -> int:
        """D, numbers in an embedding."""
        return self.card.dim

    def to_bytes(self) -> bytes:
        """The file itself, so that a database can keep its encoder."""
        return self._bytes

    def prepare(self, source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
        """Decode and fit one picture: uint8 `[H, W, C]`. Raises `ImageError`."""
        fit = self.card.fit
        return fit_image(open_image(source, max_pixels=max_pixels, at_least=(fit.height, fit.width)), fit)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Embeddings, float32 `[N, D]`, of fitted pictures, uint8 `[N, H, W, C]`; another shape or dtype is `InvalidInput`.

        What the graph holds meanwhile does not grow with N on a processor, where it sees some pictures at a time.
        """
        return self._run(images, ["embedding"])[0]

    def encode_with_cells(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings `[N, D]` and local vectors `[N, P, d]`, both float32; `InvalidInput` if the encoder has no cells."""
        if self.card.cells is None:
            raise InvalidInput(f"encoder {self.card.name!r} has no `cells` output; export it with --cells")
        embedding, cells = self._run(images, ["embedding", "cells"])
        return embedding, cells

    def vectors(self, images: np.ndarray) -> Vectors:
        """All that the encoder makes of fitted pictures: embeddings, and cells where it has them."""
        return Vectors(self.encode(images), None) if self.card.cells is None else Vectors(*self.encode_with_cells(images))

    def encode_each(self, fitted: Iterable[np.ndarray]) -> np.ndarray:
        """Embeddings, float32 `[N, D]`, of any number of fitted pictures, uint8 `[H, W, C]`.

        They are taken and encoded `ENCODED_AT_ONCE` at a time, so that memory does not grow with N but for the embeddings.
        """
        pictures = iter(fitted)
        vectors = [np.empty((0, self.dim), dtype=np.float32)]
        while chunk := list(islice(pictures, ENCODED_AT_ONCE)):
            vectors.append(self.encode(np.stack(chunk)))
        return np.concatenate(vectors)

    def encode_pictures(self, sources: Iterable[ImageSource], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
        """Decode, fit and encode any number of pictures: float32 `[N, D]`.

        One is decoded at a time, and `ENCODED_AT_ONCE` are encoded together, however many there are.

        Raises:
            ImageError: the first that cannot be used; its message and its `index` say which.
        """
        return self.encode_each(self._prepared(sources, max_pixels))

    def _prepared(self, sources: Iterable[ImageSource], max_pixels: int) -> Iterator[np.ndarray]:
        for number, source in enumerate(sources):
            try:
                yield self.prepare(source, max_pixels=max_pixels)
            except ITEM_ERRORS as error:
                raise in_place(error, number) from error

    def _open_after_fork(self) -> None:
        """ONNX Runtime's threads stayed in the process that this one was forked from. Its session's end would wait for them."""
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session._sess))
        self._session, self._process = self._open(), os.getpid()

    @in_stage("encode")
    def _run(self, images: np.ndarray, outputs: list[str]) -> list[np.ndarray]:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.card.fit.shape:
            raise InvalidInput(
                f"images of {images.dtype} {list(images.shape)}: encoder {self.card.name!r} expects uint8 "
                f"[N, {', '.join(map(str, self.card.fit.shape))}]"
            )
        if len(images) == 0:
            cells = self.card.cells or (0, 0)
            shapes = {"embedding": (0, self.dim), "cells": (0, *cells)}
            return [np.empty(shapes[name], dtype=np.float32) for name in outputs]
        if os.getpid() != self._process:
            self._open_after_fork()
        try:
            parts = [self._session.run(outputs, {"images": np.ascontiguousarray(part)}) for part in self._in_parts(images)]
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise EncoderError(f"encoder {self.card.name!r} failed on {len(images)} pictures: {error}") from error
        return parts[0] if len(parts) == 1 else [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _in_parts(self, images: np.ndarray) -> Iterator[np.ndarray]:
        at_once = len(images)
        if self._session.get_providers() == ["CPUExecutionProvider"]:  # others want many, and have memory of their own
            at_once = max(1, _PIXELS_AT_ONCE // (self.card.fit.height * self.card.fit.width))
        return (images[begin : begin + at_once] for begin in range(0, len(images), at_once))


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise EncoderError(f"{name}: the encoder cannot be read: {getattr(error, 'strerror', None) or error}") from error


def encoder_name(source: object) -> str:
    """What messages call an encoder that is given by its path or its bytes; raises `InvalidInput` for anything else."""
    if isinstance(source, bytes):
        return f"encoder of {len(source)} bytes"
    if isinstance(source, (str, os.PathLike)) and isinstance(os.fspath(source), str):
        return f"encoder {shown_name(source)}"
    raise InvalidInput(f"encoder {shown(source)}: expected the path of encoder.onnx, its bytes, or an Encoder")


def check_runtime(threads: object, providers: object) -> None:
    """Raise `InvalidInput` unless it is a number of threads, or None, and a list of texts, or None."""
    if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= _MOST_THREADS):
        raise InvalidInput(
            f"threads {shown(threads)}: expected a whole number of threads, at least 1, at most {_MOST_THREADS:,}, or None"
        )
    if providers is not None and not (
        isinstance(providers, (list, tuple)) and all(isinstance(provider, str) for provider in providers)
    ):
        raise InvalidInput(
            f"providers {shown(providers)}: expected a list of some of ONNX Runtime's, as ['CPUExecutionProvider'], or None"
        )


def _open_session(data: bytes, name: str, threads: int | None, providers: Sequence[str] | None) -> onnxruntime.InferenceSession:
    with no_telemetry():
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the exception says it all; the log would go to stderr twice
    if threads is not None:
        options.intra_op_num_threads = threads
    # Idle threads of one session must not spin on the cores that decoding, or another session, needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    if providers is not None and not set(providers) <= set(available):
        raise InvalidInput(f"providers {shown(providers)}: expected a list of some of {', '.join(available)}")
    if providers is None:
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [p for p in wanted if p in available]
    try:
        return onnxruntime.InferenceSession(data, options, providers=list(providers))
    except Exception as error:
        raise EncoderError(
            f"{name}: ONNX Runtime cannot load it as a model; is it the file that `semblant export` wrote, "
            f"copied whole? ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})"
        ) from error


def _read_card(session: onnxruntime.InferenceSession, name: str) -> EncoderCard:
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise EncoderError(
            f"{name}: a sound ONNX model, but not a Semblant encoder (it has no metadata property {CARD_KEY!r}); "
            "make one with `semblant export`"
        )
    what = f"{name}: its metadata property {CARD_KEY!r}"
    return EncoderCard.from_json(parse_object(text, what=what, error=EncoderError, advice=_AGAIN))


def _check_graph(session: onnxruntime.InferenceSession, card: EncoderCard, name: str) -> None:
    inputs = {node.name: (node.type, list(node.shape)) for node in session.get_inputs()}
    outputs = {node.name: (node.type, list(node.shape)) for node in session.get_outputs()}
    kind, shape = inputs.get("images", ("", []))
    if len(inputs) != 1 or kind != "tensor(uint8)" or shape[1:] != list(card.fit.shape):
        raise EncoderError(
            f"{name}: expected one input `images`, uint8 [N, {', '.join(map(str, card.fit.shape))}]; found {inputs}"
        )
    kind, shape = outputs.get("embedding", ("", []))
    if kind != "tensor(float)" or shape[1:] != [card.dim]:
        raise EncoderError(f"{name}: expected an output `embedding`, float32 [N, {card.dim}]; found {outputs}")
    if card.cells is not None and outputs.get("cells", ("", []))[1][1:] != list(card.cells):
        raise EncoderError(
            f"{name}: expected an output `cells`, float32 [N, {card.cells[0]}, {card.cells[1]}]; found {outputs}"
        )
