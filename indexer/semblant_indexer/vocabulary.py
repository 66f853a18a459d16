"""The visual words of a new collection, learned from a sample of its own pictures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from semblant_search.images import Fit
from semblant_search.orb import Vocabulary, unpack

from .job import cores
from .pool import WorkerPool
from .worker import Decoded, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .worker import WorkerConfig

__all__ = ["LEAST_DESCRIPTORS", "SAMPLE", "Learned", "train_vocabulary"]

SAMPLE = 3000
"""Pictures whose features train the vocabulary. With 1,500, seven of a hundred crops to a quarter were not in the shortlist,
with these two."""
LEAST_DESCRIPTORS = 50_000
"""With fewer, the vocabulary that ships with the package is the better one."""
_BATCH = 16
_FRUITLESS = 128
"""Where so many pictures of the sample have not one feature, being too small or flat, the others are not looked at."""
_NO_LOOK = Fit(1, 1, 1, "stretch")
"""Here pictures are decoded for their details alone."""


class Learned(NamedTuple):
    """Visual words, and the packed features that the sample's contents (SHA-256) turned out to have, None for none."""

    vocabulary: Vocabulary
    features: dict[str, np.ndarray | None]


def train_vocabulary(
    paths: Sequence[str],
    config: WorkerConfig,
    *,
    workers: int,
    patience: float,
    seed: int,
    on_progress: Callable[[int], None],
) -> Learned:
    """Visual words of these pictures; the general ones where they have too few features. Bad pictures are passed over.

    Extracting features costs more than all else, so those of the sample are handed back for the job to go on with.

    Args:
        paths: the sample.
        config: what the decode workers do; with ORB and without a vocabulary.
        workers: how many.
        patience: seconds that one picture may take.
        seed: of the clustering.
        on_progress: called with the number of pictures done.
    """
    batches = iter([paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)])
    answers: dict[str, np.ndarray] = {}
    features: dict[str, np.ndarray | None] = {}
    done = 0
    with closing(
        WorkerPool(replace(config, fit=_NO_LOOK), workers=workers, slots=workers, batch=_BATCH, patience=patience)
    ) as pool:
        free = list(range(workers))
        files: Sequence[str] | None = next(batches, None)
        while files is not None or pool.busy:
            while pool.idle and files is not None:
                pool.submit(Task(free.pop(), [(path, frozenset()) for path in files]))
                files = next(batches, None)
            for batch in pool.collect(0.1):
                free.append(batch.task.slot)
                done += len(batch.results)
                for (path, _), result in zip(batch.task.files, batch.results, strict=True):
                    if isinstance(result, Decoded):
                        features[result.sha256] = result.features
                        if result.features is not None:
                            answers[path] = unpack(result.features).descriptors
            on_progress(done)
            if done >= _FRUITLESS and not answers:
                break
    if sum(map(len, answers.values())) < LEAST_DESCRIPTORS:
        return Learned(Vocabulary.general(), features)
    # In the order of the sample, whichever worker was faster: the same pictures give the same words.
    chosen = np.concatenate([answers[path] for path in paths if path in answers])
    return Learned(Vocabulary.train(chosen, seed=seed, threads=cores()), features)
