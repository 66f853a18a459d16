"""The encoder that learns nothing: a picture shrunk to a few pixels, compared by cosine.

The baseline that every trained encoder has to beat, ready at once, and a sound `encoder.onnx` to try a database with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from semblant_search.encoder import CARD_KEY, EncoderCard
from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from semblant_search.images import Fit

__all__ = ["pixel_encoder"]

_BRIGHTEST = 255.0
_OFFSET = 0.01  # so that a black picture has a direction, too


def pixel_encoder(fit: Fit, *, grid: int = 7, name: str = "pixels", cells: bool = False) -> bytes:
    """The file of an encoder whose embedding is the mean colour of each cell of a `grid` × `grid` raster.

    Args:
        fit: how pictures are fitted; its height and width must be multiples of `grid`.
        grid: cells along each side; D = grid · grid · channels.
        name: goes into the card.
        cells: also put out the pixels of each cell, without their mean, for region queries.

    Raises:
        InvalidInput: the size is not a multiple of `grid`.
    """
    from onnx import TensorProto, helper

    if grid < 1 or fit.height % grid or fit.width % grid:
        raise InvalidInput(f"grid {grid}: expected a divisor of the picture's size, {fit.height}×{fit.width}")
    dim = grid * grid * fit.channels
    cell = [fit.height // grid, fit.width // grid]
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),  # [N, H, W, C]
        helper.make_node("Div", ["levels", "brightest"], ["colours"]),
        helper.make_node("Transpose", ["colours"], ["planes"], perm=[0, 3, 1, 2]),  # [N, C, H, W]
        helper.make_node("AveragePool", ["planes"], ["averages"], kernel_shape=cell, strides=cell),  # [N, C, grid, grid]
        helper.make_node("Flatten", ["averages"], ["means"]),  # [N, D]
        helper.make_node("Add", ["means", "offset"], ["raised"]),
        helper.make_node("LpNormalization", ["raised"], ["embedding"], axis=1, p=2),
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", dim])]
    constants = [
        helper.make_tensor("brightest", TensorProto.FLOAT, [], [_BRIGHTEST]),
        helper.make_tensor("offset", TensorProto.FLOAT, [], [_OFFSET]),
    ]
    shape = (grid * grid, cell[0] * cell[1] * fit.channels) if cells else None
    if shape is not None:
        outputs.append(helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["N", *shape]))
        split = [0, grid, cell[0], grid, cell[1], fit.channels]
        constants.append(helper.make_tensor("split", TensorProto.INT64, [6], split))
        constants.append(helper.make_tensor("joined", TensorProto.INT64, [3], [0, *shape]))
        nodes += [
            helper.make_node("Reshape", ["colours", "split"], ["raster"]),  # [N, grid, h, grid, w, C]
            helper.make_node("Transpose", ["raster"], ["patches"], perm=[0, 1, 3, 2, 4, 5]),
            helper.make_node("Reshape", ["patches", "joined"], ["places"]),  # [N, P, d]
            helper.make_node("ReduceMean", ["places"], ["level"], axes=[2]),
            helper.make_node("Sub", ["places", "level"], ["relief"]),
            helper.make_node("Add", ["relief", "offset"], ["lifted"]),
            helper.make_node("LpNormalization", ["lifted"], ["cells"], axis=2, p=2),
        ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *fit.shape])
    graph = helper.make_graph(nodes, name, [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="semblant")
    model.ir_version = 8  # what ONNX Runtime read when opset 17 was new, so that any later one does
    card = EncoderCard(name=name, architecture="pixels", fit=fit, dim=dim, objective="none", cells=shape)
    helper.set_model_props(model, {CARD_KEY: json.dumps(card.to_json())})
    return bytes(model.SerializeToString())
