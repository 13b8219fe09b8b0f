from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Fault, OneOf, Source, in_units
from ritz.compute.surrogates.families import NETWORKS
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate

if TYPE_CHECKING:
    import torch


class Staggered(Network):
    """A network on every ``stride``-th point, which answers for all of them: a step costs what one on few points does.

    The points of the grid fall into ``stride`` to the power of the dimensions sub-fields, each of every ``stride``-th
    point along every axis from another first one. The network inside works on the grid of a sub-field. Its answers are
    put back where they belong. A grid that the stride does not divide is widened by its last values, and the answer cut
    back. Inside `Stepping` it makes the steps of a rollout cheaper.

    Sub-fields
        ``channels``: all sub-fields are the channels of one evaluation, which takes about as long as one on a sub-field
        alone and sees every value. ``batch``: each is a sample of its own for the same network, as in the publication,
        where they are shared out over devices; one device does as much work as without, and no sub-field sees the
        others.

    Source: Huang et al., "NeuralStagger: accelerating physics-constrained neural PDE solver with spatial-temporal
    decomposition", ICML 2023. Theirs has a network for each sub-field, and staggers time too.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "X. Huang et al.",
            "NeuralStagger: accelerating physics-constrained neural PDE solver with spatial-temporal decomposition",
            2023,
            "ICML",
            "10 to 100 times faster on flows, its sub-fields on devices of their own",
            "staggered.txt",
        ),
    )

    kind: Literal["staggered"] = "staggered"
    inner: Annotated[Surrogate, OneOf(Surrogate, lambda: NETWORKS, group="ritz.surrogates")] = FNO()
    """Network of the sub-fields."""
    stride: int = Field(default=2, ge=2, le=16, json_schema_extra=in_units("points"))
    """Distance between the points of a sub-field along every axis."""
    subfields: Literal["channels", "batch"] = "channels"
    """How the network inside is given the sub-fields."""

    def faults(self) -> Iterator[Fault]:
        """Yield that what is inside is no network, or one that is trained in its own way; see `Kind.faults`."""
        kind, inner = self.inner.kind, self.inner.as_network()
        if inner is None:
            yield Fault(("inner",), f"inner is {kind!r}, expected a network by itself, such as 'fno'")
        elif type(inner).objective is not Network.objective or type(inner).adapted is not Network.adapted:
            yield Fault(
                ("inner",),
                f"inner is {kind!r}, which is trained in a way of its own; expected a network by itself, such as "
                "'fno', or the two the other way round",
            )
        elif inner.stochastic:
            yield Fault(("inner",), f"inner is {kind!r}, which draws its answers; expected one that does not")

    @property
    def any_grid(self) -> bool:  # type: ignore[override]  # the class alone does not know what is inside
        """Whether the network inside works on any grid."""
        return self.inner.any_grid

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, too few points and what the network inside refuses; see `Surrogate.check`."""
        self.refuse_mesh(grid)
        if self.stride > min(grid.shape):
            raise ValueError(
                f"stride is {self.stride} on a grid of {grid.shape} points, expected at most {min(grid.shape)}"
            )
        self.inner.check(self._inside(grid))

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Network.build`."""
        return self._around(self._network().build(inputs * self._times(axes), outputs * self._times(axes), axes))

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return an untrained network for the grid of a training; see `Network.build_on`."""
        self.check(grid)
        grid.check_inputs(inputs)
        inside = self._inside(grid)
        return self._around(
            self._network().build_on(len(inside.varies), outputs * self._times(len(grid.shape)), inside)
        )

    def _around(self, inner: torch.nn.Module) -> torch.nn.Module:
        from ritz.compute.surrogates.networks import staggered

        return staggered.Staggered(inner, self.stride, together=self.subfields == "channels")

    def _times(self, axes: int) -> int:
        """Return how many channels of the network inside are of one channel."""
        return self.stride**axes if self.subfields == "channels" else 1

    def _inside(self, grid: Grid) -> Grid:
        """Return the grid of a sub-field, with the channels of the network inside."""
        shape = tuple(-(-points // self.stride) for points in grid.shape)
        varies = tuple(along for along in grid.varies for _ in range(self._times(len(grid.shape))))
        return Grid(shape, varies)

    def _network(self) -> Network:
        inner = self.inner.as_network()
        assert inner is not None
        return inner
