"""What a dataset is said to solve: the problem on its grid, and the samples that are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Problem
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused
from ritz.storage.names import split_spec
from ritz.storage.store import Store
from ritz.storage.versions import Version
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.asked_problem import OPTION, on_grid_of
from ritz.tasks.parsing.plain import RecipeDocument

OFF = 0.01
"""Share of the spacing by which points may lie elsewhere: so far are coordinates rounded in files."""


@dataclass(frozen=True)
class Claim:
    """A version, the problem that it is said to solve, and the ids of the samples to look at.

    Attributes
    ----------
    good
        Good samples that the version has.
    rtol
        To which samples of Ritz were solved.
    remarks
        What is not known, in words.
    """

    version: Version
    problem: Problem
    ids: np.ndarray
    good: int
    rtol: float
    remarks: tuple[str, ...]


def claimed(store: Store, spec: str, document: RecipeDocument, samples: int) -> Claim:
    """Hold a problem against a version, ``NAME[@VERSION]``, and choose samples of it.

    Raises
    ------
    RecipeError
        If a field of the problem is wrong, or its variables or points are not those of the dataset.
    ritz.storage.errors.Unknown
        If there is no such dataset or version.
    """
    name, asked = split_spec("dataset", spec)
    data = Dataset.open(store, name).at(asked)
    assert data.version is not None
    template = data.template
    problem = on_grid_of(document, Dimensions.of(template))
    remarks = _compared(template, problem, data.version.spec)
    status, ids = data.ledger()["status"], data.index()[0]
    good = np.flatnonzero(status == "ok")
    if not len(good):
        raise Refused(f"dataset {data.version.spec} has no good sample, expected some to look at")
    count = min(len(good), samples)
    chosen = np.sort(np.random.default_rng(0).choice(good, count, replace=False))
    return Claim(data.version, problem, ids[chosen], len(good), data.rtol, remarks)


def _compared(template: xr.Dataset, problem: Problem, spec: str) -> tuple[str, ...]:
    """Refuse variables or points that are not those of the problem; return what cannot be compared."""
    wanted, remarks = problem.template(1), []
    for name, variable in wanted.data_vars.items():
        role = variable.attrs["role"]
        there = {str(key): f"{one.attrs['role']} {one.dims[1:]}" for key, one in template.data_vars.items()}
        if name not in template or template[name].attrs["role"] != role:
            raise RecipeError(
                f"{OPTION} {problem.kind}: dataset {spec} has no {role} {name!r}, expected the variables of the "
                f"problem; it has {there}"
            )
        own = template[name]
        if own.dims != variable.dims or own.shape[1:] != variable.shape[1:]:
            raise RecipeError(
                f"{OPTION} {problem.kind}: {role} {name!r} of dataset {spec} has the dimensions "
                f"{dict(zip(own.dims[1:], own.shape[1:], strict=True))}, expected "
                f"{dict(zip(variable.dims[1:], variable.shape[1:], strict=True))}; give the fields of the "
                f"problem, e.g. {OPTION} '{{kind: {problem.kind}, …}}'"
            )
    for dim in sorted({str(dim) for one in wanted.data_vars.values() for dim in one.dims[1:]}):
        if dim not in wanted.coords:
            continue
        if dim not in template.coords:
            remarks.append(
                f"the dataset does not say where its points along {dim!r} lie: taken as those of the problem"
            )
            continue
        given, points = template[dim].values.astype(np.float64), wanted[dim].values.astype(np.float64)
        spacing = abs(points[-1] - points[0]) / max(1, len(points) - 1) or 1.0
        if not np.allclose(given, points, rtol=0, atol=OFF * spacing):
            raise RecipeError(
                f"{OPTION} {problem.kind}: the points along {dim!r} of dataset {spec} lie from {given[0]:.6g} to "
                f"{given[-1]:.6g}, expected those of the problem, from {points[0]:.6g} to {points[-1]:.6g}"
            )
    return tuple(remarks)
