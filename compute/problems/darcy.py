from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Fault, in_units
from ritz.compute.problems import box, physics
from ritz.compute.problems.balance import at_walls, outflow
from ritz.compute.problems.laws import AnyLaw, Lognormal, law_faults
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import torch
    import xarray as xr


class Darcy(Problem):
    """Steady flow through a porous square or cube: pressure u from permeability a.

    Equation
        −∇·(a ∇u) = 1 on (0, 1)ᵈ, d = 2 or 3, u = 0 on the boundary. All quantities are dimensionless.
    Discretisation
        Cell-centred finite volumes with the 5- or 7-point stencil and harmonic means of ``a`` at faces; a boundary
        face lies half a cell from the centre. Second order in the cell width for smooth ``a``, first order where
        ``a`` jumps (`ritz.compute.problems.laws.TwoPhase`), since the walls between the phases follow the cells. Each
        equation is divided by the cell's volume, so the right-hand side is 1 everywhere.
    Arrays
        Input ``a`` and output ``u``, ``(sample, y, x)`` or ``(sample, z, y, x)`` float32; along an axis of N cells
        the centre of cell i lies at (i + ½)/N. A surrogate sees log a.
    """

    kind: Literal["darcy"] = "darcy"
    shape: tuple[box.Cells, ...] = Field(
        default=(64, 64), min_length=2, max_length=3, json_schema_extra=in_units("cells")
    )
    """Cells along y and x, or along z, y and x."""
    law: AnyLaw = Lognormal()
    """Distribution of the permeability."""

    def faults(self) -> Iterator[Fault]:
        """Yield a law that is not for so many dimensions; see `Kind.faults`."""
        yield from law_faults(self.law, len(self.shape))

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        about = {
            "a": {"role": "input", "transform": "log", "units": "1", "long_name": "permeability"},
            "u": {"role": "output", "transform": "identity", "units": "1", "long_name": "pressure"},
        }
        return box.template(n, self.shape, about, box.symmetries(self.shape))

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw permeabilities, ``a`` ``(n, *shape)`` float32; see `Problem.draw`."""
        return {"a": self.law.draw(seed, ids, self.shape).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of log a, ``(n, 16)`` float32."""
        return leading_cosines(np.log(inputs["a"].astype(np.float64)))

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the pressure, ``u`` ``(n, *shape)`` float64; see `Problem.simulate`."""
        operators = diffusion(inputs["a"])
        return {"u": solve(Systems(operators, np.ones((len(operators), *operators.shape))))}

    def residual(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the relative residuals from the balance of fluxes over every cell; see `Problem.residual`."""
        left_over = _left_over(inputs, fields)
        return norms(left_over) / norms(np.ones_like(left_over))

    def boundary(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the part of `residual` in the cells along the walls; see `Problem.boundary`."""
        left_over = _left_over(inputs, fields)
        return norms(at_walls(left_over)) / norms(np.ones_like(left_over))

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        return norms(outflow(inputs["a"].astype(np.float64), u, np.add)) / norms(np.ones_like(u))

    def penalty(self, inputs: Mapping[str, torch.Tensor], fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the relative residuals, differentiable; see `Problem.penalty`."""
        left_over = 1.0 - physics.outflow(inputs["a"], fields["u"])
        return physics.norms(left_over) / left_over[0].numel() ** 0.5


def _left_over(inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
    return 1.0 - outflow(inputs["a"].astype(np.float64), fields["u"].astype(np.float64))
