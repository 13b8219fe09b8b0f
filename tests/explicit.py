"""A problem that solves by itself, as somebody else's package would bring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, namespace, roll
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.problems.sizes import size


class Explicit(Problem):
    """u_t = u_xx / (4 π²) on a periodic line of length 1 by forward Euler steps; u at first is one random wave.

    Second order in space, first in time. The points lie at the left ends of equal cells. Everything is dimensionless.
    """

    kind: Literal["explicit"] = "explicit"
    points: int = Field(16, gt=3, description="Points of the line.")
    steps: int = Field(8, gt=0, description="Steps until the end.")
    step: float = Field(0.05, gt=0, description="Length of a step; beyond 2 π² / points² the scheme is unstable.")

    def template(self, n: int) -> xr.Dataset:
        start = np.broadcast_to(np.float32(np.nan), (n, self.points))
        states = np.broadcast_to(np.float32(np.nan), (n, self.steps, self.points))
        about = {"transform": "identity", "units": "1"}
        time = self.step * np.arange(1, self.steps + 1)
        return xr.Dataset(
            {
                "v": (("sample", "x"), start, about | {"role": "input", "long_name": "state at first"}),
                "u": (("sample", "time", "x"), states, about | {"role": "output", "long_name": "state"}),
            },
            coords={
                "time": ("time", time, {"axis": "T", "units": "1", "long_name": "time"}),
                "x": ("x", np.arange(self.points) / self.points, {"axis": "X", "units": "1", "long_name": "position"}),
            },
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        x = np.arange(self.points) / self.points
        phases = [np.random.default_rng((seed, int(sample))).uniform() for sample in ids]
        return {"v": np.array([np.sin(2 * np.pi * (x + phase)) for phase in phases], np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return inputs["v"][:, :2]

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        del solve
        states = [inputs["v"].astype(np.float64)]
        for _ in range(self.steps):
            states.append(states[-1] + self._change(states[-1]))
        return {"u": np.stack(states[1:], axis=1)}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        states = self._states(inputs, fields)
        return {"u": states[:, 1:] - states[:, :-1] - self._change(states[:, :-1])}

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        return size(inputs["v"])

    @property
    def rings(self) -> tuple[str, ...]:
        return ("x",)

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        states = np.abs(self._states(*({k: double(v) for k, v in given.items()} for given in (inputs, fields))))
        ratio = self.step * (self.points / (2 * np.pi)) ** 2
        around = np.roll(states, 1, axis=-1) + np.roll(states, -1, axis=-1)
        left = states[:, 1:] + (1 + 2 * ratio) * states[:, :-1] + ratio * around[:, :-1]
        return np.linalg.norm(left, axis=(1, 2)) / np.linalg.norm(states[:, 0], axis=1)

    def _states(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> Array:
        return namespace(fields["u"]).concat([inputs["v"][:, None], fields["u"]], axis=1)

    def _change(self, u: Array) -> Array:
        second = roll(u, 1, axis=-1) - 2 * u + roll(u, -1, axis=-1)
        return self.step * (self.points / (2 * np.pi)) ** 2 * second
