"""Which encoder finds your pictures best? Scores on altered copies, on labels where there are some, and the cost of each."""

from .choice import Choice, choose
from .comparing import CompareJob, CompareResult, compare
from .copies import ALTERATIONS
from .measure import CompareSettings, Comparison, Score, measure

__all__ = [
    "ALTERATIONS",
    "Choice",
    "CompareJob",
    "CompareResult",
    "CompareSettings",
    "Comparison",
    "Score",
    "choose",
    "compare",
    "measure",
]
