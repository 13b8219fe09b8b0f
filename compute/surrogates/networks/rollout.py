from __future__ import annotations

from collections.abc import Iterable

import torch

from ritz.compute.surrogates.grid import StateChannels


class Rollout(torch.nn.Module):
    """A network that takes a state one step on, and the loop that leads it through all times.

    Parameters
    ----------
    inner
        From the channels of a state, of the other inputs and, where ``unit`` is given, of the length of the step, to
        the channels of a state.
    states
        Which channels are states.
    inputs
        How many input channels there are.
    unit
        Length of a step that the network sees as 1; None where it sees none.
    change
        Whether the network says what a step changes, rather than the state after it.
    """

    def __init__(
        self, inner: torch.nn.Module, states: StateChannels, inputs: int, *, unit: float | None, change: bool
    ) -> None:
        super().__init__()
        self.inner, self.states, self.unit, self.change = inner, states, unit, change
        self._others = [channel for channel in range(inputs) if channel not in states.starts]
        # From the channels of the first state, as an input, to those of an output; `Stepping.adapted` says how.
        self.start_factor: torch.Tensor
        self.start_shift: torch.Tensor
        self.register_buffer("start_factor", torch.ones(len(states.starts)))
        self.register_buffer("start_shift", torch.zeros(len(states.starts)))

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the first state, in the channels of an output, and the other inputs."""
        shape = (-1, *(1,) * (x.ndim - 2))
        first = x[:, list(self.states.starts)] * self.start_factor.reshape(shape) + self.start_shift.reshape(shape)
        return first, x[:, self._others]

    def step(
        self,
        state: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor | float,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the state one step on.

        Parameters
        ----------
        state, others
            ``(n, channel, *space)``.
        lengths
            Of the steps: one number, or one per sample.
        generator
            Source of random numbers on the CPU for a loop whose steps are drawn, None for its prediction; these steps
            draw none.
        """
        del generator
        found: torch.Tensor = self.inner(torch.cat([state, others, *self.length_channel(state, lengths)], dim=1))
        return state + found if self.change else found

    def length_channel(self, state: torch.Tensor, lengths: torch.Tensor | float) -> list[torch.Tensor]:
        """Return the channel in which the network sees the lengths of the steps; none where it sees none."""
        if self.unit is None:
            return []
        seen = torch.as_tensor(lengths, dtype=state.dtype, device=state.device) / self.unit
        return [seen.reshape(-1, *(1,) * (state.ndim - 1)).expand(len(state), 1, *state.shape[2:])]

    def through(
        self, x: torch.Tensor, lengths: Iterable[tuple[float, int]], generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return states, ``(n, time, channel, *space)``, from the inputs ``(n, channel, *space)``.

        Parameters
        ----------
        lengths
            For each state that is returned, the length of the steps from the one before it, and how many they are.
        generator
            As for `step`.
        """
        state, others = self.split(x)
        found = []
        for length, count in lengths:
            for _ in range(count):
                state = self.step(state, others, length, generator)
            found.append(state)
        return torch.stack(found, dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the states at all times of the training as output channels ``(n, channel, *space)``."""
        return self.channels(self.through(x, [(length, 1) for length in self.states.intervals]))

    def channels(self, states: torch.Tensor) -> torch.Tensor:
        """Return states ``(n, time, channel, *space)`` at any times as output channels ``(n, channel, *space)``."""
        return joined(states, self.states)

    def stacked(self, channels: torch.Tensor) -> torch.Tensor:
        """Return output channels as states ``(n, time, channel, *space)``; it undoes `channels`."""
        count = channels.shape[1] // sum(self.states.sizes)
        parts = torch.split(channels, [count * size for size in self.states.sizes], dim=1)
        return torch.cat([part.reshape(len(part), count, -1, *part.shape[2:]) for part in parts], dim=2)


def joined(states: torch.Tensor, about: StateChannels) -> torch.Tensor:
    """Return states ``(n, time, channel, *space)`` at any times as output channels ``(n, channel, *space)``."""
    return torch.cat([part.flatten(1, 2) for part in torch.split(states, list(about.sizes), dim=2)], dim=1)
