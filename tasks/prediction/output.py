"""The file of predictions: names, units and places of what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ritz.compute.fields.dimensions import TIME
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.novelty.novelty import Judged
from ritz.storage.conventions import CONVENTIONS
from ritz.tasks.documents.card import Card
from ritz.tasks.prediction.certified import CERTIFIED, RESIDUAL, Certified
from ritz.tasks.prediction.drawn import MEMBER, Drawn
from ritz.tasks.prediction.estimated import Estimated
from ritz.tasks.prediction.horizon import CALIBRATED, Horizon
from ritz.tasks.prediction.inputs import Inputs
from ritz.tasks.prediction.verified_horizon import VERIFIED, VERIFIED_ERROR, VerifiedHorizon

if TYPE_CHECKING:
    from ritz.compute.uncertainty.verification.fields import Verified

OUTSIDE, SCORE, P = "input_outside", "input_score", "input_p"
"""What the file says of every input."""

ESTIMATE, DOUBTFUL, FAR = "estimated_error", "estimate_doubtful", "estimate_far"
"""What it says of every prediction, where the equations tell."""

Attributes = Mapping[str, Any]
"""Of a variable, as `xarray` takes them."""

Coordinates = Mapping[str, Any]
"""By name, as `xarray` takes them: variables, or tuples of dimensions, values and attributes."""


@dataclass(frozen=True)
class Bars:
    """Error bars of predictions.

    Attributes
    ----------
    levels, intervals
        The lower and upper ends at each level.
    calibrated
        In words for what they were calibrated.
    meaning
        In words what a level is.
    """

    levels: tuple[float, ...]
    intervals: tuple[tuple[Arrays, Arrays], ...]
    calibrated: str
    meaning: str

    def about(self) -> str:
        """Return in words what they promise, and for what."""
        return f"{self.calibrated}; {self.meaning}: level"

    def sides(self) -> dict[str, Arrays]:
        """Return the lower and the upper ends by output, ``(level, n, *dims)``."""
        lower, upper = zip(*self.intervals, strict=True)
        return {
            side: {name: np.stack([one[name] for one in levels]) for name in levels[0]}
            for side, levels in (("lower", lower), ("upper", upper))
        }


@dataclass(frozen=True)
class Output:
    """What was predicted, on its way into a file.

    Attributes
    ----------
    card, grid
        Of the model; its own coordinates.
    inputs, outputs
        What it was given, and what it predicted.
    bars
        Its error bars; None without.
    estimated, judged, verified
        What is known of the predictions and of the inputs, and the fields that were verified; None without.
    trained_on
        Its dataset.
    horizon, stepped
        The times that were asked for, and what was verified step by step; None where they are those of the training.
    drawn
        Draws of the predictions; None without.
    certified
        What was solved in their place; None without.
    """

    card: Card
    grid: xr.Dataset
    inputs: Inputs
    outputs: Arrays
    bars: Bars | None
    estimated: Estimated | None
    judged: Judged | None
    verified: Verified | None
    trained_on: str
    horizon: Horizon | None = None
    stepped: VerifiedHorizon | None = None
    drawn: Drawn | None = None
    certified: Certified | None = None

    def dataset(self) -> xr.Dataset:
        """Return it with names, units and places, along the samples and points of the inputs."""
        sample, result = self.inputs.sample, xr.Dataset(coords=self._coordinates(), attrs={"Conventions": CONVENTIONS})
        sides = {} if self.bars is None else self.bars.sides()
        promise = "" if self.bars is None else self.bars.about()
        of_samples = self._of_inputs() | self._of_estimates() | self._of_verification() | self._of_certification()
        for name, values in self.outputs.items():
            variable = self.card.outputs[name]
            dims = (sample, *variable.dims)
            attrs = {k: v for k, v in variable.attrs.items() if k != "ancillary_variables"}
            long_name = str(attrs.get("long_name", name))
            other = self._other_fields(name, long_name)
            for called, (field, about) in other.items():
                result[called] = (dims, field, {**attrs, **about})
            beside = [*(f"{name}_{side}" for side in sides), *other, *of_samples]
            if self.drawn is not None:
                about = self.drawn.about(long_name)
                result[f"{name}_members"] = ((MEMBER, *dims), self.drawn.fields[name], {**attrs, **about})
                beside.append(f"{name}_members")
            corrected = f"{name}_corrected" in other
            result[name] = (dims, values, attrs | {"ancillary_variables": " ".join(beside)})
            for side, of in sides.items():
                around = "corrected prediction" if corrected else "prediction"
                about = {"long_name": f"{side} end of the band around the {around} of {long_name}"}
                about["comment"] = promise
                result[f"{name}_{side}"] = (("level", *dims), of[name], attrs | about)
        for called, (numbers, about) in of_samples.items():
            result[called] = (sample, numbers, about)
        if self.stepped is not None:
            from ritz.compute.uncertainty.verification.fields import ACTIONS

            for called, one in self.stepped.of_steps(sample, _flags(*ACTIONS)).items():
                result[called] = one
        if self.horizon is not None and self.bars is not None:
            result[CALIBRATED] = self.horizon.flags()
        if self.bars is not None:
            level = ("level", list(self.bars.levels), {"long_name": "nominal coverage", "units": "1"})
            result = result.assign_coords(level=level)
        if self.drawn is not None:
            result = result.assign_coords({MEMBER: self.drawn.coordinate()})
        return result.isel({dim: slice(None, None, -1) for dim in self.inputs.turned}).assign_coords(self._places())

    def _other_fields(self, name: str, long_name: str) -> dict[str, tuple[np.ndarray, Attributes]]:
        """Return the fields beside a prediction by name."""
        found: dict[str, tuple[np.ndarray, Attributes]] = {}
        corrected = None if self.estimated is None else self.estimated.assessment.corrected
        if corrected is not None:
            about = {"long_name": f"{long_name}, corrected by the equations"}
            found[f"{name}_corrected"] = (corrected[name], about)
        if self.stepped is not None:
            about = {"long_name": f"{long_name}, by steps as predicted, corrected or solved: {VERIFIED} says which"}
            found[f"{name}_verified"] = (self.stepped.fields(name), about)
        if self.verified is not None:
            about = {"long_name": f"{long_name}, as predicted, corrected or solved: {VERIFIED} says which"}
            found[f"{name}_verified"] = (self.verified.fields[name], about)
        if self.certified is not None:
            about = {"long_name": f"{long_name}, solved; NaN where {CERTIFIED} says that it is not certified"}
            found[f"{name}_certified"] = (self.certified.fields[name], about)
        return found

    def _of_inputs(self) -> dict[str, tuple[np.ndarray, Attributes]]:
        """Return what is said of every input, by name."""
        n, judged, known = len(self.inputs), self.judged, self.trained_on
        told = judged is not None and not judged.unsure
        flags = judged.outside.astype(np.int8) if judged is not None and told else np.full(n, 2, np.int8)
        score, p = (np.full(n, np.nan), np.full(n, np.nan)) if judged is None else (judged.score, judged.p)
        rule = "" if judged is None else f", by {judged.rule}"
        about = f"whether the input is unlike those of {known}, on which the model was trained{rule}"
        return {
            OUTSIDE: (flags, {"long_name": about, **_flags("inside", "outside", "not_judged")}),
            SCORE: _numbers(score, f"how unlike those of {known} the input is, 1 at the edge"),
            P: _numbers(p, f"conformal p-value of the score among the inputs of {known}"),
        }

    def _of_estimates(self) -> dict[str, tuple[np.ndarray, Attributes]]:
        """Return what the equations say of every prediction, by name."""
        known = self.estimated
        if known is None:
            return {}
        doubtful = {"long_name": "whether the estimated error cannot be relied on", **_flags("reliable", "doubtful")}
        found = {
            ESTIMATE: _numbers(
                known.error,
                "estimated error of the prediction by the equations, relative L2"
                + ("" if self.horizon is None else ", over the times of the training"),
            ),
            DOUBTFUL: (known.doubtful.astype(np.int8), doubtful),
        }
        if known.largest is not None:
            far = {"long_name": f"whether the estimated error is beyond {known.limit_text()}", **_flags("near", "far")}
            found[FAR] = (known.far.astype(np.int8), far)
        return found

    def _of_verification(self) -> dict[str, tuple[np.ndarray, Attributes]]:
        """Return what was done for every verified field, by name."""
        if self.verified is None:
            return {}
        from ritz.compute.uncertainty.verification.fields import ACTIONS, SOLVE_RTOL

        about = {
            "long_name": "what the verified field is",
            "comment": f"a corrected field is no solve; solved: relative residual at most {SOLVE_RTOL:g}",
            **_flags(*ACTIONS),
        }
        error = "estimated error of the verified field by the equations, relative L2; none of a solve"
        return {
            VERIFIED: (self.verified.actions, about),
            VERIFIED_ERROR: _numbers(self.verified.estimate, error),
        }

    def _of_certification(self) -> dict[str, tuple[np.ndarray, Attributes]]:
        """Return the residual that was reached for every sample, and whether it is certified, by name."""
        if self.certified is None:
            return {}
        rtol = self.certified.summary.rtol
        flags = {
            "long_name": "whether the sample was solved to the residual that was asked for",
            "comment": f"certified: true relative residual of the equations at most {rtol:g}, measured in float64",
            **_flags("not_certified", "certified"),
        }
        about = {"long_name": "true relative residual that was reached for the sample", "units": "1"}
        return {
            CERTIFIED: (self.certified.good.astype(np.int8), flags),
            RESIDUAL: (np.array(self.certified.ledger["residual"], np.float64), about),
        }

    def _coordinates(self) -> Coordinates:
        along = {dim for entry in self.card.outputs.values() for dim in entry.dims}
        of_fields = (VERIFIED, VERIFIED_ERROR, CALIBRATED, CERTIFIED, RESIDUAL)
        own_names = (OUTSIDE, SCORE, P, ESTIMATE, DOUBTFUL, FAR, *of_fields)
        taken = {*self.outputs, *along, *own_names, "level", MEMBER}
        labels = {name: one for name, one in self.inputs.labels.items() if name not in taken}
        # The triangles of a mesh lie along no variable, but among its nodes.
        own = {str(k): v for k, v in self.grid.coords.items() if k not in v.dims or k in along}
        kept = {name: one for name, one in own.items() if not set(one.dims) & set(self.inputs.other)}
        if self.horizon is not None:
            kept[TIME] = (TIME, np.array(self.horizon.times), dict(self.grid[TIME].attrs))
        return labels | kept

    def _places(self) -> Coordinates:
        """Return the coordinates of the points as the file has them, where they are not the model's."""
        attrs = self.card.coordinates
        return {dim: (dim, one.values, attrs.get(dim, {})) for dim, one in self.inputs.places.items()}


def _numbers(values: np.ndarray, long_name: str) -> tuple[np.ndarray, Attributes]:
    return values.astype(np.float32), {"long_name": long_name, "units": "1"}


def _flags(*meanings: str) -> Attributes:
    return {"flag_values": np.arange(len(meanings), dtype=np.int8), "flag_meanings": " ".join(meanings)}
