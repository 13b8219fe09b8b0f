"""Bands of a model for another law, from samples that are solved for it."""

from __future__ import annotations

import json
import time

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.uncertainty.catalogue import calibrated
from ritz.compute.uncertainty.predicted import Predicted
from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty
from ritz.storage import models
from ritz.storage.errors import Refused
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents.law_calibration import LawCalibration, OnLaw, bands_file, calibration_file
from ritz.tasks.measuring.coverage_rows import coverage_rows
from ritz.tasks.measuring.shifts import SAMPLES, fresh_seed, predicted
from ritz.tasks.measuring.split_fields import few_of_split, taken
from ritz.tasks.measuring.worker import Opened, load_model
from ritz.tasks.parsing.asked_law import AskedLaw
from ritz.tasks.parsing.recorded_problem import problem_of, recipe_of

SHAPED = 5
"""One of so many solves gives the shape of the bands where the law has other equations than the dataset."""

AFFORDABLE = 30.0
"""Seconds that the further solves may take on which the new bands are measured."""

_TRIED, _TIMES = 8, 10


def recalibrate(
    store_url: str, model: str, dataset: str, method: Uncertainty, law: AskedLaw, solves: int
) -> LawCalibration:
    """Calibrate bands on fresh solves of another law; keep them with the model, beside those of its own law.

    The new bands are measured on `SAMPLES` further solves, where these take at most `AFFORDABLE` seconds, and the bands
    of the model on all of them: they have seen none.

    The shape of the new bands comes from the split ``validate`` of the dataset. Where the law has other equations, that
    says nothing of the shape, and one in `SHAPED` of the solves gives it.

    Parameters
    ----------
    method
        How bands are made, as the recipe of the model says.
    solves
        So many.

    Raises
    ------
    ritz.storage.errors.Refused
        If so many solves failed that too few are left for the highest level.
    """
    store = Store(store_url)
    trained, present = load_model(store, model)
    data, recipe = read(store, dataset), recipe_of(store, dataset)
    problem, seed, rtol = problem_of(recipe), fresh_seed(store, model, dataset), float(recipe["data"]["rtol"])
    assert problem is not None
    inputs, truth = taken(data, few_of_split(data, "validate"))
    shaping = 0 if _same_equations(problem, law.problem, inputs, truth) else solves // SHAPED
    _enough(solves - shaping, method, f"the law has other equations, and {shaping} of {solves} solves give the shape")
    validate = None if shaping else Predicted(inputs, trained.predict(inputs), truth)
    # The first prediction of a process loads what the others find there.
    trained.predict({name: values[:1] for name, values in inputs.items()})
    known = Opened(trained, data, law.problem).about()
    begun = time.perf_counter()
    fresh = predicted(trained, law.problem, seed, rtol, solves, 0)
    shape, rest = _divided(fresh, shaping)
    _enough(len(rest), method, f"{solves - len(fresh)} of {solves} solves failed")
    bands = method.calibrate(validate or shape, rest, known)
    seconds = time.perf_counter() - begun
    unmeasured = _unaffordable(seconds / solves)
    later = None if unmeasured else predicted(trained, law.problem, seed, rtol, SAMPLES, solves)
    seen, dimensions = [fresh] if later is None else [fresh, later], trained.normalisation.dimensions
    result = LawCalibration(
        law=law.name,
        changes=law.changes,
        dataset=dataset,
        seed=seed,
        solves=solves,
        shaped=len(shape) if shaping else 0,
        samples=len(rest),
        relative_l2=float(np.mean(np.concatenate([part.relative_l2() for part in seen]))),
        made=bands.made(),
        seconds=seconds,
        before=None if present is None else _on(present, Predicted.joined(seen), dimensions),
        after=None if later is None else _on(bands, later, dimensions),
        unmeasured=unmeasured,
    )
    files = {
        bands_file(law.name): bands.to_bytes(),
        calibration_file(law.name): json.dumps(result.document(), allow_nan=False).encode(),
    }
    models.add(store, model, files, {})
    return result


def load_bands(store: Store, spec: str, law: str, model: Model) -> Calibrated:
    """Read the bands of a model for another law; see `ritz.tasks.documents.law_calibration.law_calibration`."""
    blob = models.read_file(store, spec, bands_file(law))
    assert blob is not None
    return calibrated(blob).beside(model)


def _same_equations(problem: Problem, other: Problem, inputs: Arrays, truth: Arrays) -> bool:
    """Return whether another problem has the equations that some samples solve, whatever its law."""
    few = [{name: values[:_TRIED] for name, values in part.items()} for part in (inputs, truth)]
    own, its = (float(np.median(one.residual(*few))) for one in (problem, other))
    return its <= _TIMES * own


def _enough(count: int, method: Uncertainty, why: str) -> None:
    """Refuse fewer samples to calibrate on than the highest level asks for."""
    need = method.needs()["calibrate"]
    if count < need.least:
        raise Refused(
            f"--solves: {why}: {count} are left to calibrate on, expected at least {need.least}: {need.reason}"
        )


def _unaffordable(seconds: float) -> str:
    """Return why further solves are not affordable at so many seconds per solve; empty where they are."""
    whole = SAMPLES * seconds
    said = f"{SAMPLES} further solves would take {whole:.0f} s, more than {AFFORDABLE:g} s"
    return "" if whole <= AFFORDABLE else said


def _divided(fresh: Predicted, shaping: int) -> tuple[Predicted, Predicted]:
    """Return the samples that give the shape of the bands, and the others."""
    return fresh.taken(slice(0, shaping)), fresh.taken(slice(shaping, None))


def _on(bands: Calibrated, part: Predicted, dimensions: Dimensions) -> OnLaw:
    return OnLaw(samples=len(part), coverage=coverage_rows(bands.measure(part, dimensions), "--law"))
