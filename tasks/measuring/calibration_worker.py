"""What a worker does of a calibration: it learns on the validation samples, and looks at blocks of the others."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ritz.compute.document import Json
from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.errors import relative_l2
from ritz.compute.uncertainty.coverage import Coverage
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.scoring import Scoring
from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.shifts import solved
from ritz.tasks.measuring.split_fields import few_of_split
from ritz.tasks.measuring.worker import Block, Case, Looked, Opened, opened, recipe
from ritz.tasks.parsing.other_law import shifted

SECONDS, IDS = "seconds", "sample_id"
"""Names of a sum, the seconds of predictions and of error bars, and of rows, the ids of the samples."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt on the validation samples, and on how many."""

    scoring: Scoring
    samples: int


def learn(case: Case, method: Uncertainty) -> Learnt:
    """Learn on the validation samples, or as many of them as have room."""
    at_hand = opened(case)
    validate, _ = _predicted(at_hand, few_of_split(at_hand.data, "validate"))
    transforms = {variable.name: variable.transform for variable in at_hand.model.variables}
    about = About(transforms, at_hand.model.normalisation.dimensions, at_hand.problem)
    return Learnt(method.scoring(validate, about), len(validate))


def score(block: Block, scoring: Scoring) -> Looked:
    """Look at a block of the samples to calibrate on."""
    predicted, seconds = _predicted(opened(block.case), block.rows)
    return Looked(scoring.scores(predicted) | Measured(sums={SECONDS: np.array([seconds, 0.0])}))


def look(block: Block, bands: Calibrated) -> Looked:
    """Look at a block of the samples on which the error bars are measured."""
    at_hand = opened(block.case)
    predicted, seconds = _predicted(at_hand, block.rows)
    begun = time.perf_counter()
    found = bands.look(predicted, at_hand.model.normalisation.dimensions)
    clock = np.array([seconds, time.perf_counter() - begun])
    return Looked(found | Measured({IDS: at_hand.data["sample_id"].values[block.rows]}, {SECONDS: clock}))


@dataclass(frozen=True)
class OnLaw:
    """What error bars are worth on another law: samples, the mean error of the predictions, coverage by level."""

    samples: int
    relative_l2: float
    coverage: tuple[Coverage, ...]


def on_law(case: Case, law: str, changes: Json, bands: Calibrated) -> OnLaw:
    """Solve samples of another law, and measure the error bars on them."""
    at_hand = opened(case)
    if at_hand.problem is None:
        raise RecipeError(f"uncertainty.shifts.{law}: what the dataset solves is not installed here")
    try:
        other = shifted(at_hand.problem, changes)
    except ValueError as error:
        raise RecipeError(f"uncertainty.shifts.{law}: {error}") from error
    data = recipe(case)["data"]
    inputs, truth = solved(other, data["seed"], data["rtol"])
    there = Predicted(inputs, at_hand.model.predict(inputs), truth)
    errors = [relative_l2(there.prediction[name], truth[name]) for name in truth]
    found = bands.measure(there, at_hand.model.normalisation.dimensions)
    return OnLaw(len(there), float(np.mean(errors)), found)


def _predicted(case: Opened, rows: np.ndarray) -> tuple[Predicted, float]:
    """Return the samples in some rows with their predictions, and the seconds that these took."""
    inputs, truth = case.fields(rows)
    begun = time.perf_counter()
    prediction = case.model.predict(inputs)
    return Predicted(inputs, prediction, truth, places=rows), time.perf_counter() - begun
