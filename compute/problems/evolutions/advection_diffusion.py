from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.fields.arrays import Array, like, namespace
from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.problems.box import grid, periodic
from ritz.compute.problems.evolutions.modal import Modal
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Limits, Range

_VELOCITIES = ("velocity_y", "velocity_x")


class AdvectionDiffusion(Modal):
    """A concentration that a steady wind carries along while it spreads: u over time from the first state u0.

    Equation
        ∂u/∂t + c·∇u = ν Δu on (0, L)ᵈ, d = 1 or 2, periodic, for 0 < t ≤ T, u = u0 at t = 0, with one velocity c and
        one diffusivity ν per sample. All quantities are dimensionless. The mean of u0 is zero and stays so. With ν = 0
        the first state is carried along as it is.
    Discretisation
        In space the Fourier modes that the cells resolve; in time ``steps`` equal steps Δt = T/steps, each of which
        multiplies every mode by exp(−(ν|k|² + i c·k) Δt). The steps are exact in time, at any Δt. The error in space is
        that of the first state between the cells; for a smooth one it falls faster than any order of the cell width.
        The shortest waves of an even number of cells have no slope at the centres: they decay where they are.
    Systems
        None: the steps are explicit. `march` takes real transforms and one factor for all steps to the next stored
        state, `again` complex transforms and a factor per step.
    Arrays
        Input ``u0``, ``(sample, x)`` or ``(sample, y, x)``, and output ``u``, ``(sample, time, …)``, float32; along an
        axis of N cells cell i has its centre at (i + ½) L/N. ``u`` holds the state after every ``store_every``-th step.
        c and ν as ranges are inputs ``velocity_x``, ``velocity_y`` and ``viscosity``, ``(sample,)`` each.

    Source: the advection equation of Takamoto et al., "PDEBench", NeurIPS 2022, with diffusion, in one and two
    dimensions.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Takamoto et al.",
            "PDEBench: an extensive benchmark for scientific machine learning",
            2022,
            "NeurIPS Datasets and Benchmarks",
        ),
    )
    quantity: ClassVar[str] = "concentration"

    kind: Literal["advection_diffusion"] = "advection_diffusion"
    shape: tuple[grid.Cells] | tuple[grid.Cells, grid.Cells] = Field(
        default=(64, 64), json_schema_extra=in_units("cells")
    )
    """Cells along x, or along y and x."""
    length: float = Field(default=1.0, gt=0, le=10_000)
    """L, along every axis."""
    velocity_x: Annotated[float | Range, Limits(ge=-1000, le=1000)] = 1.0
    """The component of c along x, a number or a range."""
    velocity_y: Annotated[float | Range, Limits(ge=-1000, le=1000)] = 0.0
    """The component of c along y, a number or a range; 0 in one dimension."""
    viscosity: Annotated[float | Range, Limits(ge=0, le=1000)] = 0.001
    """ν, a number or a range."""
    steps: int = Field(default=16, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """Time steps."""
    store_every: int = Field(default=1, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """The state after every so many steps is stored."""
    end: float = Field(default=0.75, gt=0, le=100_000)
    """T."""
    law: Gaussian = Gaussian(tau=5.0, alpha=3.0)
    """Distribution of the first state, periodic, up to its scale."""
    amplitude: float = Field(default=1.0, gt=0, le=1000)
    """Standard deviation of the first state."""

    def faults(self) -> Iterator[Fault]:
        """Yield a component that has no axis, and a velocity that leads every state back to itself."""
        yield from super().faults()
        if len(self.shape) == 1 and self.velocity_y != 0:
            yield Fault(
                ("shape", "velocity_y"),
                f"shape is {list(self.shape)}, a line, and velocity_y is {self.velocity_y}, expected 0",
            )
        if self.viscosity == 0 and not self.ranges:
            stored = self.interval * self.store_every
            rounds = [float(self.number(name, {}, 0)) * stored / self.length for name in _VELOCITIES]
            if all(abs(number - round(number)) < 1e-12 for number in rounds):
                yield Fault(
                    ("viscosity", *_VELOCITIES, "end", "steps", "store_every", "length"),
                    f"viscosity is 0, velocity_x is {self.velocity_x} and velocity_y is {self.velocity_y}, so that all "
                    "states that are stored are the first one, expected one that changes between the times "
                    f"{stored:g} apart",
                )

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return self.shape

    def conserved(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return u, whose integral stays; see `Evolution.conserved`."""
        del inputs
        return {"integral": fields["u"]}

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Take steps with real transforms; see `Marching.march`."""
        shape, time = self.shape, steps * self.interval
        viscosity = self.number("viscosity", inputs, len(shape))
        axes = tuple(range(1, 1 + len(shape)))
        modes = scipy.fft.rfftn(fields["u"], axes=axes)
        waves, slopes = (find(shape, self.length) for find in (periodic.wave_numbers, periodic.slope_waves))
        # A factor per axis: the exponential of a sum over the axes is the product of theirs.
        for name, along, slope in zip(_VELOCITIES[-len(shape) :], waves, slopes, strict=True):
            modes *= np.exp(-time * (viscosity * along**2 + 1j * self.number(name, inputs, len(shape)) * slope))
        return {"u": scipy.fft.irfftn(modes, s=shape, axes=axes, overwrite_x=True)}

    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Take steps with complex transforms; see `Marching.again`."""
        u, shape = before["u"], self.shape
        xp, axes = namespace(u), tuple(range(2, 2 + len(shape)))
        viscosity = self.number("viscosity", inputs, 1 + len(shape))
        decay, turn = 0.0, 0.0
        for name, along, slope in zip(
            _VELOCITIES[-len(shape) :],
            periodic.wave_numbers(shape, self.length, whole=True),
            periodic.slope_waves(shape, self.length, whole=True),
            strict=True,
        ):
            decay = decay + viscosity * like(along**2, u)
            turn = turn + self.number(name, inputs, 1 + len(shape)) * like(-slope, u)
        factor = xp.exp(self.interval * (1j * turn - decay))
        modes = xp.fft.fftn(u, None, axes)
        for _ in range(steps):
            modes = factor * modes
        return {"u": xp.fft.ifftn(modes, None, axes).real}
