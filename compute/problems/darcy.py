from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array
from ritz.compute.kind import in_units
from ritz.compute.problems.balance import outflow
from ritz.compute.problems.box import grid, walls
from ritz.compute.problems.laws import AnyLaw, InMedium, Lognormal
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr


class Darcy(InMedium, walls.LinearInBox):
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

    conductivity: ClassVar[str] = "a"

    kind: Literal["darcy"] = "darcy"
    shape: tuple[grid.Cells, ...] = Field(
        default=(64, 64), min_length=2, max_length=3, json_schema_extra=in_units("cells")
    )
    """Cells along y and x, or along z, y and x."""
    law: AnyLaw = Lognormal()
    """Distribution of the permeability."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        about = {
            "a": {"role": "input", "transform": "log", "units": "1", "long_name": "permeability"},
            "u": {"role": "output", "transform": "identity", "units": "1", "long_name": "pressure"},
        }
        return grid.template(n, self.shape, about, grid.symmetries(self.shape))

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw permeabilities, ``a`` ``(n, *shape)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many leading coefficients of log a may be given; see `Problem.leading`."""
        return self.law.leading(len(self.shape))

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients; see `Problem.draw_at`."""
        return {"a": self.law.draw_at(seed, ids, self.shape, given).astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the 16 leading cosine coefficients of log a, ``(n, 16)`` float32."""
        return leading_cosines(np.log(inputs["a"].astype(np.float64)))

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the pressure, ``u`` ``(n, *shape)`` float64; see `Problem.simulate`."""
        operators = self.matrices(inputs)
        return {"u": solve(Systems(operators, np.ones((len(operators), *operators.shape))))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance of fluxes over every cell, ``A u − 1``; see `Problem.equations`."""
        return {"u": outflow(inputs["a"], fields["u"]) - 1.0}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        """Return the norm of 1 in every cell; see `Problem.scale`."""
        del inputs
        return math.sqrt(math.prod(self.shape))

    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of −∇·(a ∇), one per sample."""
        return diffusion(inputs["a"])

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        u = np.abs(fields["u"].astype(np.float64))
        return norms(outflow(inputs["a"].astype(np.float64), u, operator.add)) / self.scale(inputs)
