# ruff: noqa: ARG002
"""What a solve ends in, on NumPy and on torch: the same ledger, answers left where they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.certify import certify, relative_residuals
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.factorization.elimination import Elimination
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems

RTOL = 1e-9
SHAPE = (6, 5)


class OnTorch:
    """Dense matrices as a batch of torch: what operators on a device hand to `certify`."""

    constant = False

    def __init__(self, operators: Operators) -> None:
        self.shape, self.pattern = operators.shape, operators.pattern
        self.matrices = torch.tensor(np.stack([operators.csr(i).toarray() for i in range(len(operators))]))
        self.rows = [operators.entries(i) for i in range(len(operators))]

    def __len__(self) -> int:
        return len(self.matrices)

    def residuals(self, x: torch.Tensor, rhs: torch.Tensor, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows = list(rows)
        flat, b = x[rows].flatten(1).double(), rhs[rows].flatten(1)
        left = b - torch.einsum("nij,nj->ni", self.matrices[rows], flat)
        return torch.linalg.vector_norm(left, dim=1), torch.linalg.vector_norm(b, dim=1)

    def magnitude(self, i: int) -> float:
        return float(self.matrices[i].abs().max())

    def entries(self, i: int) -> np.ndarray:
        return self.rows[i]


class Dense:
    """A fallback of torch, which answers where the systems lie."""

    kind = "dense"

    def attempt(self, systems: Any, i: int, *, rtol: float, carry: Any) -> tuple[Any, Any]:
        return Attempt(torch.linalg.solve(systems.operators.matrices[i], systems.rhs[i].flatten()), 0, 0), carry


def posed(library: str) -> tuple[Any, Any, Any]:
    """Systems in a library, their answers there, and a fallback that works there."""
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((4, *SHAPE))))
    rhs = np.random.default_rng(1).standard_normal((4, *SHAPE))
    rhs[3] = 0
    x = Direct().solve(Systems(operators, rhs), rtol=1e-13)[0].x
    if library == "numpy":
        return Systems(operators, rhs), x, Elimination()
    on_torch: Any = OnTorch(operators)
    return Systems(on_torch, torch.tensor(rhs)), torch.tensor(x), Dense()  # type: ignore[arg-type] # the rhs is a tensor


def spent(count: int, residual: list[float | None] | None = None, reason: str = "") -> dict[str, list[Any]]:
    return {
        "iterations": [7] * count,
        "matvecs": [8] * count,
        "seconds": [0.5] * count,
        "solver": ["tried"] * count,
        "reason": [reason] * count,
        "residual": residual or [None] * count,
    }


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_good_answers_are_measured_and_stay_where_they_are(library: str) -> None:
    systems, x, fallback = posed(library)
    solutions = certify(systems, x, RTOL, fallback, spent=spent(4), finite=[True] * 4)
    assert solutions.x is x
    assert solutions.ledger["status"] == ["ok"] * 4
    assert solutions.ledger["solver"] == ["tried"] * 4
    assert solutions.ledger["matvecs"] == [9] * 4
    assert solutions.ledger["residual"][3] == 0.0
    assert solutions.ledger["residual"] == relative_residuals(systems, x, range(4))
    for i in range(3):
        A, b = diffusion_of(systems, i), np.asarray(systems.rhs[i]).ravel()
        true = np.linalg.norm(b - A @ np.asarray(x[i]).ravel()) / np.linalg.norm(b)
        assert solutions.ledger["residual"][i] == pytest.approx(true, rel=0.5, abs=1e-16)


def diffusion_of(systems: Any, i: int) -> np.ndarray:
    dense: np.ndarray = systems.operators.pattern.matrix(systems.operators.entries(i)).toarray()
    return dense


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_misses_is_answered_by_the_fallback_and_by_nobody_else(library: str) -> None:
    systems, x, fallback = posed(library)
    exact = np.asarray(x).copy()
    x[1] = x[1] * (1 + 1e-6)
    x[2] = math.nan
    given = spent(4, [None, None, math.nan, None], "not_converged")
    solutions = certify(systems, x, RTOL, fallback, spent=given, finite=[True] * 4)
    assert type(solutions.x) is type(x)
    ledger = solutions.ledger
    assert ledger["status"] == ["ok"] * 4
    assert ledger["reason"] == [""] * 4
    assert ledger["solver"] == ["tried", fallback.kind, fallback.kind, "tried"]
    # The answers' own true residuals; those of the fallback, where it has not measured them itself.
    assert ledger["matvecs"] == [9, 10, 9, 9]
    assert max(ledger["residual"]) <= RTOL
    assert np.asarray(solutions.x) == pytest.approx(exact, rel=1e-10)
    assert given["residual"][2] != given["residual"][2]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_without_a_fallback_what_misses_has_failed(library: str) -> None:
    systems, x, _ = posed(library)
    x[0] = x[0] * 1.1
    x[1] = math.nan
    finite = [True, True, False, True]
    given = spent(4, [None, None, math.nan, 0.0])
    solutions = certify(systems, x, RTOL, None, spent=given, finite=finite)
    assert solutions.ledger["status"] == ["failed", "failed", "failed", "ok"]
    assert solutions.ledger["reason"] == ["not_converged", "not_finite", "not_finite", ""]
    assert np.isnan(np.asarray(solutions.x)[:3]).all()
    assert solutions.ledger["residual"][0] > 1e-3


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_fallback_that_cannot_either_leaves_the_system_failed(library: str) -> None:
    class Hopeless:
        kind = "hopeless"

        def attempt(self, systems: Any, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
            return Attempt(None, 2, 3, "breakdown"), carry

    systems, x, _ = posed(library)
    x[1] = 0 * x[1]
    solutions = certify(systems, x, RTOL, Hopeless(), spent=spent(4), finite=[True] * 4)
    assert solutions.ledger["status"] == ["ok", "failed", "ok", "ok"]
    assert (solutions.ledger["solver"][1], solutions.ledger["reason"][1]) == ("hopeless", "breakdown")
    assert (solutions.ledger["iterations"][1], solutions.ledger["matvecs"][1]) == (9, 12)
    assert math.isnan(solutions.ledger["residual"][1])
    assert np.isnan(np.asarray(solutions.x)[1]).all()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_residual_is_measured_in_double_precision_in_any_unit(library: str) -> None:
    systems, x, _ = posed(library)
    plain = relative_residuals(systems, x * (1 + 1e-5), [0])[0]
    assert 1e-6 < plain < 1e-4
    tiny = Systems(systems.operators, systems.rhs * 2.0**-600)
    assert relative_residuals(tiny, x * (1 + 1e-5) * 2.0**-600, [0])[0] == pytest.approx(plain, rel=1e-9)


def test_the_solvers_hand_in_what_stands_behind_them() -> None:
    assert Direct().fallback() is None
    assert Recycled().fallback() == Elimination()
    systems, _, _ = posed("numpy")
    weak = Recycled(restart=2, recycle=0, maxiter=1, preconditioner="none")
    assert weak.solve(systems, rtol=RTOL)[0].ledger["solver"][:3] == ["direct"] * 3
