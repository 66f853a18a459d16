"""Smaller and faster encoder files: 8-bit arithmetic calibrated on real pictures, or weights stored in 16 bits.

What that costs is measured on pictures before anything is written: neighbours must still have the query's label where there are
labels, and changed copies must still find their originals where there are none.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from semblant_search.encoder import CARD_KEY, Encoder
from semblant_search.errors import DataError, InvalidInput, TrainingError
from semblant_search.quiet_import import no_telemetry
from semblant_search.shown import counted

from semblant_exporter import metrics
from semblant_exporter.augment import Views, view
from semblant_exporter.checkpoint import check_writable, write_atomically
from semblant_exporter.evaluate import embed
from semblant_exporter.export import ExportOptions, ExportReport, export
from semblant_exporter.objectives import to_images
from semblant_exporter.pictures import load, spread_out
from semblant_exporter.training import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_exporter.decoding import Failure

__all__ = ["KINDS", "QuantizeReport", "export_quantized", "quantize", "quantize_file"]

KINDS = ("int8", "fp16")
_CALIBRATED_ON = 200
_MEASURED_ON = 2000
_FEWEST = 20
_BATCH = 16
_QUANTIZED = ("Conv", "MatMul", "Gemm")
_COPIES = Views(shift=0.08, zoom=0.15, stretch=0.05, rotate=8.0, exposure=0.25, gamma=0.0)
_TIMED_RUNS = 15


@dataclass(frozen=True)
class QuantizeReport:
    """What became of an encoder.

    Attributes:
        kind: `int8` or `fp16`.
        data: the new file.
        bytes_before, bytes_after: sizes of the files.
        ms_before, ms_after: milliseconds a picture in batches of 16, the median, both in this run.
        recall_before, recall_after: how often a slightly changed copy finds its original first, 0–1.
        precision_before, precision_after: P@10 by labels, each picture asking for the others; None without labels.
        pictures: how many it was measured on.
    """

    kind: str
    data: bytes
    bytes_before: int
    bytes_after: int
    ms_before: float
    ms_after: float
    recall_before: float
    recall_after: float
    precision_before: float | None
    precision_after: float | None
    pictures: int

    @property
    def drop(self) -> float:
        """What P@10 has lost; without labels, recall of changed copies. Below 0 if it has gained."""
        if self.precision_before is None or self.precision_after is None:
            return self.recall_before - self.recall_after
        return self.precision_before - self.precision_after

    @property
    def speedup(self) -> float:
        """How many times as fast as before."""
        return self.ms_before / self.ms_after

    def summary(self) -> str:
        """What it has gained and lost, in two lines."""
        labelled = self.precision_before is not None
        precision = f"P@10 {self.precision_before:.3f} → {self.precision_after:.3f}, " if labelled else ""
        return (
            f"{self.kind}: {self.bytes_before / 1e6:.2f} → {self.bytes_after / 1e6:.2f} MB, "
            f"{self.ms_before:.3f} → {self.ms_after:.3f} ms a picture ({self.speedup:.2f} × as fast)\n"
            f"{precision}recall@1 of changed copies {self.recall_before:.3f} → {self.recall_after:.3f}, "
            f"on {counted(self.pictures, 'picture')}"
        )

    def to_json(self) -> dict[str, Any]:
        """What is printed and kept in the new file's card; without `data`."""
        rounded = {
            name: None if value is None else round(value, 4)
            for name, value in (
                ("ms_before", self.ms_before),
                ("ms_after", self.ms_after),
                ("speedup", self.speedup),
                ("recall@1_before", self.recall_before),
                ("recall@1_after", self.recall_after),
                ("P@10_before", self.precision_before),
                ("P@10_after", self.precision_after),
                ("drop", self.drop),
            )
        }
        sizes = {"bytes_before": self.bytes_before, "bytes_after": self.bytes_after}
        return {"kind": self.kind, **sizes, **rounded, "pictures": self.pictures}


def quantize(
    encoder: Encoder, kind: str, pictures: np.ndarray, label_ids: np.ndarray | None = None, *, max_drop: float = 0.01
) -> QuantizeReport:
    """Make a smaller encoder, and measure what it has lost.

    Args:
        encoder: the one to start from.
        kind: `int8`: convolutions and matrix products in 8 bits, with ranges calibrated on the pictures. `fp16`: weights are
            stored in 16 bits and computed with in 32, so the file is half as large and as fast as before.
        pictures: real ones, fitted: uint8 `[n, H, W, C]`, at least 20; up to 2,000 are used.
        label_ids: int64 `[n]`, -1 without a label, or None.
        max_drop: largest loss of P@10, or without labels of recall@1 of changed copies: 0.01 is one point.

    Raises:
        InvalidInput: an unknown kind, or pictures of another shape.
        DataError: too few pictures.
        TrainingError: the loss is larger than `max_drop`, or the graph has operators that cannot be quantised.
    """
    if kind not in KINDS:
        raise InvalidInput(f"quantization {kind!r}: expected one of {', '.join(KINDS)}")
    if pictures.shape[1:] != encoder.card.fit.shape:
        raise InvalidInput(f"pictures {list(pictures.shape)}: expected [n, {', '.join(map(str, encoder.card.fit.shape))}]")
    if len(pictures) < _FEWEST:
        raise DataError(
            f"{counted(len(pictures), 'usable picture')}: quantizing needs at least {_FEWEST} to calibrate and to measure with;"
            " give a folder of more, which need not be those that will be indexed"
        )
    rows = np.sort(np.random.default_rng(0).permutation(len(pictures))[:_MEASURED_ON])
    chosen = np.array(pictures[rows])
    labels = None if label_ids is None or (label_ids[rows] < 0).all() else label_ids[rows]
    small = Encoder(_half(encoder) if kind == "fp16" else _eight(encoder, spread_out(chosen, _CALIBRATED_ON)))
    copies = _copies(chosen)
    recall_before, precision_before = _quality(encoder, chosen, copies, labels)
    recall_after, precision_after = _quality(small, chosen, copies, labels)
    ms_before, ms_after = _milliseconds(encoder, small, chosen)
    report = QuantizeReport(
        kind,
        small.to_bytes(),
        len(encoder.to_bytes()),
        len(small.to_bytes()),
        ms_before,
        ms_after,
        recall_before,
        recall_after,
        precision_before,
        precision_after,
        len(chosen),
    )
    if not report.drop <= max_drop:
        labelled = precision_before is not None
        what = f"P@10 {precision_before:.3f} → {precision_after:.3f}, " if labelled else ""
        coarse = not labelled and 1 / len(chosen) > max_drop
        few = f" One picture alone is {1 / len(chosen):.3f} of that: give more to measure it by." if coarse else ""
        raise TrainingError(
            f"the {kind} encoder is worse by {report.drop:.3f} ({what}recall@1 of changed copies {recall_before:.3f} → "
            f"{recall_after:.3f}, on {counted(len(chosen), 'picture')}), more than --max-drop {max_drop:g}; nothing was "
            f"written.{few} Allow more, or keep the floats"
        )
    model = _load(small)
    card = replace(small.card, quality={**small.card.quality, "quantized": report.to_json()})
    for entry in model.metadata_props:
        if entry.key == CARD_KEY:
            entry.value = json.dumps(card.to_json())
    data = bytes(model.SerializeToString())
    return replace(report, data=data, bytes_after=len(data))


def _half(encoder: Encoder) -> bytes:
    """Every large float weight in 16 bits, followed by a cast that ONNX Runtime carries out once, when it loads the file."""
    from onnx import TensorProto, helper, numpy_helper

    model = _load(encoder)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64 or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    return bytes(model.SerializeToString())


def _eight(encoder: Encoder, pictures: np.ndarray) -> bytes:
    with no_telemetry():
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = _batches(pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises about steps that have been taken
    try:
        with tempfile.TemporaryDirectory() as folder:
            before, prepared, after = (Path(folder) / name for name in ("before.onnx", "prepared.onnx", "after.onnx"))
            before.write_bytes(encoder.to_bytes())
            quant_pre_process(before, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                after,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_QUANTIZED),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Weights of 7 bits: processors without VNNI add pairs of products in 16 bits, which 8 would overflow, so that
                # the same file would give other vectors elsewhere.
                reduce_range=True,
            )
            data = after.read_bytes()
    except Exception as error:  # its own, ONNX's and ONNX Runtime's have no common base
        why = str(error).splitlines()[0] if str(error) else repr(error)
        raise TrainingError(
            f"encoder {encoder.card.name!r} cannot be quantized to int8: {why}; try fp16, or keep the float encoder"
        ) from error
    finally:
        logger.setLevel(level)
    return _with_card(data, encoder)


def _with_card(data: bytes, encoder: Encoder) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    if not any(entry.key == CARD_KEY for entry in model.metadata_props):
        entry = model.metadata_props.add()
        entry.key, entry.value = CARD_KEY, json.dumps(encoder.card.to_json())
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise TrainingError(
            f"encoder {encoder.card.name!r} has no {', '.join(_QUANTIZED)} that could be quantized; keep the float encoder"
        )
    return bytes(model.SerializeToString())


def _load(encoder: Encoder) -> Any:
    import onnx

    return onnx.load_model_from_string(encoder.to_bytes())


def _batches(pictures: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for begin in range(0, len(pictures), _BATCH):
        yield {"images": pictures[begin : begin + _BATCH]}


def _copies(pictures: np.ndarray) -> np.ndarray:
    """A slightly changed copy of each picture, uint8 `[n, H, W, C]`, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = [view(to_images(part), _COPIES) for part in torch.split(torch.from_numpy(pictures), 256)]
    return (torch.cat(parts) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def _quality(
    encoder: Encoder, pictures: np.ndarray, copies: np.ndarray, labels: np.ndarray | None
) -> tuple[float, float | None]:
    """Recall@1 of copies, and P@10 by labels or None; no numbers where vectors hold some that are none."""
    vectors, _ = embed(encoder, pictures)
    changed, _ = embed(encoder, copies)
    if not (np.isfinite(vectors).all() and np.isfinite(changed).all()):
        return np.nan, None if labels is None else np.nan
    own = np.arange(len(pictures))
    recall = float((metrics.nearest(vectors, changed, 1).rows[:, 0] == own).mean())
    if labels is None:
        return recall, None
    asked = np.flatnonzero(labels >= 0)
    found = metrics.nearest(vectors, vectors[asked], 10, exclude=own[asked])
    return recall, float(metrics.precision_at(metrics.matches(found, labels, labels[asked]), 10).mean())


def _milliseconds(first: Encoder, second: Encoder, pictures: np.ndarray) -> tuple[float, float]:
    """Medians of both, taken in turns, so that whatever else the machine does slows both alike."""
    batch = np.ascontiguousarray(pictures[:_BATCH])
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(_TIMED_RUNS + 1):
        for encoder, taken in zip((first, second), times, strict=True):
            begin = time.perf_counter()
            encoder.encode(batch)
            if run:  # the first plans the memory
                taken.append(time.perf_counter() - begin)
    before, after = (1000 * float(np.median(taken)) / len(batch) for taken in times)
    return before, after


def quantize_file(
    encoder: Path,
    directory: Path,
    output: Path,
    kind: str,
    *,
    max_drop: float = 0.01,
    label: str | None = None,
    on_progress: Callable[[str, int, int | None], None] | None = None,
) -> tuple[QuantizeReport, list[Failure]]:
    """Make a smaller encoder file of an encoder file, on the pictures of a folder.

    Args:
        encoder: the file to start from.
        directory: pictures to calibrate and measure on.
        output: the file to write.
        kind, max_drop: as `quantize` takes them.
        label: the metadata column with labels; None: `label`, else folder names.
        on_progress: called with what is being decoded, how much is done and out of how many.

    Returns:
        What became of it, and the pictures that could not be used.

    Raises:
        EncoderError: `encoder` is none.
        DataError, MetadataError: no usable pictures, or no such labels; and whatever `quantize` raises.
    """
    known = Encoder(encoder)
    check_writable(output)
    array = load(directory, known.card.fit, label=label, on_progress=on_progress)
    report = quantize(known, kind, array.pixels, array.label_ids, max_drop=max_drop)
    write_atomically(output, report.data)
    return report, array.failures


def export_quantized(
    folder: Path,
    path: Path,
    kind: str,
    *,
    options: ExportOptions | None = None,
    max_drop: float = 0.01,
    pictures: Path | None = None,
) -> tuple[ExportReport, QuantizeReport]:
    """Export a model directory and quantise the result; `path` is written only if the loss is within `max_drop`.

    Calibrated and measured on the pictures of a folder and their labels; without one, on those that the model
    directory keeps.

    Raises:
        TrainingError: the loss is too large; and whatever `export` and `quantize` raise.
    """
    check_writable(path)
    with tempfile.TemporaryDirectory() as temporary:
        report = export(folder, Path(temporary) / "encoder.onnx", options or ExportOptions())
        encoder = Encoder(report.path)
    if pictures is None:
        quantized = quantize(encoder, kind, load_model(folder).sample, max_drop=max_drop)
    else:
        array = load(pictures, encoder.card.fit)
        quantized = quantize(encoder, kind, array.pixels, array.label_ids, max_drop=max_drop)
    write_atomically(path, quantized.data)
    small = Encoder(quantized.data)
    return replace(report, path=path, card=small.card, fingerprint=small.fingerprint, size=len(quantized.data)), quantized
