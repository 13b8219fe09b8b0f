"""Inputs of one grid on another one with fewer points, by means over cells alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.grids import same_points
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.coarsening import Moves, restricted

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Restriction:
    """How inputs come to a grid whose cells are made of whole cells of theirs. Made by `Restriction.between`.

    Attributes
    ----------
    moves
        By input: the axes with fewer points there, each with its matrix ``(new, old)``.
    logs
        Inputs of which the mean is that of the logarithm, as the template says.
    """

    moves: Moves
    logs: frozenset[str]

    @classmethod
    def between(cls, source: xr.Dataset, target: xr.Dataset) -> Restriction | str:
        """Look at inputs as they are and as they are wanted.

        Parameters
        ----------
        source, target
            Templates; see `ritz.compute.problems.problem.Problem.template`.

        Returns
        -------
        restriction
            Or the reason why there is none, in a few words: the inputs are others, or the points are neither the same
            nor means of them.
        """
        given, wanted = (
            {str(name): one for name, one in each.data_vars.items() if one.attrs.get("role") == "input"}
            for each in (source, target)
        )
        if set(given) != set(wanted):
            return f"the inputs are {sorted(given)}, expected {sorted(wanted)}"
        moves: Moves = {}
        for name, one in wanted.items():
            other = given[name]
            if other.dims != one.dims:
                return f"input {name!r} has the dimensions {other.dims[1:]}, expected {one.dims[1:]}"
            units = other.attrs.get("units"), one.attrs.get("units")
            if None not in units and units[0] != units[1]:
                return f"input {name!r} is in {units[0]!r}, expected {units[1]!r}"
            moves[name] = []
            for axis, dim in enumerate(one.dims[1:], 1):
                found = _along(str(dim), other, one)
                if isinstance(found, str):
                    return f"input {name!r}: {found}"
                if found is not None:
                    moves[name].append((axis, found))
        logs = frozenset(name for name, one in wanted.items() if one.attrs.get("transform") == "log")
        return cls(moves, logs)

    def restrict(self, inputs: Arrays) -> Arrays:
        """Return inputs ``(n, *dims)`` on the other grid, in their dtypes; where it is the same, bit for bit."""
        return restricted(inputs, self.moves, self.logs)


def _along(dim: str, source: xr.DataArray, target: xr.DataArray) -> np.ndarray | str | None:
    """Return the matrix of means along a dimension, None where the points are the same, or why there are no means."""
    old, new = source.sizes[dim], target.sizes[dim]
    names = [name for name, one in target.coords.items() if one.dims == (dim,) and name in source.coords]
    if old == new:
        if all(same_points(source[name].values, target[name].values) for name in names):
            return None
        return f"the {old} points along {dim} are others"
    if old < new:
        return f"there are {old} points along {dim}, fewer than {new}"
    if old % new or not names:
        return f"there are {old} points along {dim}, no multiple of {new}"
    means = np.kron(np.eye(new), np.full((1, old // new), new / old))
    if all(same_points(means @ source[name].values, target[name].values) for name in names):
        return np.asarray(means)
    return f"the {new} points along {dim} are no centres of cells made of those of {old} points"
