from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ritz.compute.document import DocumentPart, Number
from ritz.compute.fields.tensors import unpack
from ritz.compute.uncertainty.uncertainty import Scope
from ritz.storage import models
from ritz.storage.files import SUFFIXES, write_file
from ritz.storage.store import Store
from ritz.storage.targets import check_target
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.law_calibration import LawCalibration, law_calibration
from ritz.tasks.parsing.asked_law import law_text
from ritz.tasks.prediction import remarks
from ritz.tasks.prediction.certified import Certification, Certified, certifiable, check_certify
from ritz.tasks.prediction.drawn import Drawn, check_members
from ritz.tasks.prediction.estimated import Estimated
from ritz.tasks.prediction.horizon import Horizon, read_times
from ritz.tasks.prediction.inputs import Inputs, Interface, read_inputs
from ritz.tasks.prediction.keeping import Keeping
from ritz.tasks.prediction.neighbours import neighbours
from ritz.tasks.prediction.novelty_judge import novelty
from ritz.tasks.prediction.output import Bars, Coordinates, Output
from ritz.tasks.prediction.scope import check_scope
from ritz.tasks.prediction.verified import Verification, verifiable
from ritz.tasks.prediction.verified_horizon import RolloutVerification, VerifiedHorizon

if TYPE_CHECKING:
    from ritz.compute.surrogates.model import Model

_TIMED = 64
"""Most samples whose prediction is timed."""


class Prediction(DocumentPart):
    """What was predicted.

    Attributes
    ----------
    model
        ``NAME@VERSION``.
    levels
        Nominal coverages of the bands; empty without bands.
    output
        Path of what was written.
    calibrated
        For what the bands were calibrated, None without bands.
    scope
        Whether the bands hold a share of the points, or whole fields with that probability.
    outside
        Positions of the samples whose inputs are unlike the known ones, None where that could not be judged.
    doubtful, far
        Positions of the samples whose estimated error cannot be relied on, and of those where it is far beyond what was
        measured on the test samples; empty where there is no estimate.
    estimate
        Median and largest estimated relative error of the predictions by the equations, None where there is none.
    verified, rollout
        How they were verified, where that was asked for, at the times of the training or step by step at others.
    certified
        How they were solved to a true residual, where that was asked for.
    remarks
        What the user should know, a line each.
    """

    model: str
    released: bool
    samples: int
    levels: tuple[float, ...]
    output: str
    calibrated: str | None
    scope: Scope = "points"
    outside: tuple[int, ...] | None
    doubtful: tuple[int, ...] = ()
    far: tuple[int, ...] = ()
    estimate: tuple[Number, Number] | None = None
    verified: Verification | None = None
    rollout: RolloutVerification | None = None
    certified: Certification | None = None
    remarks: tuple[str, ...]

    def objection(self) -> str:
        """Return why not all of the predictions are to be relied on, in a few words; empty where they are."""
        flagged = {*(self.outside or ()), *self.doubtful, *self.far}
        failed = 0 if self.verified is None else self.verified.failed
        lost = 0 if self.rollout is None else round(self.rollout.failed * self.rollout.steps)
        missed = 0 if self.certified is None else self.certified.missed
        reasons = [
            "the inputs could not be judged" if self.outside is None else "",
            f"{len(flagged)} of {self.samples} samples are flagged" if flagged else "",
            f"{failed} of {self.samples} samples had no good solve" if failed else "",
            f"{lost} of {self.rollout.steps} steps had no good answer" if self.rollout is not None and lost else "",
            f"{missed} of {self.samples} samples are not certified" if missed else "",
        ]
        return " and ".join(reason for reason in reasons if reason)


def predict(
    store_url: str,
    model: str,
    source: Path,
    target: Path,
    sample_dim: str | None = None,
    verify: float | None = None,
    law: str | None = None,
    scope: Scope = "points",
    times: str | None = None,
    members: int | None = None,
    seed: int | None = None,
    certify: float | None = None,
    keep: str | None = None,
) -> Prediction:
    """Predict the outputs for the inputs in a file, with bands where the model was quantified.

    Parameters
    ----------
    source
        NetCDF file or Zarr store with the input variables, with or without samples; see
        `ritz.tasks.prediction.inputs.read_inputs`.
    target
        ``.nc`` or ``.zarr``; holds each output and, with a dimension ``level`` of nominal coverage, its
        ``_lower`` and ``_upper`` band, along the samples and points of the inputs. ``input_outside`` flags samples
        whose inputs are unlike those of the dataset of the model, by ``input_score`` and its p-value ``input_p``;
        ``estimate_far`` those whose estimated error is far beyond what was measured.
    sample_dim
        What the file calls the dimension of the samples; ``"sample"`` by default.
    verify
        Largest estimated relative L2 error that is left as it is: the target then also holds each output as
        ``_verified``, corrected or solved where the estimate is above, and ``verified`` says which; see
        `ritz.compute.uncertainty.verification.fields.verify`.
    law
        Name of another law, whose bands are taken; see `ritz.tasks.measuring.law_worker.recalibrate`.
    scope
        What the levels of the bands are said of: the share of the points inside, or the probability that whole fields
        are.
    times
        At which times to predict, where the surrogate steps through time; see `ritz.tasks.prediction.horizon`. Bands
        are those of the times of the training, and NaN at others; ``bands_calibrated`` flags the times.
    members, seed
        How many draws of each prediction the target also holds, as ``_members`` along a dimension ``member``, of a
        surrogate that is stochastic; the seed fixes them, 0 by default.
    certify
        Largest true relative residual: the target then also holds each output as ``_certified``, solved to it from the
        start that a race chooses, with the residual that was reached, and ``certified`` says where it holds; see
        `ritz.compute.simulation.starts.answered.answered`.
    keep
        Name of a new dataset of the certified samples; see `ritz.tasks.prediction.keeping.Keeping`.

    Raises
    ------
    ritz.tasks.errors.InputError
        If the inputs do not fit the model, it cannot be verified or certified, draws nothing, or has no bands of this
        law or scope.
    ritz.storage.errors.StorageError
        If the model, the input file or the place of the output is not as it must be, or there is a dataset of the name
        already.
    """
    check_certify(certify, keep, times)
    store = Store(store_url)
    reference = models.resolve(store, model)
    spec, card = reference.spec, of_model.card(store, reference.spec)
    other = None if law is None else law_calibration(store, spec, law)
    check_target(target, SUFFIXES)
    check_members(members, seed, sample_dim)
    asked = None if times is None else read_times(times)
    grid = _grid(store, spec, card)
    inputs = read_inputs(source, Interface.of(card, grid), sample_dim)
    problem = None if verify is None else verifiable(card, spec, inputs, verify)
    solved = None if certify is None else certifiable(card, spec, inputs)
    keeping = None if keep is None or solved is None else Keeping.planned(store, keep, solved, spec, card, source)

    from ritz.tasks.measuring.law_worker import load_bands
    from ritz.tasks.measuring.worker import load_model

    trained, bands = load_model(store, spec)
    if other is not None:
        bands = load_bands(store, spec, other.law, trained)
    check_scope(scope, spec, bands)
    drawn = None if members is None else Drawn.of(trained, spec, inputs.values, members, seed or 0, asked)
    known = trained.predict(inputs.values)
    horizon = None if asked is None else Horizon.of(asked, trained, inputs.values, known)
    outputs = known if horizon is None else horizon.outputs
    judge, why = novelty(store, spec, card)
    judged = None if judge is None else judge.judge(inputs.values)
    trained_on = card.dataset.spec
    calibrated = _calibrated(store, spec, inputs, other) if bands is not None else None
    intervals, assessment = (None, None) if bands is None else bands.answer(inputs.values, known, scope)
    if horizon is not None and intervals is not None:
        intervals = [horizon.band(*ends, card) for ends in intervals]
        assessment = horizon.assessment(assessment, card)
    estimated = Estimated.of(assessment, of_model.evaluation(store, spec))
    verified = verification = stepped = None
    if problem is not None and verify is not None and asked is not None:
        stepped = VerifiedHorizon.of(problem, trained, inputs.values, asked, verify)
    elif problem is not None and verify is not None:
        from ritz.compute.uncertainty.verification.fields import verify as work

        doubtful = None if estimated is None else estimated.doubtful
        verified = work(problem, inputs.values, outputs, verify, doubtful)
        verification = Verification.of(verified, verify, _seconds(trained, inputs.values))
    certified = None
    if solved is not None and certify is not None:
        alike = neighbours(store, trained_on, solved, inputs.values)
        seconds = _seconds(trained, inputs.values)
        certified = Certified.of(solved, inputs.values, known, alike, certify, seconds)
    bars = None
    if bands is not None and intervals is not None:
        bars = Bars(bands.levels, tuple(intervals), str(calibrated), bands.meaning(scope))
    result = Output(
        *(card, grid, inputs, outputs, bars, estimated, judged, verified, trained_on, horizon, stepped, drawn),
        certified,
    ).dataset()
    result.attrs["title"] = f"Predictions by {spec}"
    result.attrs["source"] = f"ritz {package_version('ritz')}, model {spec} trained on {trained_on}"
    write_file(result, target)
    certification = None if certified is None else certified.summary
    if keeping is not None and certified is not None and certification is not None:
        version = keeping.keep(inputs.values, certified)
        if version is not None:
            certification = certification.changed(kept=version.spec, kept_samples=version.samples)
    verdict = of_model.verdict(store, spec)
    return Prediction(
        model=spec,
        released=verdict is not None and verdict.released,
        samples=len(inputs),
        levels=bands.levels if bands is not None else (),
        output=str(target),
        calibrated=calibrated,
        scope=scope,
        outside=None if judged is None or judged.unsure else _positions(judged.outside),
        doubtful=() if estimated is None else _positions(estimated.doubtful),
        far=() if estimated is None else _positions(estimated.far),
        estimate=None if estimated is None else estimated.summary(),
        verified=verification,
        rollout=None if stepped is None else stepped.summary,
        certified=certification,
        remarks=(
            *inputs.remarks,
            *remarks.of_inputs(
                inputs, judged, why, trained_on, bands is not None, None if other is None else other.law
            ),
            *remarks.of_estimates(estimated, inputs),
            *([] if horizon is None else horizon.remarks(bars is not None)),
            *(() if verification is None else (verification.text(),)),
            *(() if stepped is None else (stepped.summary.text(),)),
            *(() if certification is None else certification.texts(keep)),
        ),
    )


def _positions(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def _seconds(trained: Model, inputs: Mapping[str, np.ndarray]) -> float:
    """Return the wall time of a prediction per sample, once the model has predicted."""
    some = {name: values[:_TIMED] for name, values in inputs.items()}
    began = time.perf_counter()
    trained.predict(some)
    return (time.perf_counter() - began) / len(next(iter(some.values())))


def _calibrated(store: Store, spec: str, inputs: Inputs, other: LawCalibration | None) -> str:
    """Return in words for what the bands were calibrated."""
    if other is not None:
        law = f"{other.samples} fresh solves of the law {other.law!r} ({law_text(other.changes)})"
    else:
        calibration = of_model.calibration(store, spec)
        law = f"{'an unknown dataset' if calibration is None else calibration.dataset}'s law"
    return f"calibrated on {law}{', not on this grid' if inputs.other else ''}"


def _grid(store: Store, spec: str, card: Card) -> xr.Dataset:
    """Return the coordinates of a model's fields."""
    coordinates: Coordinates = {dim: (dim, list(values), card.coordinates[dim]) for dim, values in card.grid.items()}
    blob = models.read_file(store, spec, "mesh.safetensors")
    if blob is not None:
        arrays, about = unpack(blob)
        mesh = {name: (about[name]["dims"], values, about[name]["attrs"]) for name, values in arrays.items()}
        coordinates = {**coordinates, **mesh}
    return xr.Dataset(coords=coordinates)
