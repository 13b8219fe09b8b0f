from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.document import Number, Part
from ritz.compute.fields.tensors import unpack
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.novelty import Judged
from ritz.compute.uncertainty.uncertainty import Assessment, Calibrated
from ritz.storage import models
from ritz.storage.conventions import CONVENTIONS
from ritz.storage.files import SUFFIXES, write_file
from ritz.storage.store import Store
from ritz.storage.targets import check_target
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import Card
from ritz.tasks.prediction.inputs import Inputs, Interface, read_inputs
from ritz.tasks.prediction.novelty_judge import novelty

OUTSIDE, SCORE = "input_outside", "input_score"
"""What a file of predictions says of every input."""

ESTIMATE, DOUBTFUL = "estimated_error", "estimate_doubtful"
"""What it says of every prediction, where the equations tell."""

_FLAGS = ("inside", "outside", "not_judged")

Attributes = Mapping[str, Any]
"""Of a variable, as `xarray` takes them."""

Coordinates = Mapping[str, Any]
"""By name, as `xarray` takes them: variables, or tuples of dimensions, values and attributes."""

_MOST = 5
"""Samples that a line names."""


class Prediction(Part):
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
    outside
        Positions of the samples that are outside, None where that could not be judged.
    estimate
        Median and largest estimated relative error of the predictions by the equations, None where there is none.
    remarks
        What the user should know, a line each.
    """

    model: str
    released: bool
    samples: int
    levels: tuple[float, ...]
    output: str
    calibrated: str | None
    outside: tuple[int, ...] | None
    estimate: tuple[Number, Number] | None = None
    remarks: tuple[str, ...]


def predict(store_url: str, model: str, source: Path, target: Path, sample_dim: str | None = None) -> Prediction:
    """Predict the outputs for the inputs in a file, with bands where the model was quantified.

    Parameters
    ----------
    source
        NetCDF file or Zarr store with the input variables, with or without samples; see
        `ritz.tasks.prediction.inputs.read_inputs`.
    target
        ``.nc`` or ``.zarr``; holds each output and, with a dimension ``level`` of nominal coverage, its
        ``_lower`` and ``_upper`` band, along the samples and points of the inputs. ``input_outside`` flags samples
        whose inputs are unlike those that the model was trained on, by ``input_score``.
    sample_dim
        What the file calls the dimension of the samples; ``"sample"`` by default.

    Raises
    ------
    ritz.tasks.errors.InputError
        If the inputs do not fit the model.
    ritz.storage.errors.StorageError
        If the model, the input file or the place of the output is not as it must be.
    """
    store = Store(store_url)
    reference = models.resolve(store, model)
    card = of_model.card(store, reference.spec)
    check_target(target, SUFFIXES)
    grid = _grid(store, reference.spec, card)
    inputs = read_inputs(source, Interface.of(card, grid), sample_dim)

    from ritz.tasks.measuring.worker import load_model

    trained, bands = load_model(store, reference.spec)
    outputs = trained.predict(inputs.values)
    judge, why = novelty(store, reference.spec, card)
    judged = None if judge is None else judge.judge(inputs.values)
    trained_on = card.dataset.spec
    calibrated = _calibrated(store, reference.spec, inputs) if bands is not None else None
    assessment = None if bands is None else bands.assess(inputs.values, outputs)
    result = _Predicted(card, grid, inputs, outputs, bands, assessment, calibrated, judged, trained_on).dataset()
    result.attrs["title"] = f"Predictions by {reference.spec}"
    result.attrs["source"] = f"ritz {package_version('ritz')}, model {reference.spec} trained on {trained_on}"
    write_file(result, target)
    verdict = of_model.verdict(store, reference.spec)
    outside = None if judged is None else tuple(np.flatnonzero(judged.outside).tolist())
    return Prediction(
        model=reference.spec,
        released=verdict is not None and verdict.released,
        samples=len(inputs),
        levels=bands.levels if bands is not None else (),
        output=str(target),
        calibrated=calibrated,
        outside=outside,
        estimate=None if assessment is None else _estimate(assessment),
        remarks=(
            *inputs.remarks,
            *_remarks(inputs, judged, why, trained_on, bands is not None),
            *_doubts(assessment, inputs),
        ),
    )


def _calibrated(store: Store, spec: str, inputs: Inputs) -> str:
    """Return in words for what the bands were calibrated."""
    calibration = of_model.calibration(store, spec)
    dataset = "an unknown dataset" if calibration is None else calibration.dataset
    return f"calibrated on {dataset}'s law{', not on this grid' if inputs.other else ''}"


def _remarks(inputs: Inputs, judged: Judged | None, why: str, trained_on: str, bands: bool) -> list[str]:
    """Return what the user should know of the predictions, a line each."""
    found = []
    also = "; neither are the bands" if bands else ""
    if inputs.other:
        points = " and ".join(f"{points} points along {dim!r}" for dim, points in inputs.other.items())
        bare = [dim for dim in inputs.other if dim not in inputs.places]
        taken = f" (without coordinates along {', '.join(map(repr, bare))}: taken to fill the box)" if bare else ""
        found.append(f"the model was not trained on {points}{taken}{'; the bands are not calibrated there' * bands}")
    if judged is None:
        found.append(f"whether the inputs are like those that the model was trained on cannot be judged: {why}")
    elif judged.outside.any():
        rows = np.flatnonzero(judged.outside)
        worst = int(judged.score.argmax())
        listed = ", ".join(map(str, rows[:_MOST].tolist())) + (", …" if len(rows) > _MOST else "")
        found.append(
            f"{len(rows)} of {len(inputs)} inputs are unlike those of {trained_on} (position {listed}; at {worst} "
            f"{judged.reasons[worst]}): predictions are not to be relied on there{also}; `{OUTSIDE}` flags them"
        )
    return found


def _estimate(assessment: Assessment) -> tuple[float, float] | None:
    """Return the median and the largest of the estimated errors, None where there is none."""
    known = assessment.estimate[np.isfinite(assessment.estimate)]
    return (float(np.median(known)), float(known.max())) if len(known) else None


def _doubts(assessment: Assessment | None, inputs: Inputs) -> list[str]:
    """Return which estimates of errors cannot be relied on, a line at most."""
    if assessment is None or not assessment.doubtful.any() or inputs.other:
        return []
    rows = np.flatnonzero(assessment.doubtful)
    listed = ", ".join(map(str, rows[:_MOST].tolist())) + (", …" if len(rows) > _MOST else "")
    return [
        f"the equations do not bound the error of {len(rows)} of {len(inputs)} predictions (position {listed}): "
        f"`{DOUBTFUL}` flags them"
    ]


@dataclass(frozen=True)
class _Predicted:
    """What was predicted, on its way into a file."""

    card: Card
    grid: xr.Dataset
    inputs: Inputs
    outputs: Arrays
    bands: Calibrated | None
    assessment: Assessment | None
    calibrated: str | None
    judged: Judged | None
    trained_on: str

    def dataset(self) -> xr.Dataset:
        """Return it with names, units and places, along the samples and points of the inputs."""
        sample, result = self.inputs.sample, xr.Dataset(coords=self._coordinates(), attrs={"Conventions": CONVENTIONS})
        sides = {} if self.bands is None else self._sides(self.bands)
        for name, values in self.outputs.items():
            variable = self.card.outputs[name]
            dims = (sample, *variable.dims)
            attrs = {k: v for k, v in variable.attrs.items() if k != "ancillary_variables"}
            beside = [*(f"{name}_{side}" for side in sides), OUTSIDE, SCORE]
            corrected = None if self.assessment is None else self.assessment.corrected
            if corrected is not None:
                beside.append(f"{name}_corrected")
                about = {"long_name": f"{attrs.get('long_name', name)}, corrected by the equations"}
                result[f"{name}_corrected"] = (dims, corrected[name], attrs | about)
            if self.assessment is not None:
                beside += [ESTIMATE, DOUBTFUL]
            around = "prediction" if corrected is None else "corrected prediction"
            result[name] = (dims, values, attrs | {"ancillary_variables": " ".join(beside)})
            for side, of in sides.items():
                about = {"long_name": f"{side} end of the band around the {around} of {attrs.get('long_name', name)}"}
                about["comment"] = f"{self.calibrated}; expected share of the points of a sample inside: level"
                result[f"{name}_{side}"] = (("level", *dims), of[name], attrs | about)
        flag, score = self._judgement()
        result[OUTSIDE], result[SCORE] = (sample, *flag), (sample, *score)
        if self.assessment is not None:
            about = {"long_name": "estimated error of the prediction by the equations, relative L2", "units": "1"}
            result[ESTIMATE] = (sample, self.assessment.estimate.astype(np.float32), about)
            about = {"long_name": "whether the estimated error cannot be relied on"}
            flags = {"flag_values": np.arange(2, dtype=np.int8), "flag_meanings": "reliable doubtful"}
            result[DOUBTFUL] = (sample, self.assessment.doubtful.astype(np.int8), about | flags)
        if self.bands is not None:
            level = ("level", list(self.bands.levels), {"long_name": "nominal coverage", "units": "1"})
            result = result.assign_coords(level=level)
        return result.isel({dim: slice(None, None, -1) for dim in self.inputs.turned}).assign_coords(self._places())

    def _sides(self, bands: Calibrated) -> dict[str, Arrays]:
        """Return the lower and the upper ends of the bands by output, ``(level, n, *dims)``."""
        lower, upper = zip(*bands.intervals(self.inputs.values, self.outputs, bands.levels), strict=True)
        return {
            side: {name: np.stack([one[name] for one in levels]) for name in self.outputs}
            for side, levels in (("lower", lower), ("upper", upper))
        }

    def _coordinates(self) -> Coordinates:
        along = {dim for entry in self.card.outputs.values() for dim in entry.dims}
        taken = {*self.outputs, *along, OUTSIDE, SCORE, ESTIMATE, DOUBTFUL, "level"}
        labels = {name: one for name, one in self.inputs.labels.items() if name not in taken}
        # The triangles of a mesh lie along no variable, but among its nodes.
        own = {str(k): v for k, v in self.grid.coords.items() if k not in v.dims or k in along}
        return labels | {name: one for name, one in own.items() if not set(one.dims) & set(self.inputs.other)}

    def _places(self) -> Coordinates:
        """Return the coordinates of the points as the file has them, where they are not the model's."""
        attrs = self.card.coordinates
        return {dim: (dim, one.values, attrs.get(dim, {})) for dim, one in self.inputs.places.items()}

    def _judgement(self) -> tuple[tuple[np.ndarray, Attributes], tuple[np.ndarray, Attributes]]:
        """Return the flag and the score of every sample with their attributes."""
        n, judged = len(self.inputs), self.judged
        flags = np.full(n, 2, np.int8) if judged is None else judged.outside.astype(np.int8)
        scores = np.full(n, np.nan, np.float32) if judged is None else judged.score.astype(np.float32)
        about_flag = {
            "long_name": f"whether the input is unlike those of {self.trained_on}, on which the model was trained",
            "flag_values": np.arange(len(_FLAGS), dtype=np.int8),
            "flag_meanings": " ".join(_FLAGS),
        }
        about_score = {"long_name": f"how unlike those of {self.trained_on} the input is, 1 at the edge", "units": "1"}
        return (flags, about_flag), (scores, about_score)


def _grid(store: Store, spec: str, card: Card) -> xr.Dataset:
    """Return the coordinates of a model's fields."""
    coordinates: Coordinates = {dim: (dim, list(values), card.coordinates[dim]) for dim, values in card.grid.items()}
    blob = models.read_file(store, spec, "mesh.safetensors")
    if blob is not None:
        arrays, about = unpack(blob)
        mesh = {name: (about[name]["dims"], values, about[name]["attrs"]) for name, values in arrays.items()}
        coordinates = {**coordinates, **mesh}
    return xr.Dataset(coords=coordinates)
