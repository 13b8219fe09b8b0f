from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ritz.compute.fields.arrays import Array, double
from ritz.compute.problems.box import grid
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Ranged
from ritz.compute.problems.spectrum import leading_cosines

if TYPE_CHECKING:
    import xarray as xr


class Modal(Ranged, Marching):
    """An evolution among the Fourier modes of one field u on a periodic box, from a Gaussian first state u0.

    Input ``u0``, ``(sample, *space)``, and output ``u``, ``(sample, time, *space)``, float32, at the centres of the
    cells; parameters that are ranges are inputs, ``(sample,)``.
    """

    quantity: ClassVar[str]
    """What u is, in words."""

    if TYPE_CHECKING:
        # Fields of a subclass, which keep their places among its others.
        length: float
        law: Gaussian
        amplitude: float

    @property
    @abstractmethod
    def cells(self) -> tuple[int, ...]:
        """Cells along each axis."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, len(self.times), *self.cells))
        about = {"transform": "identity", "units": "1"}
        space = grid.axes(self.cells)
        return xr.Dataset(
            {
                **self.range_variables(n),
                "u0": (
                    ("sample", *space),
                    nothing[:, 0],
                    {"role": "input", **about, "long_name": f"first {self.quantity}"},
                ),
                "u": (
                    ("sample", "time", *space),
                    nothing,
                    {"role": "output", **about, "long_name": self.quantity, **from_input("u0")},
                ),
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **grid.coordinates(self.cells, self.length),
            },
            # Terms of odd order tell the directions of an axis apart.
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states, ``u0`` ``(n, *space)`` float32, and parameters; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many parameters and leading coefficients of u₀ may be given; see `Problem.leading`."""
        return len(self.ranges) + self.law.leading(len(self.cells), "periodic")

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters and leading coefficients of the law; see `Problem.draw_at`."""
        drawn = self.draw_ranges(seed, ids, given)
        rest = None if given is None else given[:, len(self.ranges) :]
        first = self.amplitude * self.law.draw(seed, ids, self.cells, "periodic", given=rest)
        return {**drawn, "u0": self.settled(first, drawn).astype(np.float32)}

    def settled(self, states: np.ndarray, drawn: Arrays) -> np.ndarray:
        """Return the first states ``(n, *space)`` of states that were drawn from the law, by default these.

        Parameters
        ----------
        states
            ``(n, *space)`` float64.
        drawn
            The parameters that are ranges, ``(n,)`` each.
        """
        del drawn
        return states

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the parameters and the leading cosine coefficients of the first state, ``(n, 16)`` float32."""
        return self.with_ranges(leading_cosines(inputs["u0"]), inputs)

    @property
    def rings(self) -> tuple[str, ...]:
        """All axes close to rings."""
        return grid.axes(self.cells)

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0; see `Evolution.start`."""
        return State(0, {"u": double(inputs["u0"])})
