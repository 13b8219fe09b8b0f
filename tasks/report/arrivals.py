from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ritz.compute.evaluation.arrivals import by_chance, differences, largest, scores
from ritz.compute.problems.problem import Arrays, Problem
from ritz.storage.datasets import Dataset
from ritz.tasks.documents.training import History
from ritz.tasks.parsing.recorded_problem import problem_of

SAMPLES = 4096
"""Most training samples that are looked at; of more, so many at random."""

BLOCK = 64
"""Samples whose inputs are drawn together."""


@dataclass(frozen=True)
class Stream:
    """Samples in the batches and in which order, each sample by one number, its standard score in the training set.

    Attributes
    ----------
    whole
        ``(n,)`` scores of the training samples that are looked at.
    shards
        Those of each shard, in the order of arrival.
    batches
        ``(m,)`` scores of all samples of all steps, in the order of the steps.
    what
        What the score is of, in a few words.
    of
        Training samples there are; ``n`` of them are looked at.
    """

    whole: np.ndarray
    shards: tuple[np.ndarray, ...]
    batches: np.ndarray
    what: str
    of: int

    @property
    def arrivals(self) -> np.ndarray:
        """Scores in the order of arrival, ``(n,)``."""
        return np.concatenate(self.shards) if self.shards else np.empty(0)

    def table(self) -> list[Mapping[str, Any]]:
        """Return by quarter the difference of the mean from that of the whole set, in standard deviations."""
        columns = differences(self.arrivals), differences(self.batches)
        rows = max(map(len, columns))
        return [
            {"quarter": row + 1, "arrivals": _at(columns[0], row), "batches": _at(columns[1], row)}
            for row in range(rows)
        ]

    def numbers(self) -> dict[str, float]:
        """Return the largest difference of ``arrivals`` and ``batches``, and what is ``by_chance`` of arrivals."""
        return {
            "arrivals": largest(self.arrivals),
            "batches": largest(self.batches),
            "by_chance": by_chance(self.shards),
        }


def seen(dataset: Dataset, history: History, schedule: bytes, problem: Problem | None = None) -> Stream | None:
    """Return which training samples came when and which made the steps, each by the first principal component.

    The features are those by which the samples were ordered (`Problem.features`), so a bias of the order shows in them.

    Parameters
    ----------
    dataset
        At the version that the training learnt from.
    history, schedule
        What is kept of the training: ``received``, and the ids of all steps as NumPy writes them.
    problem
        What made the dataset, where its class is not registered; without it None is returned then.
    """
    recipe = dataset.recipe
    problem = problem or problem_of(recipe)
    if problem is None:
        return None
    ids, split = dataset.index()
    good = dataset.ledger()["status"] == "ok"
    training = np.flatnonzero((split == "train") & good)
    if not len(training):
        return None
    chosen = np.sort(np.random.default_rng(0).choice(training, min(SAMPLES, len(training)), replace=False))
    blocks = [ids[chosen[start : start + BLOCK]] for start in range(0, len(chosen), BLOCK)]
    features = np.concatenate([problem.features(_inputs(dataset, problem, block)) for block in blocks])
    whole = scores(features)
    by_position, by_id = (
        dict(zip(chosen.tolist(), whole, strict=True)),
        dict(zip(ids[chosen].tolist(), whole, strict=True)),
    )
    shards = []
    for entry in sorted(history.received, key=lambda one: one.time):
        first = entry.shard * dataset.shard
        shards.append(np.array([by_position[at] for at in range(first, first + dataset.shard) if at in by_position]))
    steps = np.load(io.BytesIO(schedule), allow_pickle=False).ravel()
    return Stream(
        whole=whole,
        shards=tuple(shard for shard in shards if len(shard)),
        batches=np.array([by_id[one] for one in steps.tolist() if one in by_id]),
        what="the first principal component of the features by which samples are ordered",
        of=len(training),
    )


def _inputs(dataset: Dataset, problem: Problem, ids: np.ndarray) -> Arrays:
    """Return the inputs of samples: as they are drawn, or as they are stored where they cannot be."""
    if not problem.unsolvable():
        return problem.draw(dataset.recipe["data"]["seed"], ids)
    stored = dataset.read_samples(ids).arrays
    return {
        str(name): stored[str(name)]
        for name, one in problem.template(1).data_vars.items()
        if one.attrs["role"] == "input"
    }


def _at(values: list[float], row: int) -> float | None:
    return values[row] if row < len(values) else None
