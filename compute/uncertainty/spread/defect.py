from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr, TypeAdapter

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.predicted import About, Arrays, Assessment, Predicted
from ritz.compute.uncertainty.spread.spread import Shape, Spread, Unsuitable
from ritz.compute.uncertainty.spread.zoned import Zoned

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.surrogates.model import Model

_ROUNDING = 2.0**-24
"""Unit round-off of float32, in which truths are stored."""

RTOL = 0.01
"""Relative residual to which the systems of a step are solved."""

_EXACT = 1e-6
"""A second step that changes a field by less of what the first changed finds rounding alone, or is blind."""

_SOLVED = 1e-6
"""Fields with at most this relative residual solve their equations."""

LARGEST_LEFT = 0.3
"""Share of the error that the median sample may have left after a step, and of a sample's step the next one may be."""


class FittedDefect(Zoned):
    """The steps of a problem's own iteration, begun at the prediction, as bands.

    What is left after a step is unlike near the walls, so each ring of cells has factors of its own.

    Attributes
    ----------
    problem
        The problem as a recipe has it.
    rounds, rtol, floor
        See `Defect`.
    solvers
        What answered the systems when the bands were made.
    left
        Median share of the error that was left after each step on the validation samples.
    exact
        Whether a step solves the discrete equations, so that a second finds rounding alone.
    seconds
        What each step took per validation sample, in seconds of wall time; empty where that is not known.
    """

    kind: Literal["defect"] = "defect"
    problem: dict[str, Any]
    rounds: Literal[1, 2]
    rtol: float
    floor: float
    solvers: tuple[str, ...]
    left: tuple[float, ...]
    exact: bool
    by_zone: bool = False
    """As bands from before they had zones say nothing of them."""
    seconds: tuple[float, ...] = ()

    _own: Problem | None = PrivateAttr(None)

    def beside(self, model: Model | None, problem: Problem | None = None) -> Self:
        """Return it with the model, and the problem, at hand; see `FittedSpread.beside`."""
        found = super().beside(model)
        found._own = problem or self._own
        return found

    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return bands around the corrected fields, or with one round around the predictions.

        Where the problem cannot be found here, and on another grid than its own, nothing was calibrated: the widths are
        NaN. A sample of which a system had no good answer has infinite ones. See `FittedSpread.shape`.
        """
        problem = self._problem()
        if problem is None or not fits(problem, inputs, prediction):
            nothing = {name: np.full(values.shape, np.nan) for name, values in prediction.items()}
            count = len(next(iter(prediction.values())))
            unknown = Assessment(None, np.full(count, np.nan), np.ones(count, dtype=bool))
            return Shape(prediction, nothing, unknown)
        return _shape(problem, inputs, prediction, self.rounds, self.rtol, self.floor, self.exact)

    def made(self) -> str:
        """Return how the bands were made; see `FittedSpread.made`."""
        by = " and ".join(self.solvers)
        if self.exact:
            return (
                f"One step of the problem's own iteration ({by}), begun at the prediction, solves the discrete "
                f"equations: the corrected fields are exact but for rounding, and as dear as a solve.{self._took()}"
            )
        around = "corrected field" if self.rounds == 2 else "prediction"
        first, *second = (f"{100 * one:.2g} %" for one in self.left)
        then = f", the second {second[0]} of what was left" if second else ""
        return (
            f"Steps of the problem's own iteration ({by}, to {self.rtol:g}), begun at the prediction, estimate and "
            f"correct its error; the bands lie around the {around}. The first step left {first} of the error in the "
            f"median{then}. They bound the distance to the discrete solution on this grid, not to that of the PDE."
            f"{self._took()}"
        )

    def _took(self) -> str:
        """Return what the steps took, as a sentence; empty where that is not known."""
        if not self.seconds:
            return ""
        one, *more = (f"{1e3 * total:.2g} ms" for total in np.cumsum(self.seconds))
        then = f", both took {more[0]}" if more else ""
        return f" Per sample of a batch the first step took {one}{then}."

    def _problem(self) -> Problem | None:
        """Return the problem; None where no installed package knows it."""
        from ritz.compute.problems.catalogue import AnyProblem

        if self._own is not None:
            return self._own
        try:
            found: Problem = TypeAdapter(AnyProblem).validate_python(self.problem)
        except ValueError:
            return None
        return found


class Defect(Spread):
    """The error by the equations: one step of the problem's own iteration, begun at the prediction, estimates it.

    With two rounds the first step corrects the prediction, and the size of the second, begun at the corrected field, is
    the width of the bands around it. With one round the first step is the width of bands around the prediction, which
    hold an error whose size is known and can be no narrower than about twice that.

    What this bounds is the distance to the solution of the discrete equations on the grid of the prediction. It is
    nearly a solve, and beside a quick solver no cheaper than one. It is refused where a step leaves more than 30 % of
    the median error, as a projection does at the latest in the second, or a solver that stalls.

    Source: H. J. Stetter, "The defect correction principle and discretization methods", Numer. Math. 29 (1978).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("H. J. Stetter", "The defect correction principle and discretization methods", 1978, "Numer. Math. 29"),
    )

    kind: Literal["defect"] = "defect"
    rounds: Literal[1, 2] = Field(default=2, json_schema_extra=in_units("steps"))
    """Steps: with 1 the bands lie around the prediction, with 2 around the corrected field."""
    rtol: float = Field(default=RTOL, gt=0, lt=1)
    """Relative residual to which the systems for the change are solved."""
    floor: float = Field(default=0.05, ge=0, le=1)
    """Least width at a point, as a share of the root mean square of the sample's own estimate."""
    zones: bool = True
    """Whether the cells near the walls of a grid get factors of their own."""

    def fit(self, validate: Predicted, about: About) -> FittedDefect:
        """Try the steps on the validation samples; see `Spread.fit`.

        Raises
        ------
        Unsuitable
            If the problem is not known or has no such step, the grid is not its own, or a step leaves too much of the
            errors.
        """
        problem = about.problem
        if problem is None:
            raise Unsuitable("what the truth solves is not known")
        if reason := problem.uncorrectable():
            raise Unsuitable(f"problem {problem.kind!r} has no correction of its fields: {reason}")
        if len(validate) == 0:
            raise ValueError("there is no validation sample to try the steps on; give the validate split a share")
        if not fits(problem, validate.inputs, validate.prediction):
            raise Unsuitable(f"the fields lie on another grid than that of problem {problem.kind!r}")
        begun = time.perf_counter()
        first, solvers = step(problem, validate.inputs, validate.prediction, self.rtol)
        between = time.perf_counter()
        second, _ = step(problem, validate.inputs, first, self.rtol)
        seconds = ((between - begun) / len(validate), (time.perf_counter() - between) / len(validate))
        whole = sizes(difference(validate.truth, validate.prediction))
        once, twice = (sizes(difference(validate.truth, fields)) for fields in (first, second))
        change, again = sizes(difference(first, validate.prediction)), sizes(difference(second, first))
        # A projection finds nothing a second time either, and its fields solve nothing.
        exact = _median(again, change) < _EXACT and _solved(problem, validate.inputs, first)
        # What is exact leaves rounding, of which no share says anything.
        left = (
            (_median(once, whole),) if exact else (_median(once, whole), _median(twice, once, _ROUNDING * sizes(first)))
        )
        for number, share in enumerate(left, start=1):
            if not share <= LARGEST_LEFT:
                raise Unsuitable(
                    f"step {number} of problem {problem.kind!r} by {' and '.join(solvers)} leaves {100 * share:.3g} % "
                    f"of the median error, expected at most {100 * LARGEST_LEFT:g} %"
                )
        fitted = FittedDefect(
            problem=problem.model_dump(mode="json"),
            rounds=self.rounds,
            rtol=self.rtol,
            floor=self.floor,
            solvers=solvers,
            left=left,
            exact=exact,
            seconds=seconds,
            dimensions=about.dimensions,
            by_zone=self.zones,
        )
        fitted._own = problem
        return fitted


def step(
    problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], rtol: float
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the corrected fields, NaN for samples without a good answer, and the kinds of what answered."""
    from ritz.compute.simulation.correction import correct
    from ritz.compute.solvers.estimate import Estimate

    corrected, ledger = correct(problem, inputs, fields, Estimate(rtol=rtol), rtol)
    return corrected, tuple(sorted(set(ledger["solver"])))


def fits(problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> bool:
    """Return whether variables lie on the grid of a problem."""
    template = problem.template(1)
    given = {**inputs, **fields}
    return all(
        name in given and given[name].shape[1:] == variable.shape[1:] for name, variable in template.data_vars.items()
    )


def difference(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> Arrays:
    """Return one field less another, by output, in float64."""
    return {name: one[name].astype(np.float64) - values for name, values in other.items()}


def sizes(fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the norms of all outputs of each sample together, ``(n,)``."""
    squares = [np.square(values, dtype=np.float64).reshape(len(values), -1).sum(axis=1) for values in fields.values()]
    found: np.ndarray = np.sqrt(np.sum(squares, axis=0))
    return found


def _solved(problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> bool:
    """Return whether the median sample solves its equations; one without an answer does not."""
    residual = problem.residual(inputs, fields)
    return bool(np.median(np.where(np.isnan(residual), np.inf, residual)) <= _SOLVED)


def _median(left: np.ndarray, whole: np.ndarray, rounding: np.ndarray | float = 0.0) -> float:
    """Return the median of quotients; a sample without an answer has everything left."""
    share = np.divide(np.maximum(left - rounding, 0), whole, out=np.zeros_like(whole), where=whole > 0)
    return float(np.median(np.where(np.isnan(left), np.inf, share)))


def _shape(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    prediction: Mapping[str, np.ndarray],
    rounds: int,
    rtol: float,
    floor: float,
    exact: bool,
) -> Shape:
    """Return the bands of predictions on the grid of the problem."""
    first, _ = step(problem, inputs, prediction, rtol)
    change = difference(first, prediction)
    estimate = sizes(change) / sizes(first)
    lost, changes = np.isnan(estimate), change
    doubtful = lost.copy()
    if rounds == 2:
        second, _ = step(problem, inputs, first, rtol)
        changes = difference(second, first)
        small = sizes(changes) <= LARGEST_LEFT * sizes(change) + _ROUNDING * sizes(first)
        lost |= np.isnan(sizes(second))
        doubtful = ~small | lost
    widths = {}
    for name, values in changes.items():
        axes = tuple(range(1, values.ndim))
        magnitude = np.abs(prediction[name].astype(np.float64))
        own = np.zeros_like(values) if exact and rounds == 2 else np.abs(values)
        own = own + floor * np.sqrt(np.mean(own**2, axis=axes, keepdims=True))
        rounding = _ROUNDING * (magnitude + np.sqrt(np.mean(magnitude**2, axis=axes, keepdims=True)))
        width = own + np.maximum(rounding, np.finfo(np.float64).tiny)
        widths[name] = np.where(_rows(lost, values), np.inf, width)
    found = {name: np.where(_rows(lost, values), prediction[name], values) for name, values in first.items()}
    assessment = Assessment(found if rounds == 2 else None, estimate, doubtful)
    sizes_of_change = {name: np.abs(values) for name, values in change.items()}
    return Shape(found if rounds == 2 else prediction, widths, assessment, sizes_of_change)


def _rows(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    found: np.ndarray = mask.reshape(-1, *(1,) * (values.ndim - 1))
    return found
