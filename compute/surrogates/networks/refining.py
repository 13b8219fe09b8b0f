from __future__ import annotations

import torch

from ritz.compute.surrogates.networks.rollout import Rollout, repeated
from ritz.compute.surrogates.surrogate import StateChannels


class Refining(Rollout):
    """A network that takes a state one step on and then refines it in some passes, in the loop of a `Rollout`.

    Parameters
    ----------
    inner
        From the channels of a state, of a candidate for the next one, of the other inputs, where ``unit`` is given of
        the length of the step, and of the number of the pass, to the channels of a state.
    states, inputs, unit, change
        As for `Rollout`. With ``change`` the network sees a candidate as the change from the state.
    passes
        Passes after the first prediction, K; the network sees pass k as k/K.
    least_noise
        Standard deviation of the noise of the last pass, σ_K; that of pass k is σ_K^(k/K).
    """

    def __init__(
        self,
        inner: torch.nn.Module,
        states: StateChannels,
        inputs: int,
        *,
        unit: float | None,
        change: bool,
        passes: int,
        least_noise: float,
    ) -> None:
        super().__init__(inner, states, inputs, unit=unit, change=change)
        self.passes, self.least_noise = passes, least_noise

    def deviations(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the standard deviations of the noise of passes by their numbers, from 1 on."""
        found: torch.Tensor = self.least_noise ** (numbers / self.passes)
        return found

    def said(
        self,
        candidate: torch.Tensor,
        state: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor | float,
        number: torch.Tensor | float,
    ) -> torch.Tensor:
        """Return what the network says in a pass, ``(n, channel, *space)``.

        In pass 0, in which it does not see the candidate, that is the state one step on; in others what it takes for
        the noise in the candidate, in deviations of the pass.

        Parameters
        ----------
        candidate
            State one step on with noise, ``(n, channel, *space)``.
        state, others, lengths
            As for `step`.
        number
            Of the pass: one, or one per sample.
        """
        channel = repeated(number, state)
        first = channel == 0
        seen = candidate - state if self.change else candidate
        parts = [state, seen.masked_fill(first, 0.0), others, *self.length_channel(state, lengths)]
        found: torch.Tensor = self.inner(torch.cat([*parts, channel / self.passes], dim=1))
        return torch.where(first, state + found, found) if self.change else found

    def step(
        self,
        state: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor | float,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the state one step on: drawn, or without a generator by passes without noise; see `Rollout.step`."""
        found = self.said(state, state, others, lengths, 0.0)
        for number in range(1, self.passes + 1):
            deviation = float(self.deviations(torch.tensor(float(number))))
            if generator is not None:
                found = found + deviation * torch.randn(found.shape, generator=generator).to(found)
            found = found - deviation * self.said(found, state, others, lengths, float(number))
        return found
