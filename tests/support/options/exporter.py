"""The commands of `semblant-exporter`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semblant_exporter import data
from semblant_exporter.arrays import write_embeddings
from semblant_exporter.compare import CompareJob, CompareSettings, compare
from semblant_exporter.evaluate import evaluate
from semblant_exporter.export import ExportOptions, ExportReport, export
from semblant_exporter.extractors import ExtractJob, extract
from semblant_exporter.folder import TrainJob, train
from semblant_exporter.learners import LearnJob, learn
from semblant_exporter.quantize import export_quantized, quantize_file
from semblant_exporter.restoring import restore
from semblant_search import Fit
from semblant_search.encoder import EncoderCard

from .recording import Called, arguments, callback
from .table import CommandTable, Row

__all__ = ["EXPORTER"]

_OUTPUT = {"-o": ("-o", "encoder.onnx")}
_SHOWN = frozenset({"--json"})
_CARD = EncoderCard("mine", "cae", Fit(28, 28, 1), 8, "reconstruct")
_SETTINGS = ("epochs", "minutes", "batch", "learning_rate", "schedule", "patience", "precision")


def _settings(**given: object) -> dict[str, object]:
    """What reaches the recipe: None leaves it as it is."""
    return {"train.job.settings": {**dict.fromkeys(_SETTINGS), "seed": 0, **given}}


def _quantized(options: ExportOptions | None = None, **given: Any) -> dict[str, object]:
    call = {"options": options or ExportOptions(), "max_drop": 0.01, "pictures": None, **given}
    return arguments("export_quantized", export_quantized, Path("model"), Path("encoder.onnx"), "int8", **call)


def _written(npy: str, pictures: str) -> dict[str, object]:
    return arguments("write_embeddings", write_embeddings, Path("encoder.onnx"), Path(pictures), Path(npy))


def _data(name: str, function: Any, seam: str) -> CommandTable:
    return CommandTable(
        f"data {name}",
        {"DIRECTORY": ("pictures",)},
        {seam: Called},
        arguments(function.__name__, function, Path("pictures"), on_progress=callback),
        {"DIRECTORY": Row(["others"], {f"{function.__name__}.directory": Path("others")})},
        shown=_SHOWN,
    )


EXPORTER = (
    _data("fashion-mnist", data.fashion_mnist, "semblant_exporter.data.fashion_mnist"),
    _data("clipart", data.clipart, "semblant_exporter.data.clipart"),
    CommandTable(
        "learn",
        {"DIRECTORY": ("pictures",), **_OUTPUT},
        {"semblant_exporter.learners.learn": Called},
        arguments("learn", learn, LearnJob(Path("pictures"), Path("encoder.onnx")), callback),
        {
            "DIRECTORY": Row(["others"], {"learn.job.directory": Path("others")}),
            "-o": Row(["-o", "other.onnx"], {"learn.job.output": Path("other.onnx")}),
            "--output": Row(["--output", "other.onnx"], {"learn.job.output": Path("other.onnx")}),
            "--way": Row(["--way", "fused"], {"learn.job.way": "fused"}),
            "--minutes": Row(["--minutes", "9"], {"learn.job.minutes": 9.0}),
            "--dim": Row(["--dim", "16"], {"learn.job.dim": 16}),
            "--network": Row(["--network", "vgg16", "--network", "vgg19"], {"learn.job.networks": ("vgg16", "vgg19")}),
            "--weights": Row(
                ["--network", "vgg16", "--network", "vgg19", "--weights", "vgg19=a.pth", "--weights", "vgg16=b.pth"],
                {
                    "learn.job.networks": ("vgg16", "vgg19"),
                    "learn.job.weights": {"vgg19": Path("a.pth"), "vgg16": Path("b.pth")},
                },
            ),
            "--mean": Row(
                ["--network", "o.onnx", "--mean", ".1", ".2", ".3"],
                {"learn.job.networks": ("o.onnx",), "learn.job.mean": (0.1, 0.2, 0.3)},
            ),
            "--std": Row(
                ["--network", "o.onnx", "--std", ".1", ".2", ".3"],
                {"learn.job.networks": ("o.onnx",), "learn.job.std": (0.1, 0.2, 0.3)},
            ),
            "--features": Row(
                ["--network", "o.onnx", "--features", "tokens"],
                {"learn.job.networks": ("o.onnx",), "learn.job.features": "tokens"},
            ),
            "--label": Row(["--label", "kind"], {"learn.job.label": "kind"}),
            "--name": Row(["--name", "mine"], {"learn.job.name": "mine"}),
            "--seed": Row(["--seed", "3"], {"learn.job.seed": 3}),
        },
        shown=_SHOWN,
    ),
    CommandTable(
        "train",
        {"DIRECTORY": ("pictures",), "--out": ("--out", "model")},
        {"semblant_exporter.folder.train": Called},
        {
            **arguments("train", train, TrainJob(Path("pictures"), Path("model")), on_decoding=callback, on_progress=callback),
            **_settings(),
        },
        {
            "DIRECTORY": Row(["others"], {"train.job.directory": Path("others")}),
            "--out": Row(["--out", "elsewhere"], {"train.job.out": Path("elsewhere")}),
            "--arch": Row(["--arch", "simple-ae"], {"train.job.arch": "simple-ae"}),
            "--dim": Row(["--dim", "16"], {"train.job.dim": 16}),
            "--objective": Row(["--objective", "denoise"], {"train.job.objective": "denoise"}),
            "--option": Row(
                ["--option", "loss=mse", "--option", "share=0.5", "--option", 'kinds=["a"]', "--option", "text=a=b"],
                {"train.job.options": {"loss": "mse", "share": 0.5, "kinds": ["a"], "text": "a=b"}},
            ),
            "--label": Row(["--label", "season"], {"train.job.label": "season"}),
            "--from": Row(["--from", "before"], {"train.job.start_from": Path("before")}),
            "--epochs": Row(["--epochs", "3"], _settings(epochs=3)),
            "--minutes": Row(["--minutes", "1.5"], _settings(minutes=1.5)),
            "--batch": Row(["--batch", "7"], _settings(batch=7)),
            "--lr": Row(["--lr", "0.002"], _settings(learning_rate=0.002)),
            "--schedule": Row(["--schedule", "cosine"], _settings(schedule="cosine")),
            "--patience": Row(["--patience", "4"], _settings(patience=4)),
            "--precision": Row(["--precision", "float32"], _settings(precision="float32")),
            "--seed": Row(["--seed", "3"], _settings(seed=3)),
            "--size": Row(["--size", "48x64"], {"train.job.size": (48, 64)}),
            "--channels": Row(["--channels", "3"], {"train.job.channels": 3}),
            "--policy": Row(["--policy", "crop"], {"train.job.policy": "crop"}),
            "--metadata": Row(["--metadata", "table.csv"], {"train.job.metadata": Path("table.csv")}),
            "--resume": Row(["--resume"], {"train.job.resume": True}),
        },
        shown=_SHOWN,
    ),
    CommandTable(
        "export",
        {"MODEL_DIR": ("model",), **_OUTPUT},
        {
            "semblant_exporter.export.export": ExportReport(Path("encoder.onnx"), _CARD, "0" * 64, 1, 0.0, 1, whitened=False),
            "semblant_exporter.quantize.export_quantized": Called,
            "semblant_exporter.arrays.write_embeddings": Called,
        },
        arguments("export", export, Path("model"), Path("encoder.onnx"), ExportOptions()),
        {
            "MODEL_DIR": Row(["other"], {"export.folder": Path("other")}),
            "-o": Row(["-o", "other.onnx"], {"export.path": Path("other.onnx")}),
            "--output": Row(["--output", "other.onnx"], {"export.path": Path("other.onnx")}),
            "--name": Row(["--name", "mine"], {"export.options.name": "mine"}),
            "--whiten": Row(["--whiten", "no"], {"export.options.whiten": "no"}),
            "--dim": Row(["--dim", "16"], {"export.options.dim": 16}),
            "--cells": Row(["--cells"], {"export.options.cells": True}),
            "--npy": Row(["--npy", "e.npy", "--pictures", "test"], _written("e.npy", "test")),
            "--quantize": Row(["--quantize", "int8"], _quantized(), "export."),
            "--max-drop": Row(["--quantize", "int8", "--max-drop", "0.05"], _quantized(max_drop=0.05), "export."),
            "--pictures": Row(["--quantize", "int8", "--pictures", "test"], _quantized(pictures=Path("test")), "export."),
        },
        shown=_SHOWN,
    ),
    CommandTable(
        "extract",
        {"ARCH": ("vgg16",), "DIRECTORY": ("pictures",), **_OUTPUT},
        {"semblant_exporter.extractors.extract": Called},
        arguments("extract", extract, ExtractJob("vgg16", Path("pictures"), Path("encoder.onnx")), callback),
        {
            "ARCH": Row(["vgg19"], {"extract.job.arch": "vgg19"}),
            "DIRECTORY": Row(["others"], {"extract.job.directory": Path("others")}),
            "-o": Row(["-o", "other.onnx"], {"extract.job.output": Path("other.onnx")}),
            "--output": Row(["--output", "other.onnx"], {"extract.job.output": Path("other.onnx")}),
            "--weights": Row(["--weights", "vgg16.pth"], {"extract.job.weights": Path("vgg16.pth")}),
            "--size": Row(["--size", "64"], {"extract.job.size": (64, 64)}),
            "--pool": Row(["--pool", "gem"], {"extract.job.pooling": "gem"}),
            "--dim": Row(["--dim", "16"], {"extract.job.dim": 16}),
            "--whiten": Row(["--no-whiten", "--whiten"], {"extract.job.whiten": True}),
            "--no-whiten": Row(["--no-whiten"], {"extract.job.whiten": False}),
            "--policy": Row(["--policy", "stretch"], {"extract.job.policy": "stretch"}),
            "--mirror": Row(["--mirror"], {"extract.job.mirror": True}),
            "--cells": Row(["--cells"], {"extract.job.cells": True}),
            "--mean": Row(["--mean", "0.5", "0.4", "0.3"], {"extract.job.mean": (0.5, 0.4, 0.3)}),
            "--std": Row(["--std", "0.5", "0.4", "0.3"], {"extract.job.std": (0.5, 0.4, 0.3)}),
            "--features": Row(["--features", "pooled"], {"extract.job.features": "pooled"}),
            "--name": Row(["--name", "mine"], {"extract.job.name": "mine"}),
        },
        shown=_SHOWN,
    ),
    CommandTable(
        "quantize",
        {"ENCODER": ("encoder.onnx",), "DIRECTORY": ("pictures",), "-o": ("-o", "small.onnx")},
        {"semblant_exporter.quantize.quantize_file": Called},
        arguments(
            "quantize_file", quantize_file, *map(Path, ("encoder.onnx", "pictures", "small.onnx")), "int8", on_progress=callback
        ),
        {
            "ENCODER": Row(["other.onnx"], {"quantize_file.encoder": Path("other.onnx")}),
            "DIRECTORY": Row(["others"], {"quantize_file.directory": Path("others")}),
            "-o": Row(["-o", "other.onnx"], {"quantize_file.output": Path("other.onnx")}),
            "--output": Row(["--output", "other.onnx"], {"quantize_file.output": Path("other.onnx")}),
            "--kind": Row(["--kind", "fp16"], {"quantize_file.kind": "fp16"}),
            "--max-drop": Row(["--max-drop", "0.05"], {"quantize_file.max_drop": 0.05}),
            "--label": Row(["--label", "season"], {"quantize_file.label": "season"}),
        },
        shown=_SHOWN,
    ),
    CommandTable(
        "evaluate",
        {"ENCODER": ("encoder.onnx",), "--index": ("--index", "train")},
        {"semblant_exporter.evaluate.evaluate": Called},
        arguments("evaluate", evaluate, Path("encoder.onnx"), Path("train"), on_progress=callback),
        {
            "ENCODER": Row(["other.onnx"], {"evaluate.encoder": Path("other.onnx")}),
            "--index": Row(["--index", "others"], {"evaluate.index": Path("others")}),
            "--queries": Row(["--queries", "test"], {"evaluate.queries": Path("test")}),
            "--label": Row(["--label", "season"], {"evaluate.label": "season"}),
            "--figures": Row(["--figures", "drawn"], {"evaluate.figures": Path("drawn")}),
        },
        shown=frozenset({"--out", "--json"}),
    ),
    CommandTable(
        "compare",
        {"DIRECTORY": ("pictures",)},
        {"semblant_exporter.compare.compare": Called},
        arguments("compare", compare, CompareJob(Path("pictures"), Path("comparison")), callback),
        {
            "DIRECTORY": Row(["others"], {"compare.job.directory": Path("others")}),
            "--encoders": Row(
                ["--encoders", "a.onnx", "--encoders", "b.onnx"], {"compare.job.encoders": (Path("a.onnx"), Path("b.onnx"))}
            ),
            "[ENCODERS]...": Row(
                ["--encoders", "a.onnx", "b.onnx", "c.onnx"],
                {"compare.job.encoders": (Path("a.onnx"), Path("b.onnx"), Path("c.onnx"))},
            ),
            "--label": Row(["--label", "season"], {"compare.job.settings": CompareSettings(label="season")}),
            "--out": Row(["--out", "elsewhere"], {"compare.job.out": Path("elsewhere")}),
            "--minutes": Row(["--minutes", "1.5"], {"compare.job.minutes": 1.5}),
            "--pictures": Row(["--pictures", "77"], {"compare.job.settings": CompareSettings(pictures=77)}),
            "--queries": Row(["--queries", "7"], {"compare.job.settings": CompareSettings(queries=7)}),
            "--seed": Row(["--seed", "3"], {"compare.job.settings": CompareSettings(seed=3)}),
        },
        shown=_SHOWN,
    ),
    CommandTable(
        "restore",
        {"MODEL_DIR": ("model",), "PICTURES...": ("a.png", "b.png"), "--out": ("--out", "restored")},
        {"semblant_exporter.restoring.restore": Called},
        arguments("restore", restore, Path("model"), (Path("a.png"), Path("b.png")), Path("restored")),
        {
            "MODEL_DIR": Row(["other"], {"restore.folder": Path("other")}),
            "PICTURES...": Row(["c.png"], {"restore.sources": (Path("c.png"),)}),
            "--out": Row(["--out", "elsewhere"], {"restore.out": Path("elsewhere")}),
            "--degrade": Row(["--degrade"], {"restore.degrade": True}),
            "--seed": Row(["--seed", "3"], {"restore.seed": 3}),
        },
        shown=_SHOWN,
    ),
)
