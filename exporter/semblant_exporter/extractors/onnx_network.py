"""Anybody's network in an ONNX file, such as DINOv2 or CLIP exported once: looked at, run, and made part of an encoder file.

The encoder is that graph itself with a few nodes before it (scaling) and after it (pooling, PCA, unit length), written in
operators that all opsets from 13 on know alike, so that nothing of the network is converted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from semblant_search.encoder import CARD_KEY
from semblant_search.errors import InvalidInput, TrainingError
from semblant_search.quiet_import import no_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from semblant_search.encoder import EncoderCard
    from semblant_search.images import Fit

    from semblant_exporter.whitening import Whitening

    Tail = Callable[[str], "Part"]
    """Continues a graph from the value of that name."""

__all__ = ["BESIDE", "OnnxNetwork", "OnnxOptions", "Part", "is_onnx", "reduced"]

_OPSETS = range(13, 25)
_POOLINGS = {3: ("gap", "flatten", "cls"), 4: ("gap", "gem", "flatten")}
"""By how many dimensions the output has."""
BESIDE = {3: ("cls", "gap"), 4: ("gem", "gap")}
"""Poolings that are looked at side by side where none is asked for, by dimensions of the output."""
_GEM_POWER = 3.0
_BATCH = 16
_SAME = 1e-3
"""Largest difference, as a share of the largest number, between a picture alone and in a batch: kernels add in other orders."""


def is_onnx(arch: str) -> bool:
    """Whether this names a file rather than a network that is known by name."""
    return arch.lower().endswith(".onnx")


@dataclass(frozen=True)
class OnnxOptions:
    """What the file does not say of itself.

    Attributes:
        mean, std: of each channel, for pixels in 0–1; what the network was trained with.
        pooling: of a map `[N, d, h, w]`: `gap`, `gem` or `flatten`; of tokens `[N, t, d]`: `gap`, `flatten` or `cls`, the first
            of them, which stands for the picture in most transformers. Vectors `[N, d]` are taken as they are.
        output: name of the output with the features; None: the first.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pooling: str = "gap"
    output: str | None = None


class Part(NamedTuple):
    """A piece of a graph: `nodes` that compute the value named `last`, and the constants that they read."""

    nodes: list[Any]
    last: str
    constants: list[tuple[str, np.ndarray]]


class OnnxNetwork:
    """A network that takes pictures: `features` runs it, `encoder` puts it into an encoder file.

    Attributes:
        side: `(height, width)` that the file asks for; None where it takes any.
        poolings: how its output is pooled; the vectors lie side by side in the features.
        dim: numbers of its features; known after the first `features`.
    """

    def __init__(self, path: Path, options: OnnxOptions, *, all_poolings: bool = False) -> None:
        self.path, self.options = path, options
        self.model = _read(path)
        self.input, self.side, self.channels_last = _picture_input(self.model, path)
        self.output = _output(self.model, path, options.output)
        self.poolings = BESIDE.get(self._rank(), (options.pooling,)) if all_poolings else (options.pooling,)
        self.dim = 0
        self._session: Any = None

    def features(self, fit: Fit, pixels: np.ndarray, on_progress: Any = None) -> torch.Tensor:
        """Float32 `[n, d]` of fitted pictures uint8 `[n, h, w, 3]`.

        Raises:
            TrainingError: the graph does not run on such pictures, or takes no batches of any size.
        """
        if self._session is None:
            self._session = _session(self._graph(fit, [], None).SerializeToString(), self.path)
            self._check_batches(pixels)
        parts = []
        for begin in range(0, len(pixels), _BATCH):
            parts.append(self._run(pixels[begin : begin + _BATCH]))
            if on_progress is not None:
                on_progress("looking at pictures", min(begin + _BATCH, len(pixels)), len(pixels))
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            raise TrainingError(f"{self.path.name}: its features of these pictures are no finite numbers; try --mean and --std")
        self.dim = found.shape[1]
        return torch.from_numpy(found)

    def encoder(self, fit: Fit, after: Sequence[Tail], card: EncoderCard) -> bytes:
        """The bytes of an encoder file with this network in it.

        Args:
            fit: how pictures are fitted.
            after: what the features, `[N, d]`, go through in turn before they are brought to unit length.
            card: goes in as metadata.
        """
        program = self._graph(fit, after, card)
        data: bytes = program.SerializeToString()
        return data

    def _run(self, pixels: np.ndarray) -> np.ndarray:
        try:
            found = self._session.run(None, {"images": np.ascontiguousarray(pixels)})[0]
        except Exception as error:  # whatever ONNX Runtime says of a graph that is not for such pictures
            raise TrainingError(
                f"{self.path.name}: it does not run on {len(pixels)} pictures of {pixels.shape[1]}×{pixels.shape[2]} pixels: "
                f"{_first_line(error)}; export it with a batch of any size, and give --size where it needs one"
            ) from error
        array: np.ndarray = np.asarray(found, dtype=np.float32)
        return array

    def _check_batches(self, pixels: np.ndarray) -> None:
        """Some files say that they take any batch, and mix its pictures, or keep the size of one in a constant."""
        some = pixels[: min(3, len(pixels))]
        together = self._run(some)
        alone = np.concatenate([self._run(some[row : row + 1]) for row in range(len(some))])
        if together.shape != alone.shape or np.abs(together - alone).max() > _SAME * max(1e-6, np.abs(alone).max()):
            raise TrainingError(
                f"{self.path.name}: a picture in a batch has other features than alone; export it in evaluation mode, "
                "with a batch of any size"
            )

    def _graph(self, fit: Fit, after: Sequence[Tail], card: EncoderCard | None) -> Any:
        """The network from uint8 pictures to features, or with a card to unit vectors."""
        import onnx
        import onnx.compose
        from onnx import TensorProto, helper

        model = onnx.compose.add_prefix(self.model, "network/")
        graph, opset = model.graph, _opset(model)
        given, found = f"network/{self.input}", f"network/{self.output}"
        nodes, constants = _scaling(given, self.options, channels_last=self.channels_last)
        behind = _pooled(found, self._rank(), self.poolings)
        tail, last = list(behind.nodes), behind.last
        constants += behind.constants
        for make in after:
            part = make(last)
            tail, last = [*tail, *part.nodes], part.last
            constants += part.constants
        if card is None:
            tail.append(helper.make_node("Identity", [last], ["embedding"]))
        else:
            tail.append(helper.make_node("LpNormalization", [last], ["embedding"], axis=1, p=2))
        everything = [*nodes, *graph.node, *tail]
        shape: list[str | int | None] = ["N", fit.height, fit.width, 3]
        whole = helper.make_graph(
            everything,
            "semblant",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", card.dim if card else None])],
            [*graph.initializer, *(onnx.numpy_helper.from_array(value, name) for name, value in constants)],
            sparse_initializer=graph.sparse_initializer,
        )
        imports = [entry for entry in model.opset_import if entry.domain not in ("", "ai.onnx")]
        program = helper.make_model(
            whole,
            opset_imports=[helper.make_opsetid("", opset), *imports],
            functions=list(model.functions),
            ir_version=model.ir_version,
        )
        if card is not None:
            entry = program.metadata_props.add()
            entry.key, entry.value = CARD_KEY, json.dumps(card.to_json())
        return program

    def _rank(self) -> int:
        import onnx

        inferred = onnx.shape_inference.infer_shapes(self.model)
        value = next(value for value in inferred.graph.output if value.name == self.output)
        rank = len(value.type.tensor_type.shape.dim) if value.type.tensor_type.HasField("shape") else 0
        if rank not in (2, 3, 4):
            raise InvalidInput(
                f"{self.path.name}: output {self.output!r} has {rank or 'unknown'} dimensions, expected vectors [N, d], "
                "tokens [N, t, d] or a map [N, d, h, w]; name another output with --features"
            )
        return rank


def _read(path: Path) -> Any:
    import onnx

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        raise InvalidInput(f"{str(path)!r}: no such file, or not the weights beside it ({error.filename})") from error
    except Exception as error:  # protobuf, the checker and the file system have no common base
        raise InvalidInput(f"{str(path)!r}: no sound ONNX file: {_first_line(error)}") from error
    if any(entry.key == CARD_KEY for entry in model.metadata_props):
        raise InvalidInput(
            f"{path.name}: an encoder of Semblant already, not a network to make one of: `semblant index --encoder {path.name}`"
            " takes it as it is; give the network that it was made of"
        )
    if _opset(model) not in _OPSETS:
        raise InvalidInput(f"{path.name}: opset {_opset(model)}, expected {_OPSETS[0]} to {_OPSETS[-1]}; export it again")
    return model


def _opset(model: Any) -> int:
    return next((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def _picture_input(model: Any, path: Path) -> tuple[str, tuple[int, int] | None, bool]:
    """Name, `(height, width)` or None, and whether channels come last, of the one input, which must take pictures."""
    from onnx import TensorProto

    constant = {value.name for value in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constant]
    said = ", ".join(f"{value.name} {_shape(value)}" for value in inputs) or "none"
    if len(inputs) != 1:
        raise InvalidInput(f"{path.name}: {len(inputs)} inputs ({said}), expected one, for pictures; export that part alone")
    (value,) = inputs
    kind, shape = value.type.tensor_type.elem_type, _shape(value)
    if len(shape) != 4 or kind != TensorProto.FLOAT or 3 not in (shape[1], shape[3]):
        name = TensorProto.DataType.Name(kind).lower()
        raise InvalidInput(
            f"{path.name}: input {value.name!r} is {name} {shape}, expected pictures: float [N, 3, height, width]"
            " or [N, height, width, 3]"
        )
    last = shape[1] != 3
    sides = [side for side in (shape[1:3] if last else shape[2:]) if isinstance(side, int)]
    if isinstance(shape[0], int):  # one picture at a time, as it says: often only because it was traced with one
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    return value.name, (sides[0], sides[1]) if len(sides) == 2 else None, last


def _shape(value: Any) -> list[int | str]:
    """Sizes of its dimensions, names for those that are free."""
    return [dim.dim_value or dim.dim_param or "?" for dim in value.type.tensor_type.shape.dim]


def _output(model: Any, path: Path, wanted: str | None) -> str:
    names = [value.name for value in model.graph.output]
    if wanted is None:
        return str(names[0])
    if wanted not in names:
        raise InvalidInput(f"{path.name}: no output {wanted!r}; expected one of {', '.join(names)}")
    return wanted


def _scaling(given: str, options: OnnxOptions, *, channels_last: bool) -> tuple[list[Any], list[tuple[str, np.ndarray]]]:
    """Nodes from `images`, uint8 `[N, h, w, 3]`, to the network's input: (pixel / 255 - mean) / std."""
    from onnx import TensorProto, helper

    std = np.array(options.std, np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["semblant/float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["semblant/float", "semblant/scale"], ["semblant/scaled"]),
        helper.make_node("Add", ["semblant/scaled", "semblant/shift"], [given if channels_last else "semblant/shifted"]),
    ]
    if not channels_last:
        nodes.append(helper.make_node("Transpose", ["semblant/shifted"], [given], perm=[0, 3, 1, 2]))
    return nodes, [_constant("scale", 1 / (255 * std)), _constant("shift", -np.array(options.mean, np.float32) / std)]


def reduced(reduction: Whitening) -> Tail:
    """A linear map of the features, such as a PCA."""

    def make(last: str) -> Part:
        from onnx import helper

        node = helper.make_node("Gemm", [last, "semblant/matrix", "semblant/bias"], ["semblant/reduced"], transB=1)
        return Part(
            [node],
            "semblant/reduced",
            [_constant("matrix", reduction.matrix.numpy()), _constant("bias", reduction.bias.numpy())],
        )

    return make


def _pooled(found: str, rank: int, poolings: Sequence[str]) -> Part:
    """From the network's output to `[N, d]`: pooled in each of the ways, side by side."""
    from onnx import helper

    parts = [_pooling(found, rank, pooling) for pooling in poolings]
    nodes = [node for part in parts for node in part.nodes]
    constants = [constant for part in parts for constant in part.constants]
    if len(parts) == 1:
        return Part(nodes, parts[0].last, constants)
    nodes.append(helper.make_node("Concat", [part.last for part in parts], ["semblant/beside"], axis=1))
    return Part(nodes, "semblant/beside", constants)


def _pooling(found: str, rank: int, pooling: str) -> Part:
    """Nodes from the network's output to `[N, d]`."""
    from onnx import helper

    if rank == 2:
        return Part([], found, [])
    if pooling not in _POOLINGS[rank]:
        kind = "tokens [N, t, d]" if rank == 3 else "a map [N, d, h, w]"
        raise InvalidInput(f"pooling {pooling!r} of {kind}: expected one of {', '.join(_POOLINGS[rank])}")
    own = f"semblant/{pooling}"
    name, flat = f"{own}/pooled", f"{own}/features"
    flatten = helper.make_node("Flatten", [name], [flat], axis=1)
    if pooling == "flatten":
        return Part([helper.make_node("Flatten", [found], [flat], axis=1)], flat, [])
    if pooling == "cls":
        gather = helper.make_node("Gather", [found, "semblant/first"], [flat], axis=1)
        return Part([gather], flat, [_constant("first", np.int64(0))])
    if pooling == "gap" and rank == 3:
        across = helper.make_node("Transpose", [found], [f"{own}/across"], perm=[0, 2, 1])  # [N, d, t]
        return Part([across, helper.make_node("GlobalAveragePool", [f"{own}/across"], [name]), flatten], flat, [])
    if pooling == "gap":
        return Part([helper.make_node("GlobalAveragePool", [found], [name]), flatten], flat, [])
    nodes = [
        helper.make_node("Max", [found, "semblant/smallest"], [f"{own}/positive"]),
        helper.make_node("Pow", [f"{own}/positive", "semblant/power"], [f"{own}/raised"]),
        helper.make_node("GlobalAveragePool", [f"{own}/raised"], [f"{own}/mean"]),
        helper.make_node("Pow", [f"{own}/mean", "semblant/root"], [name]),
        flatten,
    ]
    values = {"smallest": 1e-6, "power": _GEM_POWER, "root": 1 / _GEM_POWER}
    return Part(nodes, flat, [_constant(key, np.array(value, np.float32)) for key, value in values.items()])


def _constant(name: str, value: Any) -> tuple[str, np.ndarray]:
    return f"semblant/{name}", np.asarray(value)


def _session(data: bytes, path: Path) -> Any:
    with no_telemetry():
        import onnxruntime

    try:
        return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:  # whatever ONNX Runtime says of a graph that it cannot plan
        raise TrainingError(f"{path.name}: ONNX Runtime cannot run it: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:300]
