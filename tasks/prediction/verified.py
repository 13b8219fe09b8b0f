"""The check of predictions by the equations, and where it cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ritz.compute.document import DocumentPart, Number
from ritz.compute.evaluation.cost import rounded
from ritz.storage.wording import shown
from ritz.tasks.documents.card import Card
from ritz.tasks.errors import InputError
from ritz.tasks.parsing.recorded_problem import problem_of
from ritz.tasks.prediction.inputs import Inputs

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.uncertainty.verification.fields import Verified


class Verification(DocumentPart):
    """How predictions were brought within a tolerance.

    Attributes
    ----------
    tolerance
        On the estimated relative L2 error.
    predicted, corrected, solved, failed
        Samples whose prediction was good enough, was corrected by steps of the problem's iteration, was replaced by a
        solve, or had no good solve.
    rtol
        Relative residual of what was solved.
    all_solved
        Whether a solve was no dearer than the steps, so that all were solved.
    seconds_prediction, seconds_verification, seconds_step, seconds_solve
        Wall time per sample: of the prediction, of all of the verification after it, of one step and of a full solve,
        the last two measured on a few samples.
    """

    tolerance: Number
    predicted: int
    corrected: int
    solved: int
    failed: int
    rtol: Number
    all_solved: bool
    seconds_prediction: Number
    seconds_verification: Number
    seconds_step: Number
    seconds_solve: Number

    @classmethod
    def of(cls, verified: Verified, tolerance: float, prediction: float) -> Verification:
        """Sum up what was done; ``prediction`` in seconds per sample."""
        from ritz.compute.uncertainty.verification.fields import CORRECTED, FAILED, PREDICTED, SOLVE_RTOL, SOLVED

        count = len(verified.actions)
        return cls(
            tolerance=tolerance,
            predicted=verified.count(PREDICTED),
            corrected=verified.count(CORRECTED),
            solved=verified.count(SOLVED),
            failed=verified.count(FAILED),
            rtol=SOLVE_RTOL,
            all_solved=verified.all_solved,
            seconds_prediction=prediction,
            seconds_verification=verified.seconds / count,
            seconds_step=verified.step,
            seconds_solve=verified.solve,
        )

    def text(self) -> str:
        """Return it in a line."""

        def ms(seconds: float) -> str:
            return f"{rounded(1e3 * seconds, 2):g} ms"

        count = self.predicted + self.corrected + self.solved + self.failed
        failed = f", {self.failed} without a good solve" if self.failed else ""
        why = " (a solve is as cheap as the steps, so no error was estimated)" if self.all_solved else ""
        return (
            f"verified to an estimated relative error of {self.tolerance:g}: of {count} samples {self.predicted} as "
            f"predicted, {self.corrected} corrected by steps, {self.solved} solved to rtol {self.rtol:g}{why}{failed}; "
            f"per sample {ms(self.seconds_prediction)} to predict, {ms(self.seconds_verification)} to verify, "
            f"{ms(self.seconds_solve)} for a full solve"
        )


def verifiable(card: Card, spec: str, inputs: Inputs, tolerance: float) -> Problem:
    """Return the problem by which predictions of a model are verified.

    Raises
    ------
    ritz.tasks.errors.InputError
        If the tolerance is none, the problem is not known here or has no step that estimates errors, or the inputs lie
        on another grid than its own.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"--verify is {tolerance:g}, expected an estimated relative error above 0 and below 1")
    problem = known_problem("--verify", card, spec)
    if reason := problem.uncorrectable():
        raise InputError(
            f"--verify: problem {problem.kind!r} of model {spec} has no step that estimates the error of a prediction: "
            f"{reason}"
        )
    refuse_another_grid("--verify", card, problem, inputs)
    return problem


def known_problem(option: str, card: Card, spec: str) -> Problem:
    """Return the problem of a model whose equations an option asks for.

    Raises
    ------
    ritz.tasks.errors.InputError
        If it is not installed here.
    """
    problem = problem_of(card.recipe)
    if problem is None:
        kind = (card.recipe.get("problem") or {}).get("kind")
        raise InputError(
            f"{option}: the problem {shown(str(kind))} of model {spec} is not installed here, expected its package: "
            "its equations tell the error of a prediction"
        )
    return problem


def refuse_another_grid(option: str, card: Card, problem: Problem, inputs: Inputs) -> None:
    """Refuse inputs that lie on another grid than that of the problem of a model.

    Raises
    ------
    ritz.tasks.errors.InputError
        With both numbers of points.
    """
    if inputs.other:
        given = " and ".join(f"{points} points along {dim!r}" for dim, points in inputs.other.items())
        own = " and ".join(f"{card.sizes[dim]} along {dim!r}" for dim in inputs.other)
        raise InputError(f"{option}: the inputs have {given}, expected the grid of problem {problem.kind!r}: {own}")
