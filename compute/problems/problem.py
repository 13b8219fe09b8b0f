from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np

from ritz.compute.fields.arrays import Array, double
from ritz.compute.kind import Kind
from ritz.compute.problems.sizes import joint_size
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import torch
    import xarray as xr

Arrays = dict[str, np.ndarray]
"""Fields by name; the first axis of every array is the sample."""

Solve = Callable[[Systems], np.ndarray]
"""Answers a batch of systems with their solutions ``(n, *shape)`` float64."""


class Problem(Kind, ABC):
    """A parametric PDE: how its inputs are drawn, posed as discrete systems and checked.

    A subclass states in its docstring the equation, boundary conditions, discretisation and order, the shapes
    of its arrays, where the grid points lie, and units. It has a field ``kind: Literal[...]``. See
    `ritz.compute.problems.darcy.Darcy` for the pattern. `equations` and `scale` say what is solved; `residual`,
    `boundary`, `penalty` and `linearised` follow.
    """

    kind: str

    in_torch: ClassVar[bool] = True
    """Whether `equations` takes torch tensors too. One for NumPy alone has no `penalty` and is not `linearised`."""

    step_dims: ClassVar[tuple[str, ...]] = ()
    """Dimensions of outputs whose points are states of their own, each with derivatives of its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_overriding(
            cls,
            Problem,
            ("residual", "boundary", "penalty"),
            "it follows from what is expected, `equations(self, inputs, fields) -> {output: A u − b}` and "
            "`scale(self, inputs) -> ‖b‖`",
        )

    @abstractmethod
    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples: dims, coordinates, units, dtypes; no data.

        Returns
        -------
        xarray.Dataset
            Every variable has ``sample`` as first dimension, lazily filled (no memory), the attributes
            ``role`` (``"input"`` or ``"output"``), ``transform`` (``"identity"`` or ``"log"``: what a surrogate
            should see), ``units`` and ``long_name``. Dimensions of space are told by coordinates with the attribute
            ``axis`` ``"X"``, ``"Y"`` or ``"Z"`` (names ``x``, ``y``, ``z``); time is ``time``, with ``axis`` ``"T"``;
            the nodes of a mesh are ``node`` alone, with the coordinates ``x`` and ``y`` and, for pictures, the
            corners ``triangle`` ``(face, corner)`` along them. An output lies on all of space, an input on any part
            of it; see `ritz.compute.fields.dimensions.Dimensions`. Global attribute ``symmetries``: ``"square"`` (flips
            and transpose), ``"flips"`` or ``"none"``, the transformations of the grid under which a solution
            stays a solution.
        """

    @abstractmethod
    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw the inputs of the samples ``ids``, in the dtypes of the template.

        The same bits for an id in any block, order and worker: nothing is reduced or multiplied across the
        sample axis, and the values are rounded to the stored dtype, so what is stored is what is solved.
        """

    @property
    def leading(self) -> int:
        """How many coordinates of a draw may be given, the ones that matter most first; none by default.

        They are independent and uniform in (0, 1) under the law of the problem: the values of the distribution
        functions of the leading coefficients of a random field, or parameters. Quasi-random points and indices of
        sensitivity need them; see `draw_at`.
        """
        return 0

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw the inputs of the samples ``ids`` with some leading coordinates given; the rest as in `draw`.

        With uniform independent coordinates the inputs have the law of `draw`. Equal coordinates and ids are the same
        sample on a grid of any size, as far as the grid resolves it.

        Parameters
        ----------
        given
            ``(n, k)`` float64 in (0, 1), k at most `leading`; None gives none, which is `draw`.

        Raises
        ------
        ValueError
            If more coordinates are given than there are.
        """
        if given is not None and given.shape[1]:
            raise ValueError(f"the draws of problem {self.kind!r} take no coordinates, got {given.shape[1]}")
        return self.draw(seed, ids)

    @abstractmethod
    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``(n, d)`` float32, ``d <= 16``, by whose distances samples are ordered."""

    @abstractmethod
    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve a block of samples; return the outputs in float64.

        Poses one batch of systems with one system per sample, in the order of the samples, at each call of ``solve``:
        one call for a steady linear PDE, one per step for Newton or time stepping. A block of which only some samples
        have a system in a batch is simulated once more, sample by sample. A sample without systems, of an
        explicit scheme or a solver of one's own, is good if its `residual` is at most the tolerance of the data.
        """

    @abstractmethod
    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what every discrete equation leaves over, its left side less its right: ``A u − b``.

        Written without the operators that the solvers use, so that it checks them too, and once for NumPy and torch
        (`ritz.compute.fields.arrays`): differentiable by inputs and fields where these are tensors.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, as in the dataset; all NumPy arrays, in float64, or all tensors
            on one device, in one precision.

        Returns
        -------
        left_over
            By output, in its shape: the equation of each of its values. All are scaled alike, as their norm is taken.
        """

    @abstractmethod
    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Return ``‖b‖``, the norm by which what `equations` leaves over is divided: ``(n,)``, or one number for all.

        Inputs are as in `equations`.
        """

    def conditions(self) -> Mapping[str, np.ndarray] | None:
        """Return which equations hold boundary conditions: by output a bool array of its dims after the sample.

        None, the default, is of a problem that does not tell them apart.
        """
        return None

    @abstractmethod
    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``, ``(n,)`` float64.

        Times the unit round-off of the stored dtype (2⁻²⁴ for float32) it is the relative residual that storing
        the fields may add.
        """

    @final
    def residual(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the relative residuals ``‖b − A u‖ / ‖b‖`` of the fields, ``(n,)`` float64, from `equations`.

        Of a problem in time it is that of the worst step.
        """
        return self._worst(inputs, fields, None)

    @final
    def boundary(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the part of `residual` in the equations that hold boundary and initial conditions, ``(n,)`` float64.

        Cell-centred fields have no value on a wall: its condition is in the equations of the cells along it, an initial
        one in those of the first step. So this is the norm of b − A u over these alone (`conditions`), relative to
        ``‖b‖``, and never more than `residual`, which is what a problem that does not tell them apart returns.
        """
        return self._worst(inputs, fields, self.conditions())

    @final
    def penalty(self, inputs: Mapping[str, torch.Tensor], fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the relative residuals of fields as a differentiable function of them, for a loss.

        The mean over the steps of a problem in time; of the order of `residual`, in the precision of what is given.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, as in the dataset, on one device.

        Returns
        -------
        residuals
            ``(n,)``.

        Raises
        ------
        NotImplementedError
            If the equations are not for tensors; see `has_penalty`.
        """
        if not self.in_torch:
            raise NotImplementedError(f"problem {self.kind!r} has no penalty: its equations take NumPy arrays alone")
        found: torch.Tensor = self.relative(inputs, fields).mean(dim=1)
        return found

    @property
    def has_penalty(self) -> bool:
        """Whether there is a `penalty`; without one the loss ``residual`` is refused."""
        return self.in_torch

    def relative(
        self,
        inputs: Mapping[str, Array],
        fields: Mapping[str, Array],
        rows: Mapping[str, np.ndarray] | None = None,
    ) -> Array:
        """Return the relative residuals ``‖A u − b‖ / ‖b‖``, ``(n, 1)``; of an `Evolution` ``(n, steps)``.

        Parameters
        ----------
        inputs, fields
            As in `equations`.
        rows
            Which equations count, as in `conditions`; all by default.
        """
        relative = joint_size(self.equations(inputs, fields), rows) / self.scale(inputs)
        return relative[:, None]

    def _worst(
        self,
        inputs: Mapping[str, np.ndarray],
        fields: Mapping[str, np.ndarray],
        rows: Mapping[str, np.ndarray] | None,
    ) -> np.ndarray:
        given, state = ({name: double(values) for name, values in one.items()} for one in (inputs, fields))
        found: np.ndarray = self.relative(given, state, rows).max(axis=1)
        return found

    def unsolvable(self) -> str:
        """Return why samples cannot be drawn and solved, in a few words; empty where they can.

        See `ritz.compute.problems.external.External`.
        """
        return ""

    def attained(self, rtol: float) -> float:
        """Return the largest `residual` of fields, before they are rounded, whose systems were solved to ``rtol``.

        That is ``rtol``, but for equations solved by an iteration with a tolerance of its own.
        """
        return rtol

    def loosened(self, rtol: float) -> Self:
        """Return the problem with its own tolerance, that of an iteration around the solver, as loose as ``rtol``.

        It is the problem itself where it has no tolerance, or a looser one.
        """
        del rtol
        return self

    def linearised(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Operators | None:
        """Return the derivatives ``∂F/∂u`` of `equations` by the fields, one operator a sample; None if there are none.

        By default by coloured derivatives in torch, of equations that couple a point to its nearest neighbours alone
        (`ritz.compute.problems.derivatives`), and checked with a random vector. A problem that assembles matrices
        overrides it. Why there are none says `unlinearisable`.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, as in the dataset.

        Returns
        -------
        operators
            float64. The unknowns are the values of an output in C order, or those of all outputs in the order of the
            template, one after the other.

        Raises
        ------
        ValueError
            If the equations couple beyond nearest neighbours at these fields, and not at those that `unlinearisable`
            tried.
        """
        from ritz.compute.problems.derivatives import coloured

        return None if self.unlinearisable() else coloured(self, inputs, fields)

    def weighted_derivatives(
        self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]
    ) -> tuple[Operators, np.ndarray | float]:
        """Return the derivatives ``∂F/∂u`` with their columns weighted as it suits solvers.

        By default `linearised` and 1. A problem whose derivatives multigrid can solve for other unknowns alone
        overrides it.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, on the grid of the problem, in float64.

        Returns
        -------
        operators
            ``∂F/∂u W``, one per sample.
        weight
            The diagonal of W, in the shape of the unknowns, or 1.

        Raises
        ------
        ValueError
            If there are no derivatives; see `unlinearisable`.
        """
        operators = self.linearised(inputs, fields)
        if operators is None:
            raise ValueError(f"problem {self.kind!r} has no derivatives of its equations: {self.unlinearisable()}")
        return operators, 1.0

    def unlinearisable(self) -> str:
        """Return why there is no `linearised`, in a few words; empty where there is.

        The default looks at the template and tries one sample.
        """
        from ritz.compute.problems.derivatives import hindrance

        return "" if type(self).linearised is not Problem.linearised else hindrance(self)

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Return given fields one step of the problem's own iteration further: what is left of their error is small.

        By default a step of Newton's method, ``u − (∂F/∂u)⁻¹ F(u)``, which solves linear equations. What it changes
        estimates the error of the fields, as the distance to the solution of the discrete equations.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, on the grid of the problem.
        solve
            Answers a batch of systems, one per sample at each call. They are posed for the change of the fields, so
            that a tolerance is relative to what the equations leave over, whatever the size of the fields.

        Returns
        -------
        fields
            float64; NaN where a system had no answer.

        Raises
        ------
        ValueError
            If there is no such step; see `uncorrectable`.
        """
        from ritz.compute.problems.correction import newton_step

        self.refuse_uncorrectable()
        given, state = ({name: double(values) for name, values in one.items()} for one in (inputs, fields))
        operators = self.linearised(given, state)
        assert operators is not None
        return newton_step(self, operators, self.equations(given, state), state, solve)

    def uncorrectable(self) -> str:
        """Return why there is no `corrected`, in a few words; empty where there is."""
        return "" if type(self).corrected is not Problem.corrected else self.unlinearisable()

    @final
    def refuse_uncorrectable(self) -> None:
        """Refuse to correct fields where there is no `corrected`.

        Raises
        ------
        ValueError
            With the reason.
        """
        if reason := self.uncorrectable():
            raise ValueError(f"problem {self.kind!r} has no correction of its fields: {reason}")

    def derived(self, inputs: Arrays, before: Arrays, after: Arrays) -> Operators:
        """Return the derivatives at some states, in float64: of the last step where there are steps."""
        from ritz.compute.problems.derivatives import coloured

        del before
        return coloured(self, inputs, after)

    @property
    def rings(self) -> tuple[str, ...]:
        """The dimensions of space that close to a ring: the first point is a neighbour of the last."""
        return ()


def refuse_overriding(cls: type, owner: type, names: tuple[str, ...], instead: str) -> None:
    """Refuse a class that writes methods of ``owner`` anew which follow from others.

    Raises
    ------
    TypeError
        With what to write instead.
    """
    for name in names:
        if getattr(cls, name) is not getattr(owner, name):
            raise TypeError(f"{cls.__name__}.{name} is final; {instead}")
