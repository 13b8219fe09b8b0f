from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem, Solve


@dataclass(frozen=True)
class State:
    """Where a block of samples is in time.

    Attributes
    ----------
    step
        How many steps have led here.
    fields
        The state, ``(n, *space)`` float64 by the name of the output.
    aside
        What makes the next steps quicker and belongs to the problem, as the operators of all steps; a step from a state
        without it comes to the same fields up to the tolerance of the systems.
    """

    step: int
    fields: Arrays
    aside: Mapping[str, Any] = field(default_factory=dict)


class Evolution(Problem):
    """A parametric PDE in time, solved step by step; every output holds the states at `times`, along ``time``.

    A subclass states in its docstring what `Problem` asks for, and the steps. See `ritz.compute.problems.heat.Heat`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("simulate", "advance"):
            if name in cls.__dict__:
                raise TypeError(f"{cls.__name__}.{name} is final; expected `start` and `step`, which it is made of")

    @property
    @abstractmethod
    def times(self) -> np.ndarray:
        """The times of the states that are stored, ``(steps,)`` float64, one per step."""

    @abstractmethod
    def start(self, inputs: Mapping[str, np.ndarray]) -> State:
        """Return the first states of a block, at time zero."""

    @abstractmethod
    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Return the states one step on; a system a sample at each call of ``solve``."""

    @final
    def advance(self, state: State, inputs: Mapping[str, np.ndarray], steps: int, solve: Solve) -> State:
        """Return the states so many steps on: the same bits in one go as in several."""
        for _ in range(steps):
            state = self.step(state, inputs, solve)
        return state

    @final
    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Step through time; every output is ``(n, steps, *space)`` float64, see `Problem.simulate`."""
        state, steps = self.start(inputs), len(self.times)
        outputs = {name: np.empty((len(first), steps, *first.shape[1:])) for name, first in state.fields.items()}
        for step in range(steps):
            state = self.step(state, inputs, solve)
            for name, values in state.fields.items():
                outputs[name][:, step] = values
        return outputs
