from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.network import Network


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
