from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Fault, OneOf, Source, in_units
from ritz.compute.surrogates.families import NETWORKS
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.network import Network
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate

if TYPE_CHECKING:
    import torch


_POINTS = 16
"""Points along an axis of the fields by which a prior for any grid is brought to its size."""


class RandomizedPrior(Network):
    """A network beside a second one of the same kind that stays as it was drawn: members that differ away from data.

    The output is ``f(x) + scale · p(x)``, where ``f`` learns and ``p`` does not. Where there are training samples ``f``
    takes off what ``p`` says; elsewhere it need not, and the members of an ensemble of such networks disagree. Without
    priors they agree there too often. By itself it is a network like any other: take it as the member of an `Ensemble`.

    Source: Osband, Aslanides, Cassirer, "Randomized prior functions for deep reinforcement learning", NeurIPS 2018.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "I. Osband, J. Aslanides, A. Cassirer",
            "Randomized prior functions for deep reinforcement learning",
            2018,
            "NeurIPS",
            "an ensemble with random fixed priors keeps its spread away from the data",
            "randomized_priors.txt",
        ),
        Source(
            "M. A. Bhouri, L. Peng, M. S. Pritchard, P. Gentine",
            "Multi-fidelity climate model parameterization for better generalization and extrapolation",
            2023,
            "arXiv:2309.10231",
            "with cheap and dear samples it extrapolates better than with either alone, with trustworthy uncertainty",
            "randomized_priors.txt",
        ),
    )

    kind: Literal["randomized_prior"] = "randomized_prior"
    inner: Annotated[Surrogate, OneOf(Surrogate, lambda: NETWORKS, group="ritz.surrogates")] = FNO()
    """Network of both parts."""
    scale: float = Field(default=1.0, gt=0, le=1000, json_schema_extra=in_units("deviations of the outputs"))
    """Root mean square of what the fixed network adds to the normalised outputs, for normalised inputs."""

    def faults(self) -> Iterator[Fault]:
        """Yield that what is inside is no network; see `Kind.faults`."""
        if self.inner.as_network() is None or self.inner.kind == self.kind:
            yield Fault(("inner",), f"inner is {self.inner.kind!r}, expected a network by itself, such as 'fno'")
        elif self.inner.stochastic:
            yield Fault(
                ("inner",), f"inner is {self.inner.kind!r}, which draws its answers; expected one that does not"
            )

    @property
    def any_grid(self) -> bool:  # type: ignore[override]  # the class alone does not know what is inside
        """Whether the network inside works on any grid."""
        return self.inner.any_grid

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return both networks, the second one fixed; see `Network.build`."""
        return self._with(lambda network: network.build(inputs, outputs, axes), inputs, (_POINTS,) * axes)

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return both networks on a grid; see `Network.build_on`."""
        return self._with(lambda network: network.build_on(inputs, outputs, grid), inputs, grid.shape)

    def objective(self, module: torch.nn.Module, batch: Minibatch) -> torch.Tensor:
        """Return what the network inside makes smaller, of the sum; see `Network.objective`."""
        return self._network().objective(module, batch)

    def check(self, grid: Grid) -> None:
        """Refuse what the network refuses; see `Surrogate.check`."""
        self.inner.check(grid)

    def _with(
        self, build: Callable[[Network], torch.nn.Module], inputs: int, space: tuple[int, ...]
    ) -> torch.nn.Module:
        from ritz.compute.surrogates.networks.randomized_prior import WithPrior, unit_inputs

        inner = self._network()
        return WithPrior(build(inner), build(inner), self.scale, unit_inputs(inputs, space))

    def _network(self) -> Network:
        inner = self.inner.as_network()
        assert inner is not None
        return inner
