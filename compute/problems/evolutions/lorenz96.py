from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, double, roll
from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.problems.evolution import State, from_input
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.evolutions.schemes import runge_kutta
from ritz.compute.problems.evolutions.schemes.lorenz96_steps import march
from ritz.compute.problems.evolutions.schemes.runge_kutta import States
from ritz.compute.problems.gaussian import Gaussian, parted, shared
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Limits, Range, Ranged
from ritz.compute.problems.spectrum import leading_cosines

if TYPE_CHECKING:
    import xarray as xr

_BETWEEN = ("coupling", "time_ratio", "amplitude_ratio")
"""Parameters of the fast variables."""

_EXPONENTS = {6.0: 0.9734, 7.0: 1.3469, 8.0: 1.6875, 9.0: 2.0043, 10.0: 2.3051}
"""Largest Lyapunov exponents by F, of one scale and 40 sites, measured; see ``benchmarks/lyapunov.txt``."""


class Lorenz96(Ranged, Marching):
    """Chaotic weather along a circle of latitude: a slow variable at every site, and fast ones if asked for.

    Equation
        dX_k/dt = −X_{k−1} (X_{k−2} − X_{k+1}) − X_k + F − (hc/b) Σ_j Y_{j,k},
        dY_{j,k}/dt = −cb Y_{j+1,k} (Y_{j+2,k} − Y_{j−1,k}) − c Y_{j,k} + (hc/b) X_k,
        for k = 0 … K − 1 on a ring of ``sites`` K and j = 0 … J − 1; the ``fast`` variables, J per site, make one
        ring, Y_{J,k} = Y_{0,k+1}. J = 0 leaves one scale, X alone. First states are u0 of X and v0 of Y. All quantities
        are dimensionless; a unit of time stands for 5 days. The products and the coupling conserve
        Σ X² + Σ Y². With one scale, K = 40 and F = 8 the largest Lyapunov exponent is 1.68.
    Discretisation
        The sites are discrete. In time ``steps`` equal steps Δt = T/steps of the classical Runge–Kutta method, of
        fourth order in Δt. At F = 8 they are stable for Δt up to 0.1 with one scale; the fast variables are c times as
        quick.
    Systems
        None: the steps are explicit. `march` is a compiled loop over the sites of a sample, `again` shifts whole
        arrays.
    Arrays
        Input ``u0``, ``(sample, x)``, and output ``u``, ``(sample, time, x)``, float32: X, with k = 0 … K − 1 along x,
        so that the ring has the length K. ``u`` holds the state after every ``store_every``-th step. With fast
        variables also ``v0``, ``(sample, fast, x)``, and ``v``, ``(sample, time, fast, x)``: Y. Parameters as ranges
        are inputs of their names, ``(sample,)``.

    Source: E. N. Lorenz, "Predictability: a problem partly solved", Proc. Seminar on Predictability, ECMWF (1996).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "E. N. Lorenz",
            "Predictability: a problem partly solved",
            1996,
            "Proc. Seminar on Predictability, ECMWF",
        ),
        Source(
            "E. N. Lorenz and K. A. Emanuel",
            "Optimal sites for supplementary weather observations: simulation with a small model",
            1998,
            "J. Atmos. Sci. 55",
            "with one scale, 40 sites and F = 8 small errors double in 2.1 days",
            "lyapunov.txt",
        ),
    )

    kind: Literal["lorenz96"] = "lorenz96"
    sites: int = Field(default=40, ge=4, le=65536, json_schema_extra=in_units("sites"))
    """K, sites along the ring."""
    fast: int = Field(default=0, ge=0, le=1024, json_schema_extra=in_units("variables per site"))
    """J, fast variables per site; 0 for one scale."""
    forcing: Annotated[float | Range, Limits(ge=-1000, le=1000)] = 8.0
    """F, a number or a range."""
    coupling: Annotated[float | Range, Limits(ge=-1000, le=1000)] = 1.0
    """h, a number or a range; of fast variables alone."""
    time_ratio: Annotated[float | Range, Limits(gt=0, le=1000)] = 10.0
    """c, how much quicker the fast variables are, a number or a range."""
    amplitude_ratio: Annotated[float | Range, Limits(gt=0, le=1000)] = 10.0
    """b, how much smaller the fast variables are, a number or a range."""
    steps: int = Field(default=160, ge=1, le=10_000_000, json_schema_extra=in_units("time steps"))
    """Time steps."""
    store_every: int = Field(default=8, ge=1, le=10_000_000, json_schema_extra=in_units("time steps"))
    """The state after every so many steps is stored."""
    end: float = Field(default=4.0, gt=0, le=100_000)
    """T."""
    law: Gaussian = Gaussian(tau=50.0, alpha=2.0)
    """Distribution of the first states along the rings, periodic, up to their scale, before ``spin_up``."""
    amplitude: float = Field(default=3.0, gt=0, le=1000)
    """Standard deviation of the first X, before ``spin_up``; that of the first Y is smaller by b."""
    spin_up: int = Field(default=400, ge=0, le=10_000_000, json_schema_extra=in_units("time steps"))
    """Time steps that a state drawn from the law takes before it is the first state: enough of them lead to the
    attractor."""

    def faults(self) -> Iterator[Fault]:
        """Yield also which parameters of fast variables are ranges where there are none; see `Kind.faults`."""
        yield from super().faults()
        for name in _BETWEEN:
            if not self.fast and name in self.ranges:
                yield Fault(
                    ("fast", name),
                    f"fast is 0 and {name} is a range, expected a number, or fast of 1 or more: {name} is of the fast "
                    "variables",
                )

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        variables: dict[str, Any] = {}
        coords: dict[str, Any] = {
            "time": ("time", self.times, {"units": "1", "long_name": "time", "axis": "T"}),
            "x": ("x", np.arange(float(self.sites)), {"units": "1", "long_name": "site", "axis": "X"}),
        }
        for (first, name), dims in self._dims().items():
            shape = (n, len(self.times), *(self.fast if dim == "fast" else self.sites for dim in dims))
            nothing = np.broadcast_to(np.float32(np.nan), shape)
            about = {"transform": "identity", "units": "1"}
            said = "slow variable" if name == "u" else "fast variables"
            variables[first] = (
                ("sample", *dims),
                nothing[:, 0],
                {"role": "input", **about, "long_name": f"first state of the {said}"},
            )
            output = {"role": "output", **about, "long_name": said, **from_input(first)}
            variables[name] = (("sample", "time", *dims), nothing, output)
        if self.fast:
            number = {"units": "1", "long_name": "number of the fast variable at its site"}
            coords["fast"] = ("fast", np.arange(self.fast), number)
        # A mirrored solution runs the other way.
        return xr.Dataset({**self.range_variables(n), **variables}, coords=coords, attrs={"symmetries": "none"})

    def _dims(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return the dimensions of space of every first state and of the output that it begins."""
        return {("u0", "u"): ("x",)} | ({("v0", "v"): ("fast", "x")} if self.fast else {})

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw first states, ``u0`` ``(n, sites)`` float32, ``v0``, and parameters; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def _shares(self) -> tuple[int, ...]:
        """How many leading coefficients the first state of every ring has."""
        return shared((self.law.leading(1, "periodic"),) * len(self._dims()))

    @property
    def leading(self) -> int:
        """How many parameters and leading coefficients of the first states may be given; see `Problem.leading`."""
        return len(self.ranges) + sum(self._shares)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters and leading coefficients, those of u₀ first; see `Problem.draw_at`."""
        drawn = self.draw_ranges(seed, ids, given)
        rest = parted(None if given is None else given[:, len(self.ranges) :], self._shares)
        fields = {"u": self.amplitude * self.law.draw(seed, ids, (self.sites,), "periodic", given=rest[0])}
        if self.fast:
            ring = self.law.draw(seed, ids, (self.sites * self.fast,), "periodic", stream=1, given=rest[1])
            along = ring.reshape(len(ids), self.sites, self.fast).swapaxes(1, 2)
            fields["v"] = self.amplitude / self.number("amplitude_ratio", drawn, 2) * along
        first = self.march(fields, drawn, self.spin_up)
        return {**drawn, **{f"{name}0": values.astype(np.float32) for name, values in first.items()}}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the leading cosine coefficients of the first X and the parameters, ``(n, 16)`` float32."""
        return self.with_ranges(leading_cosines(inputs["u0"]), inputs)

    @property
    def length(self) -> float:
        """The length of the ring: neighbours are at the distance 1."""
        return float(self.sites)

    @property
    def rings(self) -> tuple[str, ...]:
        """The line closes to a ring."""
        return ("x",)

    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return u0 and v0; see `Evolution.start`."""
        return State(0, {name: double(inputs[first]) for first, name in self._dims()})

    def lyapunov_exponents(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return those of one scale, 40 sites and F from 6 to 10, None of others; see `Evolution.lyapunov_exponents`.

        Between two F that were measured they are on the line between theirs.
        """
        given = self.forcing
        least, most = (given.low, given.high) if isinstance(given, Range) else (given, given)
        if self.fast or self.sites != 40 or least < min(_EXPONENTS) or most > max(_EXPONENTS):
            return None
        each = np.broadcast_to(self.number("forcing", inputs, 0), len(inputs["u0"]))
        found: np.ndarray = np.interp(each, list(_EXPONENTS), list(_EXPONENTS.values()))
        return found

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Take steps in a compiled loop; see `Marching.march`."""
        n = len(fields["u"])
        slow = np.array(fields["u"], order="C")
        # Along the ring the fast variables of a site come one after the other.
        fast = np.array(fields["v"].swapaxes(1, 2), order="C").reshape(n, -1) if self.fast else np.empty((n, 0))
        parameters = np.empty((n, 4))
        for column, name in enumerate(("forcing", *_BETWEEN)):
            parameters[:, column] = self.number(name, inputs, 0)
        march(slow, fast, parameters, self.interval, steps)
        if not self.fast:
            return {"u": slow}
        return {"u": slow, "v": np.ascontiguousarray(fast.reshape(n, self.sites, self.fast).swapaxes(1, 2))}

    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Take steps by shifts of whole arrays; see `Marching.again`."""
        forcing, h, c, b = (self.number(name, inputs, 2) for name in ("forcing", *_BETWEEN))
        shape = (*before["u"].shape, self.fast)

        def slopes(state: States) -> States:
            x = state[0]
            dx = -roll(x, 1, -1) * (roll(x, 2, -1) - roll(x, -1, -1)) - x + forcing
            if not self.fast:
                return (dx,)
            y = state[1]
            dy = -c * b * roll(y, -1, -1) * (roll(y, -2, -1) - roll(y, 1, -1)) - c * y
            within = dy.reshape(shape) + (h * c / b * x)[..., None]
            return dx - h * c / b * y.reshape(shape).sum(-1), within.reshape(y.shape)

        state = tuple(before.values())
        if self.fast:
            state = (before["u"], before["v"].swapaxes(-1, -2).reshape(*shape[:-2], -1))
        for _ in range(steps):
            state = runge_kutta.step(state, slopes, self.interval)
        if not self.fast:
            return {"u": state[0]}
        return {"u": state[0], "v": state[1].reshape(shape).swapaxes(-1, -2)}
