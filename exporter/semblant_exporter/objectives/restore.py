"""Show the network a spoilt picture and ask for the sound one: noise, cross-hairs, holes, lost colour, lost resolution.

Each objective is an input transform; the target is the picture itself. A latent of some hundred numbers cannot carry every
pixel, so a small full-resolution network lays what the decoder draws over what was shown: it keeps the pixels that are sound.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from .base import Losses, Objective, needs_decoder, reconstruction_loss

if TYPE_CHECKING:
    from semblant_search.images import Fit

    from semblant_exporter.models.base import Autoencoder, Model

HOLE = 0.5
"""What fills a hole, and what transparent parts of a picture to be restored are filled with."""


class Restore(Objective):
    """Restoring in general; what was lost is the subclass's business."""

    name: str

    def __init__(self, config: Any, model: Model) -> None:
        super().__init__()
        self.config = config
        channels = needs_decoder(model, self.name).picture_shape[2]
        self.finish = nn.Sequential(
            nn.Conv2d(2 * channels, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, channels, 3, padding=1),
        )

    @abstractmethod
    def degrade(self, images: Tensor) -> Tensor:
        """Spoil pictures at random."""

    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:  # noqa: ARG002
        """`loss`: of the restored picture, and of what the decoder alone draws; `psnr` of the restored one, in dB."""
        shown = self.degrade(images)
        restored, logits = self._restore(needs_decoder(model, self.name), shown)
        error = F.mse_loss(restored, images)
        drawn = reconstruction_loss(logits, images, "mse")
        return {"loss": error + drawn, "psnr": -10 * torch.log10(error.detach() + 1e-10)}

    def draw(self, model: Autoencoder, images: Tensor) -> Tensor:
        """The restored pictures."""
        return self._restore(model, images)[0].clamp(0, 1)

    def _restore(self, model: Autoencoder, shown: Tensor) -> tuple[Tensor, Tensor]:
        logits = model.decode(model.encode(shown))  # [N, C, H, W]
        both = torch.cat([shown, torch.sigmoid(logits)], 1)  # [N, 2C, H, W]
        return shown + self.finish(both).float(), logits


@dataclass(frozen=True)
class DenoiseConfig:
    """Which noise: one kind is drawn for each picture.

    Attributes:
        kinds: of `gaussian`, `salt-and-pepper`, `cross-hairs`.
        deviation: of Gaussian noise, in 0–1.
        share: of pixels that turn black or white.
    """

    kinds: tuple[str, ...] = ("gaussian", "salt-and-pepper", "cross-hairs")
    deviation: float = 0.15
    share: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))  # from JSON
        known = ("gaussian", "salt-and-pepper", "cross-hairs")
        if not self.kinds or not set(self.kinds) <= set(known):
            raise InvalidInput(f"kinds of noise {list(self.kinds)}: expected some of {', '.join(known)}")


class Denoise(Restore):
    """Gaussian noise, salt and pepper, or cross-hairs painted over the picture."""

    name = "denoise"
    Config = DenoiseConfig

    def degrade(self, images: Tensor) -> Tensor:
        """One kind of noise for each picture."""
        makers = {"gaussian": self._gaussian, "salt-and-pepper": self._salt_and_pepper, "cross-hairs": cross_hairs}
        kind = torch.randint(len(self.config.kinds), (len(images), 1, 1, 1), device=images.device)
        result = images
        for number, name in enumerate(self.config.kinds):
            result = torch.where(kind == number, makers[name](images), result)
        return result

    def _gaussian(self, images: Tensor) -> Tensor:
        noise: Tensor = self.config.deviation * torch.randn_like(images)
        return (images + noise).clamp(0, 1)

    def _salt_and_pepper(self, images: Tensor) -> Tensor:
        chance = torch.rand_like(images[:, :1])  # [N, 1, H, W]
        salted = images.masked_fill(chance < self.config.share / 2, 1.0)
        return salted.masked_fill(chance > 1 - self.config.share / 2, 0.0)


def cross_hairs(images: Tensor) -> Tensor:
    """A horizontal and a vertical line through a random point, and a ring around it, white or black."""
    count, _, height, width = images.shape
    device, side = images.device, min(height, width)
    centre_y = (0.25 + 0.5 * torch.rand(count, 1, 1, 1, device=device)) * height
    centre_x = (0.25 + 0.5 * torch.rand(count, 1, 1, 1, device=device)) * width
    radius = (0.15 + 0.2 * torch.rand(count, 1, 1, 1, device=device)) * side
    thick = max(0.5, side / 56)
    away_y = torch.arange(height, device=device).view(1, 1, -1, 1) + 0.5 - centre_y  # [N, 1, H, 1]
    away_x = torch.arange(width, device=device).view(1, 1, 1, -1) + 0.5 - centre_x  # [N, 1, 1, W]
    distance = (away_y.square() + away_x.square()).sqrt()  # [N, 1, H, W]
    line = (away_y.abs() <= thick) | (away_x.abs() <= thick) | ((distance - radius).abs() <= thick)
    paint = (torch.rand(count, 1, 1, 1, device=device) < 0.5).float()
    return torch.where(line, paint, images)


@dataclass(frozen=True)
class InpaintConfig:
    """`holes`: how many at most; `smallest`, `largest`: their sides as shares of the picture's."""

    holes: int = 3
    smallest: float = 0.15
    largest: float = 0.35

    def __post_init__(self) -> None:
        if self.holes < 1 or not 0 < self.smallest <= self.largest < 1:
            raise InvalidInput(f"holes {self.holes}, {self.smallest} to {self.largest}: expected 1 or more, and shares below 1")


class Inpaint(Restore):
    """Missing blocks. In pictures to be restored, transparent parts are what is missing."""

    name = "inpaint"
    Config = InpaintConfig

    def degrade(self, images: Tensor) -> Tensor:
        """One to `holes` blocks of grey in each picture."""
        count, _, height, width = images.shape
        missing = torch.zeros((count, 1, height, width), dtype=torch.bool, device=images.device)
        for hole in range(self.config.holes):
            there = torch.rand(count, 1, 1, 1, device=images.device) < (1.0 if hole == 0 else 0.5)
            for axis, side in ((2, height), (3, width)):
                span = self.config.smallest + (self.config.largest - self.config.smallest) * self._rand(images)
                start = self._rand(images) * (1 - span)
                places = (torch.arange(side, device=images.device) + 0.5) / side
                places = places.view([-1 if dim == axis else 1 for dim in range(4)])
                there = there & (places >= start) & (places <= start + span)
            missing = missing | there
        return images.masked_fill(missing, HOLE)

    @staticmethod
    def _rand(images: Tensor) -> Tensor:
        return torch.rand(len(images), 1, 1, 1, device=images.device)


@dataclass(frozen=True)
class ColorizeConfig:
    """Nothing can be chosen."""


class Colorize(Restore):
    """Grey pictures get their colours."""

    name = "colorize"
    Config = ColorizeConfig

    def __init__(self, config: ColorizeConfig, model: Model) -> None:
        super().__init__(config, model)
        if needs_decoder(model, self.name).picture_shape[2] != 3:
            raise InvalidInput("objective 'colorize' learns from pictures in colour; these are grey (--channels 3 forces RGB)")

    def degrade(self, images: Tensor) -> Tensor:
        """Luma (ITU-R 601) in all three channels."""
        weights = torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
        return (images * weights).sum(1, keepdim=True).expand_as(images)


@dataclass(frozen=True)
class SuperresConfig:
    """`factor`: how many times as many pixels a side the restored picture has."""

    factor: int = 2

    def __post_init__(self) -> None:
        if self.factor not in (2, 3, 4):
            raise InvalidInput(f"factor {self.factor}: expected 2, 3 or 4")


class Superres(Restore):
    """Twice the resolution: the network sees the picture shrunk and enlarged again."""

    name = "superres"
    Config = SuperresConfig

    def __init__(self, config: SuperresConfig, model: Model) -> None:
        super().__init__(config, model)
        height, width, _ = needs_decoder(model, self.name).picture_shape
        if height % config.factor or width % config.factor:
            raise InvalidInput(
                f"objective 'superres' by {config.factor}: {height}×{width} is no multiple of it; choose another --size"
            )

    def degrade(self, images: Tensor) -> Tensor:
        """Averaged down, then enlarged by bicubic interpolation."""
        return self.shown(F.avg_pool2d(images, self.config.factor))

    def fit(self, fit: Fit) -> Fit:
        """To the small size."""
        return replace(fit, height=fit.height // self.config.factor, width=fit.width // self.config.factor)

    def shown(self, images: Tensor) -> Tensor:
        """Small pictures, enlarged."""
        return F.interpolate(images, scale_factor=self.config.factor, mode="bicubic", align_corners=False).clamp(0, 1)
