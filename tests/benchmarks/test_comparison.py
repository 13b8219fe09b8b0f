from dataclasses import replace

import numpy as np
import pytest

from benchmarks.comparison import _shares, compare
from benchmarks.goals import faster, iterations
from benchmarks.method import Answer, Method, steps
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.systems import Systems

RTOL = 1e-8


@pytest.fixture(scope="module")
def sequence():
    a = np.random.default_rng(0).uniform(1, 2, (5, 4, 6))
    return list(steps(Systems(diffusion(a), np.ones(a.shape)), 1))


class Exact(Method):
    """Answers right but on the steps named ``off``; its clock says what it is told."""

    reuses = False

    def __init__(self, name, seconds=1e-3, off=(), group="direct", calls=None, count=None, carries=False):
        self.name, self.group, self.seconds, self.off, self.count = name, group, seconds, off, count
        self.calls, self.carries = [] if calls is None else calls, carries

    def begin(self, step):
        pass

    def restart(self):
        pass

    def solve(self, step):
        self.calls.append(self.name)
        x = np.linalg.solve(step.matrix.toarray(), step.rhs[0])[None]
        wrong = 1 + 2e-8 if any(step is other for other in self.off) else 1
        return Answer(wrong * x, self.seconds, iterations=self.count)


class Broken(Exact):
    def solve(self, step):
        raise RuntimeError(f"no factor of {len(step.rhs)} system\nand more")


def test_a_miss_is_told_and_has_no_time(sequence):
    (row,) = compare([Exact("a", off=sequence[1:3])], sequence[0], sequence, RTOL, budget=10)
    assert (row.answered, row.missed) == (len(sequence) - 2, 2)
    assert row.worst == pytest.approx(2e-8, rel=1e-3)
    assert len(row.seconds) == len(sequence) - 2
    assert row.residual <= RTOL


def test_what_breaks_a_method_is_told(sequence):
    (row,) = compare([Broken("a")], sequence[0], sequence, RTOL, budget=10)
    assert row.notes == {"RuntimeError: no factor of 1 system": len(sequence)}
    assert (row.answered, row.missed, row.median) == (0, len(sequence), np.inf)


def test_methods_take_turns_in_changing_order(sequence):
    calls: list[str] = []
    compare([Exact(name, calls=calls) for name in "abc"], sequence[0], sequence, RTOL, budget=10)
    rounds = np.reshape(calls[9:], (-1, 3))
    assert len(rounds) == len(sequence)
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1


def test_slow_methods_do_fewer_systems_within_the_budget():
    shares = _shares(np.array([0.01, 0.1, 1.0, 2.0]), steps=100, budget=60)
    assert shares[:2].tolist() == [100, 100]
    left = 60 - 0.01 * 100 - 0.1 * 100
    assert shares[2:].tolist() == [int(left / 2 / 1.0), int(left / 2 / 2.0)]
    assert _shares(np.array([0.01, 14.0]), steps=100, budget=60).tolist() == [100, 4]
    assert _shares(np.array([0.01, 16.0]), steps=100, budget=60).tolist() == [100, 0]
    assert _shares(np.array([0.01, 0.01]), steps=100, budget=60).tolist() == [100, 100]


def test_slow_methods_are_spread_over_the_sequence_unless_they_carry(sequence):
    estimate = 1.0
    spread, carried = Exact("spread", estimate), Exact("carried", estimate, carries=True)
    rows = compare([spread, carried], sequence[0], sequence, RTOL, budget=6.1)
    assert [sorted(row.seconds) for row in rows] == [[0, 2, 4], [0, 1, 2]]


def test_compiling_does_not_count_as_slow(sequence):
    class Compiled(Exact):
        compiles = True

        def solve(self, step):
            answer = super().solve(step)
            return answer if len(self.calls) > 1 else replace(answer, seconds=100.0)

    (row,) = compare([Compiled("a")], sequence[0], sequence, RTOL, budget=10)
    assert (row.answered, row.median) == (len(sequence), 1e-3)


def test_a_method_that_would_take_all_the_time_is_measured_once(sequence):
    (row,) = compare([Exact("a", 20.0)], sequence[0], sequence, RTOL, budget=60)
    assert (row.answered, row.median) == (1, 20.0)


@pytest.mark.parametrize(("least", "met"), [(2.0, True), (2.1, False)])
def test_goals_are_judged_against_the_best_peer_that_missed_nothing(sequence, least, met):
    own = Exact("own", 1e-3, group="ritz", count=7)
    wrong, other = Exact("wrong", off=sequence[:1]), Exact("other", 1e-4, group="iterative")
    peers = [Exact("slow", 9e-3), Exact("best", 2e-3), wrong, other]
    best, *rows = compare([own, *peers], sequence[0], sequence, RTOL, budget=10)
    verdict = faster(least, "direct", "best direct peer")(best, rows)
    assert (verdict.met, verdict.against, verdict.reached) == (met, "best", "2.00×")
    assert faster(1, "wrong", "wrong")(best, rows).met is None
    assert faster(1, "direct", "direct")(None, rows).met is None
    assert iterations(7)(best, rows).met is True
    assert iterations(6.9)(best, rows).met is False
