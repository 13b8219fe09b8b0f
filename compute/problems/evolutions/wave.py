from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, like
from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.problems.balance import inflow
from ritz.compute.problems.box import grid
from ritz.compute.problems.box.walls import along_walls
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.evolutions.schemes.leapfrog import kick, leapfrog
from ritz.compute.problems.gaussian import Edges, Gaussian, parted, shared
from ritz.compute.problems.laws import AnyLaw, Lognormal
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Limits, Range, Ranged
from ritz.compute.problems.spectrum import FEATURES, leading_cosines

if TYPE_CHECKING:
    import xarray as xr


class Wave(Ranged, Marching):
    """Sound in an uneven medium: pressure p and its rate ∂p/∂t over time from those at time zero.

    Equation
        ∂²p/∂t² = c² Δp on (0, 1)² for 0 < t ≤ T, p = p0 and ∂p/∂t = rate0 at t = 0. The speed of sound is c = c₀ m,
        one number c₀ per sample times a medium m(y, x). All quantities are dimensionless.
    Walls
        ``reflecting``: rigid, ∂p/∂n = 0. ``absorbing``: ∂p/∂n = −(1/c) ∂p/∂t, which takes in all of a wave that comes
        at right angles, and sends back tan²(θ/2) of the amplitude of one that comes at the angle θ to the normal.
    Discretisation
        In space cell-centred finite volumes with the 5-point stencil. The rate at an absorbing wall, half a cell away
        from that of its cell, follows from the condition at the wall too, to second order: that makes the mass of the
        cell half of what it was. In time ``steps`` equal steps Δt = T/steps of velocity Verlet, the leapfrog: half a
        step of the rate, a step of the pressure by it, and the other half, which takes the absorption of both halves in
        their midst. Second order in the cell width and in Δt. Stable up to the speed `limit`: c Δt √(1/hx² + 1/hy²) ≤ 1
        between reflecting walls. A sample whose medium is faster is NaN, hence recorded as failed. `energy` is never
        negative; between reflecting walls it is the same after every step, and absorbing ones never let it grow.
    Systems
        None: the steps are explicit. `march` is compiled and joins the second half of a step with the first of the
        next; `again` takes the halves one by one, with fluxes between the cells.
    Arrays
        Inputs ``p0``, ``rate0`` and, of an uneven medium, ``m``, ``(sample, y, x)``, and outputs ``p`` and ``rate``,
        ``(sample, time, y, x)``, float32; the cell ``(i, j)`` of a grid of ``shape = (ny, nx)`` has its centre at
        y = (i + ½)/ny, x = (j + ½)/nx. Both outputs hold the state after every ``store_every``-th step, and a state is
        all that the next one needs. c₀ as a range is an input ``speed``, ``(sample,)``.

    Source: R. Courant, K. Friedrichs, H. Lewy, "Über die partiellen Differenzengleichungen der mathematischen Physik",
    Math. Ann. 100 (1928), for the scheme and its bound; B. Engquist, A. Majda, "Absorbing boundary conditions for the
    numerical simulation of waves", Math. Comp. 31 (1977), the first of their conditions.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "R. Courant, K. Friedrichs, H. Lewy",
            "Über die partiellen Differenzengleichungen der mathematischen Physik",
            1928,
            "Math. Ann. 100",
        ),
        Source(
            "B. Engquist, A. Majda",
            "Absorbing boundary conditions for the numerical simulation of waves",
            1977,
            "Math. Comp. 31",
        ),
    )

    kind: Literal["wave"] = "wave"
    shape: tuple[grid.Cells, grid.Cells] = Field(default=(64, 64), json_schema_extra=in_units("cells"))
    """Cells along y and x."""
    speed: Annotated[float | Range, Limits(gt=0, le=1000)] = 1.0
    """c₀, a number or a range."""
    medium: AnyLaw | None = Lognormal(tau=10.0, alpha=4.0, sigma=0.15)
    """Distribution of m; None for a uniform medium, m = 1."""
    walls: Literal["reflecting", "absorbing"] = "reflecting"
    """What happens to sound at the walls."""
    steps: int = Field(default=320, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """Time steps."""
    store_every: int = Field(default=20, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """The state after every so many steps is stored."""
    end: float = Field(default=1.0, gt=0, le=100_000)
    """T."""
    initial: Gaussian = Gaussian(tau=10.0, alpha=4.0)
    """Distribution of the first pressure, of variance 1 and without slope across the walls, and up to its scale of the
    first rate, which vanishes at absorbing walls and has no slope across reflecting ones."""
    rate_amplitude: float = Field(default=5.0, gt=0, le=100_000)
    """Standard deviation of the first rate."""

    def faults(self) -> Iterator[Fault]:
        """Yield a law that is not for two dimensions, and steps too long for the fastest sound where it is known."""
        yield from super().faults()
        if self.medium is not None:
            try:
                self.medium.check(2)
            except ValueError as error:
                yield Fault(("medium",), str(error).replace("law.", "medium."))
        fastest = self._fastest()
        if fastest is not None and fastest > self.limit:
            fields = ("shape", "speed", *(() if self.medium is None else ("medium",)), "steps", "end")
            enough = math.ceil(self.steps * fastest / self.limit)
            yield Fault(
                fields,
                f"steps is {self.steps}, stable up to a speed of {self.limit:g} with shape {list(self.shape)} and end "
                f"{self.end:g}, and sound is as fast as {fastest:g}, expected at least {enough} steps",
            )

    def _fastest(self) -> float | None:
        """Return the largest speed of sound of all samples, None where it is not bounded."""
        largest = self.speed.high if isinstance(self.speed, Range) else self.speed
        if self.medium is None:
            return largest
        return None if self.medium.bound is None else largest * self.medium.bound

    @property
    def limit(self) -> float:
        """The largest speed of sound at which the steps are stable."""
        squares = [cells**2 for cells in self.shape]
        # The light cells along an absorbing wall swing faster.
        return 1 / (self.interval * math.sqrt(sum(squares) + (max(squares) if self.walls == "absorbing" else 0)))

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        nothing = np.broadcast_to(np.float32(np.nan), (n, len(self.times), *self.shape))
        dims, uneven = ("y", "x"), self.medium is not None
        inputs = {
            "p0": ("identity", "first pressure"),
            "rate0": ("identity", "first rate of the pressure"),
            **({"m": ("log", "relative speed of sound")} if uneven else {}),
        }
        outputs = {"p": ("identity", "pressure"), "rate": ("identity", "rate of the pressure")}
        return xr.Dataset(
            {
                **self.range_variables(n),
                **{name: (("sample", *dims), nothing[:, 0], _about("input", *words)) for name, words in inputs.items()},
                **{
                    name: (("sample", "time", *dims), nothing, _about("output", *words) | from_input(f"{name}0"))
                    for name, words in outputs.items()
                },
            },
            coords={
                "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
                **grid.coordinates(self.shape),
            },
            attrs={"symmetries": grid.symmetries(self.shape)},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states ``p0`` and ``rate0``, media ``m``, ``(n, ny, nx)`` float32, and parameters."""
        return self.draw_at(seed, ids, None)

    @property
    def _edges(self) -> Edges:
        """What the first rate does at the walls, so that the condition there holds from the start."""
        return "free" if self.walls == "reflecting" else "zero"

    @property
    def _shares(self) -> tuple[int, ...]:
        """How many leading coefficients of p₀, of its rate and of the medium may be given."""
        states = [self.initial.leading(2), self.initial.leading(2, self._edges)]
        return shared([*states, *([] if self.medium is None else [self.medium.leading(2)])])

    @property
    def leading(self) -> int:
        """How many parameters and leading coefficients of all fields may be given; see `Problem.leading`."""
        return len(self.ranges) + sum(self._shares)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters, then coefficients of p₀, of its rate and of the medium; see `Problem.draw_at`."""
        _, first, second, *rest = parted(given, (len(self.ranges), *self._shares))
        rate = self.initial.draw(seed, ids, self.shape, self._edges, stream=1, given=second)
        drawn = {
            **self.draw_ranges(seed, ids, given),
            "p0": self.initial.draw(seed, ids, self.shape, given=first).astype(np.float32),
            "rate0": (self.rate_amplitude * rate).astype(np.float32),
        }
        if self.medium is not None:
            drawn["m"] = self.medium.draw_at(seed, ids, self.shape, rest[0]).astype(np.float32)
        return drawn

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the parameters and leading cosine coefficients of p₀, its rate and log m, ``(n, d)`` float32."""
        fields = [inputs["p0"], inputs["rate0"] / np.float32(self.rate_amplitude)]
        if self.medium is not None:
            fields.append(np.log(double(inputs["m"])))
        shares = [leading_cosines(field)[:, : FEATURES // len(fields)] for field in fields]
        return self.with_ranges(np.concatenate(shares, axis=1), inputs)

    def conserved(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return the `energy` between reflecting walls, of the whole box in one number; see `Evolution.conserved`."""
        if self.walls != "reflecting":
            return {}
        return {"energy": self.energy(inputs, fields["p"], fields["rate"])[..., None]}

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return p0 and rate0; see `Evolution.start`."""
        return State(0, {name: double(inputs[f"{name}0"]) for name in ("p", "rate")})

    def speeds(self, inputs: Mapping[str, Array], axes: int = 2) -> Array | float:
        """Return the speeds of sound c: ``(n, …, ny, nx)``, or what is broadcast to it, with so many axes in all."""
        number = self.number("speed", inputs, axes)
        if self.medium is None:
            return number
        m = inputs["m"]
        wide = double(m) if isinstance(m, np.ndarray) else m
        return number * wide.reshape(len(wide), *(1,) * (axes - 2), *wide.shape[1:])

    def absorption(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what absorbing walls do to the cells along them; nothing where they reflect.

        Returns
        -------
        mass
            ``(ny, nx)``, ½ in the cells along a wall, 1 in the others.
        loss
            ``(ny, nx)``, by how much a rate falls per time and speed of sound.
        """
        mass, loss = np.ones(self.shape), np.zeros(self.shape)
        if self.walls == "absorbing":
            mass[along_walls(self.shape)] = 0.5
            for axis, cells in enumerate(self.shape):
                for wall in (0, -1):
                    loss[(slice(None),) * axis + (wall,)] += cells / 0.5
        return mass, loss

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Take steps of compiled code, sample by sample; see `Marching.march`."""
        p, rate = (fields[name].copy() for name in ("p", "rate"))
        speeds = np.broadcast_to(self.speeds(inputs), p.shape)
        along, step = [float(cells**2) for cells in self.shape], self.interval
        ends = [cells * np.isin(np.arange(cells), (0, cells - 1)) for cells in self.shape]
        taken = step * np.add.outer(*ends) * float(self.walls == "absorbing")
        pushed = np.where(taken > 0, step, 0.5 * step)
        for row, c in enumerate(speeds):
            if not c.max() <= self.limit:
                p[row] = rate[row] = np.nan
                continue
            lost, push = taken * c, pushed * c**2
            leapfrog(p[row], rate[row], 1 - lost, push, *along, step, 1)
            leapfrog(p[row], rate[row], (1 - lost) / (1 + lost), 2 * push / (1 + lost), *along, step, steps - 1)
            kick(p[row], rate[row], 1 / (1 + lost), push / (1 + lost), *along)
        return {"p": p, "rate": rate}

    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Take steps half by half, with fluxes between the cells; see `Marching.again`."""
        p, rate, step = before["p"], before["rate"], self.interval
        if isinstance(p, np.ndarray) and len(p) > 1:
            # One by one, a sample stays in the caches for all its steps.
            rows = [slice(i, i + 1) for i in range(len(p))]
            found = [self.again(_of(before, row), _of(inputs, row), steps) for row in rows]
            return {name: np.concatenate([one[name] for one in found]) for name in before}
        c = self.speeds(inputs, 3)
        mass, loss = (like(values, p) for values in self.absorption())
        push, lost = 0.5 * step * c**2 / mass, 0.5 * step * loss * c
        kept, shrunk = 1 - lost, 1 / (1 + lost)
        change = push * inflow(p)
        for _ in range(steps):
            rate = kept * rate + change
            p = p + step * rate
            change = push * inflow(p)
            rate = shrunk * (rate + change)
        return {"p": p, "rate": rate}

    def energy(self, inputs: Mapping[str, Array], p: Array, rate: Array) -> Array:
        """Return the energy that steps keep between reflecting walls, and never raise between absorbing ones.

        ``½ Σ (rate²/c² − p Δp − (Δt²/4) c² (Δp)²)`` over the cells, times their area: the last term, of second order,
        is what makes it exact for the steps. Along absorbing walls the mass of a cell weighs ``1/c²``, and what half
        a step takes of a rate is not counted.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input.
        p, rate
            States ``(n, count, ny, nx)``.

        Returns
        -------
        energy
            ``(n, count)``.
        """
        c = self.speeds(inputs, 3)
        mass, loss = (like(values, p) for values in self.absorption())
        weight, flux, kept = mass / c**2, inflow(p), 1 - 0.5 * self.interval * loss * c
        density = weight * (kept * rate) ** 2 - p * flux - 0.25 * self.interval**2 / weight * flux**2
        return 0.5 * density.sum((-2, -1)) / math.prod(self.shape)


def _of(arrays: Mapping[str, Array], row: slice) -> dict[str, Array]:
    return {name: values[row] for name, values in arrays.items()}


def _about(role: str, transform: str, words: str) -> dict[str, str]:
    return {"role": role, "transform": transform, "units": "1", "long_name": words}
