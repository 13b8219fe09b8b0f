from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.operators import Matrices, Stencil
from ritz.compute.solvers.systems import Systems


def dense(coefficients):
    """Assemble a stencil by loops over cells."""
    shape = coefficients.shape[1:]
    matrix = np.zeros((int(np.prod(shape)),) * 2, dtype=coefficients.dtype)
    for cell in np.ndindex(shape):
        row = np.ravel_multi_index(cell, shape)
        matrix[row, row] = coefficients[(0, *cell)]
        for axis in range(len(shape)):
            for slot, step in ((1 + 2 * axis, -1), (2 + 2 * axis, 1)):
                other = list(cell)
                other[axis] += step
                if 0 <= other[axis] < shape[axis]:
                    matrix[row, np.ravel_multi_index(other, shape)] = coefficients[(slot, *cell)]
    return matrix


@pytest.fixture(params=[((5,), float), ((4, 6), float), ((3, 4), complex), ((3, 2, 4), float), ((1, 4), float)])
def stencil(request):
    shape, dtype = request.param
    rng = np.random.default_rng(0)
    c = rng.standard_normal((3, 1 + 2 * len(shape), *shape)).astype(dtype)
    if dtype is complex:
        c = c + 1j * rng.standard_normal(c.shape)
    for axis in range(len(shape)):
        at: tuple[Any, ...] = (slice(None),) * (1 + axis)
        c[:, 1 + 2 * axis][(*at, 0)] = 0
        c[:, 2 + 2 * axis][(*at, -1)] = 0
    return Stencil(c)


def test_matrix_matvec_and_diagonal_agree_with_a_loop_over_cells(stencil):
    x = np.random.default_rng(1).standard_normal(stencil.shape)
    for i in range(len(stencil)):
        expected = dense(stencil.coefficients[i])
        assert np.array_equal(stencil.csr(i).toarray(), expected)
        assert np.array_equal(stencil.diagonal(i).ravel(), np.diag(expected))
        assert stencil.matvec(i, x).ravel() == pytest.approx(expected @ x.ravel(), rel=1e-13)
        assert stencil.matvec(i, x.ravel()).shape == x.ravel().shape


def test_columns_are_sorted_and_the_pattern_is_shared(stencil):
    assert stencil.csr(0).has_sorted_indices
    assert stencil.pattern is Stencil(stencil.coefficients * 2).pattern


def test_take_picks_systems_in_order(stencil):
    taken = stencil.take(np.array([2, 0]))
    assert len(taken) == 2
    assert np.array_equal(taken.csr(0).toarray(), stencil.csr(2).toarray())


def test_stencils_can_be_pickled(stencil):
    again = pickle.loads(pickle.dumps(stencil))
    assert np.array_equal(again.coefficients, stencil.coefficients)


def test_coupling_across_a_wall_is_refused():
    with pytest.raises(ValueError, match="across a wall of axis 0"):
        Stencil(np.ones((1, 5, 4, 4)))


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [(np.zeros((1, 4, 4, 4)), "shape"), (np.zeros((1, 1)), "shape"), (np.zeros((1, 5, 4, 4), "f"), "dtype")],
)
def test_bad_coefficients_are_named(coefficients, message):
    with pytest.raises(ValueError, match=f"coefficients has {message}"):
        Stencil(coefficients)


def test_right_hand_sides_must_fit_the_operators():
    operators = Stencil(np.zeros((2, 5, 4, 4)))
    with pytest.raises(ValueError, match=r"rhs has shape \(1, 4, 4\), expected \(2, 4, 4\)"):
        Systems(operators, np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="rhs has dtype float32"):
        Systems(operators, np.zeros((2, 4, 4), dtype=np.float32))


def test_a_shift_keeps_the_entries_of_an_operator_together():
    a = np.broadcast_to(1.0, (3, 8, 9))
    varied = with_reaction(diffusion(a), -np.random.default_rng(0).random((3, 8, 9)), definite=True)
    assert varied.coefficients.flags.c_contiguous


def test_a_transposed_stencil_is_the_transposed_matrix(stencil):
    for i in range(len(stencil)):
        assert np.array_equal(stencil.transposed().csr(i).toarray(), stencil.csr(i).toarray().T)
    one = Stencil(np.broadcast_to(stencil.coefficients[:1], stencil.coefficients.shape))
    assert one.transposed().constant
    assert np.array_equal(one.transposed().csr(2).toarray(), stencil.csr(0).toarray().T)


@pytest.mark.parametrize("complex_entries", [False, True])
def test_transposed_matrices_may_have_another_pattern(complex_entries):
    rng = np.random.default_rng(0)
    A = sp.csr_array(sp.random_array((9, 9), density=0.3, rng=rng))
    A.sort_indices()
    values = rng.standard_normal((3, A.nnz)) * (1 + 2j if complex_entries else 1)
    operators = Matrices(values, Matrices.pattern_of(A), (9,))
    turned = operators.transposed()
    for i in range(3):
        assert np.array_equal(turned.csr(i).toarray(), operators.csr(i).toarray().T)
        assert turned.csr(i).has_sorted_indices
    assert operators.transposed().pattern is turned.pattern
    one = Matrices(np.broadcast_to(values[:1], values.shape), operators.pattern, (9,)).transposed()
    assert one.constant
    assert np.array_equal(one.entries(2), turned.entries(0))
    known = Matrices(values, operators.pattern, (9,), symmetric=True)
    assert known.transposed() is known


@pytest.mark.parametrize("complex_entries", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_residuals_of_matrices_are_those_of_dense_ones(complex_entries, constant):
    rng = np.random.default_rng(0)
    A = sp.csr_array(sp.random_array((9, 9), density=0.4, rng=rng))
    values = rng.standard_normal((4, A.nnz)) * (1 + 2j if complex_entries else 1)
    if constant:
        values = np.broadcast_to(values[:1], values.shape)
    operators = Matrices(values, Matrices.pattern_of(A), (3, 3))
    x, b = rng.standard_normal((2, 4, 3, 3))
    rows = [2, 0, 3]
    left, whole = operators.residuals(x, b, rows)
    exact = [np.linalg.norm(b[i].ravel() - operators.csr(i).toarray() @ x[i].ravel()) for i in rows]
    assert left == pytest.approx(exact, rel=1e-13)
    assert whole == pytest.approx([np.linalg.norm(b[i]) for i in rows], rel=1e-13)
    assert operators.residual(2, x[2], b[2]) == pytest.approx((left[0], whole[0]), rel=1e-13)
    assert [len(norms) for norms in operators.residuals(x, b, [])] == [0, 0]
