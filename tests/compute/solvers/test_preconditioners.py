from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from pydantic import TypeAdapter, ValidationError

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.krylov import cg, gmres
from ritz.compute.solvers.operators import Matrices, Stencil
from ritz.compute.solvers.preconditioners.amg import AMG
from ritz.compute.solvers.preconditioners.catalogue import PRECONDITIONERS, AnyPreconditioner
from ritz.compute.solvers.preconditioners.hypre import Hypre
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.preconditioners.jacobi import Jacobi
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.systems import Systems

ilu, icc, ssor, jacobi = (kind().inverse for kind in (ILU, ICC, SSOR, Jacobi))
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
    assert SSOR(omega=1.3).inverse(operators, 1) @ (M @ x) == pytest.approx(x, rel=1e-10, abs=1e-10)


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
        assert ICC().unfit(family.operators).endswith("use ilu")
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
    for build in (ilu, SSOR(omega=1).inverse, jacobi):
        assert build(operators, 0) @ np.array([2 + 2j, 4j]) == pytest.approx(np.array([1 + 1j, 1j]))


@pytest.mark.parametrize("known", [True, False], ids=["stencil", "pattern"])
def test_better_preconditioners_cut_the_iterations(known):
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((1, 32, 32))))
    operators = operators if known else as_matrices(operators)
    counts = []
    for build in (None, jacobi, SSOR(omega=1).inverse, icc):
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
        _, info = cg(operators.csr(0), b, rtol=1e-9, M=AMG(method=method).inverse(operators, 0), callback=steps.append)
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


@pytest.mark.parametrize(
    ("preconditioner", "module", "extra"), [(AMG(), "pyamg", "amg"), (Hypre(), "petsc4py", "petsc")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(preconditioner, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert f"install ritz[{extra}]" in preconditioner.unfit(diffusion(np.ones((1, 4, 4))))


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


def test_relaxation_is_larger_on_grids_unless_a_recipe_gives_it(family):
    on_grid, on_mesh = family.operators, as_matrices(family.operators)
    line = Stencil(np.array([[[2.0, 2], [0, -1], [-1, 0]]]))
    assert [SSOR().relaxation(operators) for operators in (on_grid, on_mesh, line)] == [1.7, 1.2, 1.2]
    assert SSOR(omega=1).relaxation(on_grid) == 1
    x = np.random.default_rng(0).standard_normal(on_grid.pattern.size)
    assert np.array_equal(ssor(on_grid, 0) @ x, SSOR(omega=1.7).inverse(on_grid, 0) @ x)


def test_a_relaxation_of_the_recipe_is_part_of_it_and_the_default_is_a_name():
    written = [Krylov(preconditioner=one).model_dump(mode="json")["preconditioner"] for one in (SSOR(), SSOR(omega=1))]
    assert written == ["ssor", {"kind": "ssor", "omega": 1.0}]


def test_omega_is_checked():
    for omega in (0.0, 2.0):
        with pytest.raises(ValidationError, match=r"omega\n  Input should be (less than 2|greater than 0)"):
            SSOR(omega=omega)


KINDS = tuple(PRECONDITIONERS.kinds().values())
CHANGED = (SSOR(omega=1.3), ILU(fill=2), ICC(fill=1), AMG(method="smoothed-aggregation"), Hypre(threshold=0.5))


def test_all_preconditioners_are_on_the_lists():
    assert {type(one) for one in CHANGED} == {kind for kind in KINDS if set(kind.model_fields) != {"kind"}}


@pytest.mark.parametrize("M", [*(kind() for kind in KINDS), *CHANGED], ids=str)
def test_every_preconditioner_fits_or_says_why(family, M):
    operators, reason = family.operators, M.unfit(family.operators)
    if reason:
        solver = Krylov(method="gmres", preconditioner=M)
        with pytest.raises(ValueError, match="solver is 'krylov'"):
            solver.solve(family, rtol=1e-8)
        return
    inverse = M.inverse(operators, 1)
    if inverse is None:
        assert type(M) is NoPreconditioner
        return
    rng = np.random.default_rng(0)
    v, w = (rng.standard_normal(inverse.shape[0]) for _ in range(2))
    assert (inverse.shape, inverse.dtype) == (operators.csr(1).shape, operators.dtype)
    assert inverse @ (v - 2 * w) == pytest.approx(inverse @ v - 2 * (inverse @ w), rel=1e-8, abs=1e-9)
    image = operators.csr(1) @ (inverse @ v)
    assert inverse.image() @ v == pytest.approx(image, rel=1e-9, abs=1e-9 * np.abs(image).max())
    assert np.array_equal(M.inverse(operators, 1) @ v, inverse @ v)


@pytest.mark.parametrize("M", [*(kind() for kind in KINDS), *CHANGED], ids=str)
def test_a_recipe_names_a_preconditioner_with_what_differs_from_its_defaults(M):
    adapter = TypeAdapter(AnyPreconditioner)
    written = adapter.dump_python(M, mode="json")
    assert written == (M.kind if type(M)() == M else M.model_dump(mode="json"))
    assert adapter.validate_python(written) == M
    solver = Recycled(preconditioner=written)
    assert solver == Recycled(preconditioner=M) == Recycled.model_validate_json(solver.model_dump_json())
    assert solver.model_dump()["preconditioner"] == written


def test_levels_of_fill_are_those_of_the_textbook():
    A = scattered()
    n = A.shape[0]
    for fill in (0, 1, 2, 3):
        levels = np.where(A.toarray() != 0, 0, n)
        for i in range(n):
            for k in range(i):
                if levels[i, k] <= fill:
                    levels[i] = np.minimum(levels[i], np.where(np.arange(n) > k, levels[i, k] + levels[k] + 1, n))
        dense, kept = A.toarray(), levels <= fill
        for i in range(n):
            for k in map(int, np.flatnonzero(kept[i, :i])):
                dense[i, k] /= dense[k, k]
                for j in range(k + 1, n):
                    if kept[i, j]:
                        dense[i, j] -= dense[i, k] * dense[k, j]
        M = (np.tril(dense, -1) + np.eye(n)) @ np.triu(dense)
        x = np.random.default_rng(0).standard_normal(n)
        assert ILU(fill=fill).inverse(matrices([A]), 0) @ (M @ x) == pytest.approx(x, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("fill", [1, 4, 20])
def test_more_fill_comes_closer_to_the_inverse(family, fill):
    if family.operators.dtype.kind == "c":
        # These are indefinite, where incomplete factors promise nothing until they are complete.
        fill = 20
    A, v = family.operators.csr(0), np.ones(family.operators.pattern.size)
    few, more = (np.linalg.norm(A @ (ILU(fill=k).inverse(family.operators, 0) @ v) - v) for k in (0, fill))
    assert more < 0.9 * few


def test_fill_cuts_the_iterations_and_all_of_it_is_a_factorisation():
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((1, 8, 8))))
    systems = Systems(operators, np.ones((1, 8, 8)))
    counts = [
        Krylov(method="cg", preconditioner=ICC(fill=fill)).solve(systems, rtol=1e-10)[0].ledger["iterations"][0]
        for fill in (0, 2, 20)
    ]
    assert counts[0] > counts[1] > counts[2]
    assert counts[2] <= 2
