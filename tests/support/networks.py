"""A small network in an ONNX file, as a user may bring one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

SIDE, CHANNELS = 32, 12


def network(
    path: Path, *, kind: str = "map", last: bool = False, batch: int | str = "N", side: int | str = SIDE, opset: int = 17
) -> Path:
    """A convolution that looks at squares of 8 pixels: its map `[N, 12, 4, 4]`, its tokens `[N, 16, 12]` or a vector."""
    kernel = np.random.default_rng(0).normal(0, 0.1, (CHANNELS, 3, 8, 8)).astype(np.float32)
    shape = [batch, side, side, 3] if last else [batch, 3, side, side]
    nodes = [helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2])] if last else []
    nodes.append(helper.make_node("Conv", ["planes" if last else "x", "kernel"], ["conv"], strides=[8, 8], kernel_shape=[8, 8]))
    nodes.append(helper.make_node("Relu", ["conv"], ["found"]))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    constants = [numpy_helper.from_array(kernel, "kernel")]
    outputs = [helper.make_tensor_value_info("found", TensorProto.FLOAT, [batch, CHANNELS, None, None])]
    if kind == "tokens":
        constants.append(numpy_helper.from_array(np.array([0, CHANNELS, -1]), "shape"))
        nodes.append(helper.make_node("Reshape", ["found", "shape"], ["across"]))
        nodes.append(helper.make_node("Transpose", ["across"], ["tokens"], perm=[0, 2, 1]))
        outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [batch, None, CHANNELS])]
    if kind == "vector":
        nodes.append(helper.make_node("GlobalMaxPool", ["found"], ["most"]))
        nodes.append(helper.make_node("Flatten", ["most"], ["vector"]))
        outputs.append(helper.make_tensor_value_info("vector", TensorProto.FLOAT, [batch, CHANNELS]))
    if kind == "mixing":  # takes the mean of its batch off
        nodes.append(helper.make_node("ReduceMean", ["found"], ["middle"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", ["found", "middle"], ["mixed"]))
        outputs = [helper.make_tensor_value_info("mixed", TensorProto.FLOAT, [batch, CHANNELS, None, None])]
    if kind == "one batch":  # keeps the size of a batch in a constant
        constants.append(numpy_helper.from_array(np.array([1, CHANNELS * 16]), "shape"))
        nodes.append(helper.make_node("Reshape", ["found", "shape"], ["flat"]))
        outputs = [helper.make_tensor_value_info("flat", TensorProto.FLOAT, [batch, CHANNELS * 16])]
    graph = helper.make_graph(nodes, "own", [given], outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path
