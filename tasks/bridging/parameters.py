from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem
from ritz.tasks.errors import InputError

Vectors = Sequence[Sequence[float]]
"""What a client sends, one vector of numbers per parameter."""


@dataclass(frozen=True)
class ParameterLayout:
    """The shapes of the variables of a problem, without the sample: a template takes milliseconds.

    Attributes
    ----------
    inputs, outputs
        By name.
    positive
        The inputs whose logarithm a surrogate sees.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    positive: frozenset[str]

    @classmethod
    def of(cls, problem: Problem) -> ParameterLayout:
        """Read it from the template of a problem."""
        variables = {str(name): one for name, one in problem.template(1).data_vars.items()}
        shapes: dict[str, dict[str, tuple[int, ...]]] = {
            role: {name: one.shape[1:] for name, one in variables.items() if one.attrs["role"] == role}
            for role in ("input", "output")
        }
        logs = frozenset(name for name in shapes["input"] if variables[name].attrs["transform"] == "log")
        return cls(shapes["input"], shapes["output"], logs)


class Parameters(ABC):
    """What the numbers that a client sends are, and the inputs of a sample that they make."""

    @abstractmethod
    def names(self, layout: ParameterLayout) -> tuple[str, ...]:
        """Return what the vectors are called, in their order."""

    @abstractmethod
    def sizes(self, layout: ParameterLayout) -> list[int]:
        """Return the length of each vector."""

    @abstractmethod
    def inputs(self, problem: Problem, layout: ParameterLayout, vectors: Vectors, sample: int) -> Arrays:
        """Return the inputs of one sample, ``(1, *dims)``.

        Parameters
        ----------
        problem, layout
            On whose grid.
        vectors
            As many as `sizes`, of these lengths.
        sample
            Id of the sample by which what is not given is drawn.

        Raises
        ------
        InputError
            If a number is not what is expected of it; the message names it.
        """


@dataclass(frozen=True)
class CoordinateParameters(Parameters):
    """One vector: the leading coordinates of a draw, independent and uniform in (0, 1); see `Problem.leading`.

    Attributes
    ----------
    count
        Length of the vector, at most ``problem.leading``.
    seed
        Of the dataset: the same coordinates and the same id are the same sample on any grid.
    """

    count: int
    seed: int

    def names(self, layout: ParameterLayout) -> tuple[str, ...]:
        """See `Parameters.names`."""
        del layout
        return ("coordinates",)

    def sizes(self, layout: ParameterLayout) -> list[int]:
        """See `Parameters.sizes`."""
        del layout
        return [self.count]

    def inputs(self, problem: Problem, layout: ParameterLayout, vectors: Vectors, sample: int) -> Arrays:
        """Draw the sample with the coordinates given; see `Parameters.inputs`."""
        del layout
        given = numbers(vectors[0], "coordinates")
        if len(bad := np.flatnonzero((given <= 0) | (given >= 1))):
            raise InputError(f"coordinates[{bad[0]}] is {given[bad[0]]:g}, expected a number above 0 and below 1")
        return problem.draw_at(self.seed, np.array([sample]), given[None])


@dataclass(frozen=True)
class InputParameters(Parameters):
    """A vector per input of the problem, its values in C order and in its own units."""

    def names(self, layout: ParameterLayout) -> tuple[str, ...]:
        """See `Parameters.names`."""
        return tuple(layout.inputs)

    def sizes(self, layout: ParameterLayout) -> list[int]:
        """See `Parameters.sizes`."""
        return [math.prod(shape) for shape in layout.inputs.values()]

    def inputs(self, problem: Problem, layout: ParameterLayout, vectors: Vectors, sample: int) -> Arrays:
        """Return the values in float64, as they are; see `Parameters.inputs`."""
        del problem, sample
        found = {}
        for (name, shape), vector in zip(layout.inputs.items(), vectors, strict=True):
            values = numbers(vector, name)
            if name in layout.positive and len(bad := np.flatnonzero(values <= 0)):
                raise InputError(f"{name}[{bad[0]}] is {values[bad[0]]:g}, expected a positive number")
            found[name] = values.reshape(1, *shape)
        return found


def natural(problem: Problem) -> str:
    """Return which parameters a problem is asked by where nothing else is said.

    Its inputs where none lies along the space of its fields, so that they are few numbers with a meaning of their own;
    else its coordinates, where it has any.
    """
    from ritz.compute.fields.dimensions import Dimensions

    dimensions = Dimensions.of(problem.template(1))
    few = not any(any(dimensions.along(name)) for name in dimensions.inputs)
    return "inputs" if few or not problem.leading else "coordinates"


def numbers(vector: Sequence[float], name: str) -> np.ndarray:
    """Return finite numbers as ``(n,)`` float64."""
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in vector):
        raise InputError(f"{name} holds something else than numbers, expected numbers alone")
    found = np.array(vector, np.float64)
    if len(bad := np.flatnonzero(~np.isfinite(found))):
        raise InputError(f"{name}[{bad[0]}] is {found[bad[0]]}, expected a finite number")
    return found
