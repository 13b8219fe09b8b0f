from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.problems.box import grid
from ritz.compute.problems.box.torus import OnTorus, around, outflow, star
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.schemes.equal_steps import EqualSteps
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.iterated import Iterated
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.ranges import Limits, Range, Ranged
from ritz.compute.problems.sizes import size
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.newton import newton
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.scaling import norms

if TYPE_CHECKING:
    import xarray as xr

_ITERATIONS = 20

_LONGEST = 2.0
"""Δt from which on a step may have several solutions."""


class AllenCahn(Ranged, Iterated, OnTorus, EqualSteps):
    """Two phases part and coarsen on a ring or a torus: order parameter u over time from the first state u0.

    Equation
        ∂u/∂t = ε² Δu + u − u³ on (0, L)ᵈ, d = 1 or 2, periodic, for 0 < t ≤ T, u = u0 at t = 0. It is the gradient flow
        of the energy ∫ ε²/2 |∇u|² + (u² − 1)²/4. The phases are u = ±1; between them lie interfaces
        tanh(x/(√2 ε)), which move by their curvature. All quantities are dimensionless.
    Discretisation
        In space the 3- or 5-point stencil A of −Δ on equal cells, second order in their width, which has to resolve ε.
        In time ``steps`` equal steps Δt = T/steps with a discrete gradient of the energy: p = uⁿ⁺¹ and q = uⁿ hold
        p − q + Δt (ε² A (p + q)/2 + (p + q)(p² + q²)/4 − (p + q)/2) = 0. Second order in Δt, and in
        steps of any length the energy Σ ε²/2 |∇u|² + (u² − 1)²/4 of the cells falls. A step has one solution where
        Δt < 2, which is demanded.
    Systems
        Newton's method for p, begun where the step before points; one batch of symmetric definite systems an iteration.
        A sample that has reached ``tolerance`` gets a zero right-hand side, so its fields do not depend on the others
        in its block. One that has not after 20 iterations begins again, with steps that are halved until the defect
        falls, and is NaN from there on if 20 of these do not suffice, hence recorded as failed.
    Arrays
        Input ``u0``, ``(sample, x)`` or ``(sample, y, x)``, and output ``u``, ``(sample, time, x)`` or ``(sample, time,
        y, x)``, float32; along an axis of N cells the centre of cell i lies at (i + ½) L/N. ``u`` holds the state after
        every step, at the times Δt, 2Δt, …, T, so that the steps can be checked from what is stored. ε as a range is an
        input ``epsilon``, ``(sample,)``.

    Source: S. M. Allen, J. W. Cahn, "A microscopic theory for antiphase boundary motion and its application to
    antiphase domain coarsening", Acta Metall. 27 (1979). The steps: Q. Du, R. A. Nicolaides, "Numerical analysis of a
    continuum model of phase transition", SIAM J. Numer. Anal. 28 (1991).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "S. M. Allen, J. W. Cahn",
            "A microscopic theory for antiphase boundary motion and its application to antiphase domain coarsening",
            1979,
            "Acta Metall. 27",
        ),
        Source(
            "Q. Du, R. A. Nicolaides",
            "Numerical analysis of a continuum model of phase transition",
            1991,
            "SIAM J. Numer. Anal. 28",
            "the energy falls in every step",
        ),
    )

    kind: Literal["allen_cahn"] = "allen_cahn"
    shape: tuple[grid.Cells, ...] = Field(
        default=(64, 64), min_length=1, max_length=2, json_schema_extra=in_units("cells")
    )
    """Cells along x, or along y and x."""
    length: float = Field(default=1.0, gt=0, le=10_000)
    """L."""
    epsilon: Annotated[float | Range, Limits(gt=0, le=1000)] = 0.03
    """ε, a number or a range: interfaces are about 4 ε wide."""
    steps: int = Field(default=20, ge=1, le=10_000, json_schema_extra=in_units("time steps"))
    """Time steps; the state after each is stored."""
    end: float = Field(default=10.0, gt=0, le=100_000)
    """T. What is small of a first state grows e-fold in a time of 1."""
    law: Gaussian = Gaussian(tau=10.0, alpha=3.0)
    """Distribution of the first state, periodic, up to its scale."""
    amplitude: float = Field(default=0.5, gt=0, le=100)
    """Standard deviation of the first state."""
    tolerance: float = Field(default=1e-10, ge=1e-13, le=1e-3)
    """Largest ``‖F‖ / ‖uⁿ‖``, F what a step leaves over, at which Newton's method stops."""

    def faults(self) -> Iterator[Fault]:
        """Yield whether steps are too long; see `Kind.faults`."""
        yield from super().faults()
        if self.interval >= _LONGEST:
            yield Fault(
                ("end", "steps"),
                f"end/steps is {self.interval:g}, expected less than {_LONGEST:g}: a longer step may have "
                "several solutions",
            )

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, self.steps, *self.shape))
        space = grid.axes(self.shape)
        about_u0 = {"role": "input", "transform": "identity", "units": "1", "long_name": "first order parameter"}
        about_u = {"role": "output", "transform": "identity", "units": "1", "long_name": "order parameter"}
        return xr.Dataset(
            {
                **self.range_variables(n),
                "u0": (("sample", *space), nothing[:, 0], about_u0),
                "u": (("sample", "time", *space), nothing, about_u | from_input("u0")),
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **grid.coordinates(self.shape, self.length),
            },
            attrs={"symmetries": grid.symmetries(self.shape)},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states, ``u0`` ``(n, *shape)`` float32, and parameters; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many parameters and leading coefficients of u₀ may be given; see `Problem.leading`."""
        return len(self.ranges) + self.law.leading(len(self.shape), "periodic")

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters and leading coefficients of the law; see `Problem.draw_at`."""
        rest = None if given is None else given[:, len(self.ranges) :]
        first = self.amplitude * self.law.draw(seed, ids, self.shape, "periodic", given=rest)
        return {**self.draw_ranges(seed, ids, given), "u0": first.astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the leading cosine coefficients of the first state and the parameter, ``(n, 16)`` float32."""
        return self.with_ranges(leading_cosines(inputs["u0"]), inputs)

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0; see `Evolution.start`."""
        return State(0, {"u": double(inputs["u0"])})

    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Take a step; samples for which Newton's method does not converge are NaN. See `Evolution.step`."""
        q = state.fields["u"]
        p, lost = newton(
            lambda p: self._defect(inputs, q, p),
            lambda p: (self._derivatives(inputs, q, p), 1.0),
            q + state.aside.get("change", np.zeros_like(q)),
            solve,
            bound=self.tolerance * norms(q),
            steps=_ITERATIONS - 1,
            whole=True,
        )
        p = self.without_lost(p, lost)
        return State(state.step + 1, {"u": p}, {"change": p - q})

    def _defect(self, inputs: Mapping[str, np.ndarray], q: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Return q − p − Δt (ε² A w + w (p² + q²)/2 − w), w = (p + q)/2."""
        squared = self.number("epsilon", inputs, len(self.shape)) ** 2
        w, squares = 0.5 * (p + q), self.squares
        # Where Newton's method diverges the squares overflow; that sample ends as NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            rate = 2 * sum(squares) * squared - 1 + 0.5 * (p**2 + q**2)
            defect: np.ndarray = q - p - self.interval * (rate * w - squared * around(w, squares))
        return defect

    def _derivatives(self, inputs: Mapping[str, np.ndarray], q: np.ndarray, p: np.ndarray) -> Matrices:
        """Return the derivatives (1 − Δt/2) I + Δt/2 (ε² A + (3p² + 2pq + q²)/2) by p, of what a step leaves over.

        The last term is (p² + (p + q)²/2) Δt/2, never negative, so they are definite.
        """
        half, squares, pattern = 0.5 * self.interval, self.squares, star(self.shape)
        q, p = q.reshape(len(q), -1), p.reshape(len(p), -1)
        spread = half * self.number("epsilon", inputs, 1) ** 2
        values = np.empty((len(p), len(pattern.pattern.indices)))
        for beside, square in zip(pattern.across[0], np.repeat(squares, 2), strict=True):
            values[:, beside] = -spread * square
        with np.errstate(over="ignore", invalid="ignore"):
            reaction = half * (p**2 + 0.5 * (p + q) ** 2)
        values[:, pattern.local[0, 0]] = 1 - half + 2 * sum(squares) * spread + reaction
        return Matrices(values, pattern.pattern, self.shape, symmetric=True, definite=True)

    def step_equations(
        self,
        inputs: Mapping[str, Array],
        before: Mapping[str, Array],
        after: Mapping[str, Array],
        steps: np.ndarray,
    ) -> dict[str, Array]:
        """Return p − q + Δt (ε² A (p + q)/2 + (p + q)(p² + q²)/4 − (p + q)/2) from the fluxes between the cells.

        See `Evolution.step_equations`.
        """
        del steps
        q, p = before["u"], after["u"]
        squared = self.number("epsilon", inputs, 1 + len(self.shape)) ** 2
        gradient = 0.25 * (p + q) * (p**2 + q**2 - 2) + 0.5 * squared * outflow(p + q, self.squares)
        return {"u": p - q + self.interval * gradient}

    def step_linearised(self, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Matrices:
        """Return what Newton's method solves with; see `Evolution.step_linearised`."""
        del step
        return self._derivatives(inputs, before["u"], after["u"])

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what rounding of the states adds to the residual of the worst step; see `Problem.rounding`.

        ``‖Σ |∂F/∂x| |x|‖ / ‖uⁿ‖``, F what a step leaves over and x all values of both states; terms of the same value
        are added up with one sign.
        """
        squares, total = self.squares, 2 * sum(self.squares)
        wide = {name: double(values) for name, values in inputs.items()}
        squared = self.number("epsilon", wide, 1 + len(self.shape)) ** 2
        sizes = {name: np.abs(double(values)) for name, values in (*wide.items(), *fields.items())}
        found = []
        for before, after, _ in self.pieces(sizes, {"u": sizes["u"]}):
            q, p = before["u"], after["u"]
            both = p + q
            reaction = 0.25 * (3 * both * (p**2 + q**2)) + 0.5 * both
            spread = 0.5 * squared * (around(both, squares) + total * both)
            found.append(size(both + self.interval * (reaction + spread), axes=2) / size(q, axes=2))
        worst: np.ndarray = np.concatenate(found, axis=1).max(axis=1)
        return worst
