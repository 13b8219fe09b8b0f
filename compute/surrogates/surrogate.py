from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ritz.compute.fields.dimensions import TIME, Dimensions
from ritz.compute.kind import Kind
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.network import Network


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


class Surrogate(Kind, ABC):
    """A family of maps from input fields to output fields; with what it has learnt it is a `Predictor`.

    There are two sorts: a `Network` is trained by steps, a `Fitted` by one fit. What either has learnt is a torch
    module from normalised input channels to normalised output channels. torch is imported inside methods, so that a
    process which only reads a configuration does not load it.
    """

    kind: str

    any_grid: ClassVar[bool] = True
    """Whether what was learnt works on any grid; if not, on that of its training alone."""

    stochastic: ClassVar[bool] = False
    """Whether `sample` draws from a distribution of outputs."""

    steps_in_time: ClassVar[bool] = False
    """Whether it takes a state a step on, which is another map at another spacing of the grid."""

    draws: ClassVar[int] = 16
    """How many draws of each sample its distribution is measured by, where it is stochastic."""

    def as_network(self) -> Network | None:
        """Return it as a network that is trained by steps; None where it is none."""
        return None

    @abstractmethod
    def restored(self, normalisation: Normalisation, tensors: Mapping[str, np.ndarray]) -> torch.nn.Module:
        """Return the module that had this state, as `ritz.compute.surrogates.weights.weights` returned it.

        Raises
        ------
        ValueError
            If the tensors are not those of such a module.
        """

    @abstractmethod
    def parameters(self, module: torch.nn.Module) -> int:
        """Return how many numbers were learnt."""

    @property
    def learner(self) -> Surrogate:
        """What a training is given: this surrogate, or what an ensemble has several of."""
        return self

    @property
    def trainings(self) -> int:
        """How many trainings of `learner` make a model."""
        return 1

    def first(self, model: Model) -> Model:
        """Return what the first training gave: the model itself, or the first member of an ensemble."""
        return model

    def members(self, module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return what every member of an ensemble says.

        Parameters
        ----------
        module
            What was learnt.
        x
            Normalised inputs ``(n, channel, *space)``.

        Returns
        -------
        torch.Tensor
            Normalised outputs ``(member, n, channel, *space)``.

        Raises
        ------
        ValueError
            If it is no ensemble.
        """
        del module, x
        raise ValueError(f"the surrogate {self.kind!r} has no members; expected 'ensemble'")

    def sample(
        self, module: torch.nn.Module, x: torch.Tensor, members: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw outputs; a surrogate that is stochastic overrides this and says so in `stochastic`.

        Parameters
        ----------
        module
            What was learnt.
        x
            Normalised inputs ``(n, channel, *space)``.
        members
            Draws of every sample.
        generator
            Source of all random numbers, on the CPU.

        Returns
        -------
        torch.Tensor
            Normalised outputs ``(member, n, channel, *space)``.

        Raises
        ------
        ValueError
            If it is deterministic.
        """
        del module, x, members, generator
        raise self._nothing_to_draw()

    def rollout(self, module: torch.nn.Module, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
        """Return the states at any times; a surrogate of all times overrides this.

        Parameters
        ----------
        module
            What was learnt.
        x
            Normalised inputs ``(n, channel, *space)``.
        times
            Rising, above zero; see `unreachable`.

        Returns
        -------
        torch.Tensor
            Normalised outputs ``(n, channel, *space)``, the channels of `Normalisation.at` these times.

        Raises
        ------
        ValueError
            If it does not step through time, or not to these times.
        """
        del module, x, times
        raise ValueError(
            f"the surrogate {self.kind!r} predicts the times of its training alone; expected 'stepping' or "
            "'latent_ode' for others"
        )

    def sample_rollout(
        self,
        module: torch.nn.Module,
        x: torch.Tensor,
        times: Sequence[float],
        members: int,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Draw the states at any times; a surrogate that draws its steps through time overrides this.

        Parameters
        ----------
        module, x, times
            As for `rollout`.
        members, generator
            As for `sample`.

        Returns
        -------
        torch.Tensor
            Normalised outputs ``(member, n, channel, *space)``, the channels of `Normalisation.at` these times.

        Raises
        ------
        ValueError
            If it is deterministic, does not step through time, or not to these times.
        """
        del module, x, times, members, generator
        if self.stochastic:
            raise ValueError(
                f"the surrogate {self.kind!r} draws at the times of its training alone; expected 'refiner' for others"
            )
        raise self._nothing_to_draw()

    def advance(self, module: torch.nn.Module, x: torch.Tensor, state: torch.Tensor, length: float) -> torch.Tensor:
        """Return the states one step on; a surrogate that steps through time overrides this.

        Parameters
        ----------
        module
            What was learnt.
        x
            Normalised inputs ``(n, channel, *space)``; what they hold of states is not looked at.
        state
            Normalised outputs of one time, ``(n, channel, *space)``.
        length
            Of the step.

        Raises
        ------
        ValueError
            If it does not step through time, or not by this length.
        """
        del module, x, state, length
        raise ValueError(f"the surrogate {self.kind!r} does not step through time; expected 'stepping'")

    def check(self, grid: Grid) -> None:
        """Raise a ValueError where this surrogate cannot work; most work anywhere."""

    def refuse_mesh(self, grid: Grid) -> None:
        """Raise a ValueError on a mesh."""
        if grid.mesh:
            raise ValueError(
                f"the surrogate {self.kind!r} needs a regular grid, and this problem lies on the nodes of a mesh: take "
                "'fully_connected' or 'transolver'"
            )

    def _nothing_to_draw(self) -> ValueError:
        return ValueError(f"the surrogate {self.kind!r} is deterministic: there is nothing to draw; use predict")
