from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.slotted import SLOTS, TIPS, SlottedPlate, slotted_plate
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct

IDS = np.arange(6)

PLATE = Plate(cells=16)


@pytest.fixture(scope="module")
def solved() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    inputs = PLATE.draw(3, IDS)
    fields, ledger = simulate(PLATE, inputs, Direct(), 1e-10)
    assert ledger["status"] == ["ok"] * 6
    return inputs, fields


def _areas(plate: SlottedPlate) -> np.ndarray:
    sides = np.diff(plate.points[plate.triangles], axis=1)
    return 0.5 * np.linalg.det(sides)


def _angles(plate: SlottedPlate) -> np.ndarray:
    corners = plate.points[plate.triangles]
    ahead, behind = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    cosines = (ahead * behind).sum(axis=2) / np.linalg.norm(ahead, axis=2) / np.linalg.norm(behind, axis=2)
    return np.degrees(np.arccos(cosines))


def test_the_triangles_fill_the_plate_but_for_the_slots() -> None:
    plate = slotted_plate(16)
    assert _areas(plate).min() > 0
    assert _areas(plate).sum() == pytest.approx(1 - 2 * 0.125 * 0.625, rel=1e-12)
    x, y = plate.points[plate.triangles].mean(axis=1).T
    for left, right, bottom, top in SLOTS:
        assert not ((left < x) & (x < right) & (bottom < y) & (y < top)).any()
    assert np.unique(plate.triangles).tolist() == list(range(len(plate.points)))
    for side, nodes in enumerate(plate.walls):
        assert (plate.points[nodes, 0] == side).all()
        assert len(nodes) == 17


def test_the_mesh_is_graded_irregular_and_well_shaped() -> None:
    plate = slotted_plate(32)
    size = np.sqrt(2 * _areas(plate))
    near = np.min([np.linalg.norm(plate.points[plate.triangles].mean(axis=1) - tip, axis=1) for tip in TIPS], axis=0)
    assert size[near < 0.01].max() < 1 / 32 / 4
    assert size[near > 0.2].min() > 0.8 / 32
    assert _angles(plate).min() > 25
    neighbours = np.bincount(np.unique(np.sort(plate.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)), axis=0).ravel())
    assert len(np.unique(neighbours)) > 5
    # No two rows of the matrix are alike, as they would be on a lattice.
    diagonal = sp.csr_array((plate.values, plate.pattern.indices, plate.pattern.indptr)).diagonal()
    assert len(np.unique(diagonal.round(9))) > 0.95 * len(diagonal)


def test_the_number_of_nodes_goes_with_the_square_of_the_cells() -> None:
    assert [len(slotted_plate(cells).points) for cells in (8, 16, 32)] == [285, 763, 2581]


def _manufactured(cells: int) -> float:
    """Solve for a harmonic temperature from its values on the walls and its fluxes elsewhere; return the L2 error."""
    import skfem

    plate = slotted_plate(cells)
    mesh = skfem.MeshTri(plate.points.T.copy(), plate.triangles.T.astype(np.int64))
    x, y = plate.points.T
    exact = np.exp(2 * x) * np.sin(2 * y)
    edges = skfem.FacetBasis(mesh, skfem.ElementTriP1(), intorder=4)

    @skfem.LinearForm
    def flux(v, w):
        along_x, along_y = 2 * np.exp(2 * w.x[0]) * np.array([np.sin(2 * w.x[1]), np.cos(2 * w.x[1])])
        return (along_x * w.n[0] + along_y * w.n[1]) * v

    fixed = np.concatenate(plate.walls)
    rhs = flux.assemble(edges)[plate.free] - plate.coupling @ exact[fixed]
    matrix = sp.csc_array((plate.values, plate.pattern.indices, plate.pattern.indptr))
    error = exact.copy()
    error[fixed] = 0
    error[plate.free] -= spla.spsolve(matrix, rhs)
    weights = np.zeros(len(x))
    np.add.at(weights, plate.triangles, _areas(plate)[:, None] / 3)
    return float(np.sqrt((weights * error**2).sum()))


def test_second_order_for_a_smooth_temperature() -> None:
    errors = [_manufactured(cells) for cells in (16, 32, 64)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 1.85).all()
    assert errors[-1] < 1e-3


def test_the_corners_of_the_slots_cost_some_of_the_order() -> None:
    """Against a finer mesh, at the nodes on straight edges, which all meshes share."""
    inputs, cells = PLATE.draw(0, IDS), (8, 16, 64)
    found = [simulate(Plate(cells=count), inputs, Direct(), 1e-10)[0]["T"] for count in cells]
    places = [{tuple(point): i for i, point in enumerate(slotted_plate(count).points)} for count in cells]
    shared = sorted(set(places[0]) & set(places[1]) & set(places[2]))
    inside = [point for point in shared if 0 < point[0] < 1]
    assert len(inside) > 30
    coarse, middle, fine = (T[:, [place[p] for p in inside]] for T, place in zip(found, places, strict=True))
    errors = [np.linalg.norm(T - fine) / np.linalg.norm(fine) for T in (coarse, middle)]
    assert errors[1] < 3e-3
    # 4/3 at corners of 270 degrees, 2 elsewhere.
    assert 4 / 3 < np.log2(errors[0] / errors[1]) < 2.1


def test_draws_are_the_same_in_any_block_and_within_their_ranges() -> None:
    whole, part = PLATE.draw(7, np.arange(40)), PLATE.draw(7, np.array([31, 5]))
    for name, values in whole.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values[[31, 5]], part[name])
    assert PLATE.features(whole).shape == (40, 8)
    assert PLATE.features(whole).min() >= 0
    assert PLATE.features(whole).max() <= 1
    assert np.ptp(PLATE.features(whole), axis=0).min() > 0.7
    assert not np.array_equal(whole["level"], PLATE.draw(8, np.arange(40))["level"])


def test_the_walls_have_the_temperature_of_the_formula() -> None:
    inputs = {"level": [[10.0, 1.0]], "rise": [[5.0, 0.0]], "centre": [[0.5, 0.2]], "width": [[0.25, 0.1]]}
    given = PLATE.walls({name: np.array(values, np.float32) for name, values in inputs.items()})
    left, right = slotted_plate(16).walls
    y = slotted_plate(16).points[left, 1]
    np.testing.assert_allclose(given[0, : len(left)], 10 + 5 * np.exp(-8 * (y - 0.5) ** 2), rtol=1e-6)
    np.testing.assert_allclose(given[0, len(left) :], np.ones(len(right)))


def test_heat_is_conserved_and_extremes_are_on_the_walls(solved: tuple[dict, dict]) -> None:
    inputs, fields = solved
    plate, given = slotted_plate(16), PLATE.walls(inputs)
    outflow = plate.outflow(fields["T"])
    left, right = (outflow[:, nodes].sum(axis=1) for nodes in plate.walls)
    np.testing.assert_allclose(left, -right, rtol=1e-7)
    assert np.abs(left).min() > 0.1
    assert (fields["T"].max(axis=1) <= given.max(axis=1) + 1e-9).all()
    assert (fields["T"].min(axis=1) >= given.min(axis=1) - 1e-9).all()


def test_even_walls_give_an_even_plate() -> None:
    inputs = {
        name: np.full((1, 2), value, np.float32)
        for name, value in zip(PLATE.draw(0, IDS), (40, 0, 0.5, 0.2), strict=True)
    }
    np.testing.assert_allclose(simulate(PLATE, inputs, Direct(), 1e-12)[0]["T"], 40, rtol=1e-9)


def test_the_residual_is_that_of_the_matrix_and_sees_every_error(solved: tuple[dict, dict]) -> None:
    inputs, fields = solved
    assert PLATE.residual(inputs, fields).max() < 1e-12
    plate = slotted_plate(16)
    wrong = fields["T"] + np.random.default_rng(0).standard_normal(fields["T"].shape)
    fixed = np.concatenate(plate.walls)
    given = PLATE.walls(inputs)
    rhs = -(given @ plate.coupling.T)
    matrix = sp.csr_array((plate.values, plate.pattern.indices, plate.pattern.indptr))
    wrong[:, fixed] = given
    expected = np.linalg.norm(rhs - wrong[:, plate.free] @ matrix.T, axis=1) / np.linalg.norm(rhs, axis=1)
    np.testing.assert_allclose(PLATE.residual(inputs, {"T": wrong}), expected, rtol=1e-9)
    spoilt = fields["T"].copy()
    spoilt[:, fixed[3]] += 1
    assert (PLATE.residual(inputs, {"T": spoilt}) > 1e-4).all()


def test_rounding_bounds_what_storing_adds(solved: tuple[dict, dict]) -> None:
    inputs, fields = solved
    stored = {"T": fields["T"].astype(np.float32)}
    added = PLATE.residual(inputs, stored)
    assert (added > 1e-9).all()
    assert (added <= 2.0**-24 * PLATE.rounding(inputs, stored)).all()


def test_the_template_describes_a_mesh() -> None:
    template = PLATE.template(5)
    dimensions = Dimensions.of(template)
    assert dimensions.mesh
    assert dimensions.variables["T"] == ("node",)
    assert dimensions.inputs == ("level", "rise", "centre", "width")
    assert template["T"].shape == (5, 763)
    assert template["T"].attrs["units"] == "K"
    np.testing.assert_array_equal(template["triangle"], slotted_plate(16).triangles)
    np.testing.assert_array_equal(np.stack([template["x"], template["y"]], axis=1), slotted_plate(16).points)


def test_one_matrix_serves_all_samples() -> None:
    posed = []

    def solve(systems):
        posed.append(systems)
        return systems.rhs

    PLATE.simulate(PLATE.draw(0, IDS), solve)
    assert len(posed) == 1
    assert posed[0].operators.constant
    assert posed[0].operators.symmetric
    assert posed[0].operators.definite
    eigenvalues = spla.eigsh(posed[0].operators.csr(0), k=1, sigma=0, return_eigenvectors=False)
    assert eigenvalues[0] > 0


def test_the_finite_elements_are_loaded_when_a_plate_is_used_alone() -> None:
    program = """
import sys
import ritz.compute.problems.catalogue, ritz.compute.problems.plate
ritz.compute.problems.plate.Plate()
assert "skfem" not in sys.modules
ritz.compute.problems.plate.Plate(cells=8).template(1)
assert "skfem" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
