"""Errors at the walls of the domain, where surrogates are worst and engineers look first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric, averaged
from ritz.compute.evaluation.quantities.wall import flow
from ritz.compute.fields.errors import relative_l2_at
from ritz.compute.problems.box.walls import InBox


class BoundaryError(SubjectMetric):
    """The relative L2 error over the outermost cells of a box, those along its walls, or over the wall nodes of a mesh.

    The ends of an axis that closes to a ring are no walls. The nodes on the walls of a mesh are those of which a known
    problem says so (`Problem.conditions`).
    """

    kind: Literal["boundary"] = "boundary"
    title: ClassVar[str] = "relative L2 along the walls"

    def unfit_for(self, subject: Subject) -> str:
        """Refuse a mesh without known walls, rings, and a truth that is zero there."""
        for name, truth in subject.truth.items():
            where = _along_walls(subject, name)
            if isinstance(where, str):
                return where
            places = np.broadcast_to(where, truth.shape[1:])
            if not np.all(np.any(truth[:, places] != 0, axis=1)):
                return f"the truth of {name!r} is zero along the walls"
        return ""

    def of(self, subject: Subject) -> Found:
        """Measure the samples; see `SubjectMetric.of`."""
        found = []
        for name, truth in subject.truth.items():
            where = _along_walls(subject, name)
            assert not isinstance(where, str)
            found.append({"": relative_l2_at(subject.prediction[name], truth, where)})
        return averaged(found)


_SIZE = " size"
"""After the name of a wall: the size of the true flow through it."""


class WallFluxError(SubjectMetric):
    """The error of the flow −∫ a ∂u/∂n through each wall of a box, relative to the mean size of the true flow.

    The mean is over the samples, so that one with hardly any flow through a wall does not decide; of several times the
    size is the root of the sum of squares. A field with an error of 2 % may miss the flow by a third: the error of the
    cells along a wall counts as that of the gradient. The parts are named ``x_low``, ``x_high``, ``y_low`` …
    """

    kind: Literal["flux"] = "flux"
    title: ClassVar[str] = "flow through a wall, relative"
    by_sample: ClassVar[bool] = False

    def unfit_for(self, subject: Subject) -> str:
        """Refuse a problem of which no coefficient of the flow is known, and walls without any flow."""
        problem = subject.problem
        if problem is None:
            return "the problem is not known, nor the coefficient of the flow"
        if not isinstance(problem, InBox) or not problem.conductivity:
            return f"the problem {problem.kind!r} names no input that is the coefficient of a flow through walls"
        closed = [wall for wall, flow in _flows(subject, problem, subject.truth).items() if not np.any(flow)]
        return f"there is no flow through the wall {closed[0]}" if closed else ""

    def of(self, subject: Subject) -> Found:
        """Measure the error of the flow through each wall, and beside it the flow; see `SubjectMetric.of`."""
        problem = subject.problem
        assert isinstance(problem, InBox)
        predicted, true = (_flows(subject, problem, fields) for fields in (subject.prediction, subject.truth))
        sizes = {wall + _SIZE: np.linalg.norm(flow, axis=1) for wall, flow in true.items()}
        return {wall: np.linalg.norm(predicted[wall] - flow, axis=1) for wall, flow in true.items()} | sizes

    def joined(self, found: Found) -> Found:
        """Return the errors relative to the mean size of the flow; see `SubjectMetric.joined`."""
        walls = [name for name in found if not name.endswith(_SIZE)]
        return {wall: found[wall] / found[wall + _SIZE].mean() for wall in walls}


def _along_walls(subject: Subject, name: str) -> np.ndarray | str:
    """Return which values of an output lie along walls, ``(*dims)`` or what repeats to it; or why none do."""
    dimensions, problem = subject.dimensions, subject.problem
    if dimensions.mesh:
        known = None if problem is None else problem.conditions()
        if known is None or name not in known or not known[name].any():
            return "the nodes on the walls of the mesh are not known"
        return known[name]
    rings = () if problem is None else problem.rings
    dims = dimensions.variables[name]
    found = np.zeros(tuple(dimensions.sizes[dim] if dim in dimensions.space else 1 for dim in dims), dtype=bool)
    for axis, dim in enumerate(dims):
        if dim in dimensions.space and dim not in rings:
            found[(slice(None),) * axis + ([0, -1],)] = True
    return found if found.any() else "there are no walls: every axis closes to a ring"


def _flows(subject: Subject, problem: InBox, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the flow out through every wall, ``(n, states)`` float64."""
    dimensions = subject.dimensions
    a, u = (
        dimensions.stack(name, values[name].astype(np.float64))
        for name, values in ((problem.conductivity, subject.inputs), (problem.output, fields))
    )
    return {
        f"{dim}_{end}": flow(a, u, axis, end, len(dimensions.space))
        for axis, dim in enumerate(dimensions.space, start=2)
        for end in ("low", "high")
    }
