from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, like, namespace
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.box import grid
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.evolutions.schemes import exponential
from ritz.compute.problems.evolutions.schemes.exponential import (
    COX_MATTHEWS,
    KASSAM_TREFETHEN,
    Coefficients,
    by_series,
)
from ritz.compute.problems.evolutions.schemes.vorticity import by_square, marched, plan_of, whole_of
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Limits, Range, Ranged
from ritz.compute.problems.spectrum import leading_cosines

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)


class NavierStokes(Ranged, Marching):
    """Forced flow on a flat torus: vorticity w over time from the first state w0.

    Equation
        ∂w/∂t + u·∇w = ν Δw + f on (0, 1)², periodic, for 0 < t ≤ T, w = w0 at t = 0, with the velocity
        u = (∂ψ/∂y, −∂ψ/∂x) of mean zero, −Δψ = w, and f = F (sin 2π(x + y) + cos 2π(x + y)). All quantities are
        dimensionless. The mean of w0 is zero and stays so.
    Discretisation
        In space the Fourier modes below a third of the cells along both axes (the two-thirds rule), so products are
        without aliases, and convection changes neither the energy ∫|u|²/2 nor the enstrophy ∫w²/2. The error in space
        falls faster than any power of the cell width. What w0 has in other modes is dropped by the first step.
        In time ``steps`` equal steps Δt = T/steps of exponential time differencing: exact in the viscous part, fourth
        order in Δt for the rest. The steps are stable while the speed |u| is below a limit that follows from Δt and ν.
        A sample that exceeds it anywhere is NaN from there on, hence recorded as failed.
    Systems
        None: the steps are explicit. `march` takes real transforms of u v and v² − u² and coefficients from contour
        integrals, `again` complex transforms of u·∇w and coefficients from power series.
    Arrays
        Input ``w0``, ``(sample, y, x)``, and output ``w``, ``(sample, time, y, x)``, float32; the cell ``(i, j)`` of a
        grid of ``shape = (ny, nx)`` has its centre at y = (i + ½)/ny, x = (j + ½)/nx. ``w`` holds the state after every
        ``store_every``-th step, by default at the times 1, 2, …, T. ν and F as ranges are inputs ``viscosity`` and
        ``forcing``, ``(sample,)``.

    Source: the flow of Li et al., "Fourier neural operator", ICLR 2021, 5.3, with ν = 1e-3, 1e-4 or 1e-5 and F = 0.1.
    Its w0 has the covariance 7^(3/2) (−Δ + 49)^−2.5: that is τ = 7, α = 2.5 and an ``amplitude`` of 0.043; the code
    that made the published samples draws with 2 · 7³ in place of 7^(3/2), an ``amplitude`` of 0.262. The form of the
    products: C. Basdevant, "Technical improvements for direct numerical simulation of homogeneous three-dimensional
    turbulence", J. Comput. Phys. 50 (1983).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Li et al.",
            "Fourier neural operator for parametric partial differential equations",
            2021,
            "ICLR",
            "samples by Crank–Nicolson and explicit Euler steps of 1e-4",
            "navier_stokes.txt",
        ),
        COX_MATTHEWS,
        KASSAM_TREFETHEN,
        Source(
            "C. Basdevant",
            "Technical improvements for direct numerical simulation of homogeneous three-dimensional turbulence",
            1983,
            "J. Comput. Phys. 50",
            "fewer transforms a step than of u·∇w",
        ),
    )

    kind: Literal["navier_stokes"] = "navier_stokes"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    viscosity: Annotated[float | Range, Limits(gt=0, le=1000)] = 1e-3
    """ν, a number or a range."""
    forcing: Annotated[float | Range, Limits(ge=0, le=1000)] = 0.1
    """F, a number or a range; 0 leaves the flow to decay."""
    steps: int = Field(default=320, ge=1, le=10_000_000, json_schema_extra=in_units("time steps"))
    """Time steps."""
    store_every: int = Field(default=16, ge=1, le=10_000_000, json_schema_extra=in_units("time steps"))
    """The state after every so many steps is stored."""
    end: float = Field(default=20.0, gt=0, le=100_000)
    """T."""
    law: Gaussian = Gaussian(tau=7.0, alpha=2.5)
    """Distribution of the first state, periodic, up to its scale."""
    amplitude: float = Field(default=0.262, gt=0, le=1000)
    """Standard deviation of the first state."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, len(self.times), *self.shape))
        about_w0 = {"role": "input", "transform": "identity", "units": "1", "long_name": "first vorticity"}
        about_w = {"role": "output", "transform": "identity", "units": "1", "long_name": "vorticity"}
        return xr.Dataset(
            {
                **self.range_variables(n),
                "w0": (("sample", "y", "x"), nothing[:, 0], about_w0),
                "w": (("sample", "time", "y", "x"), nothing, about_w | from_input("w0")),
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **grid.coordinates(self.shape),
            },
            # A mirrored flow turns the other way.
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states, ``w0`` ``(n, ny, nx)`` float32, and parameters; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """How many parameters and leading coefficients of w₀ may be given; see `Problem.leading`."""
        return len(self.ranges) + self.law.leading(2, "periodic")

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters and leading coefficients of the law; see `Problem.draw_at`."""
        rest = None if given is None else given[:, len(self.ranges) :]
        first = self.amplitude * self.law.draw(seed, ids, self.shape, "periodic", given=rest)
        return {**self.draw_ranges(seed, ids, given), "w0": first.astype(np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the parameters and the leading cosine coefficients of the first state, ``(n, 16)`` float32."""
        return self.with_ranges(leading_cosines(inputs["w0"]), inputs)

    @property
    def rings(self) -> tuple[str, ...]:
        """Both axes close to rings."""
        return ("y", "x")

    def conserved(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return w, whose integral stays; see `Evolution.conserved`."""
        del inputs
        return {"integral": fields["w"]}

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return w0; see `Evolution.start`."""
        return State(0, {"w": double(inputs["w0"])})

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Take steps with real transforms, four an evaluation; see `Marching.march`."""
        first = fields["w"]
        viscosity, forcing = (
            np.broadcast_to(self.number(name, inputs, 0), len(first)).tolist() for name in ("viscosity", "forcing")
        )
        plan, found = plan_of(self.shape), np.empty_like(first)
        # One by one: the fields of a sample fit into caches, and its bits do not depend on its block.
        for i, (nu, force) in enumerate(zip(viscosity, forcing, strict=True)):
            found[i] = marched(first[i], plan, *by_square(self.shape, nu, self.interval), force, steps)
        failed = np.count_nonzero(np.isnan(found[:, 0, 0]) & np.isfinite(first[:, 0, 0]))
        if failed:
            log.warning(
                "%d of %d samples are too fast for stable steps of %g: expected more steps, now %d",
                *(failed, len(first), self.interval, self.steps),
            )
        return {"w": found}

    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Take steps with complex transforms, of two fields at once; see `Marching.again`."""
        w, whole = before["w"], whole_of(self.shape)
        fft = namespace(w).fft
        modes = fft.fft2(w) * like(whole.kept, w)
        mask, slope, speed = (like(one, modes) for one in (whole.kept, whole.slope, whole.speed))
        rates = -self.number("viscosity", inputs, 2) * like(whole.squares, w)
        coefficients = Coefficients(*(one[..., whole.places] for one in by_series(rates, self.interval)))
        force = self.number("forcing", inputs, 3) * fft.fft2(like(whole.wave, w))

        def nonlinear(modes: Array) -> Array:
            return force - mask * fft.fft2((fft.ifft2(speed * modes).conj() * fft.ifft2(slope * modes)).real)

        for _ in range(steps):
            modes = exponential.step(modes, nonlinear, coefficients)
        return {"w": fft.ifft2(modes).real}
