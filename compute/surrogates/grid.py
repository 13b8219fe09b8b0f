"""Where the fields of a training lie, and which of their channels are states in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from ritz.compute.fields.dimensions import TIME, Dimensions
from ritz.compute.surrogates.normalisation import Normalisation


@dataclass(frozen=True)
class StateChannels:
    """Which channels hold the states of outputs in time.

    The channels of an output lie together, time by time; those of one state are of all outputs, in their order.

    Attributes
    ----------
    times
        Of the states, rising from above zero.
    starts
        For each channel of a state the input channel that holds it at time zero.
    sizes
        How many channels of a state are of each output.
    """

    times: tuple[float, ...]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, dimensions: Dimensions) -> StateChannels | None:
        """Return those of a problem's variables; None where an output has no times or no state at time zero.

        Raises
        ------
        ValueError
            If the input that is said to hold a state at time zero has other dimensions than the state.
        """
        outputs = [name for name in dimensions.variables if name not in dimensions.inputs]
        if not dimensions.times or set(outputs) != set(dimensions.starts):
            return None
        ends = accumulate(map(dimensions.channels, dimensions.inputs))
        begins = {name: end - dimensions.channels(name) for name, end in zip(dimensions.inputs, ends, strict=True)}
        starts: list[int] = []
        sizes: list[int] = []
        for name in outputs:
            start = dimensions.starts[name]
            if start not in begins or dimensions.variables[name] != (TIME, *dimensions.variables[start]):
                raise ValueError(
                    f"output {name!r} has the dimensions {dimensions.variables[name]} and its state at time zero is "
                    f"{start!r} with {dimensions.variables.get(start)}, expected an input with the same after {TIME!r}"
                )
            sizes.append(dimensions.channels(start))
            starts += range(begins[start], begins[start] + sizes[-1])
        return cls(dimensions.times, tuple(starts), tuple(sizes))

    def encoding(self, normalisation: Normalisation) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return factor and shift that lead from the channels of `starts` to normalised channels of a state.

        Raises
        ------
        ValueError
            If the state at time zero has another transform than the output.
        """
        given = {one.name: one for one in normalisation.inputs}
        factors: list[float] = []
        shifts: list[float] = []
        for output, size in zip(normalisation.outputs, self.sizes, strict=True):
            start = given[normalisation.dimensions.starts[output.name]]
            if start.transform != output.transform:
                raise ValueError(
                    f"output {output.name!r} has the transform {output.transform!r} and its state at time zero "
                    f"{start.name!r} has {start.transform!r}, expected the same"
                )
            factors += [start.scale / output.scale] * size
            shifts += [(start.mean - output.mean) / output.scale] * size
        return tuple(factors), tuple(shifts)

    @property
    def intervals(self) -> tuple[float, ...]:
        """The lengths of the steps from time zero through all times."""
        return tuple(after - before for before, after in zip((0.0, *self.times), self.times, strict=False))


def check_rising(times: Sequence[float]) -> None:
    """Raise a ValueError unless times rise from above zero and are finite."""
    now = 0.0
    for time in times:
        if not now < time < math.inf:
            raise ValueError(f"times has {time:g} after {now:g}, expected times that rise from above zero")
        now = time


@dataclass(frozen=True)
class Grid:
    """Where the fields of a training lie.

    Attributes
    ----------
    shape
        Points along each axis.
    varies
        For every input channel whether it varies along each axis; along the others it repeats one value.
    mesh
        Whether the points are the nodes of an unstructured mesh. They are on one axis then, and its order says
        nothing of who is whose neighbour.
    states
        Which channels are states in time; None where there are none.
    """

    shape: tuple[int, ...]
    varies: tuple[tuple[bool, ...], ...]
    mesh: bool = False
    states: StateChannels | None = None

    @classmethod
    def of(cls, dimensions: Dimensions) -> Grid:
        """Return the grid of a problem's variables, with the inputs in their order."""
        varies = [(dimensions.along(name),) * dimensions.channels(name) for name in dimensions.inputs]
        states = StateChannels.of(dimensions)
        return cls(dimensions.shape, tuple(chain.from_iterable(varies)), dimensions.mesh, states)

    def check_inputs(self, inputs: int) -> None:
        """Raise a ValueError unless ``varies`` is for so many input channels."""
        if len(self.varies) != inputs:
            raise ValueError(f"grid.varies is for {len(self.varies)} input channels, expected {inputs}")
