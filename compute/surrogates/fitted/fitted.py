from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import weights

if TYPE_CHECKING:
    import torch

Blocks = Iterable[Mapping[str, np.ndarray]]
"""Samples, some at a time: ``(n, *dims)`` for every variable, in physical units and finite.

Iterated again they give the same samples in the same order and parts.
"""


class Fitted(Surrogate):
    """A family of maps that one fit finds, without gradients: regressions, reduced bases, Gaussian processes.

    A subclass has a field ``kind: Literal[...]`` and two methods: `learn` finds arrays, `module` builds what evaluates
    from them. It is trained with ``training: fit``.
    """

    least: ClassVar[int] = 1
    """Training samples without which it cannot be fitted."""

    @abstractmethod
    def learn(self, normalisation: Normalisation, blocks: Blocks) -> dict[str, np.ndarray]:
        """Learn from samples.

        Parameters
        ----------
        normalisation
            Names the variables and their transforms; its means and scales weigh the variables.
        blocks
            The samples; may be gone through several times.

        Returns
        -------
        dict
            What was learnt, float or integer arrays by name: the buffers of the module.

        Raises
        ------
        ValueError
            If there are fewer than `least`.
        """

    @abstractmethod
    def module(self, normalisation: Normalisation, buffers: dict[str, torch.Tensor]) -> torch.nn.Module:
        """Return what evaluates: ``(n, inputs, *space)`` to ``(n, outputs, *space)``, normalised float32 channels.

        Its state is ``buffers``, what `learn` returned, under the same names; it has no parameters. A subclass of
        `ritz.compute.surrogates.networks.buffers.Buffers` registers them.

        Raises
        ------
        ValueError
            If they are not those of such a module.
        """

    def restored(self, normalisation: Normalisation, tensors: Mapping[str, np.ndarray]) -> torch.nn.Module:
        """Return the module with these buffers; see `Surrogate.restored`."""
        import torch

        # Copied into memory that torch aligns, on which rounding depends.
        return self.module(normalisation, {name: torch.tensor(value) for name, value in tensors.items()})

    def parameters(self, module: torch.nn.Module) -> int:
        """Return how many numbers the buffers hold; see `Surrogate.parameters`."""
        return sum(value.size for value in weights(module).values())

    def fit(self, normalisation: Normalisation, blocks: Blocks) -> torch.nn.Module:
        """Return the module of buffers that comes of a fit.

        Raises
        ------
        ValueError
            As `learn` does.
        """
        return self.restored(normalisation, self.learn(normalisation, blocks))


def joined(blocks: Blocks) -> dict[str, np.ndarray]:
    """Return all samples of some blocks together, ``(n, *dims)`` for every variable."""
    parts = list(blocks)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
