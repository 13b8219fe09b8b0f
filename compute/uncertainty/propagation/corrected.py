from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.uncertainty.propagation.rungs import Rung
from ritz.compute.uncertainty.spread.defect import step

if TYPE_CHECKING:
    from ritz.compute.surrogates.model import Model


@dataclass(frozen=True)
class Corrected(Rung):
    """A surrogate's predictions, one step of the problem's own iteration further; see `Problem.corrected`.

    Attributes
    ----------
    on
        The problem on the grid of the predictions; one that has such a step.
    rtol
        Relative residual to which the systems for the change are solved.
    """

    name: str
    on: Problem
    model: Model
    rtol: float = 0.01

    @property
    def problem(self) -> Problem:
        """See `Rung.problem`."""
        return self.on

    def fields(self, inputs: Arrays) -> Arrays:
        """Predict the samples and correct them; what has no good answer is NaN."""
        return step(self.on, inputs, self.model.predict(inputs), self.rtol)[0]
