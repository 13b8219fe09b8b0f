from __future__ import annotations

import torch

from ritz.compute.surrogates.networks.frozen import frozen


class WithPrior(torch.nn.Module):
    """What a network learns plus a multiple of what another one, which stays as it was drawn, says.

    Parameters
    ----------
    learning, prior
        From the same channels to the same channels; the parameters of ``prior`` become buffers.
    scale
        What the prior's output is multiplied by.
    """

    def __init__(self, learning: torch.nn.Module, prior: torch.nn.Module, scale: float) -> None:
        super().__init__()
        self.learning, self.prior, self.scale = learning, frozen(prior), scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum for ``x`` ``(batch, inputs, *space)``."""
        with torch.no_grad():
            fixed = self.prior(x)
        answer: torch.Tensor = self.learning(x) + self.scale * fixed
        return answer
