from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.wall_errors import BoundaryError, WallFluxError
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.box.walls import InBox
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.plate import Plate
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct


def solved(problem: InBox, n: int = 3) -> Subject:
    inputs = problem.draw(0, np.arange(n))
    truth, _ = simulate(problem, inputs, Direct(), 1e-10)
    return Subject(inputs, truth, truth, Dimensions.of(problem.template(n)), problem)


def of_grid(shape: tuple[int, int], truth: np.ndarray, prediction: np.ndarray) -> Subject:
    return Subject({}, {"u": prediction}, {"u": truth}, Dimensions.of(Darcy(shape=shape).template(1)))


def test_the_boundary_error_is_that_of_the_outermost_cells() -> None:
    truth = np.full((2, 4, 5), 2.0)
    prediction = truth.copy()
    prediction[0, 1:3, 1:4] = 100.0
    prediction[1, 0, 0] = 3.0
    found = BoundaryError().of(of_grid((4, 5), truth, prediction))[""]
    # 14 of 20 cells touch a wall.
    np.testing.assert_allclose(found, [0, 1 / (2 * np.sqrt(14))], rtol=1e-12)


def test_the_boundary_error_of_a_mesh_needs_to_know_the_nodes_on_the_walls() -> None:
    problem = Plate(cells=8)
    nodes = problem.conditions()["T"]
    truth = np.ones((1, len(nodes)))
    prediction = truth + np.where(nodes, 0.25, 7.0)
    known = Subject({}, {"T": prediction}, {"T": truth}, Dimensions.of(problem.template(1)), problem)
    np.testing.assert_allclose(BoundaryError().of(known)[""], [0.25], rtol=1e-12)
    assert BoundaryError().unfit_for(replace(known, problem=None)) == "the nodes on the walls of the mesh are not known"


def test_there_is_no_boundary_error_without_walls_nor_where_the_truth_is_zero_there() -> None:
    inside = np.zeros((2, 4, 5))
    inside[:, 1:3, 1:4] = 1.0
    inside[0, 0, 0] = 1.0
    assert BoundaryError().unfit_for(of_grid((4, 5), inside, inside)) == "the truth of 'u' is zero along the walls"
    ring = Burgers(points=16, steps=2)
    fields = {"u": np.ones((1, *ring.template(1)["u"].shape[1:]))}
    around = Subject({}, fields, fields, Dimensions.of(ring.template(1)), ring)
    assert "closes to a ring" in BoundaryError().unfit_for(around)
    assert BoundaryError().unfit_for(replace(around, problem=None)) == ""


@pytest.mark.parametrize("problem", [Darcy(shape=(8, 12)), Darcy(shape=(4, 6, 5))], ids=["plane", "space"])
def test_what_a_darcy_flow_loses_through_all_walls_is_its_source(problem: Darcy) -> None:
    whole = solved(problem)
    # All errors are 1 where nothing flows, so the sizes of the true flows are what the other prediction misses.
    assert WallFluxError().unfit_for(whole) == ""
    nothing = replace(whole, prediction={"u": np.zeros_like(whole.truth["u"])})
    missed = WallFluxError().measured(nothing)
    assert set(missed) == {f"{dim}_{end}" for dim in ("z", "y", "x")[-len(problem.shape) :] for end in ("low", "high")}
    a, u = whole.inputs["a"].astype(np.float64), whole.truth["u"]
    total = np.zeros(3)
    for axis, dim in enumerate(whole.dimensions.space, start=1):
        for end, at in (("low", 0), ("high", -1)):
            flow = 2 * u.shape[axis] * np.take(a * u, at, axis=axis).reshape(3, -1).mean(axis=1)
            np.testing.assert_allclose(missed[f"{dim}_{end}"], flow / flow.mean(), rtol=1e-12)
            total += flow
    np.testing.assert_allclose(total, 1, rtol=1e-8)


def test_a_field_that_is_too_large_by_a_tenth_flows_too_much_by_a_tenth() -> None:
    whole = solved(Heat(shape=(8, 8), steps=3))
    more = replace(whole, prediction={"u": 1.1 * whole.truth["u"]})
    for values in WallFluxError().measured(more).values():
        assert values.mean() == pytest.approx(0.1, rel=1e-12)


def test_there_is_no_flow_without_a_known_problem_or_through_closed_walls() -> None:
    whole = solved(Darcy(shape=(4, 4)), 1)
    assert WallFluxError().unfit_for(replace(whole, problem=None)).startswith("the problem is not known")
    closed = whole.truth["u"].copy()
    closed[:, :, 0] = 0
    assert WallFluxError().unfit_for(replace(whole, truth={"u": closed})) == "there is no flow through the wall x_low"
