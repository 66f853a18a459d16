"""An encoder that holds much while it runs, as those of a real network do: 64 channels at the full size of the picture."""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from semblant_search import Encoder, EncoderCard, Fit
from semblant_search.encoder import CARD_KEY

__all__ = ["wide_encoder"]


def wide_encoder(side: int) -> Encoder:
    """Of grey `side × side` pictures; it takes 256 · side² bytes for each picture of a batch, at least."""
    kernels = np.random.default_rng(1).normal(size=(64, 1, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernels"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["kept"]),
        helper.make_node("ReduceMean", ["kept", "axes"], ["means"], keepdims=0),
        helper.make_node("LpNormalization", ["means"], ["embedding"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", side, side, 1])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 64])],
        [numpy_helper.from_array(kernels, "kernels"), numpy_helper.from_array(np.array([2, 3]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    card = EncoderCard("wide", "test", Fit(side, side, 1), 64, "none")
    helper.set_model_props(model, {CARD_KEY: json.dumps(card.to_json())})
    onnx.checker.check_model(model)
    return Encoder(model.SerializeToString(), threads=1)
