from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Fault, Source
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.surrogates.grid import Grid, StateChannels
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.stepping import ALIKE, Stepping

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.networks.closure import Closed
    from ritz.compute.surrogates.networks.rollout import Rollout


class Closure(Stepping):
    """A coarse solver, and a network that says what its steps lack: u(t + Δt) = Φ(u(t)) + Δt/T · N(u(t)).

    Φ is a step of the problem ``coarse``, which solves for the variables of the data alone and leaves out what they do
    not resolve: scales, processes, or the errors of steps that are too long. N is the network inside, a tendency in
    deviations of the outputs per T, the last time of the training. Everything else is as in `Stepping`: the states that
    are stored are pairs, and errors are taken back through all steps between them, those of the solver too.

    The coarse problem
        One in explicit steps (`Marching`), with outputs and first states of the same names as the data. Its other
        inputs, such as parameters that are ranges, are inputs of the data. Problems whose steps pose systems are
        refused: no gradient goes through their solvers here.
    Its grid
        That of the data, or one of 2, 4, 8 … times fewer points along every axis: then
        Φ(u) = u + P(Φ'(Ru) − Ru), where Φ' is the step there, R halves the points by linear interpolation between them,
        again and again, and P are cubic splines. What of a state the coarse grid does not hold stays as it is in Φ, and
        N, which sees all of it, leads it on.
    Length of the step
        Δt = ``end``/``steps`` of the coarse problem. Any time that is a multiple of it can be reached; its ``end`` and
        ``store_every`` say nothing else.

    Source: Lütjens et al., "Multiscale neural operator: learning fast and grid-independent PDE solvers", arXiv
    2207.11417 (2022), for the network as a closure; Um et al., "Solver-in-the-loop: learning from differentiable
    physics to interact with iterative PDE-solvers", NeurIPS 2020, for gradients through the steps of the solver.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "B. Lütjens et al.",
            "Multiscale neural operator: learning fast and grid-independent PDE solvers",
            2022,
            "arXiv 2207.11417",
            "more accurate or more flexible than the usual parametrisations on Lorenz-96 with two scales",
            "closure.txt",
        ),
        Source(
            "K. Um et al.",
            "Solver-in-the-loop: learning from differentiable physics to interact with iterative PDE-solvers",
            2020,
            "NeurIPS",
            "corrections that are trained through the steps of the solver are better than those trained beside it",
        ),
    )

    kind: Literal["closure"] = "closure"  # type: ignore[assignment]  # a kind of its own, which steps as the other does
    coarse: AnyProblem
    """The problem whose steps the network completes."""
    change: Literal[True] = True
    """The network says what a step of the solver lacks, never the whole state after it."""

    def faults(self) -> Iterator[Fault]:
        """Yield also a coarse problem without explicit steps; see `Kind.faults`."""
        yield from super().faults()
        if not isinstance(self.coarse, Marching):
            yield Fault(
                ("coarse",),
                f"coarse is {self.coarse.kind!r}, expected a problem in explicit steps, such as 'lorenz96' or "
                "'kuramoto_sivashinsky': no gradient goes through the solvers of systems",
            )

    @property
    def any_grid(self) -> bool:  # type: ignore[override]  # as that of `Stepping`
        """No: the coarse problem has a grid."""
        return False

    def check(self, grid: Grid) -> None:
        """Refuse also data that the coarse problem does not lead through; see `Surrogate.check`."""
        super().check(grid)
        assert grid.states is not None
        own = Grid.of(Dimensions.of(self.coarse.template(1)))
        assert own.states is not None
        self._grids(grid.shape)
        if own.states.sizes != grid.states.sizes:
            raise ValueError(
                f"coarse is {self.coarse.kind!r} with {own.states.sizes} channels of a state, expected "
                f"{grid.states.sizes}, one number for each output of the data"
            )
        self.hops(grid.states, grid.states.times)

    def adapted(self, module: torch.nn.Module, normalisation: Normalisation) -> torch.nn.Module:
        """Take in also which variables the coarse problem has, and their units; see `Network.adapted`."""
        module, own = super().adapted(module, normalisation), Dimensions.of(self.coarse.template(1))
        starts = normalisation.dimensions.starts
        if own.starts != starts:
            raise ValueError(
                f"coarse is {self.coarse.kind!r} with the outputs and first states {own.starts}, expected {starts}, "
                "those of the data"
            )
        box = normalisation.dimensions.lengths
        if box is not None and own.lengths is not None and not np.allclose(box, own.lengths, rtol=1e-6, atol=0):
            raise ValueError(
                f"coarse is {self.coarse.kind!r} in a box of {own.lengths}, expected {box}, the lengths of the data"
            )
        given = {one.name for one in normalisation.inputs}
        missing = [name for name in own.inputs if name not in given]
        if missing:
            raise ValueError(
                f"coarse is {self.coarse.kind!r} with the inputs {list(own.inputs)}, of which the data lack {missing}; "
                "expected inputs of the data, or numbers in place of ranges"
            )
        for one in normalisation.outputs:
            if one.transform != "identity":
                raise ValueError(
                    f"output {one.name!r} has the transform {one.transform!r}, expected 'identity': a tendency is "
                    "added to values"
                )
        _of(module).learn_units(normalisation, own.inputs, self._grids(normalisation.dimensions.shape))
        return module

    def _grids(self, shape: tuple[int, ...]) -> Grids | None:
        """Return the grid of the data, of so many points, and that of the coarse problem; None where they are one.

        Raises
        ------
        ValueError
            If the coarse problem has neither the grid of the data nor one of 2, 4, 8 … times fewer points.
        """
        own = Dimensions.of(self.coarse.template(1)).shape
        if own == shape:
            return None
        said = f"coarse is {self.coarse.kind!r} on {own} points, expected {shape}, those of the data"
        factor = shape[0] // own[0]
        if factor < 2 or factor & (factor - 1) or shape != tuple(factor * points for points in own):
            raise ValueError(f"{said}, or 2, 4, 8 … times fewer along every axis")
        found = Grids.above(self.coarse, factor.bit_length() - 1)
        if isinstance(found, str):
            raise ValueError(f"{said}: {found}")
        return found

    def _looped(self, module: torch.nn.Module, states: StateChannels, inputs: int, unit: float | None) -> Rollout:
        """Return the network inside with the coarse problem, in their loop; it sees no length of a step."""
        del unit
        from ritz.compute.surrogates.networks.closure import Closed

        return Closed(module, states, inputs, self._coarse())

    def _hop(self, states: StateChannels, whole: float) -> tuple[float, int] | None:
        """Return one step of the loop, in which the coarse problem takes as many as lead there."""
        del states
        step = self._coarse().interval
        count = round(whole / step)
        return (whole, 1) if count and abs(count * step - whole) <= ALIKE * whole else None

    def _steps(self, states: StateChannels) -> str:
        """Say which steps the coarse problem takes."""
        del states
        return f"steps of {self._coarse().interval:g}, end/steps of its coarse problem"

    def _sees_length(self, states: StateChannels) -> bool:
        """Return that all its steps are equally long."""
        del states
        return False

    def _coarse(self) -> Marching:
        assert isinstance(self.coarse, Marching)
        return self.coarse


def _of(module: torch.nn.Module) -> Closed:
    from ritz.compute.surrogates.networks.closure import Closed

    assert isinstance(module, Closed)
    return module
