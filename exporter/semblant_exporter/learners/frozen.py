"""Ways that train nothing: what frozen networks and small pixels see, mapped by a `Head`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812
from semblant_search.images import Fit

from semblant_exporter.extractors.backbones import backbone

from .guide import judge, two_views
from .head import FEWEST_FOR_NEIGHBOURS, FEWEST_FOR_PLACES, HeadOptions, fit_head, fit_heads
from .own import OwnNetwork
from .rows import Made, Row
from .stem import RASTER, LearnedGraph, Network, Raster, Stem, features

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from torch import Tensor

    from .head import Head
    from .sample import Sample

    Progress = Callable[[str, int, int | None], None]

__all__ = ["Seen", "fit_of", "fused", "look_through", "pixels", "pretrained"]

POWERS = (0.0, 0.25, 0.5)
MAPPED_POWER = 0.25
"""Of whitening where features are mapped onto neighbours: the guide likes .5 better, P@10 does not (.813 for .819)."""
PIXEL_POWER = 0.7
"""Of whitening the small pixels alone, measured on Fashion-MNIST and clip art."""
PIXEL_WEIGHTS = (0.4, 0.7)
_LARGEST_SIDE = 256
_FINER = 1.5
"""More pixels than a network was trained with show it more of a photograph: P@10 .831 at 384 for .806 at 256, .832 at 448."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Features of a sample through one stem: of all pictures, `[n, …]`, and of changed views of those asked, `[q, …]`.

    `ms`: milliseconds a picture of each member of the stem.
    """

    stem: Stem
    fit: Fit
    sample: Sample
    plain: Tensor
    changed: Tensor
    ms: tuple[float, ...]

    def blocks(self, which: Sequence[int], rows: np.ndarray | None = None, *, changed: bool = False) -> list[Tensor]:
        """Those of the stem's blocks, of some rows."""
        parts = self.stem.split(self.changed if changed else self.plain)
        return [parts[number] if rows is None else parts[number][rows] for number in which]


def fit_of(networks: Sequence[str | Network | OwnNetwork], own_side: int, *, fine: bool = False) -> Fit:
    """How pictures are fitted: padded to what the networks were trained with, else near their own size, for a raster of 16.

    `fine`: half as many pixels again along a side, for photographs.
    """
    for network in networks:
        if isinstance(network, OwnNetwork):
            return network.fit
    raster = min(_LARGEST_SIDE, max(RASTER, own_side // RASTER * RASTER))
    sides = (backbone(one).side if isinstance(one, str) else one.side for one in networks if not isinstance(one, OwnNetwork))
    side = max(sides, default=raster)
    side = round(side * _FINER) if fine and networks else side
    return Fit(side, side, 3)


def look_through(
    networks: Sequence[Network | OwnNetwork],
    sample: Sample,
    fit: Fit,
    on_progress: Progress | None,
) -> Seen:
    """Compute the features of all pictures once: every way below is made of them. No networks: only pixels."""
    stem = Stem([*networks, Raster()]).eval()
    array = sample.load(fit, on_progress)
    plain, ms = features(stem, fit, array, on_progress)
    changed, _ = features(stem, fit, two_views(array[sample.asked]), on_progress, "looking at changed views")
    return Seen(stem, fit, sample, plain, changed, ms)


def pretrained(seen: Seen, dim: int) -> list[Made]:
    """The networks' features, whitened to the power that the guide likes best.

    Mapped onto neighbours, where the pictures are enough: another row, whose power is fixed, as the mapping raises the guide.
    Square roots are not tried: on photographs the guide liked them (.418 for .417), but P@10 was worse (.782 for .790).
    """
    which = range(len(seen.stem.blocks) - 1)
    names = " beside ".join(part.name for part in seen.stem.members if not isinstance(part, Raster))
    count = len(seen.sample.learned)
    smoothed = [False, True] if count >= FEWEST_FOR_PLACES else [False]
    chosen = []
    for neighbours in smoothed:
        options = HeadOptions(dim, neighbours=neighbours)
        powers = POWERS if not neighbours else (MAPPED_POWER if count >= FEWEST_FOR_NEIGHBOURS else 0.0,)
        made = [one for _, one in _powers(seen, which, options, powers, "pretrained", names)]
        chosen.append(max(made, key=lambda one: one.row.guide.score))
    return chosen


def fused(seen: Seen, base: Made) -> list[Made]:
    """The networks' features, as `base` has them, beside a raster of pixels, at the weight that the guide likes best."""
    options = HeadOptions(**base.training["options"])
    which = range(len(seen.stem.blocks))
    names = " beside ".join(part.name for part in seen.stem.members)
    made = []
    for weight in PIXEL_WEIGHTS:
        weighted = replace(options, neighbours=False, weights=(*[1.0] * (len(which) - 1), weight))
        head = fit_head(seen.blocks(which, seen.sample.learned), weighted)
        made.append(_made(seen, which, weighted, head, "fused", f"{names} at weight {weight:g}"))
    return [max(made, key=lambda one: one.row.guide.score)]


def pixels(seen: Seen, dim: int) -> list[Made]:
    """The raster alone: what every other way has to beat."""
    which = [len(seen.stem.blocks) - 1]
    options = HeadOptions(dim, power=PIXEL_POWER, neighbours=False)
    return [one for _, one in _powers(seen, which, options, [PIXEL_POWER], "pixels", "16×16 pixels, square-rooted")]


def _powers(
    seen: Seen, which: Sequence[int], options: HeadOptions, powers: Sequence[float], way: str, names: str
) -> list[tuple[HeadOptions, Made]]:
    heads = fit_heads(seen.blocks(which, seen.sample.learned), options, powers)
    found = []
    for power, head in zip(powers, heads, strict=True):
        own = replace(options, power=power)
        found.append((own, _made(seen, which, own, head, way, names)))
    return found


def _made(seen: Seen, which: Sequence[int], options: HeadOptions, head: Head, way: str, names: str) -> Made:
    """Measure a head that was fitted on the pictures that are learned from; the encoder's is fitted on all of them."""
    sample = seen.sample
    vectors = F.normalize(head(seen.blocks(which)), dim=1).detach().numpy()  # [n, D]
    index, asked = vectors[sample.learned], vectors[sample.asked]
    changed = F.normalize(head(seen.blocks(which, changed=True)), dim=1).detach().numpy()
    kept = _only(seen.stem, which)
    said = [names]
    if options.root:
        said.append("square-rooted")
    said.append(f"whitened to {options.power:g}" if options.power else "not whitened")
    if options.neighbours:
        said.append("mapped onto neighbours")
    row = Row(
        way,
        ", ".join(said),
        judge(index, asked, changed),
        sum(ms for part, ms in zip(seen.stem.members, seen.ms, strict=True) if part in kept.members),
        sample.precision(index, asked),
        comparable=not options.neighbours,
    )

    def graph() -> LearnedGraph:
        return LearnedGraph(kept, fit_head(seen.blocks(which), options)).eval()

    sources = [part.source for part in seen.stem.members if not isinstance(part, Raster)] if way != "pixels" else []
    return Made(
        row=row,
        graph=graph,
        fit=seen.fit,
        architecture="+".join(part.name for part in kept.members),
        objective="pca" if way == "pixels" else "pretrained",
        training={"options": asdict(options), "weights": sources, "pictures": len(sample)},
        vectors=vectors,
    )


def _only(stem: Stem, which: Sequence[int]) -> Stem:
    """A stem of those parts alone that make the blocks."""
    parts: list[Network | OwnNetwork | Raster] = []
    first = 0
    for part in stem.members:
        numbers = range(first, first + len(part.blocks))
        if any(number in which for number in numbers):
            parts.append(part)
        first = numbers.stop
    return Stem(parts).eval()
