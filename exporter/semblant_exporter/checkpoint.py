"""Weights and training state on disk: safetensors with JSON in their header, never pickle, each file replaced atomically.

A model directory holds

- `model.safetensors`: the weights of the best epoch, and in the header everything needed to build the model again;
- `state.safetensors`: weights, optimizer and history after the latest epoch, for resuming;
- `training.json`: the same facts for people, without tensors.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from semblant_search.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

__all__ = [
    "FORMAT_VERSION",
    "MODEL_FILE",
    "STATE_FILE",
    "check_writable",
    "load",
    "load_optimizer",
    "optimizer_tensors",
    "save",
    "write_atomically",
]

FORMAT_VERSION = 1
MODEL_FILE = "model.safetensors"
STATE_FILE = "state.safetensors"
_HEADER_KEY = "semblant"
_ROOM = 2**20
_EXAMPLE = "encoder.onnx"


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON-able facts as one file; the file that was there stays until the new one is complete on disk.

    Raises:
        TrainingError: the disk is full or refuses; what was saved before is untouched.
    """
    from safetensors.torch import save as to_bytes

    header = json.dumps({"format_version": FORMAT_VERSION, **facts})
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, to_bytes(plain, metadata={_HEADER_KEY: header}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file that `save` wrote.

    Raises:
        TrainingError: the file is missing, cut short, not ours, or of another format version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(
            f"{str(path)!r}: cannot be read ({error.strerror or error}); is this a directory that `semblant train` wrote?"
        ) from error
    try:
        tensors = from_bytes(data)
        (length,) = struct.unpack("<Q", data[:8])
        facts = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_HEADER_KEY])
    except (SafetensorError, ValueError, KeyError, TypeError, struct.error) as error:
        raise TrainingError(
            f"{str(path)!r}: {len(data)} bytes that are not a whole checkpoint of Semblant ({error}); "
            "copy it again from where it came from, or train again"
        ) from error
    if facts.get("format_version") != FORMAT_VERSION:
        raise TrainingError(
            f"{str(path)!r}: checkpoint format version {facts.get('format_version')!r}, this Semblant reads {FORMAT_VERSION}; "
            "train again, or use the Semblant that wrote it"
        )
    return tensors, facts


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of an Adam optimizer by parameter number, such as `optimizer.3.exp_avg`."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"optimizer.{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; other names are ignored.

    Moments get the memory format of their parameter: fused Adam pairs elements by their places in memory, and files keep rows.
    """
    import torch

    state: dict[int, dict[str, Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
            state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file as a whole: readers see the old or the new one, also after a crash. `TrainingError` if it cannot be."""
    part = _part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(part, data)
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:  # of Ctrl-C, too
        with suppress(OSError):
            part.unlink()


def check_writable(path: Path) -> None:
    """Try whether `write_atomically` could write a file, before hours are spent on what goes into it.

    Leaves nothing behind, neither a file nor a folder, and what is there as it is. Room for a megabyte is asked for.

    Raises:
        TrainingError: it could not.
    """
    missing = [folder for folder in (path.parent, *path.parent.parents) if not _holds(folder.exists)]  # inmost first
    part = _part(path)
    try:
        if _holds(path.is_dir):
            raise IsADirectoryError(errno.EISDIR, f"it is a folder, expected a file, such as {path / _EXAMPLE}")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(part, bytes(_ROOM))
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink()
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")


def _write(part: Path, data: bytes) -> None:
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _holds(question: Callable[[], bool]) -> bool:
    """Of a path whose name is longer than the file system has them, too, nothing of the kind is there."""
    try:
        return question()
    except OSError:
        return False


def _unwritable(path: Path, error: OSError) -> TrainingError:
    kept = "; the one that was there before is untouched" if _holds(path.is_file) else ""
    advice = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "name another place"
    return TrainingError(f"{str(path)!r}: cannot be written ({error.strerror or error}){kept}; {advice}")
