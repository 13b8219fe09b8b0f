from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.fields.arrays import Array, like, namespace
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.box import periodic
from ritz.compute.problems.evolutions.modal import Modal
from ritz.compute.problems.evolutions.schemes import exponential
from ritz.compute.problems.evolutions.schemes.exponential import (
    COX_MATTHEWS,
    KASSAM_TREFETHEN,
    Coefficients,
    by_contour,
    by_series,
)
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Limits, Range

_EXPONENT = 0.0484
"""Largest Lyapunov exponent for ν = 1 and L = 22, measured; see ``benchmarks/lyapunov.txt``."""


class KuramotoSivashinsky(Modal):
    """Chaotic flames on a ring: slope u over time from the first state u0.

    Equation
        ∂u/∂t + ∂(u²/2)/∂x + ∂²u/∂x² + ν ∂⁴u/∂x⁴ = 0 on (0, L), periodic, for 0 < t ≤ T, u = u0 at t = 0. All quantities
        are dimensionless. The mean of u0 is zero and stays so. For ν = 1 and L = 22 the largest Lyapunov exponent is
        0.048, so that a Lyapunov time is 21 units of time.
    Discretisation
        In space the Fourier modes that ``points`` cells resolve; of the products those below a third of the cells are
        kept. In time ``steps`` equal steps Δt = T/steps of exponential time differencing: exact in the linear part,
        fourth order in Δt for the rest. The error in space falls faster than any power of the cell width.
    Systems
        None: the steps are explicit. `march` takes real transforms and coefficients from contour integrals, `again`
        complex transforms and coefficients from power series.
    Arrays
        Input ``u0``, ``(sample, x)``, and output ``u``, ``(sample, time, x)``, float32; cell i of ``points`` has its
        centre at x = (i + ½) L/points. ``u`` holds the state after every ``store_every``-th step. ν as a range is an
        input ``viscosity``, ``(sample,)``.

    Source: Cox and Matthews, "Exponential time differencing for stiff systems", J. Comput. Phys. 176 (2002), with the
    coefficients of Kassam and Trefethen, "Fourth-order time-stepping for stiff PDEs", SIAM J. Sci. Comput. 26 (2005).
    """

    sources: ClassVar[tuple[Source, ...]] = (COX_MATTHEWS, KASSAM_TREFETHEN)
    quantity: ClassVar[str] = "slope"

    kind: Literal["kuramoto_sivashinsky"] = "kuramoto_sivashinsky"
    points: int = Field(default=64, ge=8, le=65536, json_schema_extra=in_units("cells"))
    """Cells along x."""
    length: float = Field(default=22.0, gt=0, le=10_000)
    """L."""
    viscosity: Annotated[float | Range, Limits(gt=0, le=1000)] = 1.0
    """ν, a number or a range."""
    steps: int = Field(default=160, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """Time steps."""
    store_every: int = Field(default=4, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """The state after every so many steps is stored."""
    end: float = Field(default=40.0, gt=0, le=100_000)
    """T."""
    law: Gaussian = Gaussian(tau=5.0, alpha=3.0)
    """Distribution of the first state, periodic, up to its scale, before ``spin_up``."""
    amplitude: float = Field(default=1.0, gt=0, le=1000)
    """Standard deviation of the first state, before ``spin_up``."""
    spin_up: int = Field(default=0, ge=0, le=1_000_000, json_schema_extra=in_units("time steps"))
    """Time steps that a state drawn from the law takes before it is the first state: enough of them lead to the
    attractor."""

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells along x."""
        return (self.points,)

    def settled(self, states: np.ndarray, drawn: Arrays) -> np.ndarray:
        """Return the states after ``spin_up``; see `Modal.settled`."""
        if not self.spin_up or not len(states):
            return states
        # One by one, so that the bits of a sample do not depend on its block.
        rows = [slice(i, i + 1) for i in range(len(states))]
        alone = [{name: values[row] for name, values in drawn.items()} for row in rows]
        return np.concatenate(
            [self.march({"u": states[row]}, one, self.spin_up)["u"] for row, one in zip(rows, alone, strict=True)]
        )

    def conserved(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return u, whose integral stays; see `Evolution.conserved`."""
        del inputs
        return {"integral": fields["u"]}

    def lyapunov_exponents(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the one of ν = 1 and L = 22, None of others; see `Evolution.lyapunov_exponents`."""
        known = self.viscosity == 1.0 and self.length == 22.0
        return np.full(len(inputs["u0"]), _EXPONENT) if known else None

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Take steps with real transforms; see `Marching.march`."""
        (waves,) = periodic.wave_numbers((self.points,), self.length)
        viscosity = self.number("viscosity", inputs, 1)
        coefficients = (
            _constant(self.points, self.length, viscosity, self.interval)
            if isinstance(viscosity, float)
            else by_contour(waves**2 - viscosity * waves**4, self.interval)
        )
        slope = np.where(periodic.resolved((self.points,)), -0.5j * waves, 0.0)

        def nonlinear(modes: np.ndarray) -> np.ndarray:
            values = scipy.fft.irfft(modes, self.points)
            found: np.ndarray = slope * scipy.fft.rfft(np.square(values, out=values), overwrite_x=True)
            return found

        modes = scipy.fft.rfft(fields["u"])
        for _ in range(steps):
            modes = exponential.step(modes, nonlinear, coefficients)
        return {"u": scipy.fft.irfft(modes, self.points)}

    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Take steps with complex transforms; see `Marching.again`."""
        u = before["u"]
        fft = namespace(u).fft
        (waves,) = periodic.wave_numbers((self.points,), self.length, whole=True)
        second, fourth = like(waves**2, u), like(waves**4, u)
        slope = -0.5j * like(waves * periodic.resolved((self.points,), whole=True), u)
        viscosity = self.number("viscosity", inputs, 2)
        coefficients = by_series(second - viscosity * fourth, self.interval)

        def nonlinear(modes: Array) -> Array:
            return slope * fft.fft(fft.ifft(modes).real ** 2)

        modes = fft.fft(u)
        for _ in range(steps):
            modes = exponential.step(modes, nonlinear, coefficients)
        return {"u": fft.ifft(modes).real}


@lru_cache(maxsize=32)
def _constant(points: int, length: float, viscosity: float, step: float) -> Coefficients:
    """Return the coefficients of a viscosity that is the same for all samples."""
    (waves,) = periodic.wave_numbers((points,), length)
    return by_contour(waves**2 - viscosity * waves**4, step)
