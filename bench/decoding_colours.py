"""Claim: a profile of sRGB costs nothing to decode, and another one little.

JPEGs of 4000×3000 pixels, decoded at a reduced scale for an encoder of 64×64, and PNGs of 600×400, decoded whole: photographs
of scikit-image without a profile, with one of sRGB, and with one of Adobe RGB. Beside them, `bare`: what Pillow alone takes to
open, decode and fit the files without a profile. All take turns on the same photographs, and turns at going first; sums of the
best of the rounds.

Limits: no difference, with a tenth for noise. Of Adobe RGB, what was measured and a fifth. `--quick` takes two photographs, and
fewer rounds.

On two cores: 20 seconds, with `--quick` 5 seconds.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import skimage
from _report import at_most, finish, parser
from PIL import Image, ImageCms
from semblant_search import Fit
from semblant_search.images import fit_image, open_image
from semblant_search.images.icc import ADOBE_RGB

if TYPE_CHECKING:
    from collections.abc import Callable

FIT = Fit(64, 64, 3)
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "rocket.jpg")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {"plain": None, "srgb": SRGB, "adobe": ADOBE_RGB}
KINDS = {"jpeg": ("JPEG", (4000, 3000), {"quality": 92}), "png": ("PNG", (600, 400), {})}
LIMITS = (
    *(at_most(f"{kind}/{ratio}", 1.1) for kind in KINDS for ratio in ("srgb_to_plain", "plain_to_bare")),
    at_most("jpeg/adobe_to_plain", 1.5),
    at_most("png/adobe_to_plain", 2.0),
)


def photographs(kind: str, names: tuple[str, ...]) -> list[dict[str, bytes]]:
    """Each photograph as files by their profile."""
    pillow_kind, size, options = KINDS[kind]
    found = []
    for name in names:
        image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        files = {}
        for profile, icc in PROFILES.items():
            buffer = io.BytesIO()
            image.save(buffer, pillow_kind, icc_profile=icc, **options)
            files[profile] = buffer.getvalue()
        found.append(files)
    return found


def bare(content: bytes) -> None:
    """As little as decoding takes."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft(None, (2 * FIT.width, 2 * FIT.height))
        image.load()
        fit_image(image, FIT)


def ours(content: bytes) -> None:
    fit_image(open_image(content, at_least=(FIT.height, FIT.width)), FIT)


def seconds(work: Callable[[bytes], None], content: bytes) -> float:
    begin = time.perf_counter()
    work(content)
    return time.perf_counter() - begin


def measured(kind: str, names: tuple[str, ...], rounds: int) -> dict[str, float]:
    """Milliseconds a picture, and ratios of them."""
    sums = dict.fromkeys(("bare", *PROFILES), 0.0)
    for files in photographs(kind, names):
        best = dict.fromkeys(sums, float("inf"))
        for number in range(rounds + 1):
            for way in list(best) if number % 2 else list(best)[::-1]:
                taken = seconds(bare, files["plain"]) if way == "bare" else seconds(ours, files[way])
                if number:  # the first round warms up
                    best[way] = min(best[way], taken)
        for way in sums:
            sums[way] += best[way]
    return {
        **{f"{way}_ms": round(1000 * total / len(names), 3) for way, total in sums.items()},
        "plain_to_bare": round(sums["plain"] / sums["bare"], 3),
        "srgb_to_plain": round(sums["srgb"] / sums["plain"], 3),
        "adobe_to_plain": round(sums["adobe"] / sums["plain"], 3),
    }


def main() -> None:
    options = parser(__doc__, quick="two photographs, fewer rounds").parse_args()
    names, rounds = (NAMES[:2], 8) if options.quick else (NAMES, 20)
    numbers = {kind: measured(kind, names, rounds) for kind in KINDS}
    finish("decoding_colours", numbers, LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
