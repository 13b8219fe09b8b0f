from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ritz.compute.surrogates.grid import Grid, StateChannels
from ritz.compute.surrogates.networks.adjoint import solve_adjoint
from ritz.compute.surrogates.networks.flat import Perceptron, Values
from ritz.compute.surrogates.networks.rollout import joined
from ritz.compute.surrogates.networks.tsit5 import Solved, Step, solve, step


class LatentTrajectory(torch.nn.Module):
    """A latent state from the inputs, an ordinary differential equation that it obeys, and states from latent ones.

    Latent time is one at the last time of the training.

    Parameters
    ----------
    states
        Which channels are states.
    grid
        The only grid it works on.
    latent
        Components of the latent state.
    width
        Values in a hidden layer.
    layers, coder_layers
        Hidden layers of the equation, and of encoder and decoder.
    rtol, most
        Largest error of a step, and most steps up to the last time of the training; see
        `ritz.compute.surrogates.networks.tsit5.attempts`.
    adjoint
        Whether the gradient is that of `ritz.compute.surrogates.networks.adjoint.solve_adjoint`.
    """

    def __init__(
        self,
        states: StateChannels,
        grid: Grid,
        *,
        latent: int,
        width: int,
        layers: int,
        coder_layers: int,
        rtol: float,
        most: int,
        adjoint: bool,
    ) -> None:
        super().__init__()
        self.states, self.rtol, self.most, self.adjoint = states, rtol, most, adjoint
        self.values = Values(grid)
        hidden, self._shape = [width] * coder_layers, (len(states.starts), *grid.shape)
        self.encoder = Perceptron([self.values.count, *hidden, latent])
        self.slope = Perceptron([latent, *[width] * layers, latent])
        self.decoder = Perceptron([latent, *hidden, math.prod(self._shape)])

    @property
    def times(self) -> torch.Tensor:
        """Latent times of the training, ``(time,)`` float64, the last of them one."""
        return torch.tensor(self.states.times, dtype=torch.float64) / self.states.times[-1]

    def latent(self, x: torch.Tensor, times: torch.Tensor) -> Solved:
        """Return latent states.

        Parameters
        ----------
        x
            ``(n, channel, *space)``.
        times
            Latent times above zero, ``(n, time)``.

        Raises
        ------
        ValueError
            If ``x`` lies on another grid.
        FloatingPointError
            See `ritz.compute.surrogates.networks.tsit5.attempts`.
        """
        first = self.encoder(self.values(x))
        most = math.ceil(self.most * max(1.0, float(times.max()) if times.numel() else 1.0))
        # Errors of steps are below what products in half precision leave.
        with torch.autocast(x.device.type, enabled=False):
            first = first.to(self.decoder.layers[0].weight.dtype)
            times = times.to(first)
            if self.adjoint:
                return solve_adjoint(self.slope, first, times, rtol=self.rtol, most=most)
            return solve(self.slope, first, times, rtol=self.rtol, most=most)

    def again(self, latent: torch.Tensor, lengths: torch.Tensor) -> Step:
        """Return a step of the integrator from latent states ``(n, latent)``, of lengths ``(n,)``."""
        with torch.autocast(latent.device.type, enabled=False):
            return step(self.slope, latent, self.slope(latent), lengths, self.rtol)

    def channels(self, latent: torch.Tensor) -> torch.Tensor:
        """Return latent states ``(n, time, latent)`` as output channels ``(n, channel, *space)``."""
        return joined(self.decoder(latent).reshape(*latent.shape[:2], *self._shape), self.states)

    def at(self, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
        """Return the states at any times above zero as output channels ``(n, channel, *space)``."""
        latent = torch.tensor(times, dtype=torch.float64) / self.states.times[-1]
        return self.channels(self.latent(x, latent.expand(len(x), -1)).states)

    def evaluations(self, x: torch.Tensor) -> torch.Tensor:
        """Return how often the equation is evaluated up to the last time of the training, ``(n,)`` int64."""
        return self.latent(x, self.times.expand(len(x), -1)).evaluations

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the states at all times of the training as output channels ``(n, channel, *space)``."""
        return self.at(x, self.states.times)
