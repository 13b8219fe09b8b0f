from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.kind import Kind
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
    `ritz.compute.problems.darcy.Darcy` for the pattern.
    """

    kind: str

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
    def residual(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the relative residuals ``‖b − A u‖ / ‖b‖`` of the fields, ``(n,)`` float64.

        Computed without the operators the solvers use, so that it checks them too.
        """

    @abstractmethod
    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``, ``(n,)`` float64.

        Times the unit round-off of the stored dtype (2⁻²⁴ for float32) it is the relative residual that storing
        the fields may add.
        """

    def boundary(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the part of `residual` in the equations that hold boundary and initial conditions, ``(n,)`` float64.

        Cell-centred fields have no value on a wall: its condition is in the equations of the cells along it, an initial
        one in those of the first step. So this is the norm of b − A u over these alone, relative to ``‖b‖``, and never
        more than `residual`, which is what a problem that does not tell them apart returns.
        """
        return self.residual(inputs, fields)

    def attained(self, rtol: float) -> float:
        """Return the largest `residual` of fields, before they are rounded, whose systems were solved to ``rtol``.

        That is ``rtol``, but for equations solved by an iteration with a tolerance of its own.
        """
        return rtol

    def penalty(self, inputs: Mapping[str, torch.Tensor], fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the relative residuals of fields as a differentiable function of them, for a loss.

        The mean over the steps of a problem in time; of the order of `residual`, in the precision of
        what is given. A problem need not have it: then the loss ``residual`` is refused.

        Parameters
        ----------
        inputs, fields
            ``(n, *dims)`` for every input and output, as in the dataset, on one device.

        Returns
        -------
        residuals
            ``(n,)``.
        """
        raise NotImplementedError(f"problem {self.kind!r} has no penalty")

    @property
    def has_penalty(self) -> bool:
        """Whether this class defines `penalty`."""
        return type(self).penalty is not Problem.penalty
