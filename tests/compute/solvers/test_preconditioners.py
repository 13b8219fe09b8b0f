from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.krylov import cg, gmres
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.operators.matrices import Matrices
from ritz.compute.solvers.preconditioners.hypre import hypre
from ritz.compute.solvers.preconditioners.incomplete import icc, ilu
from ritz.compute.solvers.preconditioners.multilevel import amg
from ritz.compute.solvers.preconditioners.relaxation import jacobi, ssor
from ritz.compute.solvers.systems import Systems

SWEEPS = [ilu, ssor, jacobi]


def matrices(found, symmetric=False):
    """Sparse matrices of one pattern as operators: what an unstructured mesh would bring."""
    values = np.stack([matrix.data for matrix in found])
    return Matrices(values, Matrices.pattern_of(found[0]), (found[0].shape[0],), symmetric)


def as_matrices(operators):
    """The same operators without the knowledge that they are stencils."""
    values = np.stack([operators.entries(i) for i in range(len(operators))])
    return Matrices(values, operators.pattern, operators.shape, operators.symmetric, operators.definite)


def scattered(n=60, seed=0):
    """A matrix of no structure, dominated by its diagonal."""
    rng = np.random.default_rng(seed)
    A = sp.random_array((n, n), density=0.05, rng=rng, format="csr") + 3 * sp.eye_array(n, format="csr")
    A = sp.csr_array(A)
    A.sort_indices()
    return A


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


def small(operators):
    """The corner of a family of stencils, small enough for loops in Python."""
    if np.prod(operators.shape) <= 256:
        return operators
    corner = operators.coefficients[:, :, :4, :4].copy()
    corner[:, 2][:, -1] = corner[:, 4][:, :, -1] = 0
    return Stencil(corner, operators.symmetric)


@pytest.mark.parametrize("known", [True, False], ids=["stencil", "pattern"])
def test_ilu_of_a_stencil_is_the_textbook_ilu0(family, known):
    operators = small(family.operators.take(slice(2)))
    for i in range(2):
        M = incomplete(operators.csr(i).toarray())
        x = np.random.default_rng(0).standard_normal(len(M))
        found = ilu(operators if known else as_matrices(operators), i) @ (M @ x)
        assert found == pytest.approx(x, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("shape", [(7,), (5, 6), (3, 4, 5)])
def test_grids_of_any_number_of_axes(shape):
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((1, *shape))))
    M = incomplete(operators.csr(0).toarray())
    x = np.random.default_rng(1).standard_normal(len(M))
    for build in (ilu, icc):
        assert build(operators, 0) @ (M @ x) == pytest.approx(x, rel=1e-10, abs=1e-10)


def test_ilu_of_any_pattern_is_the_textbook_ilu0():
    A = scattered()
    x = np.random.default_rng(0).standard_normal(60)
    assert ilu(matrices([A]), 0) @ (incomplete(A.toarray()) @ x) == pytest.approx(x, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("known", [True, False], ids=["stencil", "pattern"])
def test_ssor_is_the_product_of_its_triangles(family, known):
    A = family.operators.csr(1)
    D = sp.diags_array(A.diagonal() / 1.3)
    M = (D + sp.tril(A, -1)) @ sp.diags_array(1.3 / A.diagonal()) @ (D + sp.triu(A, 1))
    x = np.random.default_rng(0).standard_normal(A.shape[0])
    operators = family.operators if known else as_matrices(family.operators)
    assert ssor(operators, 1, omega=1.3) @ (M @ x) == pytest.approx(x, rel=1e-10, abs=1e-10)


def test_jacobi_divides_by_the_diagonal(family):
    A = family.operators.csr(2)
    x = np.random.default_rng(0).standard_normal(A.shape[0])
    assert jacobi(family.operators, 2) @ (A.diagonal() * x) == pytest.approx(x, rel=1e-13)


def test_icc_is_symmetric_positive_definite_and_ilu_of_the_same():
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((1, 6, 5))))
    dense = icc(operators, 0) @ np.eye(30)
    assert dense == pytest.approx(dense.T, abs=1e-14)
    assert np.linalg.eigvalsh(dense).min() > 0
    assert dense == pytest.approx(ilu(operators, 0) @ np.eye(30), abs=1e-14)
    assert dense == pytest.approx(icc(as_matrices(operators), 0) @ np.eye(30), abs=1e-13)


def test_icc_says_what_it_cannot_factor(family):
    if family.operators.symmetric and family.operators.dtype == np.float64:
        icc(family.operators, 0)
    else:
        with pytest.raises(ValueError, match="use ilu"):
            icc(family.operators, 0)
    negative = Stencil(-diffusion(np.ones((1, 4, 4))).coefficients, symmetric=True)
    for operators in (negative, as_matrices(negative)):
        with pytest.raises(FloatingPointError, match="operator 0 has a pivot that is not positive"):
            icc(operators, 0)


@pytest.mark.parametrize("build", SWEEPS)
@pytest.mark.parametrize("known", [True, False], ids=["stencil", "pattern"])
def test_the_image_is_the_operator_after_the_preconditioner(family, build, known):
    operators = family.operators if known else as_matrices(family.operators)
    M = build(operators, 3)
    rng = np.random.default_rng(0)
    for v in (
        rng.standard_normal(M.shape[0]),
        rng.standard_normal(M.shape[0]) * 1j,
        rng.standard_normal((M.shape[0], 2)),
    ):
        expected = operators.csr(3) @ (M @ v)
        assert M.image() @ v == pytest.approx(expected, rel=1e-12, abs=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("build", SWEEPS)
def test_a_block_is_preconditioned_column_by_column(family, build):
    M = build(family.operators, 0)
    block = np.random.default_rng(0).standard_normal((M.shape[0], 3)).astype(M.dtype)
    for column, expected in zip((M @ block).T, block.T, strict=True):
        assert np.array_equal(column, M @ np.ascontiguousarray(expected))
    assert (M @ block[:, :0]).shape == (M.shape[0], 0)


def test_a_real_preconditioner_takes_complex_vectors():
    operators = matrices([sp.csr_array(np.diag([2.0, 4.0]))])
    for build in SWEEPS:
        assert build(operators, 0) @ np.array([2 + 2j, 4j]) == pytest.approx(np.array([1 + 1j, 1j]))


@pytest.mark.parametrize("known", [True, False], ids=["stencil", "pattern"])
def test_better_preconditioners_cut_the_iterations(known):
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((1, 32, 32))))
    operators = operators if known else as_matrices(operators)
    counts = []
    for build in (None, jacobi, ssor, icc):
        steps: list[float] = []
        M = None if build is None else build(operators, 0)
        b = np.ones(1024)
        x, info = gmres(
            operators.csr(0), b, rtol=1e-8, M=M, restart=300, callback=steps.append, callback_type="pr_norm"
        )
        assert info == 0
        assert np.linalg.norm(operators.csr(0) @ x - b) <= 1e-8 * 32
        counts.append(len(steps))
    assert counts == sorted(counts, reverse=True)
    assert counts[3] < 0.3 * counts[0]
    assert counts[3] < 0.9 * counts[2]


@pytest.mark.parametrize("method", ["ruge-stuben", "smoothed-aggregation"])
def test_amg_needs_as_many_iterations_on_any_grid(method):
    pytest.importorskip("pyamg")
    counts = []
    for size in (32, 64):
        operators = diffusion(
            np.exp(np.random.default_rng(0).standard_normal((1, size // 8, size // 8))).repeat(8, 1).repeat(8, 2)
        )
        before = operators.pattern.indices.copy()
        steps: list[np.ndarray] = []
        b = np.ones(size * size)
        _, info = cg(operators.csr(0), b, rtol=1e-9, M=amg(operators, 0, method), callback=steps.append)
        assert info == 0
        assert np.array_equal(operators.pattern.indices, before)
        counts.append(len(steps))
    assert max(counts) <= min(counts) + 6
    assert max(counts) < 30


def test_hypre_solves_a_family_in_few_iterations():
    pytest.importorskip("petsc4py")
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((1, 32, 32))))
    solutions, _ = Krylov(method="cg", preconditioner="hypre").solve(
        Systems(operators, np.ones((1, 32, 32))), rtol=1e-9
    )
    assert solutions.ledger["solver"] == ["krylov"]
    assert solutions.ledger["iterations"][0] < 15


@pytest.mark.parametrize(("build", "module", "extra"), [(amg, "pyamg", "amg"), (hypre, "petsc4py", "petsc")])
def test_a_library_that_is_missing_is_named_with_its_extra(build, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"ritz\[{extra}\]"):
        build(diffusion(np.ones((1, 4, 4))), 0)


def test_a_zero_pivot_is_said():
    operators = Stencil(np.zeros((1, 5, 4, 4)))
    for build in SWEEPS:
        for one in (operators, as_matrices(operators)):
            with pytest.raises(FloatingPointError, match="operator 0"):
                build(one, 0)


def test_a_pattern_without_its_diagonal_is_refused():
    operators = matrices([sp.csr_array(np.array([[0.0, 1.0], [1.0, 2.0]]))])
    for build in (ilu, ssor):
        with pytest.raises(ValueError, match="add the missing zeros"):
            build(operators, 0)


def test_one_matrix_for_all_systems_can_be_preconditioned():
    # Its coefficients are broadcast, hence read-only.
    operators = diffusion(np.broadcast_to(1.0, (3, 5, 5)))
    for build in SWEEPS:
        assert build(operators, 2) @ np.ones(25) == pytest.approx(build(diffusion(np.ones((1, 5, 5))), 0) @ np.ones(25))


def test_omega_is_checked():
    with pytest.raises(ValueError, match="omega is 2"):
        ssor(Stencil(np.ones((1, 3, 1)) * [[[1], [0], [0]]]), 0, omega=2.0)
