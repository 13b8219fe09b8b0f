"""A problem as somebody else's package would bring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from ritz.compute.fields.arrays import Array
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems


class Scaling(Problem):
    """c u = 1 at every point of a line, with one random c a sample."""

    kind: Literal["scaling"] = "scaling"
    points: int = Field(8, gt=1, description="Points of the line.")

    def template(self, n: int) -> xr.Dataset:
        nothing = np.broadcast_to(np.float32(np.nan), (n, self.points))
        about = {"transform": "identity", "units": "1"}
        return xr.Dataset(
            {"c": (("sample", "x"), nothing, about | {"role": "input"}), "u": (("sample", "x"), nothing, about)},
            attrs={"symmetries": "flips"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        values = [np.random.default_rng((seed, int(sample))).uniform(1, 2) for sample in ids]
        return {"c": np.repeat(np.array(values, np.float32)[:, None], self.points, axis=1)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return inputs["c"][:, :1]

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        c = inputs["c"].astype(np.float64)
        coefficients = np.stack([c, np.zeros_like(c), np.zeros_like(c)], axis=1)
        return {"u": solve(Systems(Stencil(coefficients, symmetric=True), np.ones_like(c)))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        return {"u": inputs["c"] * fields["u"] - 1}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        del inputs
        return self.points**0.5

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.linalg.norm(inputs["c"] * fields["u"], axis=1) / self.points**0.5
