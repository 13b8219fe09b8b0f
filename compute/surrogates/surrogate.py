from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.network import Network


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
    """

    shape: tuple[int, ...]
    varies: tuple[tuple[bool, ...], ...]
    mesh: bool = False

    @classmethod
    def of(cls, dimensions: Dimensions) -> Grid:
        """Return the grid of a problem's variables, with the inputs in their order."""
        varies = [(dimensions.along(name),) * dimensions.channels(name) for name in dimensions.inputs]
        return cls(dimensions.shape, tuple(chain.from_iterable(varies)), dimensions.mesh)

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
        raise ValueError(f"the surrogate {self.kind!r} is deterministic: there is nothing to draw; use predict")

    def check(self, grid: Grid) -> None:
        """Raise a ValueError where this surrogate cannot work; most work anywhere."""

    def refuse_mesh(self, grid: Grid) -> None:
        """Raise a ValueError on a mesh."""
        if grid.mesh:
            raise ValueError(
                f"the surrogate {self.kind!r} needs a regular grid, and this problem lies on the nodes of a mesh: take "
                "'fully_connected' or 'transolver'"
            )
