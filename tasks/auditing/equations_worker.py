"""What a Dask worker does of an audit by equations: some samples of a version."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ritz.compute.evaluation.agreement import Agreement, agreement
from ritz.compute.problems.problem import Arrays, Problem
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.auditing.worker import EVALUATION
from ritz.tasks.generation.rounding import unit_roundoff


@dataclass(frozen=True, repr=False)
class Some:
    """Samples to be looked at; of the first ``coarse`` the solution on a coarser grid is wanted, too."""

    store: str
    dataset: str
    version: str
    ids: np.ndarray
    problem: Problem
    rtol: float
    coarse: int

    def __repr__(self) -> str:
        return f"samples from {self.ids[0]} of dataset {self.dataset!r}"


@dataclass(frozen=True)
class Judged:
    """Samples that were looked at."""

    receipt: Agreement = field(repr=False)


def judge(some: Some) -> Judged:
    """Read samples and measure how they stand to the equations."""
    problem = some.problem
    stored = Dataset.open(Store(some.store), some.dataset).at(some.version).read_samples(some.ids).arrays
    inputs, fields = Arrays(), Arrays()
    for name, variable in problem.template(1).data_vars.items():
        (fields if variable.attrs["role"] == "output" else inputs)[str(name)] = stored[str(name)]
    with np.errstate(all="ignore"):
        adds = (unit_roundoff(fields) + EVALUATION) * problem.rounding(inputs, fields)
    allowed = np.nan_to_num(problem.attained(some.rtol) + adds, nan=0.0, posinf=0.0)
    return Judged(agreement(problem, inputs, fields, allowed, some.rtol, some.coarse))
