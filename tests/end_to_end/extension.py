# ruff: noqa: ARG002
"""What somebody's package may hold: a new method for each room that is open, in one file.

`tests.end_to_end.test_extension` installs a copy of it outside the tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from ritz import Evolution, Fitted, Network, Stencil, Systems
from ritz.compute.evaluation.metric import Found, Metric
from ritz.compute.fields.arrays import double, padded
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolution import State
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.surrogates.fitted.fitted import Blocks
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.training.buffers.buffer import OneRead
from ritz.compute.training.losses.loss import Batch, Loss, Penalty
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.uncertainty import Calibrated, Need, Uncertainty


class Cooling(Evolution):
    """∂u/∂t = u″ on (0, 1), u = 0 at both ends, u = u0 at first; implicit Euler. All is dimensionless."""

    kind: Literal["cooling"] = "cooling"
    points: int = 15
    steps: int = 3
    end: float = 0.05

    @property
    def times(self) -> np.ndarray:
        return self.end / self.steps * np.arange(1, self.steps + 1)

    def template(self, n: int) -> xr.Dataset:
        nothing = np.broadcast_to(np.float32(np.nan), (n, self.steps, self.points))
        about = {"transform": "identity", "units": "1"}
        x = np.linspace(0, 1, self.points + 2)[1:-1]
        return xr.Dataset(
            {
                "u0": (("sample", "x"), nothing[:, 0], about | {"role": "input", "long_name": "first temperature"}),
                "u": (("sample", "time", "x"), nothing, about | {"role": "output", "long_name": "temperature"}),
            },
            coords={
                "x": ("x", x, {"units": "1", "long_name": "position", "axis": "X"}),
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
            },
            attrs={"symmetries": "flips"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        waves = np.sin(np.pi * np.outer([1, 2, 3], self.template(0)["x"]))
        weights = [np.random.default_rng([seed, i]).standard_normal(3) for i in ids]
        return {"u0": (np.add(weights, (2, 0, 0)) @ waves).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return inputs["u0"][:, ::4]

    def start(self, inputs: Mapping[str, Any]) -> State:
        return State(0, {"u": double(inputs["u0"])})

    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        now, rate = state.fields["u"], self.steps / self.end
        stencil = np.full((len(now), 3, self.points), -(float(self.points + 1) ** 2))
        stencil[:, 0] = rate - 2 * stencil[:, 0]
        stencil[:, 1, 0] = stencil[:, 2, -1] = 0
        operators = Stencil(stencil, symmetric=True, definite=True)
        return State(state.step + 1, {"u": solve(Systems(operators, rate * now, guess=now))})

    def step_equations(
        self, inputs: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], steps: np.ndarray
    ) -> dict[str, Any]:
        return {"u": self._implicit(after["u"], -1) - before["u"]}

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        states = abs(np.concatenate([inputs["u0"][:, None], fields["u"]], axis=1).astype(np.float64))
        total = states[:, :-1] + self._implicit(states[:, 1:], 1)
        found: np.ndarray = (np.linalg.norm(total, axis=2) / np.linalg.norm(states[:, :-1], axis=2)).max(1)
        return found

    def _implicit(self, u: Any, sign: int) -> Any:
        u = padded(u, axis=-1)
        middle, beside = u[..., 1:-1], u[..., 2:] + u[..., :-2]
        return middle + self.end / self.steps * (self.points + 1) ** 2 * (2 * middle + sign * beside)


class Dense(Sequential):
    """Gaussian elimination on the whole matrix."""

    kind: Literal["dense"] = "dense"

    def expected(self, systems: Systems) -> float:
        return 1e-9 * float(np.prod(systems.operators.shape)) ** 3

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
        return Attempt(np.linalg.solve(systems.operators.csr(i).toarray(), systems.rhs[i].ravel()), 0, 0), carry


class Neumann(Preconditioner):
    """The first terms of the Neumann series of the inverse, around the diagonal."""

    kind: Literal["neumann"] = "neumann"
    terms: int = 1

    def inverse(self, operators: Operators, i: int) -> ApproximateInverse:
        matrix, diagonal = operators.csr(i), operators.diagonal(i).ravel()

        def solve(v: np.ndarray) -> np.ndarray:
            x = v / diagonal
            for _ in range(self.terms - 1):
                x = x + (v - matrix @ x) / diagonal
            return x

        return ApproximateInverse(solve, operators, i)


class PointByPoint(Network):
    """The same small network at every point."""

    kind: Literal["point_by_point"] = "point_by_point"
    width: int = 16

    def build(self, inputs: int, outputs: int, axes: int = 2) -> Any:
        import torch

        conv = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[axes]
        return torch.nn.Sequential(conv(inputs, self.width, 1), torch.nn.GELU(), conv(self.width, outputs, 1))


class Nearest(Fitted):
    """The output of the training sample whose input is the nearest."""

    kind: Literal["nearest"] = "nearest"
    any_grid: ClassVar[bool] = False

    def learn(self, normalisation: Normalisation, blocks: Blocks) -> dict[str, np.ndarray]:
        samples = list(blocks)
        return {
            role: np.concatenate([normalisation.encode(role, block) for block in samples])
            for role in ("input", "output")
        }

    def module(self, normalisation: Normalisation, buffers: dict[str, Any]) -> Any:
        import torch

        from ritz.compute.surrogates.networks.buffers import Buffers

        class Lookup(Buffers):
            names = ("input", "output")
            input: Any
            output: Any

            def forward(self, x: Any) -> Any:
                return self.output[torch.cdist(x.flatten(1), self.input.flatten(1)).argmin(dim=1)]

        return Lookup(buffers)


class MeanSquare(Loss):
    """The mean square of the difference."""

    kind: Literal["mean_square"] = "mean_square"

    def value(self, batch: Batch, penalty: Penalty | None) -> Any:
        return (batch.prediction - batch.truth).square().mean()


class Latest(OneRead):
    """Last in, first out."""

    kind: Literal["latest"] = "latest"

    def _choose(self, count: int, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.arange(count - n, count)


class LargestInUnits(Metric):
    """The largest error of a sample, in the units of the output, and where along x it is."""

    kind: Literal["largest"] = "largest"
    title: ClassVar[str] = "largest error"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        error = np.abs(prediction.astype(np.float64) - truth)
        return {"size": error.max(axis=(1, 2)), "place": error.max(axis=1).argmax(axis=1) / truth.shape[2]}


class Worst(Uncertainty):
    """Bands as wide as the quantile of the largest error of a sample, the same everywhere."""

    kind: Literal["worst"] = "worst"
    levels: tuple[float, ...] = (0.5,)

    def needs(self) -> dict[str, Need]:
        return {"calibrate": Need(2, "their largest errors are ranked")}

    def calibrate(self, validate: Predicted, calibrate: Predicted, about: About | None = None) -> Widths:
        worst = {name: calibrate.error(name).max(axis=(1, 2)) for name in calibrate.truth}
        return Widths(
            levels=self.levels,
            widths={name: tuple(np.quantile(one, self.levels).tolist()) for name, one in worst.items()},
        )

    @classmethod
    def read(cls, blob: bytes) -> Widths:
        return Widths.from_bytes(blob)


class Widths(Calibrated):
    kind: Literal["worst"] = "worst"
    levels: tuple[float, ...]
    widths: dict[str, tuple[float, ...]]

    def interval(self, inputs: Any, prediction: Mapping[str, np.ndarray], level: float) -> tuple[Arrays, Arrays]:
        half = {name: widths[self.levels.index(level)] for name, widths in self.widths.items()}
        return (
            {name: prediction[name] - np.float32(width) for name, width in half.items()},
            {name: prediction[name] + np.float32(width) for name, width in half.items()},
        )
