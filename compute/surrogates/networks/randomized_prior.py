from __future__ import annotations

from typing import Self

import torch

from ritz.compute.surrogates.networks.frozen import frozen


class WithPrior(torch.nn.Module):
    """What a network learns plus a multiple of what another one, which stays as it was drawn, says.

    Parameters
    ----------
    learning, prior
        From the same channels to the same channels; the parameters of ``prior`` become buffers.
    scale
        Root mean square of what the prior adds, for inputs of unit size.
    given
        Such inputs ``(n, inputs, *space)``, by which the prior is brought to this size once and for all.
    """

    def __init__(self, learning: torch.nn.Module, prior: torch.nn.Module, scale: float, given: torch.Tensor) -> None:
        super().__init__()
        self.learning, self.prior = learning, frozen(prior).eval()
        with torch.no_grad():
            size = self.prior(given).square().mean().sqrt()
        self.register_buffer("factor", scale / size.clamp_min(torch.finfo(size.dtype).tiny))
        self.factor: torch.Tensor

    def train(self, mode: bool = True) -> Self:
        """Change the mode of what learns; the prior stays in that of predictions."""
        super().train(mode)
        self.prior.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum for ``x`` ``(batch, inputs, *space)``."""
        with torch.no_grad():
            fixed = self.factor * self.prior(x)
        answer: torch.Tensor = self.learning(x) + fixed
        return answer


def unit_inputs(inputs: int, space: tuple[int, ...]) -> torch.Tensor:
    """Draw fields of unit size, half of it a level and half of it noise, ``(32, inputs, *space)``."""
    level = torch.randn(32, inputs, *(1,) * len(space))
    return (level + torch.randn(32, inputs, *space)) / 2**0.5
