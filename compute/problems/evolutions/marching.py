from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, final

import numpy as np

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Fault
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sizes import joint_size

_NOISE = 2.0**-24
"""Unit round-off of float32, in which states are stored."""

_TOGETHER = 2**13
"""Values of the states of an output that `again` takes at once: with what its steps take they fit into caches."""


class Marching(Evolution):
    """An evolution in explicit steps, which pose no systems: on a grid, or among the modes of a spectrum.

    A subclass has the fields ``steps``, ``store_every`` and ``end``, and two implementations of the same steps:
    `march`, as quick as can be, and `again`, for NumPy and torch. The state after every ``store_every``-th step is
    stored.

    Its equations are ``uⁿ⁺¹ = Φ(uⁿ)`` from one stored state to the next, with Φ from `again`; what they leave over is
    divided by ``‖uⁿ⁺¹ − uⁿ‖``. They are differentiable: products with the derivative of Φ and with its transpose are
    ``torch.autograd.functional.jvp`` and ``vjp`` of `again`. They couple far points, so there are no operators of
    nearest neighbours, and a correction of fields would be the solution itself: `unlinearisable` and `uncorrectable`
    say so.
    """

    if TYPE_CHECKING:
        # Fields of a subclass, which keep their places among its others.
        steps: int
        store_every: int
        end: float

    def faults(self) -> Iterator[Fault]:
        """Yield whether the last step would not be stored; see `Kind.faults`."""
        yield from super().faults()
        if self.steps % self.store_every:
            yield Fault(
                ("steps", "store_every"),
                f"steps is {self.steps} and store_every is {self.store_every}, expected steps to be a multiple of it",
            )

    @property
    def interval(self) -> float:
        """Δt, the length of a step."""
        return self.end / self.steps

    @property
    def times(self) -> np.ndarray:
        """Return the times of every ``store_every``-th step; see `Evolution.times`."""
        return self.end * np.arange(self.store_every, self.steps + 1, self.store_every) / self.steps

    @abstractmethod
    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        """Return the states so many steps on.

        Parameters
        ----------
        fields
            States ``(n, *space)`` float64; they stay as they are.
        inputs
            ``(n, *dims)`` for every input.
        steps
            Time steps.

        Returns
        -------
        fields
            New arrays ``(n, *space)`` float64. A sample has the same bits in any block.
        """

    @abstractmethod
    def again(self, before: Mapping[str, Array], inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
        """Return the states so many steps after others, as `march` does, by another implementation.

        It shares neither transforms nor coefficients with `march`, which it checks, and takes NumPy arrays and torch
        tensors: differentiable by states and inputs where these are tensors.

        Parameters
        ----------
        before
            States ``(n, count, *space)``.
        inputs
            ``(n, *dims)`` for every input.
        steps
            Time steps.

        Returns
        -------
        after
            ``(n, count, *space)``, in the precision of ``before``.
        """

    @final
    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """March to the next state that is stored; see `Evolution.step`."""
        del solve
        # A sample that grows without bounds ends as one that is not finite, and is recorded as failed.
        with np.errstate(over="ignore", invalid="ignore"):
            return State(state.step + 1, self.march(dict(state.fields), inputs, self.store_every))

    @final
    def step_equations(
        self,
        inputs: Mapping[str, Array],
        before: Mapping[str, Array],
        after: Mapping[str, Array],
        steps: np.ndarray,
    ) -> dict[str, Array]:
        """Return ``uⁿ⁺¹ − Φ(uⁿ)``; see `Evolution.step_equations`."""
        del steps
        expected = self._expected(before, inputs)
        return {name: values - expected[name] for name, values in after.items()}

    def _expected(self, before: Mapping[str, Array], inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the next stored states by `again`, of large arrays a few samples at a time."""
        values = next(iter(before.values()))
        if not isinstance(values, np.ndarray) or values.size <= _TOGETHER:
            return self.again(before, inputs, self.store_every)
        parts, together = [], max(1, _TOGETHER * len(values) // values.size)
        for begin in range(0, len(values), together):
            part = slice(begin, begin + together)
            states, given = ({name: one[part] for name, one in arrays.items()} for arrays in (before, inputs))
            parts.append(self.again(states, given, self.store_every))
        return {name: np.concatenate([part[name] for part in parts]) for name in before}

    def step_size(self, before: Mapping[str, Array], after: Mapping[str, Array]) -> Array:
        """Return ``‖uⁿ⁺¹ − uⁿ‖``; see `Evolution.step_size`."""
        return joint_size({name: values - before[name] for name, values in after.items()}, axes=2)

    def conditions(self) -> dict[str, np.ndarray]:
        """Return that no equation but the first step's holds a condition; see `Problem.conditions`."""
        first = self.template(1).data_vars
        return {
            str(name): np.zeros(values.shape[2:], dtype=bool)
            for name, values in first.items()
            if values.attrs["role"] == "output"
        }

    def unlinearisable(self) -> str:
        """Return that explicit steps couple far points; see `Problem.unlinearisable`."""
        return "its steps are explicit and couple points beyond the nearest neighbours"

    def uncorrectable(self) -> str:
        """Return that a correction would be the solution; see `Problem.uncorrectable`."""
        return "its steps are explicit, so one step of its iteration is the solution itself"

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what rounding of the stored states adds to the residual of the worst step; see `Problem.rounding`.

        ``(‖uⁿ⁺¹‖ + ‖Φ(uⁿ + δ) − Φ(uⁿ)‖/ε) / ‖uⁿ⁺¹ − uⁿ‖`` with δ = ±ε uⁿ of random signs and ε = 2⁻²⁴: the response
        of the steps to such noise is measured, since a bound by norms would be far too large.
        """
        wide, states = ({name: double(values) for name, values in one.items()} for one in (inputs, fields))
        random = np.random.Generator(np.random.Philox(0))
        found = []
        for before, after, _ in self.pieces(wide, states):
            signs = {name: random.choice((-1.0, 1.0), size=values.shape[2:]) for name, values in before.items()}
            shaken = {name: values * (1 + _NOISE * signs[name]) for name, values in before.items()}
            plain, moved = (self._expected(one, wide) for one in (before, shaken))
            response = joint_size({name: moved[name] - plain[name] for name in plain}, axes=2) / _NOISE
            found.append((joint_size(after, axes=2) + response) / self.step_size(before, after))
        worst: np.ndarray = np.concatenate(found, axis=1).max(axis=1)
        return worst
