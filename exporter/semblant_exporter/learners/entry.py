"""What the entry-point group `semblant.learners` offers to parts that may not import this one: an encoder of some pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, int, int | None], None]

__all__ = ["make_encoder"]


def make_encoder(directory: Path, output: Path, on_progress: Progress | None = None) -> str:
    """Write the encoder that suits the pictures of a folder, and say in two lines what it is and why.

    Raises:
        SemblantError: as `learn` raises it.
    """
    from semblant_exporter.cli.learn import summary

    from .learning import LearnJob, learn

    return summary(learn(LearnJob(directory, output), on_progress))
