"""The same problem on twice as many points, and its solutions there at the points of the problem itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.coarsening import interpolated, interpolations

STRANGE = 0.5
"""Inputs of an id that differ by more than this on the finer grid, relative to their deviation, are other functions."""


def refined(problem: Problem) -> Problem | str:
    """Return the same problem with twice the points along each axis of space, and twice the steps where it has steps.

    That is what its fields ``shape`` or ``points``, and ``steps``, say. Where there are none, or the problem refuses
    them, the reason is returned in a few words. A problem with a field ``store_every`` stores at the same times, and
    one with ``spin_up`` begins after the same time.

    Examples
    --------
    >>> from ritz.compute.problems.evolutions.heat import Heat
    >>> fine = refined(Heat(shape=(16, 32), steps=4))
    >>> fine.shape, fine.steps
    ((32, 64), 8)
    """
    fields = type(problem).model_fields
    if Dimensions.of(problem.template(1)).mesh:
        return "fields on a mesh are not carried to another one"
    name = next((one for one in ("shape", "points") if one in fields), None)
    if name is None:
        return "the problem has no field shape or points"
    points = getattr(problem, name)
    changed: dict[str, Any] = {name: 2 * points if isinstance(points, int) else tuple(2 * one for one in points)}
    for counted in ("steps", "store_every", "spin_up"):
        if counted in fields:
            changed[counted] = 2 * getattr(problem, counted)
    try:
        return type(problem).model_validate(dict(problem) | changed)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])


def strangeness(
    problem: Problem, fine: Problem, inputs: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray]
) -> float:
    """Return by how much inputs on the finer grid differ from those on the problem's own, the largest of all inputs.

    The inputs on the finer grid are interpolated linearly, of their logarithm where the template says so; the
    difference is relative to the deviation of an input from its mean over all samples and points, or where it is
    constant to its size.

    Parameters
    ----------
    problem, fine
        The problem, and what `refined` makes of it.
    inputs, drawn
        ``(n, *dims)`` of the same samples on either grid.
    """
    template, finer = problem.template(1), fine.template(1)
    found = []
    for name, values in inputs.items():
        log = template[name].attrs.get("transform") == "log"
        own, there = (np.log(one) if log else one.astype(np.float64) for one in (values, drawn[name]))
        change = float(
            np.linalg.norm(interpolated(there, interpolations(finer[name], template[name], 1, problem.rings)) - own)
        )
        size = float(np.linalg.norm(own - own.mean())) or float(np.linalg.norm(own))
        found.append(change / size if size else change)
    return max(found, default=0.0)


def on_own_points(problem: Problem, fine: Problem, outputs: Mapping[str, np.ndarray]) -> Arrays:
    """Return outputs of the finer problem at points and times of the problem itself, by cubic splines."""
    template, finer = problem.template(1), fine.template(1)
    return {
        name: interpolated(values, interpolations(finer[name], template[name], 3, problem.rings))
        for name, values in outputs.items()
    }
