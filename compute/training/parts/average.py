from __future__ import annotations

from typing import TYPE_CHECKING

from ritz.compute.surrogates.model import load_weights, network, weights
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate

if TYPE_CHECKING:
    import torch


class Average:
    """The exponential moving average of a network's weights, in a network of its own.

    After step t the average moves by 1 − min(decay, (1 + t) / (10 + t)) towards the weights: the first ones, which are
    random, are soon forgotten. Tensors that are no parameters, such as running statistics, are taken as they are.

    Source: Polyak and Juditsky, SIAM J. Control Optim. 30 (1992), for averages; the start is that of TensorFlow's
    ``ExponentialMovingAverage``.

    Parameters
    ----------
    decay
        Weight of the past, between 0 and 1.
    module
        The network, as it is before the first step.
    """

    def __init__(
        self, decay: float, surrogate: Surrogate, normalisation: Normalisation, module: torch.nn.Module
    ) -> None:
        import torch

        self.decay = decay
        # Built anew rather than copied: not every library's layers can be. The random numbers stay as they were.
        with torch.random.fork_rng(devices=[]):
            self.module = network(surrogate, normalisation)
        load_weights(self.module, weights(module))
        self.module.to(next(module.parameters()).device).requires_grad_(False)

    def update(self, module: torch.nn.Module, step: int) -> None:
        """Take in the weights after step number ``step``, the first being 1."""
        import torch

        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(self.module.parameters(), module.parameters(), strict=True):
                mean.mul_(decay).add_(now, alpha=1 - decay)
            for kept, held in zip(self.module.buffers(), module.buffers(), strict=True):
                kept.copy_(held)
