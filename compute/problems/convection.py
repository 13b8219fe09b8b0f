from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, cast, double, namespace
from ritz.compute.kind import in_units
from ritz.compute.problems.balance import Difference, carried, outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.gaussian import Edges, Gaussian
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import convection_diffusion
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr


class Convection(walls.LinearInBox):
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
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
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
        return grid.template(n, self.shape, about, "none")

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw stream functions, ``psi`` ``(n, ny, nx)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def _edges(self) -> Edges:
        return "zero" if self.walls == "closed" else "free"

    @property
    def leading(self) -> int:
        """How many leading coefficients of ψ may be given; see `Problem.leading`."""
        return self.law.leading(2, self._edges)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients; see `Problem.draw_at`."""
        psi = self.law.draw(seed, ids, self.shape, self._edges, given=given)
        fastest = [np.abs(v).max(axis=(1, 2)) for v in self.velocity(psi)]
        return {"psi": (psi / np.maximum(*fastest)[:, None, None]).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of ψ, ``(n, 16)`` float32."""
        return leading_cosines(inputs["psi"])

    def velocity(self, psi: Array) -> tuple[Array, Array]:
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
        concat, outside, sign = namespace(psi).concat, double(psi), -1 if self.walls == "closed" else 1
        outside = concat([sign * outside[:, :1], outside, sign * outside[:, -1:]], axis=1)
        outside = concat([sign * outside[..., :1], outside, sign * outside[..., -1:]], axis=2)
        along_y = outside[:, :-1] + outside[:, 1:]
        corners = 0.25 * (along_y[..., :-1] + along_y[..., 1:])
        ny, nx = psi.shape[1:]
        return -(corners[..., 1:] - corners[..., :-1]) * nx, (corners[:, 1:] - corners[:, :-1]) * ny

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the concentration, ``u`` ``(n, ny, nx)`` float64; see `Problem.simulate`."""
        operators = self.matrices(inputs)
        return {"u": solve(Systems(operators, np.ones((len(operators), *operators.shape))))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance of fluxes over every cell; see `Problem.equations`."""
        return {"u": self._flux_balance(inputs["psi"], fields["u"], operator.sub) - 1.0}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        """Return the norm of 1 in every cell; see `Problem.scale`."""
        del inputs
        return math.sqrt(math.prod(self.shape))

    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of −ε Δ + v·∇, one per sample."""
        return convection_diffusion(self.diffusivity, self.velocity(inputs["psi"]))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        return norms(self._flux_balance(inputs["psi"], u, operator.add)) / self.scale(inputs)

    def _flux_balance(self, psi: Array, u: Array, difference: Difference) -> Array:
        """Sum the fluxes out of every cell, per area."""
        velocity = [cast(v, u) for v in self.velocity(psi)]
        return outflow(self.diffusivity, u, difference) + carried(velocity, u, difference)
