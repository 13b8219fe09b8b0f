from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.coarsening import coarsened
from ritz.compute.uncertainty.propagation.rungs import Rung, Solved
from ritz.tasks.bridging.parameters import Parameters, Vectors
from ritz.tasks.errors import InputError

Config = Mapping[str, Any]
"""What a client says beside the parameters."""


class NoAnswer(ValueError):
    """A sample has no good solution."""


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

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.rung.name

    def input_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are sent."""
        return self.parameters.sizes(self._asked(config)[0].problem)

    def output_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are returned."""
        if self.quantities:
            return [len(self.quantities)]
        return [int(np.prod(shape)) for shape in _outputs(self._asked(config)[0].problem).values()]

    def output_names(self) -> tuple[str, ...]:
        """Return what is returned: the quantities, or the outputs whose fields it is."""
        return tuple(one.name for one in self.quantities) or tuple(_outputs(self.rung.problem))

    def __call__(self, vectors: Vectors, config: Config) -> list[list[float]]:
        """Answer one sample.

        Raises
        ------
        InputError
            If a number or an entry of the config is not what is expected of it.
        NoAnswer
            If the sample has no good solution.
        """
        rung, sample = self._asked(config)
        inputs = self.parameters.inputs(rung.problem, vectors, sample)
        fields = {name: values.astype(np.float64) for name, values in rung.fields(inputs).items()}
        if self.quantities:
            found = [[float(one.value(rung.problem, inputs, fields)[0]) for one in self.quantities]]
        else:
            found = [fields[name].reshape(-1).tolist() for name in _outputs(rung.problem)]
        if not all(np.isfinite(vector).all() for vector in found):
            raise NoAnswer(f"model {self.name!r} has no good solution of this sample")
        return found

    def _asked(self, config: Config) -> tuple[Rung, int]:
        """Return what answers and the id of the sample."""
        known = {"sample": 0, "coarsening": 1} if isinstance(self.rung, Solved) else {"sample": 0}
        if unknown := set(config) - set(known):
            raise InputError(f"config has {sorted(unknown)[0]!r}, expected one of {', '.join(known)}")
        found = {name: config.get(name, default) for name, default in known.items()}
        for name, least in known.items():
            if isinstance(found[name], bool) or not isinstance(found[name], int) or found[name] < least:
                raise InputError(f"config.{name} is {found[name]!r}, expected a whole number of at least {least}")
        if not isinstance(self.rung, Solved) or found["coarsening"] == 1:
            return self.rung, found["sample"]
        coarse = coarsened(self.rung.problem, found["coarsening"])
        if isinstance(coarse, str):
            raise InputError(f"config.coarsening is {found['coarsening']}: {coarse}")
        return replace(self.rung, on=coarse), found["sample"]


def _outputs(problem: Problem) -> dict[str, tuple[int, ...]]:
    variables = problem.template(1).data_vars
    return {str(name): one.shape[1:] for name, one in variables.items() if one.attrs["role"] == "output"}
