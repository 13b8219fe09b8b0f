from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ritz.compute.surrogates.model import Model
from ritz.compute.training.parts.curve import Record
from ritz.compute.training.parts.trace import Trace
from ritz.compute.training.training_record import BestValidation


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes
    ----------
    model
        The trained model, on the CPU.
    curve
        How losses and validation errors went.
    schedule
        ``(steps, ranks * batch_size)`` int64, the sample ids that made each step, in the order of the ranks.
    received
        Time at which each shard arrived at its rank, in seconds since the epoch, by its number; empty offline.
    waited
        Seconds this process waited for samples after the first step.
    validation
        Ids of the samples of the validation error, ``(m,)`` int64, in the order in which they came to the first rank.
    total
        Steps that the schedule of the learning rate was made for.
    trace
        Loss of every step, the time they took and on what.
    stopped
        Step after which early stopping ended the training, or None.
    best
        Of which validation the weights were kept, where there is early stopping and a validation; else None.
    unseen
        Training samples that arrived and are in no step.
    forecasts
        ``ids``, ``steps`` and ``errors`` ``(k,)``: the relative L2 errors of samples that arrived, before the model had
        learnt from them, and after how many steps; of all ranks, one after the other.
    """

    model: Model
    curve: list[Record]
    schedule: np.ndarray
    received: dict[int, float]
    waited: float
    validation: np.ndarray
    total: int
    trace: Trace
    stopped: int | None = None
    best: BestValidation | None = None
    unseen: int = 0
    forecasts: Mapping[str, np.ndarray] = field(default_factory=dict)
