from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.surrogates.grid import Grid, StateChannels
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.rollout.stepping import Stepping

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.networks.refining import Refining
    from ritz.compute.surrogates.networks.rollout import Rollout

_TOGETHER = 32
"""Draws of all samples that are made at once, where these are fewer."""


class Refiner(Stepping):
    """A network that takes a state one step on, as `Stepping` does, and refines each step in ``passes`` passes.

    A network of one step learns what is large in a state, and misses the small amplitudes of high wave numbers. Here
    the same network goes over its prediction K = ``passes`` times: in pass k noise of the standard deviation σ_k is
    added to it, the network says what of the sum is noise, and that is taken off. What is smaller than σ_k drowns in
    the noise, so that a pass is about the amplitudes near σ_k, and each pass about smaller ones:
    σ_k = ``largest`` · (``smallest``/``largest``)^(k/K). The network sees the number of the pass, and candidates in
    units of ``largest``.

    What it is trained on
        Pairs of states, as `Stepping`. For each pair a pass from 0, the prediction, to K is drawn from the number of
        the step. The recipe's losses are of the true state plus the error of the predicted or refined one over σ_k, so
        that all passes weigh alike.
    Draws and the prediction
        A draw has noise in every pass of every step. The prediction makes the same passes without noise: it needs no
        seed, does not depend on the other samples, and is one trajectory, where a mean of draws would lose its
        amplitudes as they part. The spread of draws says where it is doubtful; it is not calibrated.
    Cost
        Of a step of the training that of one evaluation of the network, of a predicted step 1 + K.

    Source: Lippe, Veeling, Perdikaris, Turner, Brandstetter, "PDE-Refiner: achieving accurate long rollouts with neural
    PDE solvers", NeurIPS 2023, Algorithm 1, whose unit of states and changes is ``largest``. Theirs predicts by a draw.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "P. Lippe, B. S. Veeling, P. Perdikaris, R. E. Turner, J. Brandstetter",
            "PDE-Refiner: achieving accurate long rollouts with neural PDE solvers",
            2023,
            "NeurIPS",
            "passes that take off ever smaller noise make all amplitudes of a step accurate, and rollouts longer",
            "refiner.txt",
        ),
    )

    stochastic: ClassVar[bool] = True

    kind: Literal["refiner"] = "refiner"  # type: ignore[assignment]  # a kind of its own
    passes: int = Field(default=3, ge=1, le=64, json_schema_extra=in_units("passes"))
    """Passes after the first prediction, K."""
    largest: float = Field(default=1.0, gt=0, le=10, json_schema_extra=in_units("deviations of the outputs"))
    """Standard deviation of what the first prediction says: with ``change`` about that of a change in one step.

    It follows from the data and from Δt, so the default, 1, is that of the authors' code for states, right where
    ``change`` is false; for changes of the Kuramoto–Sivashinsky equation their code takes 0.3, a quarter of a deviation
    of its states.
    """
    smallest: float = Field(default=1e-3, gt=0, lt=10, json_schema_extra=in_units("deviations of the outputs"))
    """Standard deviation of the noise of the last pass: amplitudes far below it are not refined.

    The authors' code takes 0.0006 of the largest, the root of 4·10⁻⁷.
    """

    def faults(self) -> Iterator[Fault]:
        """Yield noise that does not fall; see `Kind.faults`."""
        yield from super().faults()
        if self.smallest >= self.largest:
            yield Fault(
                ("smallest", "largest"),
                f"smallest is {self.smallest:g}, expected less than largest = {self.largest:g}: noise falls",
            )

    @property
    def deviations(self) -> tuple[float, ...]:
        """Standard deviations of the noise of the passes, from the first prediction on."""
        ratio = self.smallest / self.largest
        return tuple(self.largest * ratio ** (number / self.passes) for number in range(self.passes + 1))

    def sample(
        self, module: torch.nn.Module, x: torch.Tensor, members: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw trajectories through the times of the training; see `Surrogate.sample`."""
        lengths = [(length, 1) for length in _of(module).states.intervals]
        return self._drawn(module, x, lengths, members, generator)

    def sample_rollout(
        self,
        module: torch.nn.Module,
        x: torch.Tensor,
        times: Sequence[float],
        members: int,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Draw trajectories through any times; see `Surrogate.sample_rollout`."""
        return self._drawn(module, x, self.hops(_of(module).states, times), members, generator)

    def _drawn(
        self,
        module: torch.nn.Module,
        x: torch.Tensor,
        lengths: Sequence[tuple[float, int]],
        members: int,
        generator: torch.Generator,
    ) -> torch.Tensor:
        import torch

        refining, found = _of(module), []
        together = max(1, _TOGETHER // max(1, len(x)))
        for begin in range(0, members, together):
            count = min(together, members - begin)
            states = refining.through(x.repeat(count, *(1,) * (x.ndim - 1)), lengths, generator)
            drawn = refining.channels(states)
            found.append(drawn.reshape(count, len(x), *drawn.shape[1:]))
        return torch.cat(found)

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
        """Return true states plus errors in deviations of their passes; see `Stepping._second_states`."""
        import torch

        from ritz.compute.surrogates.networks.refining import along

        refining = _of(rollout)
        numbers = torch.randint(self.passes + 1, (len(now),), generator=generator).to(now.device)
        noise = torch.randn(now.shape, generator=generator).to(now.device)
        deviations = along(torch.tensor(self.deviations, device=now.device)[numbers], now)
        with batch.arithmetic():
            said = refining.said(later + deviations * noise, now, others, lengths, numbers).float()
        predicted = (now if self.change else 0) + deviations * said
        # The error of a refined state is what was missed of its noise.
        off = torch.where(along(numbers == 0, now), (predicted - later) / deviations, noise - said)
        return later + off

    def _looped(self, module: torch.nn.Module, states: StateChannels, inputs: int, unit: float | None) -> Rollout:
        from ritz.compute.surrogates.networks.refining import Refining

        return Refining(module, states, inputs, unit=unit, change=self.change, deviations=self.deviations)

    def _inside(self, grid: Grid, states: StateChannels) -> Grid:
        """Return the grid of the network inside: a candidate beside the state, and a channel for each pass."""
        inside, axes = super()._inside(grid, states), len(grid.shape)
        candidate, passes = ((True,) * axes,) * len(states.starts), ((False,) * axes,) * (self.passes + 1)
        return Grid(inside.shape, (*candidate, *inside.varies, *passes), inside.mesh)


def _of(module: torch.nn.Module) -> Refining:
    from ritz.compute.surrogates.networks.refining import Refining

    assert isinstance(module, Refining)
    return module
