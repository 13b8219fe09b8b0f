from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.simulation.coarsening import coarsened
from ritz.compute.uncertainty.propagation.rungs import Rung, SolvedRung
from ritz.tasks.bridging.parameters import ParameterLayout, Parameters, Vectors
from ritz.tasks.errors import InputError

Config = Mapping[str, Any]
"""What a client says beside the parameters."""


class NoAnswer(ValueError):
    """A sample has no good solution."""


@dataclass(frozen=True)
class _Level:
    """What answers on a grid."""

    rung: Rung
    layout: ParameterLayout

    @classmethod
    def of(cls, rung: Rung) -> _Level:
        return cls(rung, ParameterLayout.of(rung.problem))


@dataclass(frozen=True)
class Forward:
    """A model of UM-Bridge: from vectors of numbers to vectors of numbers, one sample per call.

    Of the config of a call it takes ``sample``, the id by which what the parameters leave open is drawn (0 where it is
    not given), and of what is solved ``coarsening``, the factor by which the grid has fewer cells along each axis (1).

    Attributes
    ----------
    rung
        What answers; its name is that of the model.
    parameters
        What the numbers are that are sent.
    quantities
        What is returned, one vector of them; without any it is the fields, one vector per output in C order.
    """

    rung: Rung
    parameters: Parameters
    quantities: tuple[Quantity, ...]
    _levels: dict[int, _Level] = field(default_factory=dict, repr=False, compare=False)
    """By the factor of the coarsening, those that were asked for."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.rung.name

    def input_names(self) -> tuple[str, ...]:
        """Return what the vectors are called that are sent."""
        return self.parameters.names(self._level({}).layout)

    def input_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are sent."""
        return self.parameters.sizes(self._level(config).layout)

    def output_names(self) -> tuple[str, ...]:
        """Return what is returned: the quantities, or the outputs whose fields it is."""
        return tuple(one.name for one in self.quantities) or tuple(self._level({}).layout.outputs)

    def output_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are returned."""
        outputs = self._level(config).layout.outputs
        return [len(self.quantities)] if self.quantities else [math.prod(shape) for shape in outputs.values()]

    def __call__(self, vectors: Vectors, config: Config) -> list[list[float]]:
        """Answer one sample.

        Raises
        ------
        InputError
            If a number or an entry of the config is not what is expected of it.
        NoAnswer
            If the sample has no good solution.
        """
        level = self._level(config)
        problem = level.rung.problem
        inputs = self.parameters.inputs(problem, level.layout, vectors, config.get("sample", 0))
        fields = {name: values.astype(np.float64) for name, values in level.rung.fields(inputs).items()}
        if self.quantities:
            found = [[float(one.value(problem, inputs, fields)[0]) for one in self.quantities]]
        else:
            found = [fields[name].reshape(-1).tolist() for name in level.layout.outputs]
        if not all(np.isfinite(vector).all() for vector in found):
            raise NoAnswer(f"model {self.name!r} has no good solution of this sample")
        return found

    def _level(self, config: Config) -> _Level:
        """Return what answers a call, whose config is checked."""
        known = {"sample": 0, "coarsening": 1} if isinstance(self.rung, SolvedRung) else {"sample": 0}
        if unknown := set(config) - set(known):
            raise InputError(f"config has {sorted(unknown)[0]!r}, expected one of {', '.join(known)}")
        for name, least in known.items():
            value = config.get(name, least)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"config.{name} is {value!r}, expected a whole number of at least {least}")
        factor = config.get("coarsening", 1)
        if factor not in self._levels:
            self._levels[factor] = _Level.of(self._coarsened(factor))
        return self._levels[factor]

    def _coarsened(self, factor: int) -> Rung:
        if not isinstance(self.rung, SolvedRung) or factor == 1:
            return self.rung
        coarse = coarsened(self.rung.problem, factor)
        if isinstance(coarse, str):
            raise InputError(f"config.coarsening is {factor}: {coarse}")
        return replace(self.rung, problem=coarse)
