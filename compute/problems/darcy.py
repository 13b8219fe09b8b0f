from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from compute.problems.laws import AnyLaw, Lognormal
from compute.problems.problem import Arrays, Problem, Solve
from compute.solvers.assembly import diffusion
from compute.solvers.systems import Systems

_FEATURES = 16

Cells = Annotated[int, Field(ge=4, le=8192)]


class Darcy(Problem):
    """Steady flow through a porous square: pressure u from permeability a.

    Equation
        −∇·(a ∇u) = 1 on (0, 1)², u = 0 on the boundary. All quantities are dimensionless.
    Discretisation
        Cell-centred finite volumes with the 5-point stencil and harmonic means of ``a`` at faces; a boundary
        face lies half a cell from the centre. Second order in the cell width for smooth ``a``. Each equation
        is divided by the cell's area, so the right-hand side is 1 everywhere.
    Arrays
        Input ``a`` and output ``u``, ``(sample, y, x)`` float32; the cell ``(i, j)`` of a grid of
        ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx.
    """

    kind: Literal["darcy"] = "darcy"
    shape: tuple[Cells, Cells] = (64, 64)
    """Cells along y and x."""
    law: AnyLaw = Lognormal()
    """Distribution of the permeability."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        ny, nx = self.shape
        nothing = np.broadcast_to(np.float32(np.nan), (n, ny, nx))
        dims = ("sample", "y", "x")
        about_a = {"role": "input", "transform": "log", "units": "1", "long_name": "permeability"}
        about_u = {"role": "output", "transform": "identity", "units": "1", "long_name": "pressure"}
        centre = {"units": "1", "long_name": "centre of the cell"}
        return xr.Dataset(
            {"a": (dims, nothing, about_a), "u": (dims, nothing, about_u)},
            coords={
                "y": ("y", (np.arange(ny) + 0.5) / ny, centre | {"axis": "Y"}),
                "x": ("x", (np.arange(nx) + 0.5) / nx, centre | {"axis": "X"}),
            },
            attrs={"symmetries": "square" if ny == nx else "flips"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw permeabilities, ``a`` ``(n, ny, nx)`` float32; see `Problem.draw`."""
        return {"a": self.law.draw(seed, ids, self.shape).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of log a, ``(n, 16)`` float32.

        Orthonormal, so their Euclidean distance is the L2 distance of the smooth parts of two log a.
        """
        waves = np.add.outer(np.arange(_FEATURES) ** 2, np.arange(_FEATURES) ** 2)
        along_y, along_x = np.unravel_index(np.argsort(waves, axis=None, kind="stable")[:_FEATURES], waves.shape)
        cosines = []
        for cells in self.shape:
            angles = np.pi * np.outer((np.arange(cells) + 0.5) / cells, np.arange(_FEATURES))
            cosines.append(np.cos(angles) * np.where(np.arange(_FEATURES) > 0, np.sqrt(2), 1) / cells)
        coefficients = cosines[0].T @ np.log(inputs["a"].astype(np.float64)) @ cosines[1]
        return coefficients[:, along_y, along_x].astype(np.float32)

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the pressure, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        operators = diffusion(inputs["a"])
        return {"u": solve(Systems(operators, np.ones((len(operators), *operators.shape))))}

    def residual(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the relative residuals from the balance of fluxes over every cell; see `Problem.residual`."""
        u = fields["u"].astype(np.float64)
        outflow = _flux_balance(inputs["a"].astype(np.float64), u, np.subtract)
        return _norm(1.0 - outflow) / _norm(np.ones_like(u))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        return _norm(_flux_balance(inputs["a"].astype(np.float64), u, np.add)) / _norm(np.ones_like(u))


def _flux_balance(a: np.ndarray, u: np.ndarray, difference: np.ufunc) -> np.ndarray:
    """Sum the fluxes out of every cell, per area; with ``np.add`` for ``difference`` all terms count positive."""
    resistance = 0.5 / a
    total = np.zeros_like(u)
    for axis in (1, 2):
        wall = [(0, 0)] * 3
        wall[axis] = (1, 1)
        # Outside there is no resistance and no pressure: that is the half cell to a wall at u = 0.
        r = np.moveaxis(np.pad(resistance, wall), axis, -1)
        p = np.moveaxis(np.pad(u, wall), axis, -1)
        flux = difference(p[..., 1:], p[..., :-1]) / (r[..., 1:] + r[..., :-1])
        total += np.moveaxis(difference(flux[..., :-1], flux[..., 1:]), -1, axis) * u.shape[axis] ** 2
    return total


def _norm(x: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of every sample."""
    return np.sqrt(np.sum(np.square(x), axis=(1, 2)))
