from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Fault, OneOf, Source, in_units
from ritz.compute.surrogates.families import NETWORKS
from ritz.compute.surrogates.grid import Grid, StateChannels, check_rising
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.network import Network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.staggered import Staggered
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.networks.rollout import Rollout

ALIKE = 1e-6
"""Largest relative difference of steps that count as equally long."""


class Stepping(Network):
    """A network that takes the state of a problem in time one step on, u(t) ↦ u(t + Δt), around any other network.

    It predicts by steps from the input that holds the state at time zero: all times of the training, as a network of
    all times does, or any others (`Surrogate.rollout`). The other inputs, such as a medium, are seen at every step.

    What it is trained on
        Pairs of states of a trajectory, ``pairs_per_sample`` of a sample in a step of the training, drawn from the
        number of the step. With ``pairs`` ``consecutive`` the second state is the one stored after the first; with
        ``all`` it is any later one. The recipe's losses are of the outputs in which the second states are what the
        network says, and all others are the truth.
    Length of the step
        An input of the network where the steps of a training differ in length, as they do with ``all`` pairs or uneven
        times. Then a step of any length between the shortest and the longest is possible; otherwise steps of the one
        length alone.
    Errors that grow
        With ``pushforward`` the first state of a pair is what the network itself says after up to so many steps,
        through which no gradient goes; with ``noise`` it is moved by random numbers. Both teach it states as it meets
        them when it follows its own predictions.

    Source: Brandstetter, Worrall, Welling, "Message passing neural PDE solvers", ICLR 2022, for ``pushforward``;
    Herde et al., "Poseidon", NeurIPS 2024, for pairs of all times; Sanchez-Gonzalez et al., "Learning to simulate
    complex physics with graph networks", ICML 2020, for ``noise``.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "J. Brandstetter, D. Worrall, M. Welling",
            "Message passing neural PDE solvers",
            2022,
            "ICLR",
            "steps through which no gradient goes make rollouts stable",
        ),
        Source(
            "M. Herde et al.",
            "Poseidon: efficient foundation models for PDEs",
            2024,
            "NeurIPS",
            "all pairs of times of a trajectory are training samples",
        ),
        Source(
            "A. Sanchez-Gonzalez et al.",
            "Learning to simulate complex physics with graph networks",
            2020,
            "ICML",
            "noise on the states of a training keeps errors from growing",
        ),
    )

    steps_in_time: ClassVar[bool] = True

    kind: Literal["stepping"] = "stepping"
    inner: Annotated[Surrogate, OneOf(Surrogate, lambda: (*NETWORKS, Staggered), group="ritz.surrogates")] = FNO()
    """Network of one step."""
    pairs: Literal["consecutive", "all"] = "consecutive"
    """Which states of a trajectory are pairs."""
    pairs_per_sample: int = Field(default=4, ge=1, le=4096, json_schema_extra=in_units("pairs"))
    """Pairs of each sample in a step of the training; one for each stored time where these are fewer."""
    pushforward: int = Field(default=0, ge=0, le=64, json_schema_extra=in_units("time steps"))
    """Most steps of the network that lead to the first state of a pair; how many is drawn for every batch."""
    noise: float = Field(default=0.0, ge=0, le=10, json_schema_extra=in_units("deviations of the outputs"))
    """Standard deviation of what moves the first state of a pair."""
    change: bool = True
    """Whether the network says what a step changes, rather than the state after it."""

    def faults(self) -> Iterator[Fault]:
        """Yield that what is inside is no network by itself; see `Kind.faults`."""
        if self.inner.as_network() is None or self.inner.steps_in_time:
            yield Fault(("inner",), f"inner is {self.inner.kind!r}, expected a network by itself, such as 'fno'")
        elif self.inner.stochastic:
            yield Fault(
                ("inner",), f"inner is {self.inner.kind!r}, which draws its answers; expected one that does not"
            )

    @property
    def any_grid(self) -> bool:  # type: ignore[override]  # the class alone does not know what is inside
        """Whether the network inside works on any grid."""
        return self.inner.any_grid

    def check(self, grid: Grid) -> None:
        """Refuse a steady problem, too short trajectories and what the network inside refuses.

        See `Surrogate.check`.
        """
        states = grid.states
        if states is None:
            raise ValueError(
                f"the surrogate {self.kind!r} needs a problem in time whose outputs say which input is their state at "
                "time zero (their attribute initial_state); take a network by itself, such as 'fno'"
            )
        if self.pushforward >= len(states.times):
            raise ValueError(
                f"pushforward is {self.pushforward}, expected less than the {len(states.times)} stored times"
            )
        if self.pushforward and not _even(states):
            raise ValueError(f"pushforward is {self.pushforward}, expected 0 where the times are uneven")
        self.inner.check(self._inside(grid, states))

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Refuse to build without the times; see `Network.build`."""
        raise self.needs_grid(inputs, outputs, axes)

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return the network in its loop; see `Network.build_on`."""
        self.check(grid)
        states = grid.states
        assert states is not None
        if outputs != len(states.starts) * len(states.times):
            raise ValueError(
                f"{outputs} output channels, expected {len(states.starts)} for each of {len(states.times)} times"
            )
        inside = self._inside(grid, states)
        module = self._network().build_on(len(inside.varies), len(states.starts), inside)
        unit = self._lengths(states)[1] if self._sees_length(states) else None
        return self._looped(module, states, inputs, unit)

    def adapted(self, module: torch.nn.Module, normalisation: Normalisation) -> torch.nn.Module:
        """Take in how states at time zero become channels of outputs; see `Network.adapted`."""
        import torch

        rollout = _of(module)
        factors, shifts = rollout.states.encoding(normalisation)
        rollout.start_factor.copy_(torch.tensor(factors))
        rollout.start_shift.copy_(torch.tensor(shifts))
        return module

    def objective(self, module: torch.nn.Module, batch: Minibatch) -> torch.Tensor:
        """Return the recipe's losses of outputs with some states as the network says; see `Network.objective`."""
        import torch

        rollout, generator = _of(module), batch.generator()
        first, others = rollout.split(batch.x)
        truth = rollout.stacked(batch.y)
        states = torch.cat([first[:, None], truth], dim=1)
        n, steps = truth.shape[:2]
        times = torch.tensor((0.0, *rollout.states.times), dtype=truth.dtype, device=truth.device)
        # Some steps that end at different times: those of the smallest of random numbers, one at a time.
        ends = 1 + torch.rand(n, steps, generator=generator).argsort(dim=1)[:, : self.pairs_per_sample]
        begins = ends - 1
        if self.pairs == "all":
            begins = (torch.rand(ends.shape, generator=generator) * ends).long()
        ends, begins = ends.to(truth.device), begins.to(truth.device)
        rows = torch.arange(n, device=truth.device)[:, None].expand_as(ends)
        repeated = others[rows.flatten()]
        now = self._first_states(rollout, states, begins, rows, repeated, generator, batch)
        lengths = (times[ends] - times[begins]).flatten()
        later = states[rows, ends].flatten(0, 1)
        predicted = self._second_states(rollout, now, repeated, lengths, later, generator, batch)
        channels = truth.clone()
        channels[rows, ends - 1] = predicted.reshape(*ends.shape, *predicted.shape[1:])
        return batch.losses(rollout.channels(channels))

    def rollout(self, module: torch.nn.Module, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
        """Return the states at any times; see `Surrogate.rollout`."""
        rollout = _of(module)
        return rollout.channels(rollout.through(x, self.hops(rollout.states, times)))

    def advance(self, module: torch.nn.Module, x: torch.Tensor, state: torch.Tensor, length: float) -> torch.Tensor:
        """Return the states one step on; see `Surrogate.advance`."""
        rollout = _of(module)
        ((one, count),), others = self.hops(rollout.states, (length,)), rollout.split(x)[1]
        for _ in range(count):
            state = rollout.step(state, others, one)
        return state

    def hops(self, states: StateChannels, times: Sequence[float]) -> list[tuple[float, int]]:
        """Return for each time how long the steps from the one before are, and how many.

        Raises
        ------
        ValueError
            If the times do not rise from zero, or the steps cannot lead to one of them.
        """
        check_rising(times)
        found, now = [], 0.0
        for time in times:
            whole = time - now
            hop = self._hop(states, whole)
            if hop is None:
                raise ValueError(
                    f"times has {time:g} after {now:g}, which is no whole number of steps; the surrogate takes "
                    f"{self._steps(states)}"
                )
            found.append(hop)
            now = time
        return found

    def _hop(self, states: StateChannels, whole: float) -> tuple[float, int] | None:
        """Return the length of the steps that lead so far, and how many they are; None where none do."""
        shortest, longest = self._lengths(states)
        count = max(1, round(whole / longest)) if shortest == longest else math.ceil(whole / longest - ALIKE)
        length = whole / count
        return (length, count) if shortest * (1 - ALIKE) <= length <= longest * (1 + ALIKE) else None

    def _steps(self, states: StateChannels) -> str:
        """Say which steps are possible."""
        shortest, longest = self._lengths(states)
        return f"steps of {longest:g}" if shortest == longest else f"steps of {shortest:g} to {longest:g}"

    def _first_states(
        self,
        rollout: Rollout,
        states: torch.Tensor,
        begins: torch.Tensor,
        rows: torch.Tensor,
        others: torch.Tensor,
        generator: torch.Generator,
        batch: Minibatch,
    ) -> torch.Tensor:
        """Return the first states of pairs, ``(pairs, channel, *space)``: the truth, or what the network makes of it.

        ``others`` are the other inputs of each pair, in the order of ``rows`` and ``begins``.
        """
        import torch

        back = torch.zeros_like(begins)
        if self.pushforward:
            drawn = int(torch.randint(self.pushforward + 1, (), generator=generator))
            back = begins.clamp(max=drawn)
        now = states[rows, begins - back].flatten(0, 1)
        if self.noise:
            moved = torch.randn(now.shape, generator=generator).to(now.device)
            now = now + self.noise * moved
        left = back.flatten()
        with torch.no_grad(), batch.arithmetic():
            for _ in range(int(left.max())):
                stepped = rollout.step(now, others, rollout.states.intervals[0], generator).float()
                now = torch.where((left > 0).reshape(-1, *(1,) * (now.ndim - 1)), stepped, now)
                left = left - 1
        return now

    def _second_states(
        self,
        rollout: Rollout,
        now: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor,
        later: torch.Tensor,
        generator: torch.Generator,
        batch: Minibatch,
    ) -> torch.Tensor:
        """Return the second states of pairs, ``(pairs, channel, *space)``, as the losses are to see them.

        ``later`` are the true ones.
        """
        del later, generator
        with batch.arithmetic():
            return rollout.step(now, others, lengths).float()

    def _looped(self, module: torch.nn.Module, states: StateChannels, inputs: int, unit: float | None) -> Rollout:
        """Return a network in its loop; ``unit`` is the length that it sees as 1, None where it sees none."""
        from ritz.compute.surrogates.networks.rollout import Rollout

        return Rollout(module, states, inputs, unit=unit, change=self.change)

    def _lengths(self, states: StateChannels) -> tuple[float, float]:
        """Return the shortest and the longest step that was learnt."""
        longest = states.times[-1] if self.pairs == "all" else max(states.intervals)
        return min(states.intervals), longest

    def _sees_length(self, states: StateChannels) -> bool:
        return self.pairs == "all" or not _even(states)

    def _inside(self, grid: Grid, states: StateChannels) -> Grid:
        """Return the grid of the network inside: states vary along every axis, the length of a step along none."""
        axes = len(grid.shape)
        others = [varies for channel, varies in enumerate(grid.varies) if channel not in states.starts]
        length = [(False,) * axes] if self._sees_length(states) else []
        along = tuple([(True,) * axes] * len(states.starts) + others + length)
        return Grid(grid.shape, along, grid.mesh)

    def _network(self) -> Network:
        inner = self.inner.as_network()
        assert inner is not None
        return inner


def _even(states: StateChannels) -> bool:
    """Return whether all steps are equally long."""
    lengths = states.intervals
    return max(lengths) <= min(lengths) * (1 + ALIKE)


def _of(module: torch.nn.Module) -> Rollout:
    from ritz.compute.surrogates.networks.rollout import Rollout

    assert isinstance(module, Rollout)
    return module
