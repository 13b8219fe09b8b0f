from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import load_weights

if TYPE_CHECKING:
    import torch


class Network(Surrogate):
    """A family of neural networks, trained by steps.

    A subclass has a field ``kind: Literal[...]`` and the method `build`. One that must know the grid has `build_on`
    too; one that is trained otherwise than by the recipe's losses of its output has `objective`.
    """

    def as_network(self) -> Network:
        """Return itself; see `Surrogate.as_network`."""
        return self

    @abstractmethod
    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network, its weights drawn from torch's global generator.

        Parameters
        ----------
        inputs, outputs
            Number of channels. A variable is one; with dimensions other than those of space, such as time, it is as
            many as it has values at a point.
        axes
            Number of space axes of a field; 1 for the nodes of a mesh.

        Returns
        -------
        torch.nn.Module
            Maps float32 ``(batch, inputs, *space)`` to ``(batch, outputs, *space)``. It works on any grid
            unless the class says otherwise, and every parameter has a part in the output.
        """

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return an untrained network for the grid of a training: what `build` returns, unless the class needs it.

        Raises
        ------
        ValueError
            As `check` does.
        """
        self.check(grid)
        return self.build(inputs, outputs, len(grid.shape))

    def adapted(self, module: torch.nn.Module, normalisation: Normalisation) -> torch.nn.Module:
        """Return an untrained network that knows the numbers of a normalisation, where the class needs them.

        Parameters
        ----------
        module
            What `build_on` returned.
        normalisation
            Of the training.
        """
        del normalisation
        return module

    def objective(self, module: torch.nn.Module, batch: Minibatch) -> torch.Tensor:
        """Return what a step makes smaller, a scalar: the recipe's losses of the network's output, unless overridden.

        All random numbers come from `Minibatch.generator`, so that a replay draws the same.

        Parameters
        ----------
        module
            What `build_on` built, in training mode.
        batch
            Inputs and outputs of one step, with the recipe's losses.
        """
        with batch.arithmetic():
            channels = module(batch.x)
        return batch.losses(channels)

    def restored(self, normalisation: Normalisation, tensors: Mapping[str, np.ndarray]) -> torch.nn.Module:
        """Return the network with these weights; see `Surrogate.restored`."""
        module = network(self, normalisation)
        load_weights(module, tensors)
        return module

    def parameters(self, module: torch.nn.Module) -> int:
        """Return the number of parameters; see `Surrogate.parameters`."""
        return sum(parameter.numel() for parameter in module.parameters())

    def needs_grid(self, inputs: int, outputs: int, axes: int) -> ValueError:
        """Return what `build` raises where the size of the network depends on the grid."""
        return ValueError(
            f"{inputs} and {outputs} channels on {axes} axes do not tell how large a network of the kind {self.kind!r} "
            "is: build it with build_on, which is told the grid"
        )


def network(surrogate: Network, normalisation: Normalisation) -> torch.nn.Module:
    """Return the untrained network for the variables of ``normalisation`` and the grid it was fitted on."""
    inputs, outputs = (normalisation.channels(role)[-1].stop for role in ("input", "output"))
    return surrogate.adapted(surrogate.build_on(inputs, outputs, Grid.of(normalisation.dimensions)), normalisation)
