"""The system of Lorenz (1963), whose largest Lyapunov exponent is known to many digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from ritz.compute.fields.arrays import Array, double, namespace
from ritz.compute.problems.evolution import State
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.evolutions.schemes import runge_kutta
from ritz.compute.problems.evolutions.schemes.runge_kutta import States
from ritz.compute.problems.gaussian import generator
from ritz.compute.problems.problem import Arrays

if TYPE_CHECKING:
    import xarray as xr


class Lorenz63(Marching):
    """Chaotic convection: dx/dt = σ (y − x), dy/dt = x (ρ − z) − y, dz/dt = x y − β z, with σ = 10, ρ = 28, β = 8/3.

    Input ``u0`` and output ``u`` hold x, y and z along a line of three points. Both implementations of the steps are
    the classical Runge–Kutta method of the same formulas: nothing of it is stored.

    Source: E. N. Lorenz, "Deterministic nonperiodic flow", J. Atmos. Sci. 20 (1963).
    """

    kind: Literal["lorenz63"] = "lorenz63"
    steps: int = 1000
    store_every: int = 50
    end: float = 10.0

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, len(self.times), 3))
        about = {"transform": "identity", "units": "1", "long_name": "convection"}
        return xr.Dataset(
            {
                "u0": (("sample", "x"), nothing[:, 0], {"role": "input", **about}),
                "u": (("sample", "time", "x"), nothing, {"role": "output", **about}),
            },
            coords={"time": self.times, "x": np.arange(3.0)},
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states about the middle of the attractor; see `Problem.draw`."""
        normal = [generator(seed, sample, 0).standard_normal(3) for sample in ids]
        return {"u0": (np.array([0.0, 0.0, 23.5]) + 8 * np.array(normal)).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the first state; see `Problem.features`."""
        return inputs["u0"].astype(np.float32)

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0; see `Evolution.start`."""
        return State(0, {"u": double(inputs["u0"])})

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Take steps; see `Marching.march`."""
        found: Arrays = self.again(fields, inputs, steps)
        return found

    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Take steps; see `Marching.again`."""
        del inputs

        def slopes(state: States) -> States:
            x, y, z = state
            return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z

        u = before["u"]
        state: States = tuple(u[..., place] for place in range(3))
        for _ in range(steps):
            state = runge_kutta.step(state, slopes, self.interval)
        return {"u": namespace(u).stack(state, -1)}
