"""What answers the systems for the change of fields, by structure; and that nothing else does."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy

from ritz.compute.simulation.correction import correct
from ritz.compute.solvers.assembly import diffusion, with_reaction
from ritz.compute.solvers.estimate import Estimate
from ritz.compute.solvers.multigrid import iterate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Matrices, Operators, Stencil
from ritz.compute.solvers.systems import Systems
from tests.compute.problems.families import CORRECTABLE, SMALL, rough

EXACT = {
    "poisson": "transform",
    "burgers": "cyclic",
    "plate": "direct",
    "reaction_diffusion": "direct",
    "reaction_diffusion-range": "direct",
    "allen_cahn": "direct",
    "allen_cahn-range": "cyclic",
    "variational": "direct",
    "variational-sobolev": "direct",
}
LOOSE = {"helmholtz": "fgmres", "helmholtz-3d": "fgmres", "acoustic": "recycled", "acoustic-3d": "recycled"}
BOUND = {"multigrid": 0.01, "fgmres": 1.0, "recycled": 1e-3}


def posed(name: str, n: int = 3) -> list[Systems]:
    """Return all systems that a correction of rough fields asks for."""
    problem, found = SMALL[name], []

    def solve(systems: Systems) -> np.ndarray:
        found.append(systems)
        return Estimate().solve(systems, rtol=0.01)[0].x

    problem.corrected(problem.draw(0, np.arange(n)), rough(problem, n), solve)
    return found


@pytest.mark.parametrize("name", CORRECTABLE)
def test_what_answers_follows_from_the_structure(name: str) -> None:
    kind = EXACT.get(name) or LOOSE.get(name) or "multigrid"
    for systems in posed(name):
        for some in (systems, systems.take(slice(1))):
            assert Estimate().chosen(some).kind == Estimate().settled(some).kind == kind
            assert Estimate().exact(some) == (name in EXACT)
        assert kind in Estimate().answering()
        assert Estimate().unfit(systems) == ""


@pytest.mark.parametrize("name", CORRECTABLE)
def test_nothing_else_answers(name: str) -> None:
    problem = SMALL[name]
    kind = EXACT.get(name) or LOOSE.get(name) or "multigrid"
    _, ledger = correct(problem, problem.draw(0, np.arange(3)), rough(problem, 3), Estimate(), 0.01)
    assert ledger["solver"] == [kind] * 3
    assert ledger["status"] == ["ok"] * 3
    assert max(ledger["residual"]) <= BOUND.get(kind, 1e-8)


def ring(n: int) -> Matrices:
    matrix = scipy.sparse.csr_array(3 * np.eye(9) - np.roll(np.eye(9), 1, axis=0) - np.roll(np.eye(9), -1, axis=0))
    return Matrices(np.stack([matrix.data] * n), Matrices.pattern_of(matrix), (9,))


def star(n: int) -> Matrices:
    """Return matrices that couple one unknown to all others."""
    dense = 9 * np.eye(7)
    dense[0], dense[:, 0] = 1, 1
    matrix = scipy.sparse.csr_array(dense)
    return Matrices(np.stack([matrix.data] * n), Matrices.pattern_of(matrix), (7,))


def varied(shape: tuple[int, ...] = (8, 8)) -> Stencil:
    return diffusion(np.exp(np.random.default_rng(0).standard_normal((3, *shape))))


@pytest.mark.parametrize(
    ("operators", "kind"),
    [
        (ring(3), "cyclic"),
        (star(3), "direct"),
        (varied((8,)), "cyclic"),
        (Stencil(np.broadcast_to(varied().coefficients[:1], (3, 5, 8, 8)), True, True), "multigrid"),
        (with_reaction(diffusion(np.ones((3, 8, 8))), np.arange(3.0).reshape(3, 1, 1), definite=True), "transform"),
        (Stencil(diffusion(np.ones((3, 8, 8))).coefficients.astype(complex), True, False), "recycled"),
        (Stencil(diffusion(np.ones((3, 8, 8))).coefficients.astype(complex), True, True), "direct"),
    ],
    ids=["ring", "star", "line", "one that varies", "several constants", "complex", "complex and definite"],
)
def test_other_structures(operators: Operators, kind: str) -> None:
    systems = Systems(operators, np.ones((3, *operators.shape)).astype(operators.dtype))
    assert Estimate().chosen(systems).kind == kind
    solutions, _ = Estimate().solve(systems, rtol=0.01)
    assert set(solutions.ledger["solver"]) == {kind}
    assert set(solutions.ledger["status"]) == {"ok"}


def test_the_tolerance_is_the_smaller_of_two() -> None:
    systems = Systems(varied((24, 24)), np.ones((3, 24, 24)))

    def iterations(own: float, asked: float) -> int:
        solutions, _ = Estimate(rtol=own).solve(systems, rtol=asked)
        assert max(solutions.ledger["residual"]) <= min(own, asked)
        return sum(solutions.ledger["iterations"])

    assert iterations(0.01, 0.5) == iterations(0.5, 0.01) == iterations(0.01, 0.01) < iterations(0.01, 1e-6)
    with pytest.raises(ValueError, match=r"rtol is 1.0, expected a number between 0 and 1"):
        Estimate().solve(systems, rtol=1.0)


def test_what_is_missed_has_failed_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two of three matrices are not definite, against what is said of them."""
    shift = np.array([0.0, -300.0, -300.0]).reshape(3, 1, 1)
    systems = Systems(with_reaction(varied((16, 16)), shift, definite=True), np.ones((3, 16, 16)))
    with caplog.at_level(logging.INFO):
        solutions, _ = Estimate().solve(systems, rtol=0.01)
    assert solutions.ledger["status"] == ["ok", "failed", "failed"]
    assert solutions.ledger["solver"] == ["multigrid"] * 3
    assert np.isnan(solutions.x[1:]).all()
    assert np.isfinite(solutions.x[0]).all()
    assert "multigrid has no good answer to 2 of 3 systems: breakdown (2)" in caplog.text
    assert len(caplog.records) == 1
    assert Multigrid().solve(systems, rtol=0.01)[0].ledger["solver"] == ["multigrid", "direct", "direct"]


def test_a_system_that_is_not_finite_changes_nothing_for_the_others(caplog: pytest.LogCaptureFixture) -> None:
    c = diffusion(np.ones((3, 8, 8))).coefficients.copy()
    c[1, 0, 2, 2] = np.inf
    solutions, _ = Estimate().solve(Systems(Stencil(c, True, True), np.ones((3, 8, 8))), rtol=0.01)
    assert solutions.ledger["status"] == ["ok", "failed", "ok"]
    assert solutions.ledger["solver"] == ["transform"] * 3
    assert "transform has no good answer to 1 of 3 systems: not_finite (1)" in caplog.text
    c[:, 0, 2, 2] = np.nan
    solutions, _ = Estimate().solve(Systems(Stencil(c, True, True), np.ones((3, 8, 8))), rtol=0.01)
    assert solutions.ledger["status"] == ["failed"] * 3


def test_what_a_solver_carries_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heat hands the same operators on: half steps and whole ones have a hierarchy each, kept from the second time."""
    problem, calls, load = SMALL["heat"], [], iterate.load

    def counted(*arguments: object) -> object:
        calls.append(1)
        return load(*arguments)

    monkeypatch.setattr(iterate, "load", counted)
    correct(problem, problem.draw(0, np.arange(2)), rough(problem, 2), Estimate(), 0.01)
    assert len(calls) == 2 * 4


def test_another_structure_in_a_sequence_gets_its_own_solver() -> None:
    definite, waves = varied(), with_reaction(varied(), -300.0, definite=False)
    carry, kinds = None, []
    for operators in (definite, waves, definite):
        solutions, carry = Estimate().solve(Systems(operators, np.ones((3, 8, 8))), rtol=0.01, carry=carry)
        kinds += solutions.ledger["solver"]
        assert set(solutions.ledger["status"]) == {"ok"}
    assert kinds[:3] == ["multigrid"] * 3
    assert kinds[3:6] == ["recycled"] * 3
