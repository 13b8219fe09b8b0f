from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.problems.problem import Problem

AT_ONCE = 2**18
"""Values of all fields of the samples that are looked at together: what the steps between take fits into caches."""


def unit_roundoff(outputs: Mapping[str, np.ndarray]) -> float:
    """Return by how much rounding to the stored dtype may change a number, relatively: 2⁻²⁴ for float32."""
    return max(float(np.finfo(values.dtype).eps) / 2 for values in outputs.values())


def rounding_bound(
    problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], ok: np.ndarray
) -> float | None:
    """Return what rounding the outputs adds at most to the relative residual of an ok sample.

    That is ‖|A| |u|‖ / ‖b‖ times the unit round-off of the stored dtype (`Problem.rounding`), the largest over the
    samples; 0 if none is ok, None where it is no number.

    Parameters
    ----------
    inputs, fields
        ``(n, *dims)`` for every input; for every field, outputs among them, as they are stored.
    ok
        Which samples are ok, ``(n,)`` bool.
    """
    outputs = {name: values for name, values in fields.items() if name not in inputs}
    rows = np.flatnonzero(ok)
    size = sum(values[0].size for values in fields.values())
    step, largest = max(1, AT_ONCE // size), 0.0
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        given, found = ({name: values[some] for name, values in of.items()} for of in (inputs, outputs))
        with np.errstate(all="ignore"):
            bounds = unit_roundoff(outputs) * problem.rounding(given, found)
            # NaN stays.
            largest = float(np.maximum(largest, bounds.max()))
        if not np.isfinite(largest):
            return None
    return largest
