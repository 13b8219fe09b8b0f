"""Corrections that look like steps of a problem's iteration and are none: what error bars by the equations refuse.

All but one are projections: a second step finds nothing left to correct, however much of the error the first one left.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np
import scipy
import skfem

from ritz.compute.fields.arrays import double, select
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.slotted import slotted_plate
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.operators.operators import Pattern
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform


class CoarseMesh(Plate):
    """Corrects the plate by elements of twice the size alone: the best correction that these can express (Galerkin)."""

    kind: Literal["plate_by_coarse_mesh"] = "plate_by_coarse_mesh"  # type: ignore[assignment]  # one of its own

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        plate = slotted_plate(self.cells)
        wide = {name: double(values) for name, values in inputs.items()}
        given = plate.spread(self.walls(wide))
        found: np.ndarray = select(self.conditions()["T"], given, double(fields["T"]))
        left = -self.equations(wide, {"T": found})["T"][:, plate.free]
        prolong, pattern, values = _coarse(self.cells)
        matrices = Matrices(
            np.broadcast_to(values, (len(left), len(values))), pattern, (pattern.size,), symmetric=True, definite=True
        )
        found[:, plate.free] += solve(Systems(matrices, np.ascontiguousarray(left @ prolong))) @ prolong.T
        return {"T": found}


class WithoutWalls(Plate):
    """Corrects the temperatures inside the plate and leaves those at its walls as they were predicted."""

    kind: Literal["plate_without_walls"] = "plate_without_walls"  # type: ignore[assignment]  # one of its own

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        plate = slotted_plate(self.cells)
        wide = {name: double(values) for name, values in inputs.items()}
        found = double(fields["T"]).copy()
        left = np.ascontiguousarray(-self.equations(wide, {"T": found})["T"][:, plate.free])
        found[:, plate.free] += solve(Systems(self._inside(len(left)), left))
        return {"T": found}


class HalfGrid(Darcy):
    """Corrects the pressure on half the grid alone: what is left over is averaged, solved for and interpolated."""

    kind: Literal["darcy_on_half_the_grid"] = "darcy_on_half_the_grid"  # type: ignore[assignment]  # one of its own

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        grids = Grids.between(self, 2, 1)
        assert isinstance(grids, Grids)
        coarse = grids.coarse
        assert isinstance(coarse, HalfGrid)
        before = double(fields["u"])
        wide = {name: double(values) for name, values in inputs.items()}
        left = -self.equations(wide, {"u": before})["u"]
        cells = left.reshape(len(left), *(part for n in coarse.shape for part in (n, 2)))
        rhs = cells.mean(axis=tuple(range(2, cells.ndim, 2)))
        change = solve(Systems(coarse.matrices(grids.restrict(wide)), np.ascontiguousarray(rhs)))
        return {"u": before + grids.prolong({"u": change})["u"]}


class Loose(Helmholtz):
    """Corrects waves by systems that are solved to a residual of 0.3, which bounds no error of an indefinite system."""

    kind: Literal["helmholtz_loosely"] = "helmholtz_loosely"  # type: ignore[assignment]  # one of its own

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        def loosely(systems: Systems) -> np.ndarray:
            # What the caller's solver says of the systems is its ledger; its answers are not taken.
            solve(systems)
            return Transform().solve(systems, rtol=0.3)[0].x

        return super().corrected(inputs, fields, loosely)


@cache
def _coarse(cells: int) -> tuple[scipy.sparse.csr_array, Pattern, np.ndarray]:
    """Return the interpolation from the free nodes of a mesh half as fine, ``PᵀAP`` as a pattern, and its entries."""
    fine, coarse = slotted_plate(cells), slotted_plate(cells // 2)
    basis = skfem.Basis(skfem.MeshTri(coarse.points.T, coarse.triangles.T.astype(np.int64)), skfem.ElementTriP1())
    whole = scipy.sparse.csr_array(basis.probes(fine.points[fine.free].T))
    prolong = scipy.sparse.csr_array(whole[:, coarse.free])
    inside = scipy.sparse.csr_array((fine.values, fine.pattern.indices, fine.pattern.indptr))
    galerkin = scipy.sparse.csr_array(prolong.T @ inside @ prolong)
    galerkin.sort_indices()
    return prolong, Matrices.pattern_of(galerkin), galerkin.data
