from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from compute.solvers.krylov import gmres
from compute.solvers.matrices import Matrices
from compute.solvers.operators import Stencil
from compute.solvers.preconditioners.incomplete import ilu
from compute.solvers.preconditioners.relaxation import ssor


def matrices(found, symmetric=False):
    """Sparse matrices of one pattern as operators: what an unstructured mesh would bring."""
    values = np.stack([matrix.data for matrix in found])
    return Matrices(values, Matrices.pattern_of(found[0]), (found[0].shape[0],), symmetric)


def incomplete(matrix):
    """ILU(0) by the textbook loops; return the product of its factors."""
    n = len(matrix)
    A, kept = matrix.copy(), matrix != 0
    for i in range(n):
        for k in np.flatnonzero(kept[i, :i]):
            A[i, k] /= A[k, k]
            for j in range(k + 1, n):
                if kept[i, j]:
                    A[i, j] -= A[i, k] * A[k, j]
    return (np.tril(A, -1) + np.eye(n)) @ np.triu(A)


def test_ilu_of_a_stencil_is_the_textbook_ilu0(family):
    operators = family.operators.take(slice(2))
    if np.prod(operators.shape) > 256:
        small = operators.coefficients[:, :, :4, :4].copy()
        small[:, 2][:, -1] = small[:, 4][:, :, -1] = 0
        operators = Stencil(small, operators.symmetric)
    for i in range(2):
        M = incomplete(operators.csr(i).toarray())
        x = np.random.default_rng(0).standard_normal(len(M))
        assert ilu(operators, i) @ (M @ x) == pytest.approx(x, rel=1e-9, abs=1e-9)


def test_ssor_is_the_product_of_its_triangles(family):
    A = family.operators.csr(1)
    D = sp.diags_array(A.diagonal() / 1.3)
    M = (D + sp.tril(A, -1)) @ sp.diags_array(1.3 / A.diagonal()) @ (D + sp.triu(A, 1))
    x = np.random.default_rng(0).standard_normal(A.shape[0])
    assert ssor(family.operators, 1, omega=1.3) @ (M @ x) == pytest.approx(x, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("build", [ilu, ssor])
def test_a_block_is_preconditioned_column_by_column(family, build):
    M = build(family.operators, 0)
    block = np.random.default_rng(0).standard_normal((M.shape[0], 3)).astype(M.dtype)
    for column, expected in zip((M @ block).T, block.T, strict=True):
        assert np.array_equal(column, M @ np.ascontiguousarray(expected))


def test_a_real_preconditioner_takes_complex_vectors():
    operators = matrices([sp.csr_array(np.diag([2.0, 4.0]))])
    for build in (ilu, ssor):
        assert build(operators, 0) @ np.array([2 + 2j, 4j]) == pytest.approx(np.array([1 + 1j, 1j]))


def test_threshold_ilu_of_any_matrix_cuts_the_iterations():
    rng = np.random.default_rng(0)
    A = sp.random_array((300, 300), density=0.02, rng=rng, format="csr") + 2 * sp.eye_array(300, format="csr")
    A = sp.csr_array(A)
    A.sort_indices()
    counts = []
    for M in (None, ilu(matrices([A]), 0), ssor(matrices([A]), 0)):
        steps: list[float] = []
        x, info = gmres(A, np.ones(300), rtol=1e-10, M=M, callback=steps.append, callback_type="pr_norm")
        assert info == 0
        assert A @ x == pytest.approx(np.ones(300), abs=1e-7)
        counts.append(len(steps))
    assert counts[1] < 0.5 * counts[0]
    assert counts[2] < counts[0]


def test_a_zero_pivot_is_said():
    operators = Stencil(np.zeros((1, 5, 4, 4)))
    for build in (ilu, ssor):
        with pytest.raises(FloatingPointError, match="operator 0"):
            build(operators, 0)


def test_omega_is_checked():
    with pytest.raises(ValueError, match="omega is 2"):
        ssor(Stencil(np.ones((1, 3, 1)) * [[[1], [0], [0]]]), 0, omega=2.0)
