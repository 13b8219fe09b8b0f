"""Rollouts whose every step is checked by the equations, at times that a user asks for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.document import DocumentPart, Number
from ritz.compute.evaluation.cost import rounded
from ritz.compute.fields.dimensions import TIME
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolution import Evolution
from ritz.tasks.errors import InputError

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem
    from ritz.compute.surrogates.model import Model
    from ritz.compute.uncertainty.verification.rollouts import VerifiedRollout

VERIFIED, VERIFIED_ERROR = "verified", "verified_error"
"""What a file says of every verified field, ``NAME_verified``."""

_FEW = 4
"""Samples that the solver alone steps through, for its seconds and the errors of the rollouts."""

_WHOLE = 1e-6
"""By how much a time may miss one of the problem."""


class RolloutVerification(DocumentPart):
    """How a rollout was kept within a tolerance, step by step.

    Attributes
    ----------
    tolerance
        On the relative L2 error that a step makes.
    steps
        Steps of all samples.
    predicted, corrected, solved, failed
        Shares of the steps at which the state of the surrogate was taken, was corrected, was solved, or there was no
        good answer.
    samples
        How many samples the solver alone stepped through, for what follows.
    error_free, error_verified
        Mean relative L2 error over all times, of the surrogate alone and of the verified rollout, on those of these
        samples that have good answers at all steps; None without any.
    seconds_verified, seconds_solver
        Per sample.
    """

    tolerance: Number
    steps: int
    predicted: Number
    corrected: Number
    solved: Number
    failed: Number
    samples: int
    error_free: Number | None
    error_verified: Number | None
    seconds_verified: Number
    seconds_solver: Number

    def text(self) -> str:
        """Return it in a line."""
        shares = (self.predicted, self.corrected, self.solved, self.failed)
        of_steps = ", ".join(
            f"{100 * share:.3g} % {what}"
            for share, what in zip(
                shares, ("as predicted", "corrected", "solved", "without a good answer"), strict=True
            )
        )
        ratio = self.seconds_verified / self.seconds_solver
        error = "error not known"
        if self.error_free is not None and self.error_verified is not None:
            of_good = "" if not self.failed else "those with good answers of "
            error = (
                f"error {self.error_verified:.3g}, {self.error_free:.3g} without (on {of_good}{self.samples} samples)"
            )
        return (
            f"every step verified to a relative error of {self.tolerance:g}: of {self.steps} steps {of_steps}; "
            f"{error}; {rounded(1e3 * self.seconds_verified, 2):g} ms per sample, {rounded(ratio, 2):g} of the "
            f"{rounded(1e3 * self.seconds_solver, 2):g} ms of the solver alone"
        )


@dataclass(frozen=True)
class VerifiedHorizon:
    """A verified rollout at the times that were asked for.

    Attributes
    ----------
    rollout
        At all times of the problem, as far as the last that was asked for.
    places
        ``(times,)`` which of these each time is; -1 for time zero.
    start
        The states at time zero by output, ``(n, *space)``.
    summary
        What was done.
    """

    rollout: VerifiedRollout
    places: np.ndarray
    start: Arrays
    summary: RolloutVerification

    @classmethod
    def of(
        cls,
        problem: Problem,
        model: Model,
        inputs: Mapping[str, np.ndarray],
        times: Sequence[float],
        tolerance: float,
    ) -> VerifiedHorizon:
        """Step through time as far as the last of the times.

        Raises
        ------
        InputError
            If these are no times of the problem, or the surrogate does not step by its intervals.
        """
        from ritz.compute.simulation.quickest import quickest
        from ritz.compute.simulation.simulate import simulate
        from ritz.compute.uncertainty.verification.fields import (
            CORRECTED,
            FAILED,
            PREDICTED,
            SOLVE_RTOL,
            SOLVED,
        )
        from ritz.compute.uncertainty.verification.rollouts import roll_out

        longer, places = _reaching(problem, times)
        few = {name: values[:_FEW] for name, values in inputs.items()}
        solver = quickest(longer, few, SOLVE_RTOL)
        try:
            # The first steps may compile kernels, so they are not timed.
            short = longer.prolonged(_fewest(longer))
            roll_out(short, model, few, tolerance, solver)
            rollout = roll_out(longer, model, inputs, tolerance, solver)
        except ValueError as error:
            raise InputError(f"--times with --verify: {error}") from None
        simulate(short, few, solver, SOLVE_RTOL)
        began = time.perf_counter()
        truth, _ = simulate(longer, few, solver, SOLVE_RTOL)
        seconds = (time.perf_counter() - began) / len(next(iter(few.values())))
        free = model.rollout(few, tuple(longer.times))
        known = {name: values[:_FEW] for name, values in rollout.fields.items()}
        good = _finite(known) & _finite(truth)
        summary = RolloutVerification(
            tolerance=tolerance,
            steps=rollout.actions.size,
            predicted=rollout.share(PREDICTED),
            corrected=rollout.share(CORRECTED),
            solved=rollout.share(SOLVED),
            failed=rollout.share(FAILED),
            samples=len(next(iter(few.values()))),
            error_free=_error(free, truth, good),
            error_verified=_error(known, truth, good),
            seconds_verified=rollout.seconds / len(rollout.actions),
            seconds_solver=seconds,
        )
        return cls(rollout, places, longer.start(inputs).fields, summary)

    def fields(self, name: str) -> np.ndarray:
        """Return an output at the times that were asked for, ``(n, times, *space)``."""
        states = np.concatenate([self.start[name][:, None], self.rollout.fields[name]], axis=1)
        return states[:, self.places + 1]

    def of_steps(self, sample: str, flags: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], np.ndarray, Any]]:
        """Return what was done at every time, as variables of a file by name.

        Parameters
        ----------
        sample
            What the file calls the dimension of the samples.
        flags
            The attributes of what is a position among the actions.
        """
        first = np.zeros((len(self.rollout.actions), 1))
        actions = np.concatenate([first.astype(np.int8), self.rollout.actions], axis=1)[:, self.places + 1]
        left = np.concatenate([first, self.rollout.left], axis=1)[:, self.places + 1].astype(np.float32)
        about = {"long_name": "what the verified state is, from the one before it", **flags}
        error = {"long_name": "estimated error of the step that led to the verified state, relative L2", "units": "1"}
        dims = (sample, TIME)
        return {VERIFIED: (dims, actions, about), VERIFIED_ERROR: (dims, left, error)}


def _reaching(problem: Problem, times: Sequence[float]) -> tuple[Evolution, np.ndarray]:
    """Return a problem that reaches as far as times, and which of its times they are; −1 for zero."""
    if not isinstance(problem, Evolution):
        raise InputError(f"--times with --verify: problem {problem.kind!r} does not step through time")
    own = problem.times
    interval = own[-1] - own[-2] if len(own) > 1 else own[-1]
    further = max(0, round((times[-1] - own[-1]) / interval))
    longer = problem.prolonged(len(own) + further) if further else problem
    known = longer.times
    places = np.array([int(np.argmin(np.abs(known - one))) if one > 0 else -1 for one in times])
    missed = [
        one
        for one, k in zip(times, places, strict=True)
        if k >= 0 and abs(known[k] - one) > _WHOLE * max(one, interval)
    ]
    if missed:
        raise InputError(
            f"--times with --verify: {missed[0]:g} is no time of problem {problem.kind!r}, whose states are "
            f"{interval:g} apart; expected times that its steps lead to"
        )
    last = max(int(places.max()) + 1, _fewest(longer))
    return (longer.prolonged(last) if last < len(known) else longer), places


def _fewest(problem: Evolution) -> int:
    """Return with how few stored states a problem can be: one, or two where the first step is stored in halves."""
    return min(2, len(problem.times))


def _finite(fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return which samples are finite everywhere, ``(n,)``."""
    found: np.ndarray = np.logical_and.reduce(
        [np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in fields.values()]
    )
    return found


def _error(fields: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], rows: np.ndarray) -> float | None:
    """Return the mean relative L2 error of some samples and all outputs; None without samples."""
    if not rows.any():
        return None
    return float(np.mean([relative_l2(fields[name][rows], values[rows]).mean() for name, values in truth.items()]))
