from __future__ import annotations

from collections.abc import Sequence

import torch

from ritz.compute.surrogates.grid import StateChannels
from ritz.compute.surrogates.networks.rollout import Rollout


class Refining(Rollout):
    """A network that takes a state one step on and then refines it in some passes, in the loop of a `Rollout`.

    Parameters
    ----------
    inner
        From the channels of a state, of a candidate for the next one, of the other inputs, where ``unit`` is given of
        the length of the step, and one for each pass, which is 1 in that pass and 0 in others, to the channels of a
        state.
    states, inputs, unit, change
        As for `Rollout`. With ``change`` candidates and predictions are changes from the state.
    deviations
        Standard deviations σ_k of the noise of the passes; the network sees candidates, and says states, in units of
        the first, that of the pass in which it predicts.
    """

    def __init__(
        self,
        inner: torch.nn.Module,
        states: StateChannels,
        inputs: int,
        *,
        unit: float | None,
        change: bool,
        deviations: Sequence[float],
    ) -> None:
        super().__init__(inner, states, inputs, unit=unit, change=change)
        self.deviations = tuple(deviations)

    def said(
        self,
        candidate: torch.Tensor,
        state: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor | float,
        numbers: torch.Tensor,
    ) -> torch.Tensor:
        """Return what the network says in some passes, ``(n, channel, *space)``, in deviations of their noise.

        In pass 0, in which it does not see the candidate, that is the state one step on, or the change; in others what
        it takes for the noise of the candidate.

        Parameters
        ----------
        candidate
            State one step on with noise, ``(n, channel, *space)``.
        state, others, lengths
            As for `step`.
        numbers
            Of the passes, ``(n,)`` int64.
        """
        seen = (candidate - state if self.change else candidate) / self.deviations[0]
        seen = seen.masked_fill(along(numbers == 0, state), 0.0)
        which = along(torch.nn.functional.one_hot(numbers, len(self.deviations)), state)
        passes = which.to(state).expand(-1, -1, *state.shape[2:])
        parts = [state, seen, others, *self.length_channel(state, lengths), passes]
        found: torch.Tensor = self.inner(torch.cat(parts, dim=1))
        return found

    def step(
        self,
        state: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor | float,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the state one step on: drawn, or without a generator by passes without noise; see `Rollout.step`."""
        numbers = torch.zeros(len(state), dtype=torch.int64, device=state.device)
        found = self.deviations[0] * self.said(state, state, others, lengths, numbers)
        if self.change:
            found = state + found
        for number, deviation in enumerate(self.deviations[1:], start=1):
            if generator is not None:
                found = found + deviation * torch.randn(found.shape, generator=generator).to(found)
            found = found - deviation * self.said(found, state, others, lengths, numbers + number)
        return found


def along(values: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """Return values of samples, ``(n,)`` or ``(n, channel)``, with the axes of a state, ``(n, channel, *space)``."""
    return values.reshape(len(values), -1, *(1,) * (state.ndim - 2))
