"""Inputs on grids with fewer points: means over cells, as coarsening takes them, or the reason why there are none."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.simulation.restriction import Restriction


def test_means_over_cells_are_those_of_coarsening() -> None:
    fine, coarse = Elliptic(shape=(16, 32)), Elliptic(shape=(4, 8))
    inputs = fine.draw(0, np.arange(3))
    found, grids = Restriction.between(fine.template(1), coarse.template(1)), Grids.between(fine, 4, 1)
    assert isinstance(found, Restriction)
    assert isinstance(grids, Grids)
    restricted, expected = found.restrict(inputs), grids.restrict(inputs)
    assert set(restricted) == {"a", "f"}
    for name, values in restricted.items():
        assert (values.shape, values.dtype) == ((3, 4, 8), np.float32)
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6)


def test_values_along_a_wall_take_means_along_it() -> None:
    fine, coarse = Poisson(shape=(12, 16)), Poisson(shape=(4, 16))
    inputs = fine.draw(0, np.arange(2))
    found = Restriction.between(fine.template(1), coarse.template(1))
    assert isinstance(found, Restriction)
    restricted = found.restrict(inputs)
    np.testing.assert_allclose(restricted["east"], inputs["east"].reshape(2, 4, 3).mean(axis=2), atol=1e-6)
    np.testing.assert_array_equal(restricted["south"], inputs["south"])


@pytest.mark.parametrize("problem", [Darcy(shape=(8, 8)), Plate(cells=16)], ids=lambda problem: problem.kind)
def test_the_same_grid_keeps_every_bit(problem) -> None:
    inputs = problem.draw(0, np.arange(2))
    found = Restriction.between(problem.template(1), problem.template(2))
    assert isinstance(found, Restriction)
    for name, values in found.restrict(inputs).items():
        np.testing.assert_array_equal(values, inputs[name])


def nodes(template: xr.Dataset) -> xr.Dataset:
    """Return the template with points on the walls in the place of centres."""
    return template.assign_coords(x=("x", np.linspace(0, 1, template.sizes["x"])))


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (Darcy(shape=(8, 8)), Darcy(shape=(8, 16)), "input 'a': there are 8 points along x, fewer than 16"),
        (Darcy(shape=(12, 12)), Darcy(shape=(12, 8)), "input 'a': there are 12 points along x, no multiple of 8"),
        (
            Darcy(shape=(8, 8)),
            Darcy(shape=(8, 8, 8)),
            "input 'a' has the dimensions ('y', 'x'), expected ('z', 'y', 'x')",
        ),
        (Darcy(shape=(8, 8)), Elliptic(shape=(8, 8)), "the inputs are ['a'], expected ['a', 'f']"),
    ],
)
def test_what_would_need_other_inputs_or_interpolation_says_why(source, target, reason) -> None:
    assert Restriction.between(source.template(1), target.template(1)) == reason


def test_points_that_are_no_centres_and_other_units_are_told() -> None:
    fine, coarse, same = (Darcy(shape=(8, cells)).template(1) for cells in (16, 8, 8))
    said = "input 'a': the 8 points along x are no centres of cells made of those of 16 points"
    assert Restriction.between(nodes(fine), coarse) == said
    assert Restriction.between(nodes(same), coarse) == "input 'a': the 8 points along x are others"
    same["a"].attrs["units"] = "m2"
    assert Restriction.between(same, coarse) == "input 'a' is in 'm2', expected '1'"
