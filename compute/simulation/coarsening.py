"""The same problem on fewer points, and how fields go from one grid to another."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from pydantic import ValidationError

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays, Problem

if TYPE_CHECKING:
    import xarray as xr

NO_POINTS = "the problem has no field shape or points"

Moves = dict[str, list[tuple[int, np.ndarray]]]
"""By variable: which axes are interpolated, each with its matrix ``(new, old)``."""


@dataclass(frozen=True)
class Grids:
    """A problem on fewer points, and how fields come there and back. Made by `Grids.between` and `Grids.above`.

    Attributes
    ----------
    coarse
        The problem on fewer points.
    down, up
        How inputs come to it, and outputs from it.
    logs
        Inputs of which the logarithm is interpolated, as the template says.
    """

    coarse: Problem
    down: Moves
    up: Moves
    logs: frozenset[str]

    @classmethod
    def between(cls, problem: Problem, space: int, time: int) -> Grids | str:
        """Return the grids of a problem and of the `coarsened` one; the reason why there are none, in a few words."""
        coarse = coarsened(problem, space, time)
        if isinstance(coarse, str):
            return coarse
        templates = [problem.template(1)]
        for step in range(1, max(space, time).bit_length()):
            halved = coarsened(problem, min(2**step, space), min(2**step, time))
            assert isinstance(halved, Problem)
            templates.append(halved.template(1))
        return cls._through(coarse, templates)

    @classmethod
    def above(cls, coarse: Problem, halvings: int) -> Grids | str:
        """Return the grids of a problem and of fields that lie on 2ʰ times more points along each axis.

        The reason why there are none, in a few words. On so many points its other fields need not be valid: its steps
        may be too long there.

        Examples
        --------
        >>> from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
        >>> grids = Grids.above(KuramotoSivashinsky(points=16), 2)
        >>> grids.restrict({"u0": np.ones((1, 64))})["u0"].shape
        (1, 16)
        """
        name = _of_points(coarse)
        if name is None:
            return NO_POINTS
        points = getattr(coarse, name)
        templates = []
        for times in (2**halving for halving in range(halvings, -1, -1)):
            more = points * times if isinstance(points, int) else tuple(one * times for one in points)
            templates.append(coarse.model_copy(update={name: more}).template(1))
        return cls._through(coarse, templates)

    @classmethod
    def _through(cls, coarse: Problem, templates: Sequence[xr.Dataset]) -> Grids:
        """Return the grids from the first of templates to the last, which is that of ``coarse``, step by step."""
        fine, last = templates[0], templates[-1]
        down: Moves = {str(name): [] for name in fine.data_vars}
        for before, after in pairwise(templates):
            for name, moves in down.items():
                moves += interpolations(before[name], after[name], 1, coarse.rings)
        up = {str(name): interpolations(last[name], fine[name], 3, coarse.rings) for name in fine.data_vars}
        logs = frozenset(str(name) for name, one in fine.data_vars.items() if one.attrs.get("transform") == "log")
        return cls(coarse, down, up, logs)

    def restrict(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Return inputs on the coarse grid: linear between the points, halving by halving.

        On cell centres that is the mean over the cells which a coarse one holds; of the logarithm where the template
        says so.
        """
        return restricted(inputs, self.down, self.logs)

    def prolong(self, outputs: Mapping[str, np.ndarray]) -> Arrays:
        """Return outputs on the fine grid, by cubic splines along every axis that has other points there."""
        return {name: interpolated(values, self.up[name]) for name, values in outputs.items()}


def coarsened(problem: Problem, space: int, time: int = 1) -> Problem | str:
    """Return the same problem with ``space`` times fewer points along each axis and ``time`` times fewer steps.

    That is what its fields ``shape`` or ``points``, and ``steps``, say. Where there are none, the points are no
    multiple, or the problem refuses them, the reason is returned in a few words. The states of a problem with a field
    ``store_every`` stay at the same times, where fewer steps lead to them, and a ``spin_up`` takes about as long.

    Examples
    --------
    >>> from ritz.compute.problems.darcy import Darcy
    >>> coarsened(Darcy(shape=(64, 32)), 4).shape
    (16, 8)
    >>> coarsened(Darcy(shape=(6, 6)), 4)
    'shape is (6, 6), no multiple of 4'
    """
    fields = type(problem).model_fields
    changed: dict[str, Any] = {}
    if space > 1:
        if Dimensions.of(problem.template(1)).mesh:
            return "fields on a mesh are not carried to another one"
        name = _of_points(problem)
        if name is None:
            return NO_POINTS
        points = getattr(problem, name)
        if np.any(np.asarray(points) % space):
            return f"{name} is {points}, no multiple of {space}"
        changed[name] = points // space if isinstance(points, int) else tuple(one // space for one in points)
    if time > 1:
        if "steps" not in fields:
            return "the problem has no field steps"
        steps: int = problem.steps  # type: ignore[attr-defined]  # looked for above
        if steps % time:
            return f"steps is {steps}, no multiple of {time}"
        changed["steps"] = steps // time
        if "store_every" in fields:
            stored: int = problem.store_every  # type: ignore[attr-defined]  # looked for above
            changed["store_every"] = stored // math.gcd(stored, time)
        if "spin_up" in fields:
            # After another time a chaotic draw would be another state.
            changed["spin_up"] = math.ceil(problem.spin_up / time)  # type: ignore[attr-defined]  # looked for above
    try:
        return type(problem).model_validate(dict(problem) | changed)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])


def _of_points(problem: Problem) -> str | None:
    """Return the field that says how many points there are along the axes; None where there is none."""
    return next((one for one in ("shape", "points") if one in type(problem).model_fields), None)


def restricted(inputs: Mapping[str, np.ndarray], moves: Moves, logs: frozenset[str]) -> Arrays:
    """Return inputs on another grid, in their dtypes; of some the logarithm is moved."""
    found = {}
    for name, values in inputs.items():
        log = name in logs and bool(moves[name])
        moved = interpolated(np.log(values) if log else values, moves[name])
        found[name] = np.exp(moved).astype(values.dtype) if log else moved.astype(values.dtype)
    return found


def interpolations(
    source: xr.DataArray, target: xr.DataArray, degree: int, rings: Collection[str] = ()
) -> list[tuple[int, np.ndarray]]:
    """Return the matrices of the spline interpolation along every axis with other points.

    Along the dimensions in ``rings`` it is periodic, along others it extrapolates.
    """
    moves = []
    for axis, dim in enumerate(source.dims[1:], 1):
        old, new = source.sizes[dim], target.sizes[dim]
        if old == new:
            continue
        there, points = source[dim].values.astype(np.float64), target[dim].values.astype(np.float64)
        k = min(degree, old - 1)
        if dim in rings:
            moves.append((axis, _around(there, points, k)))
        else:
            moves.append((axis, scipy.interpolate.make_interp_spline(there, np.eye(old), k=k)(points)))
    return moves


def _around(there: np.ndarray, points: np.ndarray, degree: int) -> np.ndarray:
    """Return the matrix ``(new, old)`` of the periodic spline through evenly spaced points of a ring."""
    length = len(there) * (there[-1] - there[0]) / (len(there) - 1)
    closed = np.append(there, there[0] + length)
    values = np.eye(len(there))[[*range(len(there)), 0]]
    # A periodic spline has an odd degree.
    cubic = degree >= 3
    spline = scipy.interpolate.make_interp_spline(
        closed, values, k=3 if cubic else 1, bc_type="periodic" if cubic else None
    )
    matrix: np.ndarray = spline(there[0] + (points - there[0]) % length)
    return matrix


def interpolated(values: np.ndarray, moves: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """Return values ``(n, *dims)`` after `interpolations`."""
    for axis, matrix in moves:
        values = np.moveaxis(np.tensordot(values, matrix, axes=(axis, 1)), -1, axis)
    return values
