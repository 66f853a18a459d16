"""From a model directory to `encoder.onnx`: one file with everything from decoded pixels to unit vectors.

The file is checked against PyTorch on real pictures before it is written, and written as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.encoder import CARD_KEY, Encoder, EncoderCard
from semblant_search.errors import InvalidInput, TrainingError
from torch import Tensor, nn

from semblant_exporter.checkpoint import check_writable, write_atomically
from semblant_exporter.folding import folded
from semblant_exporter.objectives import to_images
from semblant_exporter.training import load_model
from semblant_exporter.whitening import LATENT_POWER, Whitening, copies_recall, embed, fit_whitening, ledoit_wolf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.images import Fit

    from semblant_exporter.models import Model
    from semblant_exporter.training import TrainedModel

__all__ = ["TOLERANCE", "ExportReport", "build_encoder", "export", "in_parts", "to_onnx"]

TOLERANCE = 1e-4
"""Largest difference between ONNX Runtime and PyTorch, in any number of an embedding."""
_CHECKED = 256
_PIXELS_AT_ONCE = 2 * 384 * 384
OPSET = 18
_CELL_NUMBERS = 64
_MOST_WHITENED = 1024
_CELL_PICTURES = 2000
_FEW = 10
"""Pictures for each number, from which on their covariance is known well enough as it is."""


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        path: the file.
        card: what it says about itself.
        fingerprint: its SHA-256.
        size: in bytes.
        difference: largest difference from PyTorch on `checked` real pictures.
        whitened: whether PCA whitening is in it.
        whitening: how, on what, or why not, in a few words.
    """

    path: Path
    card: EncoderCard
    fingerprint: str
    size: int
    difference: float
    checked: int
    whitened: bool
    whitening: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "path": str(self.path),
            "card": self.card.to_json(),
            "fingerprint": self.fingerprint,
            "bytes": self.size,
            "difference": self.difference,
            "checked": self.checked,
            "whitened": self.whitened,
            "whitening": self.whitening,
        }


@dataclass(frozen=True)
class ExportOptions:
    """What to put into the file.

    Attributes:
        name: for people; None takes the architecture and the name of the model directory.
        whiten: `yes`, `no` or `auto`: yes after learning without labels. Where the model directory keeps few pictures, their
            covariance is shrunk (Ledoit–Wolf).
        dim: reduce to so many numbers by PCA (needs whitening); None keeps all.
        cells: also put out a vector for each place of the last feature map, for region queries.
    """

    name: str | None = None
    whiten: str = "auto"
    dim: int | None = None
    cells: bool = False

    def __post_init__(self) -> None:
        if self.whiten not in ("auto", "yes", "no"):
            raise InvalidInput(f"whiten {self.whiten!r}: expected auto, yes or no")
        if self.dim is not None and self.whiten == "no":
            raise InvalidInput(f"dim {self.dim} without whitening: reducing is done by PCA; leave --whiten away")


class Graph(nn.Module):
    """What the file computes: uint8 `[N, H, W, C]` to unit vectors `[N, D]`, and with `cells` local ones `[N, P, d]`."""

    def __init__(self, model: Model, whitening: Whitening | None, cells: Whitening | None = None) -> None:
        super().__init__()
        self.cells = None if cells is None else _linear(cells.matrix, cells.bias)
        self.model = copy.deepcopy(model).eval()
        self.last: nn.Module = nn.Identity()
        if whitening is not None:
            layer = self.model.latent_layer()
            if layer is None:
                self.last = _linear(whitening.matrix, whitening.bias)
            else:  # two linear layers in a row are one
                _become(layer, whitening.matrix @ layer.weight, whitening(layer.bias))

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Embeddings float32 `[N, D]`, and cells float32 `[N, P, d]` if there are any."""
        x = to_images(images)  # [N, C, H, W]
        embedding = F.normalize(self.last(self.model.encode(x)), dim=1)  # [N, D]
        if self.cells is None:
            return embedding
        # ONNX Runtime computes the feature map that both share once.
        places = self.model.feature_map(x).flatten(2).transpose(1, 2)  # [N, P, channels]
        return embedding, F.normalize(self.cells(places), dim=2)  # [N, D], [N, P, d]


def export(folder: Path, path: Path, options: ExportOptions | None = None) -> ExportReport:
    """Write the encoder of a model directory.

    Args:
        folder: what `learn` wrote.
        path: the file to write; replaced if it is there.
        options: what to put into it.

    Raises:
        TrainingError: no sound model in `folder`, the file cannot be written, or ONNX Runtime and PyTorch disagree.
        InvalidInput: options that do not go together.
    """
    options = options or ExportOptions()
    trained = load_model(folder)
    check_writable(path)
    graph, quality, whitening = _graph(trained, options)
    plan = trained.plan
    sizes = _sizes(graph, plan.fit)
    card = EncoderCard(
        name=options.name or f"{plan.arch}-{folder.resolve().name}",
        architecture=plan.arch,
        fit=plan.fit,
        dim=sizes[0],
        cells=sizes[1],
        objective=plan.objective,
        training=_facts(trained),
        quality=quality,
    )
    data, difference = build_encoder(graph, card, trained.sample[:_CHECKED])
    write_atomically(path, data)
    checked = min(_CHECKED, len(trained.sample))
    return ExportReport(path, card, Encoder(data).fingerprint, len(data), difference, checked, quality["whitened"], whitening)


def build_encoder(graph: nn.Module, card: EncoderCard, pictures: np.ndarray) -> tuple[bytes, float]:
    """The bytes of an encoder file, and its largest difference from PyTorch.

    Args:
        graph: takes uint8 `[N, H, W, C]`, gives unit vectors `[N, D]`.
        card: goes in as metadata.
        pictures: real ones to compare on, uint8 `[n, H, W, C]`.

    Raises:
        TrainingError: ONNX Runtime differs from PyTorch by more than `TOLERANCE`.
    """
    program = to_onnx(graph, card.fit)
    entry = program.metadata_props.add()
    entry.key, entry.value = CARD_KEY, json.dumps(card.to_json())
    data: bytes = program.SerializeToString()
    encoder, pictures = Encoder(data), np.array(pictures)
    expected = _outputs(graph, pictures)
    # Batches of other sizes than the one it was traced with, one picture among them.
    differences = [np.abs(encoder.encode(pictures[:1]) - expected[0][:1]).max()]
    found = [encoder.encode(pictures)] if card.cells is None else encoder.encode_with_cells(pictures)
    differences += [np.abs(one - other).max() for one, other in zip(found, expected, strict=True)]
    difference = float(np.max(differences))  # NaN if one of them is
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"ONNX Runtime and PyTorch differ by {difference:.2g} on {len(pictures)} real pictures, more than {TOLERANCE:g}; "
            "nothing was written. Please report it with the model directory"
        )
    return data, difference


def in_parts(pictures: np.ndarray) -> Iterator[Tensor]:
    """Fitted pictures uint8 `[n, h, w, C]`, so many at a time that a network on a processor is fast.

    The maps of more are memory that the system maps anew for each layer, which can take longer than the network.
    """
    at_once = max(1, _PIXELS_AT_ONCE // (pictures.shape[1] * pictures.shape[2]))
    for begin in range(0, len(pictures), at_once):
        yield torch.from_numpy(np.array(pictures[begin : begin + at_once]))


def to_onnx(graph: nn.Module, fit: Fit) -> Any:
    """Trace a graph with a batch of any size: an `onnx.ModelProto` from `images` to `embedding`, and `cells` if it has them."""
    example = torch.randint(256, (2, *fit.shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    # Warnings are about the inner workings of the tracer; what counts is compared afterwards.
    with _uncollected(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            folded(graph, example),
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["embedding", "cells"] if isinstance(graph, Graph) and graph.cells is not None else ["embedding"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
        )
    assert program is not None
    return _without_traces(program.model_proto)


def _without_traces(model: Any) -> Any:
    """The model without where in the source, on this machine, its nodes came from: the file is the same on every machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles of objects meanwhile: tracing makes millions that stay, looked through again and again in vain."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _graph(trained: TrainedModel, options: ExportOptions) -> tuple[Graph, dict[str, Any], str]:
    whitening, said = _whitening(trained, options)
    recall, count = copies_recall(trained.model, trained.sample, whitening or nn.Identity())
    quality = {"whitened": whitening is not None, "changed_copies": {"recall_at_1": round(recall, 4), "pictures": count}}
    cells = _fit_cells(trained) if options.cells else None
    return Graph(trained.model, whitening, cells).eval(), quality, said


def _whitening(trained: TrainedModel, options: ExportOptions) -> tuple[Whitening | None, str]:
    """What the latents are mapped by, or None, and in words why."""
    # Whitened vectors found more of the same category with every model and label-free objective that was measured. How often
    # changed copies find their originals is no guide: it falls all the same.
    if options.whiten == "no":
        return None, "not whitened, as asked for"
    if options.whiten == "auto" and options.dim is None:
        if not trained.objective.whiten:
            return None, f"not whitened: {trained.plan.objective!r} has learned the distances themselves"
        if trained.model.dim > _MOST_WHITENED:
            return None, f"not whitened: {trained.model.dim:,} numbers, more than {_MOST_WHITENED:,}; --dim reduces and whitens"
    latents = embed(trained.model, trained.sample)
    few = len(latents) < _FEW * trained.model.dim
    shrinkage = ledoit_wolf(latents) if few else 0.0
    said = f"whitened to the power of {LATENT_POWER:g} on {len(latents):,} pictures"
    if few:
        said += f", variances shrunk by {shrinkage:.0%} as these are few for {trained.model.dim} numbers"
    return fit_whitening(latents, options.dim, LATENT_POWER, shrinkage), said


def _fit_cells(trained: TrainedModel) -> Whitening:
    """Whitening of the vectors of all places of some pictures, to at most `_CELL_NUMBERS`: else all places look alike."""
    with torch.no_grad():
        some = torch.from_numpy(np.array(trained.sample[:_CELL_PICTURES]))
        parts = [trained.model.feature_map(to_images(part)) for part in torch.split(some, 64)]
    places = torch.cat(parts).flatten(2).transpose(1, 2).flatten(0, 1)  # [n·P, channels]
    return fit_whitening(places, min(_CELL_NUMBERS, places.shape[1]))


def _facts(trained: TrainedModel) -> dict[str, Any]:
    """Facts of the training run for the card."""
    state, plan = trained.facts["state"], trained.plan
    return {
        "pictures": trained.facts["learned_from"],
        "epochs": len(state["history"]),
        "best_epoch": state["best_epoch"],
        "validation_loss": state["best"],
        "seconds": round(state["seconds"], 1),
        "seed": plan.settings.seed,
        "options": plan.options,
        "settings": plan.settings.to_json(),
        "versions": trained.facts["versions"],
    }


@torch.no_grad()
def _sizes(graph: Graph, fit: Fit) -> tuple[int, tuple[int, int] | None]:
    """D, and `(P, d)` of the cells or None."""
    result = graph(torch.zeros((1, *fit.shape), dtype=torch.uint8))
    if isinstance(result, Tensor):
        return result.shape[1], None
    return result[0].shape[1], (result[1].shape[1], result[1].shape[2])


@torch.no_grad()
def _outputs(graph: nn.Module, pictures: np.ndarray) -> list[np.ndarray]:
    """The embeddings, and the cells where there are any."""
    parts = [graph(part) for part in in_parts(pictures)]
    if isinstance(parts[0], Tensor):
        return [torch.cat(parts).numpy()]
    return [torch.cat(part).numpy() for part in zip(*parts, strict=True)]


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    _become(layer, weight, bias)
    return layer


def _become(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight, layer.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
    layer.out_features, layer.in_features = weight.shape
