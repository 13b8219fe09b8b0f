from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.box import grid
from ritz.compute.problems.box.torus import OnTorus, around, outflow, star
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.schemes.equal_steps import EqualSteps
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.ranges import Limits, Range, Ranged
from ritz.compute.problems.sizes import joint_size
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr

_EDGE = 0.25
"""Width of the edges of patches, in standard deviations of the field that they are cut from."""


class ReactionDiffusion(Ranged, OnTorus, EqualSteps):
    """Spots and stripes of the Gray–Scott reaction U + 2V → 3V: substances u and v over time from u0 and v0.

    Equation
        ∂u/∂t = D_u Δu − u v² + F (1 − u) and ∂v/∂t = D_v Δv + u v² − (F + k) v on (0, L)², periodic, for 0 < t ≤ T,
        u = u0 and v = v0 at t = 0. F is the feed rate and k the kill rate. All quantities are dimensionless.
    Discretisation
        In space the 5-point stencil on equal cells, second order in their width. In time ``steps`` equal steps
        Δt = T/steps of the linearly implicit midpoint rule: uⁿ⁺¹ = uⁿ + 2δ with (I − Δt/2 J) δ = Δt/2 f(uⁿ), where f
        is the right side of the equations for u = (u, v) and J = f′(uⁿ). Second order in Δt; A-stable, so diffusion
        sets no limit to Δt. A patch reacts within a time of about 4, which Δt has to resolve.
    Systems
        One a step for δ of both substances, u before v, with five neighbours of its own and the other substance in the
        same cell. Not symmetric. The guess is δ of the step before.
    Arrays
        Inputs ``u0`` and ``v0``, ``(sample, y, x)``, and outputs ``u`` and ``v``, ``(sample, time, y, x)``, float32;
        the cell ``(i, j)`` of a grid of ``shape = (ny, nx)`` has its centre at y = (i + ½) L/ny, x = (j + ½) L/nx. The
        outputs hold the state after every step, at the times Δt, 2Δt, …, T, so that the steps can be checked from what
        is stored. F and k as ranges are inputs ``feed`` and ``kill``, ``(sample,)``.

    Source: J. E. Pearson, "Complex patterns in a simple system", Science 261 (1993), for the equations with
    D_u = 2·10⁻⁵ and D_v = 10⁻⁵, and patches of u = ½, v = ¼ in u = 1, v = 0. The steps: the method of one stage and
    second order of H. H. Rosenbrock, "Some general implicit processes for the numerical solution of differential
    equations", Comput. J. 5 (1963).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("J. E. Pearson", "Complex patterns in a simple system", 1993, "Science 261"),
        Source(
            "H. H. Rosenbrock",
            "Some general implicit processes for the numerical solution of differential equations",
            1963,
            "Comput. J. 5",
        ),
    )

    kind: Literal["reaction_diffusion"] = "reaction_diffusion"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    length: float = Field(default=1.0, gt=0, le=10_000)
    """L."""
    diffusion_u: float = Field(default=2e-5, gt=0, le=1000)
    """D_u."""
    diffusion_v: float = Field(default=1e-5, gt=0, le=1000)
    """D_v."""
    feed: Annotated[float | Range, Limits(ge=0, le=1)] = 0.037
    """F, a number or a range."""
    kill: Annotated[float | Range, Limits(ge=0, le=1)] = 0.06
    """k, a number or a range."""
    steps: int = Field(default=40, ge=1, le=10_000, json_schema_extra=in_units("time steps"))
    """Time steps; the state after each is stored."""
    end: float = Field(default=160.0, gt=0, le=1_000_000)
    """T."""
    law: Gaussian = Gaussian(tau=10.0, alpha=5.0)
    """Distribution of the periodic field whose highest parts are the patches of the first state."""
    share: float = Field(default=0.2, gt=0, lt=1)
    """Expected share of the box that lies in patches."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, self.steps, *self.shape))
        first, all_times = ("sample", "y", "x"), ("sample", "time", "y", "x")
        about = {"transform": "identity", "units": "1"}
        of = {name: f"concentration of {name.upper()}" for name in ("u", "v")}
        before = {f"{name}0": about | {"role": "input", "long_name": f"first {said}"} for name, said in of.items()}
        after = {
            name: about | {"role": "output", "long_name": said} | from_input(f"{name}0") for name, said in of.items()
        }
        return xr.Dataset(
            {
                **self.range_variables(n),
                **{name: (first, nothing[:, 0], one) for name, one in before.items()},
                **{name: (all_times, nothing, one) for name, one in after.items()},
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **grid.coordinates(self.shape, self.length),
            },
            attrs={"symmetries": grid.symmetries(self.shape)},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states, ``u0`` and ``v0`` ``(n, ny, nx)`` float32, and parameters; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many parameters and leading coefficients of the patches may be given; see `Problem.leading`."""
        return len(self.ranges) + self.law.leading(2, "periodic")

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters and leading coefficients of the law; see `Problem.draw_at`."""
        rest = None if given is None else given[:, len(self.ranges) :]
        field = self.law.draw(seed, ids, self.shape, "periodic", given=rest)
        patches = scipy.special.expit((field - scipy.special.ndtri(1 - self.share)) / (0.5 * _EDGE))
        return {
            **self.draw_ranges(seed, ids, given),
            "u0": (1 - 0.5 * patches).astype(np.float32),
            "v0": (0.25 * patches).astype(np.float32),
        }

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the leading cosine coefficients of v₀ and the parameters, ``(n, 16)`` float32."""
        return self.with_ranges(leading_cosines(inputs["v0"]), inputs)

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0 and v0; see `Evolution.start`."""
        return State(0, {"u": double(inputs["u0"]), "v": double(inputs["v0"])})

    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Take a step; see `Evolution.step`."""
        u, v, half = state.fields["u"], state.fields["v"], 0.5 * self.interval
        squares, total = self.squares, 2 * sum(self.squares)
        feed, kill = self.number("feed", inputs, 2), self.number("kill", inputs, 2)
        # A sample that grows without bounds ends as one that is not finite, and is recorded as failed.
        with np.errstate(over="ignore", invalid="ignore"):
            grown = u * v**2
            rhs = np.empty((len(u), 2, *self.shape))
            rhs[:, 0] = half * (self.diffusion_u * (around(u, squares) - total * u) - grown + feed * (1 - u))
            rhs[:, 1] = half * (self.diffusion_v * (around(v, squares) - total * v) + grown - (feed + kill) * v)
            operators = self._matrices(inputs, u, v)
        flat = rhs.reshape(len(u), -1)
        delta = solve(Systems(operators, flat, state.aside.get("delta")))
        of_u, of_v = np.moveaxis(delta.reshape(rhs.shape), 1, 0)
        return State(state.step + 1, {"u": u + 2 * of_u, "v": v + 2 * of_v}, {"delta": delta})

    def _matrices(self, inputs: Mapping[str, np.ndarray], u: np.ndarray, v: np.ndarray) -> Matrices:
        """Return I − Δt/2 J at states ``(n, ny, nx)``."""
        rate, squares = 0.5 * self.interval, self.squares
        feed, kill = self.number("feed", inputs, 1), self.number("kill", inputs, 1)
        u, v = u.reshape(len(u), -1), v.reshape(len(v), -1)
        pattern = star(self.shape, 2)
        couplings = np.zeros(len(pattern.pattern.indices))
        diagonals = []
        for places, diffusion in zip(pattern.across, (self.diffusion_u, self.diffusion_v), strict=True):
            for beside, square in zip(places, np.repeat(squares, 2), strict=True):
                couplings[beside] = -rate * diffusion * square
            diagonals.append(2 * rate * diffusion * sum(squares))
        values = np.repeat(couplings[None], len(u), axis=0)
        slope, square = 2 * rate * u * v, rate * v**2
        of_u, of_v = 1 + rate * feed + square, 1 + rate * (feed + kill) - slope
        values[:, pattern.local[0, 0]] = diagonals[0] + of_u
        values[:, pattern.local[0, 1]] = slope
        values[:, pattern.local[1, 0]] = -square
        values[:, pattern.local[1, 1]] = diagonals[1] + of_v
        # Diffusion adds to the symmetric part, whose blocks in the cells are definite unless Δt is far too long.
        definite = bool(np.all(of_v > 0) and np.all(4 * of_u * of_v > (slope - square) ** 2))
        return Matrices(values, pattern.pattern, (2 * u.shape[1],), definite=definite)

    def step_equations(
        self,
        inputs: Mapping[str, Array],
        before: Mapping[str, Array],
        after: Mapping[str, Array],
        steps: np.ndarray,
    ) -> dict[str, Array]:
        """Return ``uⁿ⁺¹ − uⁿ − Δt (f(uⁿ) + J (w − uⁿ))``, w = (uⁿ + uⁿ⁺¹)/2, from the fluxes between the cells.

        The reaction is linear in w there: ``u v²`` at w is ``v² w_u + 2 u v (w_v − v)``.
        See `Evolution.step_equations`.
        """
        del steps
        u, v, interval, squares = before["u"], before["v"], self.interval, self.squares
        w, z = 0.5 * (u + after["u"]), 0.5 * (v + after["v"])
        feed, kill = self.number("feed", inputs, 3), self.number("kill", inputs, 3)
        grown = v**2 * w + 2 * u * v * (z - v)
        return {
            "u": after["u"] - u + interval * (self.diffusion_u * outflow(w, squares) + grown - feed * (1 - w)),
            "v": after["v"] - v + interval * (self.diffusion_v * outflow(z, squares) - grown + (feed + kill) * z),
        }

    def step_linearised(self, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Matrices:
        """Return I − Δt/2 J, J at the state before; see `Evolution.step_linearised`."""
        del after, step
        return self._matrices(inputs, before["u"], before["v"])

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what rounding of the states adds to the residual of the worst step; see `Problem.rounding`.

        ``‖Σ |∂F/∂x| |x|‖ / ‖uⁿ‖``, F what a step leaves over and x all values of both states; terms of the same value
        are added up with one sign.
        """
        interval, squares, total = self.interval, self.squares, 2 * sum(self.squares)
        wide = {name: double(values) for name, values in inputs.items()}
        sizes = {name: np.abs(double(values)) for name, values in (*inputs.items(), *fields.items())}
        feed, kill = self.number("feed", wide, 3), self.number("kill", wide, 3)
        found = []
        for before, after, _ in self.pieces(sizes, {name: sizes[name] for name in ("u", "v")}):
            u, v = before["u"], before["v"]
            w, z = 0.5 * (u + after["u"]), 0.5 * (v + after["v"])
            grown = 3 * v * (v * w + 2 * u * (z + v))
            terms = {
                "u": 2 * w + interval * (self.diffusion_u * (around(w, squares) + total * w) + grown + feed * w),
                "v": 2 * z
                + interval * (self.diffusion_v * (around(z, squares) + total * z) + grown + (feed + kill) * z),
            }
            found.append(joint_size(terms, axes=2) / self.step_size(before, after))
        worst: np.ndarray = np.concatenate(found, axis=1).max(axis=1)
        return worst
