"""What a worker does of a calibration: it learns on the validation samples, and looks at blocks of the others."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ritz.compute.document import Json
from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.tensors import pack
from ritz.compute.uncertainty.coverage import Coverage
from ritz.compute.uncertainty.predicted import Predicted
from ritz.compute.uncertainty.scoring import Scoring
from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty
from ritz.storage import models
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.documents.calibration import BarSeconds, Calibration, Drop, Shifted, key
from ritz.tasks.documents.of_model import CALIBRATION, CELLS, COVERAGE_MAP
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.coverage_rows import coverage_rows
from ritz.tasks.measuring.shifts import fresh_seed, predicted
from ritz.tasks.measuring.split_fields import few_of_split
from ritz.tasks.measuring.worker import Block, Case, Looked, Opened, opened
from ritz.tasks.parsing.other_law import shifted
from ritz.tasks.parsing.recorded_problem import recipe_of

SECONDS, SAMPLES, IDS = "seconds", "samples", "sample_id"
"""Names of sums, the seconds of predictions and of error bars and the samples, and of rows, the ids of the samples."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt on the validation samples, and on how many."""

    scoring: Scoring
    samples: int


def learn(case: Case, method: Uncertainty) -> Learnt:
    """Learn on the validation samples, or as many of them as have room."""
    at_hand = opened(case)
    asks = "validate" in method.needs()
    rows = few_of_split(at_hand.data, "validate") if asks else np.empty(0, np.int64)
    validate, _ = _predicted(at_hand, rows)
    return Learnt(method.scoring(validate, at_hand.about()).alone(), len(validate))


def score(block: Block, scoring: Scoring) -> Looked:
    """Look at a block of the samples to calibrate on."""
    at_hand = opened(block.case)
    samples, seconds = _predicted(at_hand, block.rows)
    sums = {SECONDS: np.array([seconds, 0.0]), SAMPLES: np.array(len(samples))}
    return Looked(scoring.beside(at_hand.about()).scores(samples) | Measured(sums=sums))


def look(block: Block, bands: Calibrated) -> Looked:
    """Look at a block of the samples on which the error bars are measured."""
    at_hand = opened(block.case)
    samples, seconds = _predicted(at_hand, block.rows)
    begun = time.perf_counter()
    found = bands.beside(at_hand.model).look(samples, at_hand.model.normalisation.dimensions)
    clock = np.array([seconds, time.perf_counter() - begun])
    return Looked(found | Measured({IDS: at_hand.data["sample_id"].values[block.rows]}, {SECONDS: clock}))


def calibrate(case: Case, scoring: Scoring, scores: Measured) -> Calibrated:
    """Return the error bars, from what was kept of all samples to calibrate on."""
    return scoring.beside(opened(case).about()).calibrated(scores)


@dataclass(frozen=True)
class LawFound:
    """What error bars are worth on another law: samples, the mean error of the predictions, coverage by level."""

    changes: Json
    samples: int
    relative_l2: float
    coverage: tuple[Coverage, ...]


def on_law(case: Case, law: str, changes: Json, bands: Calibrated) -> LawFound:
    """Solve samples of another law, and measure the error bars on them."""
    at_hand = opened(case)
    if at_hand.problem is None:
        raise RecipeError(f"uncertainty.shifts.{law}: what the dataset solves is not installed here")
    try:
        other = shifted(at_hand.problem, changes)
    except ValueError as error:
        raise RecipeError(f"uncertainty.shifts.{law}: {error}") from error
    store = Store(case.store)
    seed, rtol = fresh_seed(store, case.model, case.dataset), float(recipe_of(store, case.dataset)["data"]["rtol"])
    try:
        there = predicted(at_hand.model, other, seed, rtol)
    except Refused as error:
        raise RecipeError(f"uncertainty.shifts.{law}: {error}") from error
    found = bands.beside(at_hand.model).measure(there, at_hand.model.normalisation.dimensions)
    return LawFound(changes, len(there), float(there.relative_l2().mean()), found)


def conclude(
    case: Case,
    bands: Calibrated,
    learnt_on: int,
    scored: Mapping[str, np.ndarray],
    measured: Measured,
    laws: Mapping[str, LawFound],
) -> Calibration:
    """Return what the error bars are worth, and keep it with the model.

    Parameters
    ----------
    learnt_on
        Validation samples.
    scored
        Sums over the samples to calibrate on.
    measured
        What `look` kept of all test samples.
    laws
        What was found on other laws.
    """
    coverage = bands.covered(measured)
    counts = {
        "validate": learnt_on,
        "calibrate": int(scored.get(SAMPLES, 0)),
        "test": len(measured.rows[IDS]),
    }
    ranks = {name: value if np.isfinite(value) else None for name, value in bands.ranking(measured).items()}
    shifts = {law: _shifted(law, found, coverage) for law, found in laws.items()}
    seconds = measured.sums[SECONDS]
    result = Calibration(
        dataset=case.dataset,
        made=bands.made(),
        seconds=BarSeconds(
            prediction=float((scored.get(SECONDS, (0.0,))[0] + seconds[0]) / (counts["calibrate"] + counts["test"])),
            bars=float(seconds[1] / counts["test"]),
        ),
        samples=counts,
        coverage=coverage_rows(coverage, f"the test split of {case.dataset}"),
        **({"shifted": shifts} if shifts else {}),
        **({"ranking": ranks} if ranks else {}),
    )
    files = {"bands.json": bands.to_bytes(), CALIBRATION: json.dumps(result.document(), allow_nan=False).encode()}
    if bands.levels:
        files[COVERAGE_MAP] = _mapped(bands, measured, coverage)
    models.add(Store(case.store), case.model, files, {"calibration": result.document()})
    return result


def _shifted(law: str, found: LawFound, measured: Sequence[Coverage]) -> Shifted:
    """Return what error bars are worth on another law, beside what was measured on the test split."""
    pairs = list(zip(measured, found.coverage, strict=True))
    return Shifted(
        changes=found.changes,
        samples=found.samples,
        relative_l2=found.relative_l2,
        coverage=coverage_rows(found.coverage, f"uncertainty.shifts.{law}"),
        drop={key(here.level): Drop.model_validate(here.drop(one)) for here, one in pairs},
    )


def _mapped(bands: Calibrated, measured: Measured, coverage: Sequence[Coverage]) -> bytes:
    """Return how often each value was inside, and of each sample how much was, at the level that is mapped."""
    level, cells = bands.cells(measured)
    [found] = [one for one in coverage if one.level == level]
    arrays = {f"{CELLS}{name}": values for name, values in cells.items()}
    arrays |= {"shares": found.shares.astype(np.float32), "sample_id": measured.rows[IDS]}
    return pack(arrays, {"level": level, "samples": len(found.shares)})


def _predicted(case: Opened, rows: np.ndarray) -> tuple[Predicted, float]:
    """Return the samples in some rows with their predictions, and the seconds that these took."""
    inputs, truth = case.fields(rows)
    begun = time.perf_counter()
    prediction = case.model.predict(inputs)
    return Predicted(inputs, prediction, truth, places=rows), time.perf_counter() - begun
