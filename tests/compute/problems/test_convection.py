from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.convection import Convection
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import convection_diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems


@pytest.fixture(scope="module", params=[("closed", 0.1), ("closed", 0.001), ("open", 0.01)], ids=str)
def solved(request):
    walls, diffusivity = request.param
    problem = Convection(shape=(20, 25), walls=walls, diffusivity=diffusivity)
    inputs = problem.draw(0, np.arange(5))
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    return problem, inputs, fields, ledger


def flow(walls, ny, nx):
    """Centres, stream function and velocity of a flow that is known at every point."""
    y, x = np.meshgrid((np.arange(ny) + 0.5) / ny, (np.arange(nx) + 0.5) / nx, indexing="ij")
    if walls == "closed":
        psi = np.sin(np.pi * x) * np.sin(2 * np.pi * y) / 6
        v_x = np.pi / 3 * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        v_y = -np.pi / 6 * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
    else:
        psi = np.cos(np.pi * x) * np.cos(np.pi * y) / 3
        v_x = -np.pi / 3 * np.cos(np.pi * x) * np.sin(np.pi * y)
        v_y = np.pi / 3 * np.sin(np.pi * x) * np.cos(np.pi * y)
    return y, x, psi, v_y, v_x


def relative_error(n, walls, diffusivity, speed=1.0):
    """Against u = sin(πx) sin(2πy) exp(x), whose right-hand side is put in by hand."""
    ny, nx = n, n + 8
    y, x, psi, v_y, v_x = flow(walls, ny, nx)
    sx, cx, sy, cy = np.sin(np.pi * x), np.cos(np.pi * x), np.sin(2 * np.pi * y), np.cos(2 * np.pi * y)
    u = sx * sy * np.exp(x)
    u_x, u_y = (np.pi * cx + sx) * sy * np.exp(x), 2 * np.pi * sx * cy * np.exp(x)
    laplacian = ((1 - 5 * np.pi**2) * sx + 2 * np.pi * cx) * sy * np.exp(x)
    f = -diffusivity * laplacian + speed * (v_x * u_x + v_y * u_y)
    velocity = Convection(walls=walls).velocity(speed * psi[None])
    solutions, _ = Direct().solve(Systems(convection_diffusion(diffusivity, velocity), f[None]), rtol=1e-9)
    return np.linalg.norm(solutions.x[0] - u) / np.linalg.norm(u)


@pytest.mark.parametrize("walls", ["closed", "open"])
def test_error_against_a_manufactured_solution_is_first_order(walls):
    errors = [relative_error(n, walls, 0.1) for n in (32, 64, 128)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < {"closed": 5e-3, "open": 2e-2}[walls]
    # A first-order error with a second-order part in it: 0.80 and 0.90.
    assert orders[0] == pytest.approx(0.80, abs=0.02)
    assert orders[1] == pytest.approx(0.90, abs=0.02)


def test_error_without_a_flow_is_second_order():
    errors = [relative_error(n, "closed", 0.1, speed=0.0) for n in (32, 64, 128)]
    assert errors[-1] < 2e-4
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.03)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.03)


@pytest.mark.parametrize("walls", ["closed", "open"])
def test_velocity_is_that_of_the_stream_function(walls):
    errors = []
    for n in (32, 64):
        _, _, psi, v_y, v_x = flow(walls, n, n + 8)
        through_y, through_x = (v[0] for v in Convection(walls=walls).velocity(psi[None]))
        assert (through_y.shape, through_x.shape) == ((n + 1, n + 8), (n, n + 9))
        centre_y, centre_x = 0.5 * (through_y[1:] + through_y[:-1]), 0.5 * (through_x[:, 1:] + through_x[:, :-1])
        errors.append(max(np.abs(centre_y - v_y).max(), np.abs(centre_x - v_x).max()))
    assert errors[1] < 0.003
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("walls", ["closed", "open"])
def test_what_flows_in_flows_out(walls):
    # Any stored values make a flow without sources; those of a power of two of cells to the last bit.
    for shape, allowed in (((16, 32), 0.0), ((23, 31), 1e-12)):
        psi = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
        v_y, v_x = Convection(walls=walls).velocity(psi)
        sources = np.diff(v_y, axis=1) * shape[0] + np.diff(v_x, axis=2) * shape[1]
        assert np.abs(sources).max() <= allowed * np.abs(v_x).max() * shape[1]
        wall = np.concatenate([abs(v_y[:, [0, -1]]).ravel(), abs(v_x[:, :, [0, -1]]).ravel()])
        assert (wall.max() == 0) == (walls == "closed")


@pytest.mark.parametrize("walls", ["closed", "open"])
def test_the_largest_speed_is_one(walls):
    problem = Convection(shape=(20, 25), walls=walls)
    fastest = [np.abs(v).max(axis=(1, 2)) for v in problem.velocity(problem.draw(0, np.arange(40))["psi"])]
    assert np.maximum(*fastest) == pytest.approx(1, abs=1e-6)


def test_the_flow_carries_the_tracer():
    # psi rises with y in the middle: the flow goes towards larger x there.
    problem = Convection(shape=(32, 32), walls="open", diffusivity=0.02)
    y = np.broadcast_to((np.arange(32) + 0.5)[:, None] / 32, (32, 32))
    u = simulate(problem, {"psi": y[None].astype(np.float32)}, Direct(), 1e-8)[0]["u"][0]
    assert np.argmax(u[16]) > 24
    v = simulate(problem, {"psi": y.T[None].astype(np.float32)}, Direct(), 1e-8)[0]["u"][0]
    assert np.argmax(v[:, 16]) < 8


def test_concentrations_are_positive(solved):
    # An M-matrix with a positive right-hand side.
    assert solved[2]["u"].min() > 0


def test_residual_is_independent_and_small(solved):
    problem, inputs, fields, ledger = solved
    assert ledger["status"] == ["ok"] * 5
    assert np.all(problem.residual(inputs, fields) <= 1e-8)
    assert problem.residual(inputs, fields) == pytest.approx(np.array(ledger["residual"]), abs=1e-11)
    wrong = {"u": fields["u"].copy()}
    wrong["u"][2, 5, 5] *= 1.001
    found = problem.residual(inputs, wrong)
    assert found[2] > 1e-4
    assert np.all(np.delete(found, 2) <= 1e-8)


def test_residual_and_rounding_are_those_of_the_operator_for_any_field(solved):
    problem, inputs, _, _ = solved
    u = np.random.default_rng(0).standard_normal((5, 20, 25))
    operators = convection_diffusion(problem.diffusivity, problem.velocity(inputs["psi"]))
    found, bound = problem.residual(inputs, {"u": u}), problem.rounding(inputs, {"u": u})
    for i in range(5):
        assert found[i] == pytest.approx(np.linalg.norm(1 - operators.matvec(i, u[i])) / np.sqrt(500), rel=1e-11)
        expected = np.linalg.norm(abs(operators.csr(i)) @ np.abs(u[i]).ravel()) / np.sqrt(500)
        assert bound[i] == pytest.approx(expected, rel=1e-11)


def test_stored_fields_keep_the_bound_of_rounding(solved):
    problem, inputs, fields, _ = solved
    stored = {"u": fields["u"].astype(np.float32)}
    found, added = problem.residual(inputs, stored), 2**-24 * problem.rounding(inputs, stored)
    assert np.all(found <= 1e-8 + added)
    assert np.all(found > 0.01 * added)


@pytest.mark.parametrize("walls", ["closed", "open"])
def test_draws_and_features_do_not_depend_on_the_block(walls):
    problem, ids = Convection(shape=(16, 24), walls=walls), np.arange(9)
    whole = problem.draw(4, ids)
    assert whole["psi"].dtype == np.float32
    order = np.random.default_rng(0).permutation(9)
    assert np.array_equal(problem.draw(4, order)["psi"], whole["psi"][order])
    features = problem.features(whole)
    assert (features.shape, features.dtype) == ((9, 16), np.float32)
    assert np.array_equal(problem.features({"psi": whole["psi"][3:5]}), features[3:5])


def test_template_describes_what_is_drawn_and_solved(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(5)
    assert {name: variable.attrs["role"] for name, variable in template.data_vars.items()} == {
        "psi": "input",
        "u": "output",
    }
    for name, field in {**inputs, **fields}.items():
        assert template[name].dims == ("sample", "y", "x")
        assert template[name].shape == field.shape
        assert template[name].dtype == np.float32
    assert template["x"].values == pytest.approx((np.arange(25) + 0.5) / 25)
    assert template.attrs["symmetries"] == "none"
