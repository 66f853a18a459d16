"""How many examples hypothesis draws: the same ones each time in CI, other ones each time elsewhere, many more at night.

`SEMBLANT_EXAMPLES=20 make test` draws twenty times as many.
"""

from __future__ import annotations

import os

from hypothesis import settings

__all__ = ["choose_profile", "examples"]


def examples(count: int) -> int:
    """`count`, times what the environment asks for."""
    return count * int(os.environ.get("SEMBLANT_EXAMPLES", "1"))


def choose_profile() -> None:
    """CI has to fail for the change that it tests, not by the luck of a draw."""
    settings.register_profile("semblant", deadline=None, derandomize=os.environ.get("CI") == "true", print_blob=True)
    settings.load_profile("semblant")
