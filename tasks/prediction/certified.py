"""Predictions in place of which every sample is solved to a true residual, from the start that is measured to pay."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.document import DocumentPart, Number
from ritz.compute.evaluation.cost import rounded
from ritz.compute.simulation.starts.record import OWN, StartChoice, StartLeftOut, StartTried
from ritz.compute.solvers.solver import COLUMNS
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.verified import known_problem, refuse_another_grid

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem
    from ritz.compute.simulation.starts.start import Starts
    from ritz.compute.solvers.solver import Ledger
    from ritz.tasks.documents.card import Card
    from ritz.tasks.prediction.inputs import Inputs

CERTIFIED, RESIDUAL = "certified", "certified_residual"
"""What a file says of every certified field, ``NAME_certified``."""

PREDICTION = "prediction"
"""Names the start at the prediction of the model."""

_BLOCK = 64
"""Samples that are solved at once."""

_NAMES = {OWN: "the problem's own start", PREDICTION: "the prediction", "neighbours": "neighbours"}


class Certification(DocumentPart):
    """How predictions were replaced by solves.

    Attributes
    ----------
    rtol
        Largest true relative residual of a certified sample.
    certified, missed
        Samples that have it, and that have not.
    lost
        Samples that the chosen start did not lead to a solution, so that the problem's own was taken.
    largest
        Largest residual of a certified sample; None without any.
    iterations
        Mean per sample.
    seconds_prediction, seconds_solve
        Wall time per sample: of the prediction, and of the solve, without the choice of the start.
    start
        How the start was chosen.
    kept, kept_samples
        ``NAME@VERSION`` of the dataset that holds the certified samples, None without; and how many, all but those that
        do not fit in its dtype.
    """

    rtol: Number
    certified: int
    missed: int
    lost: int
    largest: Number | None
    iterations: Number
    seconds_prediction: Number
    seconds_solve: Number
    start: StartChoice
    kept: str | None = None
    kept_samples: int = 0

    def texts(self, keep: str | None) -> tuple[str, ...]:
        """Return it in lines; ``keep`` is the name of the dataset that was to be made."""
        nothing = f"no sample is certified: there is no dataset {keep!r}" if keep and self.kept is None else ""
        kept = f"{self.kept_samples} certified samples are kept as dataset {self.kept}" if self.kept else nothing
        return tuple(line for line in (self.race_text(), self.text(), kept) if line)

    def text(self) -> str:
        """Return what was done in a line."""
        count = self.certified + self.missed
        missed = f"{self.missed} missed it and are NaN" if self.missed else "none missed it"
        lost = f" ({self.lost} of them could not be solved from it and took the problem's own)" if self.lost else ""
        return (
            f"certified to a true relative residual of {self.rtol:g}: {self.certified} of {count} samples, {missed}; "
            f"solved from {_NAMES[self.start.chosen]}{lost} in {_ms(self.seconds_solve)} per sample "
            f"({_ms(self.seconds_prediction)} to predict)"
        )

    def race_text(self) -> str:
        """Return in a line what the starts took; empty where there was nothing to choose from."""
        if self.start.tried:
            samples = max(one.samples for one in self.start.tried)
            return f"start, per sample of {samples}: {', '.join(map(_said, self.start.tried))}"
        reasons = dict.fromkeys(one.reason for one in self.start.left_out)
        return f"start: the problem's own alone, {'; '.join(reasons)}" if reasons else ""


def _ms(seconds: float) -> str:
    return f"{rounded(1e3 * seconds, 2):g} ms"


def _said(tried: StartTried) -> str:
    residual = "" if tried.residual is None else f"; residual {rounded(tried.residual, 2):g} at the start"
    systems, iterations = (_counted(*one) for one in ((tried.systems, "system"), (tried.iterations, "iteration")))
    return f"{_NAMES[tried.start]} {_ms(tried.seconds)} ({systems}, {iterations}{residual})"


def _counted(mean: Number, what: str) -> str:
    count = rounded(mean, 2)
    return f"{count:g} {what}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Certified:
    """Samples that were solved, in the order of the inputs.

    Attributes
    ----------
    fields
        ``(n, *dims)`` float64 by output; NaN where the tolerance was missed.
    ledger
        One row per sample; see `ritz.compute.simulation.starts.answered.Answered`.
    summary
        What was done.
    """

    fields: Arrays
    ledger: Ledger
    summary: Certification

    @property
    def good(self) -> np.ndarray:
        """Samples that are certified, ``(n,)`` bool."""
        found: np.ndarray = np.array(self.ledger["status"]) == "ok"
        return found

    @classmethod
    def of(
        cls,
        problem: Problem,
        inputs: Mapping[str, np.ndarray],
        prediction: Arrays,
        neighbours: Starts | str,
        rtol: float,
        seconds: float,
    ) -> Certified:
        """Choose a start by a race and solve all samples from it.

        Parameters
        ----------
        problem
            Whose equations they are.
        inputs, prediction
            ``(n, *dims)`` for every input and output, on the grid of the problem.
        neighbours
            Starts at solved samples that are alike, or why there are none.
        rtol
            Largest true relative residual of a certified sample.
        seconds
            Of the prediction per sample.

        Raises
        ------
        InputError
            If no sample can have such a residual in float64.
        """
        from ritz.compute.simulation.starts.race import race
        from ritz.compute.simulation.starts.start import Start, Starts

        _check_reach(problem, inputs, prediction, rtol)

        def predicted(rows: np.ndarray) -> Start:
            return Start({name: values[rows] for name, values in prediction.items()})

        starts, left_out = [Starts(PREDICTION, predicted)], list[StartLeftOut]()
        if isinstance(neighbours, str):
            left_out.append(StartLeftOut(start="neighbours", reason=neighbours))
        else:
            starts.append(neighbours)
        way, choice = race(problem, inputs, starts, rtol, left_out)
        count = len(next(iter(inputs.values())))
        began = time.perf_counter()
        parts = [
            way.solve(problem, inputs, np.arange(at, min(at + _BLOCK, count)), rtol) for at in range(0, count, _BLOCK)
        ]
        spent = time.perf_counter() - began
        fields = {name: np.concatenate([part.fields[name] for part in parts]) for name in prediction}
        ledger: Ledger = {name: [row for part in parts for row in part.ledger[name]] for name in COLUMNS}
        residuals = [one for part in parts for one in np.array(part.ledger["residual"])[part.good]]
        summary = Certification(
            rtol=rtol,
            certified=len(residuals),
            missed=count - len(residuals),
            lost=sum(int(part.lost.sum()) for part in parts),
            largest=float(max(residuals)) if residuals else None,
            iterations=float(np.mean(ledger["iterations"])),
            seconds_prediction=seconds,
            seconds_solve=spent / count,
            start=choice,
        )
        return cls(fields, ledger, summary)


def certifiable(card: Card, spec: str, inputs: Inputs) -> Problem:
    """Return the problem by which samples are solved in place of the predictions of a model.

    Raises
    ------
    ritz.tasks.errors.InputError
        If the problem is not known here or has no equations, or the inputs lie on another grid than its own.
    """
    problem = known_problem("--certify", card, spec)
    if reason := problem.unsolvable():
        raise InputError(
            f"--certify: problem {problem.kind!r} of model {spec} has no equations to solve: {reason}; expected a "
            "model of samples that Ritz can solve"
        )
    refuse_another_grid("--certify", card, problem, inputs)
    return problem


def check_certify(certify: float | None, keep: str | None, times: str | None) -> None:
    """Refuse a residual that is none, and what does not go with it.

    Raises
    ------
    ritz.tasks.errors.InputError
        If the residual is not between 0 and 1, there is a name of a dataset and no residual, or times are asked for.
    """
    if certify is None:
        if keep is not None:
            raise InputError(
                f"--keep is {keep!r} without --certify, expected --certify RTOL too: only certified samples are kept"
            )
        return
    if not 0 < certify < 1:
        raise InputError(
            f"--certify is {certify:g}, expected a true relative residual above 0 and below 1, such as 1e-8"
        )
    if times is not None:
        raise InputError(
            f"--times is {times!r} with --certify, expected one of them: a certified sample has the times of its "
            "problem, as a generated one"
        )


def _check_reach(problem: Problem, inputs: Mapping[str, np.ndarray], fields: Arrays, rtol: float) -> None:
    """Refuse a residual that rounding to float64 exceeds in every sample."""
    with np.errstate(all="ignore"):
        bounds = 2.0**-53 * problem.rounding(inputs, fields)
    known = bounds[np.isfinite(bounds)]
    if len(known) and rtol < known.min():
        raise InputError(
            f"--certify is {rtol:g}, expected at least {rounded(float(known.min()), 1):g}: in float64 rounding alone "
            f"leaves such a residual in fields of problem {problem.kind!r} on this grid"
        )
