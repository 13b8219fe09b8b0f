from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np

from ritz.compute.fields.arrays import Array, cast, double, namespace
from ritz.compute.fields.dimensions import INITIAL_STATE
from ritz.compute.problems.problem import Arrays, Problem, Solve, refuse_overriding
from ritz.compute.problems.sizes import joint_size
from ritz.compute.solvers.operators import Operators

_TOGETHER = 2**16
"""Values of a block's states whose equations are evaluated together: what the steps between take fits into caches."""

_LEAST = 1e-30
"""Stands for the norm of a state that is zero everywhere."""


@dataclass(frozen=True)
class State:
    """Where a block of samples is in time.

    Attributes
    ----------
    step
        How many steps have led here.
    fields
        The state, ``(n, *space)`` float64 by the name of the output.
    aside
        What makes the next steps quicker and belongs to the problem, as the operators of all steps; a step from a state
        without it comes to the same fields up to the tolerance of the systems.
    """

    step: int
    fields: Arrays
    aside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Coupling:
    """What a step takes over from the state before it, ``C = ∂F/∂u`` by that state, one matrix a sample.

    Attributes
    ----------
    product, transposed
        Give ``C v`` and ``Cᵀ w`` of vectors ``(n, *shape)``, one per sample, in the shape of the operators of the step;
        float64.
    """

    product: Callable[[np.ndarray], np.ndarray]
    transposed: Callable[[np.ndarray], np.ndarray]


def from_input(name: str) -> dict[str, str]:
    """Return the attribute of an output in a template that says which input holds its state at time zero."""
    return {INITIAL_STATE: name}


class Evolution(Problem):
    """A parametric PDE in time, solved step by step; every output holds the states at `times`, along ``time``.

    A subclass states in its docstring what `Problem` asks for, and the steps; an example is
    `ritz.compute.problems.evolutions.heat.Heat`.
    Its equations are told step by step: ``F(u, v) = 0``, where u is the state after a step and v that before it. Its
    template says of every output which input holds the state at time zero, by `from_input`.
    """

    step_dims = ("time",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_overriding(cls, Evolution, ("simulate", "advance"), "expected `start` and `step`, which it is made of")
        refuse_overriding(
            cls,
            Evolution,
            ("equations", "scale", "relative", "linearised", "corrected"),
            "expected `step_equations(self, inputs, before, after, steps)`, what steps leave over",
        )

    @property
    @abstractmethod
    def times(self) -> np.ndarray:
        """The times of the states that are stored, ``(steps,)`` float64, one per step."""

    def prolonged(self, steps: int) -> Self:
        """Return the problem with so many stored states, at the same intervals.

        Raises
        ------
        ValueError
            If it has no fields ``steps`` and ``end``.
        """
        own = self.model_dump(include={"steps", "end", "store_every"})
        if not {"steps", "end"} <= set(own):
            raise ValueError(f"problem {self.kind!r} has no fields steps and end, so its times stay as they are")
        before, every = len(self.times), own.get("store_every", 1)
        further = own["steps"] + (steps - before) * every
        if further < 1:
            raise ValueError(f"steps is {steps}, expected at least {steps + -(-(1 - further) // every)}")
        return self.model_copy(update={"steps": further, "end": own["end"] * further / own["steps"]})

    @abstractmethod
    def start(self, inputs: Mapping[str, Array]) -> State:
        """Return the first states of a block, at time zero, in float64; tensors of inputs that are tensors."""

    @abstractmethod
    def step(self, state: State, inputs: Mapping[str, np.ndarray], solve: Solve) -> State:
        """Return the states one step on; a system a sample at each call of ``solve``."""

    @final
    def advance(self, state: State, inputs: Mapping[str, np.ndarray], steps: int, solve: Solve) -> State:
        """Return the states so many steps on: the same bits in one go as in several."""
        for _ in range(steps):
            state = self.step(state, inputs, solve)
        return state

    @final
    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Step through time; every output is ``(n, steps, *space)`` float64, see `Problem.simulate`."""
        state, steps = self.start(inputs), len(self.times)
        outputs = {name: np.empty((len(first), steps, *first.shape[1:])) for name, first in state.fields.items()}
        for step in range(steps):
            state = self.step(state, inputs, solve)
            for name, values in state.fields.items():
                outputs[name][:, step] = values
        return outputs

    @abstractmethod
    def step_equations(
        self,
        inputs: Mapping[str, Array],
        before: Mapping[str, Array],
        after: Mapping[str, Array],
        steps: np.ndarray,
    ) -> dict[str, Array]:
        """Return what the equations of some steps leave over, left side less right; see `Problem.equations`.

        They are scaled so that the norm of their right-hand side is `step_size`, by default that of the state before
        the step: ``M u − v``.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` each.
        before, after
            The states before and after each of the steps, ``(n, count, *space)``.
        steps
            ``(count,)`` which steps they are, from 0.

        Returns
        -------
        left_over
            By output, in the shape of ``after``.
        """

    def conserved(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return densities whose mean over space the equation keeps for all times, by name; none by default.

        A problem that conserves something overrides this.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input.
        fields
            States by the name of the output, ``(n, count, *space)``, of any times.

        Returns
        -------
        densities
            ``(n, count, *points)`` each, with weights in it where points stand for unequal volumes; one point where the
            problem knows the quantity of all of space.
        """
        del inputs, fields
        return {}

    def lyapunov_exponents(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the largest Lyapunov exponent of the equation of each sample; None, the default, where it is unknown.

        A chaotic problem overrides this with exponents that were measured, as by
        `ritz.compute.evaluation.lyapunov.Benettin`.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input.

        Returns
        -------
        exponents
            ``(n,)`` float64, per unit of time, or None for all samples.
        """
        del inputs
        return None

    @final
    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what the equations of all steps leave over, ``(n, steps, *space)``; see `Problem.equations`."""
        return self.step_equations(inputs, *self._around(inputs, fields, 0, len(self.times)))

    def step_size(self, before: Mapping[str, Array], after: Mapping[str, Array]) -> Array:
        """Return the norm by which what each step leaves over is divided, ``(n, count)``: that of the state before it.

        A problem whose steps change little of a state measures them by what they change.

        Parameters
        ----------
        before, after
            The states before and after each of the steps, ``(n, count, *space)``.
        """
        del after
        return joint_size(before, axes=2)

    @final
    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Return the norm of the first state; what each step is measured by is `step_size`."""
        return joint_size(self.start(inputs).fields)

    @final
    def relative(
        self,
        inputs: Mapping[str, Array],
        fields: Mapping[str, Array],
        rows: Mapping[str, np.ndarray] | None = None,
    ) -> Array:
        """Return the relative residuals of the steps, ``‖M u − v‖ / ‖v‖``, ``(n, steps)``; see `Problem.relative`.

        ``rows`` are of the steps after the first: all equations of that one hold the initial condition. What they are
        divided by is `step_size`; where fields are tensors no gradient goes through it.
        """
        found = []
        for before, after, steps in self.pieces(inputs, fields):
            counted = rows and {name: (steps == 0).reshape(-1, *(1,) * mask.ndim) | mask for name, mask in rows.items()}
            left = joint_size(self.step_equations(inputs, before, after, steps), counted, axes=2)
            if isinstance(left, np.ndarray):
                found.append(left / self.step_size(before, after))
            else:
                held = [{name: values.detach() for name, values in states.items()} for states in (before, after)]
                found.append(left / self.step_size(*held).clamp_min(_LEAST))
        return found[0] if len(found) == 1 else namespace(found[0]).concat(found, axis=1)

    @final
    def pieces(
        self, inputs: Mapping[str, Array], fields: Mapping[str, Array]
    ) -> Iterator[tuple[dict[str, Array], dict[str, Array], np.ndarray]]:
        """Yield the states before and after steps, ``(n, count, *space)``, and which steps these are.

        All steps at once where they are tensors, or few values.
        """
        count = steps = len(self.times)
        if all(isinstance(values, np.ndarray) for values in fields.values()):
            total = sum(values.size for values in fields.values())
            count = max(1, int(_TOGETHER * steps / max(1, total)))
        for begin in range(0, steps, count):
            yield self._around(inputs, fields, begin, min(begin + count, steps))

    def _around(
        self, inputs: Mapping[str, Array], fields: Mapping[str, Array], begin: int, end: int
    ) -> tuple[dict[str, Array], dict[str, Array], np.ndarray]:
        """Return the states before and after the steps ``begin`` … ``end`` − 1, and these."""
        whole = begin == 0 and end == len(self.times)
        after = dict(fields) if whole else {name: values[:, begin:end] for name, values in fields.items()}
        if begin:
            before = {name: values[:, begin - 1 : end - 1] for name, values in fields.items()}
        else:
            first = self.start(inputs).fields
            before = {
                name: namespace(values).concat([cast(first[name], values)[:, None], values[:, : end - 1]], axis=1)
                for name, values in fields.items()
            }
        return before, after, np.arange(begin, end)

    @final
    def linearised(  # type: ignore[override]  # a state depends on the one before it, so each step has its own
        self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], step: int
    ) -> tuple[Operators, Coupling] | None:
        """Return the derivatives of the equations ``F(u, v)`` of a step; None if there are none.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, as in the dataset.
        step
            Which, from 0; the state before the first is that of `start`.

        Returns
        -------
        operators
            ``∂F/∂u`` by the state after the step, one per sample; see `Problem.linearised`.
        coupling
            Products with ``∂F/∂v``, by the state before it, and with its transpose.

        Raises
        ------
        ValueError
            If the equations couple beyond nearest neighbours at these fields, and not at those that `unlinearisable`
            tried.
        """
        from ritz.compute.problems.derivatives import coupling

        if not 0 <= step < len(self.times):
            raise ValueError(f"step is {step}, expected 0 to {len(self.times) - 1}")
        if self.unlinearisable():
            return None
        wide, states = ({name: double(values) for name, values in given.items()} for given in (inputs, fields))
        before, after, _ = self._around(wide, states, step, step + 1)
        now, then = ({name: values[:, 0] for name, values in states.items()} for states in (before, after))
        return self.step_linearised(wide, now, then, step), coupling(self, wide, now, then, step)

    @final
    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Return given fields one step of Newton's method further at every time; see `Problem.corrected`.

        Every step starts from the corrected state before it, and its iteration from the given state, moved by what
        that before it was corrected.
        """
        self.refuse_uncorrectable()
        wide, given = ({name: double(values) for name, values in one.items()} for one in (inputs, fields))
        now = before = self.start(wide).fields
        found = {name: np.empty_like(values) for name, values in given.items()}
        kept: dict[int, Operators] = {}
        for step in range(len(self.times)):
            guess = {name: given[name][:, step] + (now[name] - before[name]) for name in given}
            first = self.same_derivatives(step)
            operators = kept.get(first) or self.step_linearised(wide, now, guess, step)
            kept = {first: operators}
            before = {name: values[:, step] for name, values in given.items()}
            now = self._newton(operators, wide, now, guess, step, solve)
            for name, values in now.items():
                found[name][:, step] = values
        return found

    @final
    def step_corrected(
        self,
        inputs: Mapping[str, np.ndarray],
        before: Mapping[str, np.ndarray],
        guess: Mapping[str, np.ndarray],
        step: int,
        solve: Solve,
        operators: Operators | None = None,
    ) -> Arrays:
        """Return the states after one step by one step of Newton's method, begun at a guess of them.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input.
        before, guess
            The states before and after the step, ``(n, *space)``.
        step
            Which, from 0.
        solve
            As in `corrected`.
        operators
            The `step_linearised` of a step with the `same_derivatives`, where they are known already.

        Returns
        -------
        after
            ``(n, *space)`` float64; NaN where a system had no answer.

        Raises
        ------
        ValueError
            If there is no such step; see `Problem.uncorrectable`.
        """
        self.refuse_uncorrectable()
        wide, now, then = ({name: double(values) for name, values in one.items()} for one in (inputs, before, guess))
        operators = operators or self.step_linearised(wide, now, then, step)
        return self._newton(operators, wide, now, then, step, solve)

    def _newton(
        self, operators: Operators, inputs: Arrays, before: Arrays, guess: Arrays, step: int, solve: Solve
    ) -> Arrays:
        """Return the states after a step from a guess, with the derivatives there."""
        from ritz.compute.problems.correction import newton_step

        return newton_step(self, operators, self._left_over(inputs, before, guess, step), guess, solve)

    def same_derivatives(self, step: int) -> int:
        """Return the first step whose `step_linearised` is that of a step at any states; by default itself."""
        return step

    def _left_over(self, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Arrays:
        """Return what the equations of one step leave over, ``(n, *space)``; see `step_equations`."""
        now, then = ({name: values[:, None] for name, values in states.items()} for states in (before, after))
        left = self.step_equations(inputs, now, then, np.array([step]))
        return {name: values[:, 0] for name, values in left.items()}

    def unlinearisable(self) -> str:
        """Return why there is no `linearised`, in a few words; see `Problem.unlinearisable`."""
        from ritz.compute.problems.derivatives import NUMPY_ALONE, hindrance

        if type(self).step_linearised is Evolution.step_linearised:
            return hindrance(self)
        return "" if self.in_torch else NUMPY_ALONE

    def derived(self, inputs: Arrays, before: Arrays, after: Arrays) -> Operators:
        """Return the derivatives at some states, of the last step; see `Problem.derived`."""
        return self.step_linearised(inputs, before, after, len(self.times) - 1)

    def step_linearised(self, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Operators:
        """Return ``∂F/∂u`` of a step; see `linearised`. By default by coloured derivatives, as in `Problem.linearised`.

        Parameters
        ----------
        inputs, before, after
            float64; the states before and after the step, ``(n, *space)``.
        step
            Which, from 0.
        """
        from ritz.compute.problems.derivatives import coloured_step

        return coloured_step(self, inputs, before, after, step)
