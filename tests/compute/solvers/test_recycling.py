from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse.linalg as spla

from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.krylov import gcrodr
from ritz.compute.solvers.krylov.deflation import harmonic, image, orthonormalise


@pytest.mark.parametrize("dtype", [float, complex])
def test_an_exact_invariant_subspace_leaves_the_rest_of_the_spectrum(dtype):
    rng = np.random.default_rng(0)
    n, k = 40, 8
    Q = la.qr(rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype is complex else 0))[0]
    A = Q @ np.diag(np.geomspace(1e-3, 1, n)) @ Q.conj().T
    b = Q @ np.ones(n)
    cold, warm = Recycler(), Recycler(Q[:, :k])
    for recycler in (cold, warm):
        x, info = gcrodr(A, b, rtol=1e-9, restart=n, recycle=k, recycler=recycler)
        assert info == 0
        assert la.norm(b - A @ x) <= 1e-9 * la.norm(b)
    assert warm.iterations <= n - k
    assert cold.iterations > n - k


def test_the_guess_alone_solves_a_system_whose_answer_lies_in_the_space():
    rng = np.random.default_rng(0)
    A, basis = np.diag(np.linspace(1, 9, 50)) + 0.1 * rng.standard_normal((50, 50)), rng.standard_normal((50, 6))
    recycler = Recycler(basis)
    x, info = gcrodr(A, A @ basis @ np.ones(6), rtol=1e-10, restart=20, recycle=6, recycler=recycler)
    assert (info, recycler.iterations) == (0, 0)
    assert x == pytest.approx(basis @ np.ones(6), rel=1e-8)


def test_matvecs_are_counted():
    rng = np.random.default_rng(0)
    matrix = np.diag(np.geomspace(0.01, 1, 90)) + 0.01 * rng.standard_normal((90, 90)) / 9
    calls = 0

    def matvec(x):
        nonlocal calls
        calls += 1
        return matrix @ x

    A = spla.LinearOperator((90, 90), matvec=matvec, dtype=float)
    recycler = Recycler()
    for seed in range(3):
        calls = 0
        b = np.random.default_rng(seed).standard_normal(90)
        assert gcrodr(A, b, x0=np.ones(90), restart=15, recycle=5, recycler=recycler)[1] == 0
        assert recycler.matvecs == calls
        assert 0 < recycler.iterations < calls
    gcrodr(A, np.zeros(90), recycler=recycler)
    assert (recycler.iterations, recycler.matvecs) == (0, 0)


def test_dependent_and_zero_vectors_do_no_harm():
    A = np.diag(np.linspace(1, 50, 60))
    basis = np.random.default_rng(0).standard_normal((60, 3))
    basis = np.column_stack([basis, basis[:, 0] * 1e5, np.zeros(60), basis @ [1, 1e-9, 0]])
    recycler = Recycler(basis)
    x, info = gcrodr(A, np.ones(60), rtol=1e-10, recycle=6, recycler=recycler)
    assert info == 0
    assert x == pytest.approx(1 / np.linspace(1, 50, 60), rel=1e-7)
    assert recycler.basis is not None
    assert np.isfinite(recycler.basis).all()


@pytest.mark.parametrize("condition", [1.0, 1e5, 1e11, 1e15, np.inf])
@pytest.mark.parametrize("dtype", [float, complex])
def test_blocks_are_orthonormalised_at_any_condition(condition, dtype):
    rng = np.random.default_rng(0)
    block = la.qr(rng.standard_normal((200, 6)), mode="economic")[0].astype(dtype)
    if dtype is complex:
        block = block * np.exp(1j * rng.random((200, 1)))
    last = 0 if condition == np.inf else 1 / condition
    Y = block @ np.diag(np.geomspace(1, max(last, 1e-300), 6) * (np.arange(6) < 5) + last * (np.arange(6) == 5))
    Q, T = orthonormalise(Y)
    assert pytest.approx(np.eye(Q.shape[1]), abs=1e-13) == Q.conj().T @ Q
    assert pytest.approx(Q, abs=1e-15 * 50 * min(condition, 1e14) + 1e-13) == Y @ T
    if condition < 1e12:
        assert Q.shape[1] == 6


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_harmonic_vectors_solve_their_eigenproblem(dtype, count):
    rng = np.random.default_rng(4)
    G, F = rng.standard_normal((2, 9, 8)).astype(dtype)
    if dtype is complex:
        G, F = G + 1j * rng.standard_normal(G.shape), F + 1j * rng.standard_normal(F.shape)
    found = harmonic(G, F, count)
    assert found is not None
    of_W, of_V = found
    assert of_W.conj().T @ of_W == pytest.approx(np.eye(of_W.shape[1]), abs=1e-12)
    assert G @ of_V == pytest.approx(of_W, abs=1e-11)
    values, vectors = la.eig(G.conj().T @ G, G.conj().T @ F)
    order = np.argsort(np.abs(values))
    span = la.qr(of_V, mode="economic")[0]
    kept = of_V.shape[1]
    assert kept in ((count,) if dtype is complex else (count - 1, count))
    for vector in vectors[:, order[:kept]].T:
        unit = vector / la.norm(vector)
        assert la.norm(unit - span @ (span.conj().T @ unit)) < 1e-8


def test_a_singular_projection_gives_no_vectors():
    assert harmonic(np.zeros((4, 3)), np.eye(4)[:, :3], 2) is None


def test_image_drops_what_has_no_image():
    A = spla.aslinearoperator(np.diag([0.0, 1, 2, 3]))
    C, U = image(A, None, np.eye(4)[:, :3])
    assert C.shape == U.shape == (4, 2)
    assert pytest.approx(C) == A @ U


def test_a_pickled_recycler_goes_on_with_the_same_bits(few_parameters):
    systems = few_parameters[1]
    solver = Recycled(restart=20, recycle=8)
    _, carry = solver.solve(systems.take(slice(4)), rtol=1e-8)
    frozen = pickle.dumps(carry)
    before = copy.deepcopy(carry.basis)
    straight, _ = solver.solve(systems.take(slice(4, 8)), rtol=1e-8, carry=carry)
    resumed, _ = solver.solve(systems.take(slice(4, 8)), rtol=1e-8, carry=pickle.loads(frozen))
    assert np.array_equal(straight.x, resumed.x)
    assert straight.ledger["iterations"] == resumed.ledger["iterations"]
    assert np.array_equal(carry.basis, before)


def test_the_block_a_sequence_is_cut_in_does_not_matter(few_parameters):
    systems = few_parameters[1]
    solver = Recycled(restart=20, recycle=8)
    whole, _ = solver.solve(systems, rtol=1e-8)
    carry, parts = None, []
    for i in range(0, 12, 3):
        part, carry = solver.solve(systems.take(slice(i, i + 3)), rtol=1e-8, carry=carry)
        parts.append(part.x)
    assert np.array_equal(np.concatenate(parts), whole.x)


def test_the_carry_halves_the_iterations_of_few_parameter_systems(few_parameters):
    drawn, ordered = few_parameters
    means = {}
    plain = Recycled(guard=False)
    for recycle, solver in ((0, Recycled(restart=30, recycle=0)), (20, plain)):
        solutions, _ = solver.solve(ordered, rtol=1e-8)
        means[recycle] = np.mean(solutions.ledger["iterations"][1:])
    cold = [plain.solve(ordered.take(slice(i, i + 1)), rtol=1e-8)[0].ledger["iterations"] for i in range(12)]
    assert means[20] < 0.65 * np.mean(cold)
    assert means[20] < 0.5 * means[0]
    unsorted = Recycled(guard=False).solve(drawn, rtol=1e-8)[0].ledger["iterations"]
    assert means[20] <= 1.02 * np.mean(unsorted[1:])
