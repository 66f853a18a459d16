"""What all benches share: limits stated as a table, one JSON line with what was measured, exit code 1 where a limit is missed.

    LIMITS = (at_most("plain/ratio", 1.5), at_least("plain/recall@10", 0.998))
    options = parser(__doc__, quick="10,000 vectors").parse_args()
    numbers = {"plain": {"ratio": 1.2, "recall@10": 0.9996}}
    finish("search_speed", numbers, LIMITS, quick=options.quick)

A docstring ends with how long its script takes, which `run_all.py` adds up: "On two cores: 3 minutes, with `--quick` 20
seconds."
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Limit", "at_least", "at_most", "finish", "parser", "stated_seconds"]

_STARTED = time.perf_counter()
_STATED = re.compile(r"On two cores: ([\d.]+) (second|minute)s?, with `--quick` ([\d.]+) (second|minute)s?\.")
_SECONDS = {"second": 1, "minute": 60}


@dataclass(frozen=True)
class Limit:
    """What a number may be at most, or has to be at least.

    Attributes:
        name: where the number is among those measured: `plain/ratio` is `numbers["plain"]["ratio"]`.
        kind: which side of the bound is allowed; the bound itself is.
        bound: the number that is claimed, with its slack.
    """

    name: str
    kind: Literal["at most", "at least"]
    bound: float

    def measured(self, numbers: Mapping[str, Any]) -> float | None:
        """The number, or None where it was not measured, or is none."""
        value: Any = numbers
        for part in self.name.split("/"):
            if not isinstance(value, dict) or part not in value:
                return None
            value = value[part]
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        return number if math.isfinite(number) else None

    def judge(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the printed table. What was not measured does not meet its limit."""
        value = self.measured(numbers)
        met = value is not None and (value <= self.bound if self.kind == "at most" else value >= self.bound)
        return {"name": self.name, "measured": value, self.kind: self.bound, "ok": met}


def at_most(name: str, bound: float) -> Limit:
    return Limit(name, "at most", bound)


def at_least(name: str, bound: float) -> Limit:
    return Limit(name, "at least", bound)


def parser(doc: str | None, *, quick: str) -> argparse.ArgumentParser:
    """The options that all benches have; `quick` says what the quick version measures instead. Wrong usage exits with 2."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--quick", action="store_true", help=f"a smaller version with limits of its own: {quick}")
    return result


def finish(bench: str, numbers: Mapping[str, Any], limits: Iterable[Limit], *, quick: bool = False) -> None:
    """Print the JSON line; exit with 1 where a limit is missed, or where there are none: such a bench would claim nothing."""
    rows = [limit.judge(numbers) for limit in limits]
    ok = bool(rows) and all(row["ok"] for row in rows)
    seconds = round(time.perf_counter() - _STARTED, 1)
    line = {"bench": bench, "quick": quick, **numbers, "limits": rows, "seconds": seconds, "ok": ok}
    print(json.dumps(_finite(line), allow_nan=False, default=float), flush=True)
    if not ok:
        for row in rows:
            if not row["ok"]:
                print(f"{bench}: missed: {json.dumps(row)}", file=sys.stderr)
        raise SystemExit(1)


def stated_seconds(doc: str | None, *, quick: bool) -> float:
    """How long a script says that it takes. Raises `ValueError` where its docstring does not say."""
    found = _STATED.search(" ".join((doc or "").split()))
    if found is None:
        raise ValueError("the docstring does not end with: On two cores: … minutes, with `--quick` … seconds.")
    number, unit = found.groups()[2:] if quick else found.groups()[:2]
    return float(number) * _SECONDS[unit]


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
