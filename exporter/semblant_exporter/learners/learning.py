"""`learn`: from a folder of pictures to the encoder that suits them, and why."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import InvalidInput, MissingExtra

from semblant_exporter.checkpoint import check_writable, write_atomically
from semblant_exporter.export import build_encoder
from semblant_exporter.extractors.backbones import IMAGENET, backbone
from semblant_exporter.extractors.onnx_network import OnnxOptions, is_onnx
from semblant_exporter.listing import list_pictures
from semblant_exporter.pictures import spread_out

from . import frozen, trained
from .looking import DRAWN, Look, look_at
from .own import OwnNetwork, own_encoder
from .rows import Made, best, reason
from .sample import take
from .stem import LearnedGraph, Network, networks_at_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from semblant_search.images import Fit
    from torch import nn

    from semblant_exporter.decoding import Failure

    from .rows import Row
    from .sample import Sample

    Progress = Callable[[str, int, int | None], None]

__all__ = ["WAYS", "LearnJob", "LearnReport", "Way", "learn", "ways_for"]

Way = Literal["pretrained", "fused", "distilled", "scratch", "pixels"]
WAYS: tuple[Way, ...] = get_args(Way)
_CHECKED = 32
_WORTH_TRAINING = 200
"""Pictures from which on a network that starts from nothing has something to learn from."""
_WORTH_WEIGHING = 100
"""Photographs from which on the guide can tell how much their pixels should count beside what a network sees.

Of fewer it asks with a handful: of 50 sets of 36 it chose pixels for 24, and found .602 of five neighbours right, without .606.
"""
_TIMED = 8
_EXTRA = "semblant-exporter[pretrained]"


@dataclass(frozen=True)
class LearnJob:
    """What to learn from, and how.

    Attributes:
        directory: the pictures.
        output: the file to write.
        way: name in `WAYS`; None: those that suit the pictures are tried, and the best is taken.
        minutes: of training, for the ways that train.
        dim: numbers of a vector, at most.
        networks: names in `BACKBONES` that look at the pictures beside each other, or the path of an ONNX that takes pictures,
            which looks alone; none: the best whose weights are at hand.
        weights: files of weights for them, by name.
        mean, std: of each channel for pixels in 0–1, as the ONNX expects them; None: ImageNet's.
        features: name of the ONNX's output to take; None: the first.
        label: the metadata column with labels, which are never learned from: the table shows P@10 by them.
        name: for people; None: that of the way.
        seed: fixes all that is random.
    """

    directory: Path
    output: Path
    way: Way | None = None
    minutes: float = 5.0
    dim: int = 128
    networks: tuple[str, ...] = ()
    weights: dict[str, Path] = field(default_factory=dict)
    label: str | None = None
    name: str | None = None
    seed: int = 0
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    features: str | None = None

    def __post_init__(self) -> None:
        if self.way is not None and self.way not in WAYS:
            raise InvalidInput(f"way {self.way!r}: expected one of {', '.join(WAYS)}")
        if not self.minutes > 0:
            raise InvalidInput(f"minutes {self.minutes}: expected more than 0")
        if self.dim < 1:
            raise InvalidInput(f"dim {self.dim}: expected at least 1")
        for name in self.networks:
            if not is_onnx(name):
                backbone(name)
        own = [name for name in self.networks if is_onnx(name)]
        if own and len(self.networks) > 1:
            raise InvalidInput(f"network {own[0]!r} beside others: an ONNX file looks at the pictures alone; name it only")
        if stray := [name for name in self.weights if name not in self.networks]:
            raise InvalidInput(f"weights of {stray[0]!r}, none of the networks: name it with --network {stray[0]}, too")
        if own and self.weights:
            raise InvalidInput(f"weights with {own[0]!r}: an ONNX file has its own; leave --weights away")
        said = [name for name in ("mean", "std", "features") if getattr(self, name) is not None]
        if said and not own:
            raise InvalidInput(f"{said[0]} without an ONNX file: of networks known by name it is known; leave --{said[0]} away")
        if self.std is not None and min(self.std) <= 0:
            raise InvalidInput(f"std {self.std}: expected three numbers above 0, for pixels in 0–1")


@dataclass(frozen=True)
class LearnReport:
    """What came of it.

    Attributes:
        path, card, fingerprint, size: of the file that was written; `size` in bytes.
        look: what the pictures are.
        rows: all that was tried.
        chosen: the row that was taken.
        ms: milliseconds that the file takes for a picture, in batches of 8.
        why: in a sentence.
        asked: pictures that it was measured on.
        failures: pictures that could not be used.
        interrupted: whether it was broken off, so that not all ways were tried.
    """

    path: Path
    card: EncoderCard
    fingerprint: str
    size: int
    look: Look
    rows: list[Row]
    chosen: Row
    ms: float
    why: str
    asked: int
    failures: list[Failure]
    interrupted: bool

    def to_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "path": str(self.path),
            "card": self.card.to_json(),
            "fingerprint": self.fingerprint,
            "bytes": self.size,
            "look": str(self.look),
            "table": [row.to_json() for row in self.rows],
            "chosen": self.chosen.to_json(),
            "ms": round(self.ms, 3),
            "why": self.why,
            "asked": self.asked,
            "failures": [failure._asdict() for failure in self.failures],
            "interrupted": self.interrupted,
        }


def learn(job: LearnJob, on_progress: Progress | None = None) -> LearnReport:
    """Look at the pictures, try the ways that suit them, and write the encoder of the best.

    Ways are measured on pictures that they did not learn from, and without labels. Ctrl-C keeps the best so far.

    Raises:
        InvalidInput, DataError, MetadataError: what is wrong with the pictures or the settings.
        MissingExtra: the way needs weights that are not installed.
        TrainingError: the training diverged, or the file cannot be written.
        KeyboardInterrupt: broken off before there was anything to keep.
    """
    listing = list_pictures(job.directory)
    check_writable(job.output)
    look = look_at(listing, job.label)
    names = job.networks or networks_at_hand()
    ways = ways_for(look, names) if job.way is None else _needed(job.way)
    if not set(ways) - {"pixels", "scratch"}:
        names = ()
    elif not names:
        raise MissingExtra(f"The way {job.way!r}, which begins with a pretrained network,", _EXTRA)
    # Before pictures are decoded: weights may be missing, broken or those of another network.
    networks = _networks(job, names, on_progress)
    if "distilled" in ways:
        trained.check_student()
    fit = frozen.fit_of(networks, look.side, fine=look.photographs)
    sample = take(listing, fit, label=job.label, seed=job.seed, on_progress=on_progress)
    made: list[Made] = []
    interrupted = False
    try:
        for more in _carry_out(job, ways, networks, sample, look, fit, on_progress):
            made += more
    except KeyboardInterrupt:
        if not made:
            raise
        interrupted = True
    interrupted = interrupted or any(one.stopped for one in made)
    untried = [way for way in ways if interrupted and not any(one.row.way == way for one in made)]
    wanted = [one for one in made if one.row.way == job.way] or made
    few = job.way is None and _few_photographs(look) and any(one.row.way == "pretrained" for one in made)
    if few:  # a handful is asked with: the guide would take their pixels by chance now and then
        wanted = [one for one in made if one.row.way == "pretrained"]
    chosen = best(wanted)
    why = reason(chosen, made, wanted=job.way, asked=len(sample.asked), few=few, untried=untried)
    look = replace(look, pictures=look.pictures - len(sample.failures), sample=len(sample))
    return _write(job, chosen, made, why, look, sample, interrupted=interrupted, on_progress=on_progress)


def _networks(job: LearnJob, names: Sequence[str], on_progress: Progress | None) -> tuple[Network | OwnNetwork, ...]:
    if names and is_onnx(names[0]):
        options = OnnxOptions(job.mean or IMAGENET[0], job.std or IMAGENET[1], output=job.features)
        return (OwnNetwork(Path(names[0]), options),)
    return tuple(Network(name, job.weights.get(name), on_progress) for name in names)


def ways_for(look: Look, networks: Sequence[object]) -> tuple[Way, ...]:
    """What is tried, in this order: what takes seconds first, so that there is something to keep from then on."""
    trains = look.pictures >= _WORTH_TRAINING and not (networks and look.natural)
    frozen_ways: tuple[Way, ...] = ("pretrained",) if _few_photographs(look) else ("pretrained", "fused")
    return ("pixels", *(frozen_ways if networks else ()), *(("scratch",) if trains else ()))


def _few_photographs(look: Look) -> bool:
    return look.natural and look.drawn <= DRAWN and look.pictures < _WORTH_WEIGHING


def _needed(way: Way) -> tuple[Way, ...]:
    """The ways that one is made of, and itself."""
    return {"fused": ("pretrained", "fused"), "distilled": ("pretrained", "distilled")}.get(way, (way,))  # type: ignore[return-value]


def _carry_out(
    job: LearnJob,
    ways: Sequence[Way],
    networks: Sequence[Network | OwnNetwork],
    sample: Sample,
    look: Look,
    fit: Fit,
    on_progress: Progress | None,
) -> Iterator[list[Made]]:
    """What each way has made, as soon as it is there."""

    def say(way: Way) -> None:
        if on_progress is not None:
            on_progress(f"measuring: {way}", 0, None)

    base: Made | None = None
    if set(ways) & {"pixels", "pretrained", "fused", "distilled"}:
        seen = frozen.look_through(networks, sample, fit, on_progress)
        if "pixels" in ways:
            say("pixels")
            yield frozen.pixels(seen, job.dim)
        if networks:
            say("pretrained")
            found = frozen.pretrained(seen, job.dim)
            base = found[-1]
            yield found
            if "fused" in ways:
                say("fused")
                yield frozen.fused(seen, found[0])
    if "scratch" in ways:
        yield trained.scratch(sample, look, job.dim, job.minutes, job.seed, on_progress)
    if "distilled" in ways and base is not None:
        yield trained.distilled(sample, base, job.minutes, job.seed, on_progress)


def _write(
    job: LearnJob,
    chosen: Made,
    made: Sequence[Made],
    why: str,
    look: Look,
    sample: Sample,
    *,
    interrupted: bool,
    on_progress: Progress | None,
) -> LearnReport:
    if on_progress is not None:
        on_progress("writing the encoder", 0, None)
    graph = chosen.graph()
    rows = [one.row for one in made]
    card = EncoderCard(
        name=job.name or f"learned-{chosen.row.way}",
        architecture=chosen.architecture,
        fit=chosen.fit,
        dim=_numbers(graph, chosen.fit),
        objective=chosen.objective,
        training={**chosen.training, "seed": job.seed},
        quality={
            "learned": {
                "way": chosen.row.way,
                "what": chosen.row.what,
                "why": why,
                "pictures": str(look),
                "asked": len(sample.asked),
                "table": [row.to_json() for row in rows],
            }
        },
    )
    some = spread_out(sample.load(chosen.fit), _CHECKED)
    if isinstance(graph, LearnedGraph) and any(isinstance(part, OwnNetwork) for part in graph.stem.members):
        data = own_encoder(graph.stem, graph.head, card, some)
    else:
        data, _ = build_encoder(graph, card, some)
    write_atomically(job.output, data)
    encoder = Encoder(data)
    return LearnReport(
        path=job.output,
        card=card,
        fingerprint=encoder.fingerprint,
        size=len(data),
        look=look,
        rows=rows,
        chosen=chosen.row,
        ms=_milliseconds(encoder, some[:_TIMED]),
        why=why,
        asked=len(sample.asked),
        failures=sample.failures,
        interrupted=interrupted,
    )


def _milliseconds(encoder: Encoder, pixels: np.ndarray) -> float:
    times = []
    for _ in range(4):  # the first plans the memory
        began = time.perf_counter()
        encoder.encode(pixels)
        times.append(time.perf_counter() - began)
    return 1000 * sorted(times)[1] / len(pixels)


@torch.no_grad()
def _numbers(graph: nn.Module, fit: Fit) -> int:
    return int(graph(torch.zeros((1, *fit.shape), dtype=torch.uint8)).shape[1])
