from __future__ import annotations

import pickle
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from ritz.compute.fields.tensors import pack
from ritz.compute.kind import OneOf
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.posing import first_systems
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.catalogue import AnySolver, answering
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.learned.direction import LearnedDirection
from ritz.compute.solvers.learned.network import Cycle
from ritz.compute.solvers.learned.training import product, trained
from ritz.compute.solvers.learned.weights import digest, packed, unpacked
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from ritz.compute.solvers.systems import Systems


def posed(problem: Problem, count: int = 4) -> Systems:
    systems = first_systems(problem, problem.draw(0, np.arange(count)))
    assert systems is not None
    return systems


def solver_of(blob: bytes, **fields: int) -> LearnedDirection:
    return LearnedDirection(weights="weights", digest=digest(blob), **fields).equipped(lambda *_: blob)


@pytest.fixture(scope="module")
def blob() -> bytes:
    return trained([posed(Poisson(shape=(n, n)), 16) for n in (8, 16)], steps=(60, 40), width=6)


@pytest.fixture(scope="module")
def raw() -> bytes:
    torch.manual_seed(0)
    return packed(Cycle(6), 6)


def test_training_needs_fewer_iterations_than_conjugate_gradients(blob: bytes) -> None:
    systems = posed(Poisson(shape=(32, 32)))
    solutions, _ = solver_of(blob).solve(systems, rtol=1e-8)
    assert solutions.ledger["solver"] == ["learned_direction"] * 4
    assert max(solutions.ledger["residual"]) <= 1e-8
    plain, _ = Krylov(method="cg", preconditioner=NoPreconditioner()).solve(systems, rtol=1e-8)
    assert 2 * max(solutions.ledger["iterations"]) < min(plain.ledger["iterations"])
    assert solutions.x == pytest.approx(plain.x, rel=1e-5, abs=1e-7)


def test_training_is_repeated_bit_for_bit_and_disturbs_no_other_random_numbers() -> None:
    systems = posed(Poisson(shape=(8, 8)))
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    losses: list[float] = []
    one = trained([systems], steps=(3,), width=4, report=lambda _, loss: losses.append(loss))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert trained([systems], steps=(3,), width=4) == one
    assert trained([systems], steps=(3,), width=4, seed=1) != one
    assert len(losses) == 3
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("problem", [Poisson(shape=(11, 13)), Darcy(shape=(16, 12))], ids=["odd", "darcy"])
def test_any_network_gives_answers_that_are_right(raw: bytes, problem: Problem) -> None:
    # Untrained: too many iterations, so that the direct solver answers.
    inputs = problem.draw(0, np.arange(3))
    fields, ledger = simulate(problem, inputs, solver_of(raw, maxiter=5), 1e-8)
    assert ledger["status"] == ["ok"] * 3
    assert ledger["solver"] == ["direct"] * 3
    assert np.all(problem.residual(inputs, fields) <= 1e-8)


def test_the_error_falls_in_every_iteration_and_directions_are_conjugate(raw: bytes) -> None:
    systems = posed(Poisson(shape=(12, 12)), 1)
    exact = np.linalg.solve(systems.operators.csr(0).toarray(), systems.rhs[0].ravel())
    errors, places = [], [np.zeros(144)]
    for count in range(1, 7):
        attempt, _ = solver_of(raw, maxiter=count, memory=10).attempt(systems, 0, rtol=1e-8, carry=None)
        assert attempt.x is not None
        places.append(attempt.x)
        error = attempt.x - exact
        errors.append(error @ systems.operators.matvec(0, error))
    assert np.all(np.diff(errors) <= 0)
    ways = np.diff(places, axis=0)
    curvatures = ways @ np.array([systems.operators.matvec(0, way) for way in ways]).T
    sizes = np.sqrt(np.diag(curvatures))
    assert curvatures / np.outer(sizes, sizes) == pytest.approx(np.eye(6), abs=1e-6)


def test_the_network_is_homogeneous_and_sees_a_change_anywhere(raw: bytes) -> None:
    network = unpacked(raw).double()
    r = torch.randn(1, 24, 17, dtype=torch.float64)
    torch.testing.assert_close(network(1e-3 * r), 1e-3 * network(r))
    assert network(0 * r).abs().max() == 0
    r[0, 0, 0] += 1
    moved = network(r)
    r[0, 0, 0] -= 1
    assert (moved - network(r))[0, -1, -1].abs() > 0


def test_scale_and_units_of_a_system_change_no_iteration(blob: bytes) -> None:
    systems = posed(Poisson(shape=(16, 16)), 2)
    counts = []
    for scale in (1.0, 1e-30, 1e30):
        solutions, _ = solver_of(blob).solve(Systems(systems.operators, scale * systems.rhs), rtol=1e-8)
        counts.append(solutions.ledger["iterations"])
    assert counts[0] == counts[1] == counts[2]


def test_a_guess_is_where_it_begins(blob: bytes) -> None:
    systems = posed(Poisson(shape=(16, 16)), 2)
    answered, carry = solver_of(blob).solve(systems, rtol=1e-8)
    again, _ = solver_of(blob).solve(Systems(systems.operators, systems.rhs, answered.x), rtol=1e-8, carry=carry)
    assert again.ledger["iterations"] == [0, 0]


def test_the_torch_products_are_those_of_the_stencils() -> None:
    systems = posed(Darcy(shape=(9, 12)), 2)
    x = np.random.default_rng(0).standard_normal((2, 9, 12))
    found = product(torch.from_numpy(systems.operators.coefficients), torch.from_numpy(x))  # type: ignore[attr-defined]
    assert found.numpy() == pytest.approx(np.stack([systems.operators.matvec(i, x[i]) for i in range(2)]), rel=1e-12)


def test_a_recipe_names_weights_by_name_and_digest_and_workers_get_them(raw: bytes) -> None:
    asked = []

    def read(name: str, own: str) -> bytes:
        asked.append((name, own))
        return raw

    adapter = TypeAdapter(AnySolver)
    written = {"kind": "learned_direction", "weights": "poisson", "digest": digest(raw)}
    solver = adapter.validate_python(written)
    sent = pickle.loads(pickle.dumps(solver.equipped(read)))
    assert asked == [("poisson", digest(raw))]
    assert sent.unfit(posed(Poisson(shape=(16, 16)))) == ""
    # Nothing of the weights is in what a recipe or an identity has.
    assert sent.model_dump(mode="json", exclude_defaults=True) == {"weights": "poisson", "digest": digest(raw)}


def test_it_is_no_candidate_of_auto_and_other_solvers_need_nothing(raw: bytes) -> None:
    union = next(item for item in get_args(AnySolver) if isinstance(item, OneOf))
    assert "learned_direction" in union.kinds()
    assert "learned_direction" not in Auto().answering()
    assert "learned_direction" not in answering(Auto())
    assert "learned_direction" in answering(solver_of(raw))

    def read(name: str, own: str) -> bytes:
        raise AssertionError((name, own))

    assert Auto().equipped(read) == Auto()


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Darcy(shape=(8, 8, 8)), "plane grid"),
        (Convection(shape=(12, 12)), "symmetric positive definite"),
        (Poisson(shape=(6, 12)), "at least 8 cells"),
    ],
    ids=["3D", "convection", "small"],
)
def test_unfit_systems_are_refused_by_a_reason(raw: bytes, problem: Problem, reason: str) -> None:
    systems = posed(problem)
    assert reason in solver_of(raw).unfit(systems)
    with pytest.raises(ValueError, match=reason):
        solver_of(raw).solve(systems, rtol=1e-8)
    with pytest.raises(ValueError, match="symmetric definite stencils on plane grids"):
        trained([systems], steps=(1,)) if "cells" not in reason else trained(
            [posed(Convection(shape=(8, 8)))], steps=(1,)
        )


def test_missing_and_wrong_weights_are_named(raw: bytes, blob: bytes) -> None:
    solver = LearnedDirection(weights="poisson", digest=digest(raw))
    with pytest.raises(ValueError, match="its weights 'poisson' were not loaded"):
        solver.solve(posed(Poisson(shape=(8, 8))), rtol=1e-8)
    with pytest.raises(ValueError, match=r"solver\.digest is"):
        solver.equipped(lambda *_: blob)
    other = pack({"w": np.zeros(3, np.float32)}, {"format": 1, "kind": "surrogate"})
    with pytest.raises(ValueError, match="kind 'surrogate' and format 1, expected 'direction'"):
        LearnedDirection(weights="x", digest=digest(other)).equipped(lambda *_: other)


def test_a_training_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="steps has 2 numbers for 1 grids"):
        trained([posed(Poisson(shape=(8, 8)))], steps=(1, 1))
    with pytest.raises(ValueError, match="symmetric definite stencils on plane grids"):
        trained([posed(Convection(shape=(8, 8)))], steps=(1,))


@pytest.mark.parametrize(("field", "value"), [("digest", "12"), ("weights", ""), ("memory", 0), ("maxiter", 0)])
def test_a_bad_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        LearnedDirection(**{"weights": "x", "digest": 64 * "0", field: value})
