"""The shapes of a problem's variables, and its states as vectors of unknowns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.problem import Arrays, Problem


@dataclass(frozen=True)
class Variables:
    """The variables of a problem on its grid, in the order of the template.

    Attributes
    ----------
    inputs, outputs
        Shapes by name, without the sample.
    states
        Shapes of the outputs at one time: those of ``outputs`` where there is no time.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    states: dict[str, tuple[int, ...]]

    @staticmethod
    def of(problem: Problem) -> Variables:
        """Read them from the template of a problem, once: a template takes milliseconds."""
        return _of(problem)

    def joined(self, states: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Return states by name, ``(n, *space)``, as unknowns ``(n, *shape)``: one output after the other."""
        rows = [states[name].reshape(len(states[name]), -1) for name in self.states]
        return np.concatenate(rows, axis=1).reshape(-1, *shape)

    def parted(self, unknowns: np.ndarray) -> Arrays:
        """Return the states by name of unknowns ``(n, *shape)``."""
        ends = np.cumsum([math.prod(shape) for shape in self.states.values()])[:-1]
        parts = np.split(unknowns.reshape(len(unknowns), -1), ends, axis=1)
        return {name: part.reshape(-1, *shape) for (name, shape), part in zip(self.states.items(), parts, strict=True)}


@lru_cache(maxsize=32)
def _of(problem: Problem) -> Variables:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {"input": {}, "output": {}}
    for name, variable in problem.template(1).data_vars.items():
        shapes[variable.attrs["role"]][str(name)] = variable.shape[1:]
    outputs = shapes["output"]
    states = {name: shape[1:] for name, shape in outputs.items()} if isinstance(problem, Evolution) else outputs
    return Variables(shapes["input"], outputs, states)
