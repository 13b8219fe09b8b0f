from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.problems import box, physics
from ritz.compute.problems.balance import at_walls
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import convection_diffusion
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import torch
    import xarray as xr


class Convection(Problem):
    """A tracer that is stirred and spreads: concentration u from the stream function ψ of a flow.

    Equation
        −ε Δu + v·∇u = 1 on (0, 1)², u = 0 on the boundary, with v = (v_x, v_y) = (∂ψ/∂y, −∂ψ/∂x). All quantities
        are dimensionless; the largest speed is about 1, so 1/ε is the Péclet number of the box.
    Flow
        ψ at a corner of four cells is the mean of ψ at their centres, with ψ continued oddly (``closed``: no
        flow through the walls) or evenly (``open``) beyond the walls. The velocity through a face is the
        difference of ψ at its two ends over its length, so what flows out of a cell is what flows in: the sum
        over its faces is zero but for rounding in float64, whatever ψ is. So ψ at the cell centres in float32
        holds the whole flow that was solved, on the grid of the solution.
    Discretisation
        Cell-centred finite volumes with the 5-point stencil: first-order upwind fluxes v u, second-order
        diffusive ones; a boundary face lies half a cell from the centre, and what flows in there brings u = 0. First
        order in the cell width h (second without a flow), with an error like a diffusion of |v| h/2. Each equation
        is divided by the cell's area, so the right-hand side is 1 everywhere.
    Arrays
        Input ``psi`` and output ``u``, ``(sample, y, x)`` float32; the cell ``(i, j)`` of a grid of
        ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx. ``psi`` is scaled so that the
        largest velocity through a face is 1 in every sample. A flip of the box turns the sign of ψ, so the
        template has no symmetries.
    """

    kind: Literal["convection"] = "convection"
    shape: tuple[box.Cells, box.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    diffusivity: float = Field(default=0.01, gt=0, le=1000)
    """ε. The layers at a closed wall are about √ε wide, at an open one with outflow ε/|v|."""
    walls: Literal["closed", "open"] = "closed"
    """Whether the flow stays in the box (ψ = 0 at the walls) or passes through (∂ψ/∂n = 0 there)."""
    law: Gaussian = Gaussian(tau=5.0, alpha=3.0)
    """Distribution of the stream function, up to its scale."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        about = {
            "psi": {"role": "input", "transform": "identity", "units": "1", "long_name": "stream function"},
            "u": {"role": "output", "transform": "identity", "units": "1", "long_name": "concentration"},
        }
        return box.template(n, self.shape, about, "none")

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw stream functions, ``psi`` ``(n, ny, nx)`` float32; see `Problem.draw`."""
        psi = self.law.draw(seed, ids, self.shape, "zero" if self.walls == "closed" else "free")
        fastest = [np.abs(v).max(axis=(1, 2)) for v in self.velocity(psi)]
        return {"psi": (psi / np.maximum(*fastest)[:, None, None]).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of ψ, ``(n, 16)`` float32."""
        return leading_cosines(inputs["psi"])

    def velocity(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the velocities through the faces of the cells.

        Parameters
        ----------
        psi
            ``(n, ny, nx)`` stream functions at the cell centres.

        Returns
        -------
        v_y, v_x
            ``(n, ny + 1, nx)`` and ``(n, ny, nx + 1)`` float64, through the faces across y and across x; entry
            ``i`` along that axis is the lower face of cell ``i``.
        """
        outside = np.pad(psi.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
        if self.walls == "closed":
            for wall in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
                outside[wall] *= -1
        along_y = outside[:, :-1] + outside[:, 1:]
        corners = 0.25 * (along_y[..., :-1] + along_y[..., 1:])
        ny, nx = psi.shape[1:]
        return -np.diff(corners, axis=2) * nx, np.diff(corners, axis=1) * ny

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the concentration, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        operators = convection_diffusion(self.diffusivity, self.velocity(inputs["psi"]))
        return {"u": solve(Systems(operators, np.ones((len(operators), *operators.shape))))}

    def residual(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the relative residuals from the balance of fluxes over every cell; see `Problem.residual`."""
        left_over = self._left_over(inputs, fields)
        return norms(left_over) / norms(np.ones_like(left_over))

    def boundary(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the part of `residual` in the cells along the walls; see `Problem.boundary`."""
        left_over = self._left_over(inputs, fields)
        return norms(at_walls(left_over)) / norms(np.ones_like(left_over))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        total = _flux_balance(self.diffusivity, self.velocity(inputs["psi"]), u, np.add)
        return norms(total) / norms(np.ones_like(u))

    def penalty(self, inputs: Mapping[str, torch.Tensor], fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the relative residuals, differentiable; see `Problem.penalty`."""
        import torch

        psi, u = inputs["psi"], fields["u"]
        # No gradient goes through the flow, which is given.
        through = [torch.from_numpy(v).to(u) for v in self.velocity(psi.detach().cpu().numpy())]
        left_over = 1.0 - self.diffusivity * physics.spread(u) - physics.carried(through, u)
        return physics.norms(left_over) / left_over[0].numel() ** 0.5

    def _left_over(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        u = fields["u"].astype(np.float64)
        return 1.0 - _flux_balance(self.diffusivity, self.velocity(inputs["psi"]), u, np.subtract)


def _flux_balance(
    diffusivity: float, velocity: Sequence[np.ndarray], u: np.ndarray, difference: np.ufunc
) -> np.ndarray:
    """Sum the fluxes out of every cell, per area; with ``np.add`` for ``difference`` all terms count positive."""
    total = np.zeros_like(u)
    for axis, v in enumerate(velocity, start=1):
        cells = u.shape[axis]
        wall = [(0, 0)] * 3
        wall[axis] = (1, 1)
        p = np.moveaxis(np.pad(u, wall), axis, -1)
        through = np.moveaxis(v, axis, -1)
        exchange = np.full(cells + 1, diffusivity * cells)
        exchange[[0, -1]] *= 2
        # The cell before a face and the one behind it: each gives what spreads, and what the flow takes out of it.
        before, behind = exchange + np.maximum(through, 0), exchange + np.maximum(-through, 0)
        flux = difference(before * p[..., :-1], behind * p[..., 1:])
        total += np.moveaxis(difference(flux[..., 1:], flux[..., :-1]), -1, axis) * cells
    return total
