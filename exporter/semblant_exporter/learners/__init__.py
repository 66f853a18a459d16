"""One command from pictures to the encoder that suits them: look, try what suits, measure without labels, take the best."""

from .learning import WAYS, LearnJob, LearnReport, Way, learn

__all__ = ["WAYS", "LearnJob", "LearnReport", "Way", "learn"]
