"""Standing elsewhere: most machines that run tests stand in UTC, and most people do not."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def far_from_utc() -> Iterator[None]:
    """This process's local time is UTC+5:45 meanwhile."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", "XXX-05:45")
            time.tzset()
            assert dt.datetime(2024, 5, 1, 12).astimezone(dt.timezone.utc).hour == 6
            yield
    finally:
        time.tzset()
