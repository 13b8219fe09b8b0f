from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.weights import load_weights, weights
from ritz.compute.training.parts.part import Part, State

if TYPE_CHECKING:
    import torch


class Average(Part):
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

    name: ClassVar[str] = "average"

    def __init__(self, decay: float, surrogate: Network, normalisation: Normalisation, module: torch.nn.Module) -> None:
        import torch

        self.decay, self._learning = decay, module
        # Built anew rather than copied: not every library's layers can be. The random numbers stay as they were.
        with torch.random.fork_rng(devices=[]):
            self.module = network(surrogate, normalisation)
        load_weights(self.module, weights(module))
        self.module.to(next(module.parameters()).device).requires_grad_(False)

    def after(self, step: int) -> None:
        """Take in the weights after a step; see `Part.after`."""
        import torch

        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(self.module.parameters(), self._learning.parameters(), strict=True):
                mean.mul_(decay).add_(now, alpha=1 - decay)
            for kept, held in zip(self.module.buffers(), self._learning.buffers(), strict=True):
                kept.copy_(held)

    def state(self) -> State:
        """Return the averaged weights; see `Part.state`."""
        return dict(weights(self.module))

    def load(self, state: State) -> None:
        """Go on from them; see `Part.load`."""
        load_weights(self.module, state)
