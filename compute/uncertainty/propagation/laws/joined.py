from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ritz.compute.problems.problem import Arrays


@dataclass(frozen=True)
class Joined:
    """How the inputs of a sample are one trace: one after the other, each in a unit of its own.

    Attributes
    ----------
    shapes, dtypes
        Of a sample, by input, in their order.
    units
        By input: what it is divided by, so that the variances of each, summed over its points, are 1.
    logs
        Inputs of which the trace has the logarithm, so that all that are drawn are positive.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, np.dtype]
    units: Mapping[str, float]
    logs: frozenset[str]

    @classmethod
    def of(cls, inputs: Arrays, logs: frozenset[str]) -> Joined:
        """Look at the inputs of some samples.

        Raises
        ------
        ValueError
            A value is not positive where its logarithm is needed.
        """
        units = {}
        for name, values in inputs.items():
            if name in logs and (bad := int(np.count_nonzero(values <= 0))):
                raise ValueError(
                    f"input {name!r} has {bad} of {values.size} values that are not positive, expected positive ones: "
                    "the law is that of its logarithm"
                )
            total = float(np.var(_flat(values, name in logs), axis=0).sum())
            units[name] = np.sqrt(total) if total > 0 else 1.0
        return cls(
            {name: values.shape[1:] for name, values in inputs.items()},
            {name: values.dtype for name, values in inputs.items()},
            units,
            logs,
        )

    def traces(self, inputs: Arrays) -> np.ndarray:
        """Return the traces of inputs, ``(n, d)`` float64."""
        return np.concatenate([_flat(inputs[name], name in self.logs) / self.units[name] for name in self.shapes], 1)

    def inputs(self, traces: np.ndarray) -> Arrays:
        """Return the inputs of traces, in their dtypes."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])
        found = {}
        for (name, shape), part in zip(self.shapes.items(), np.split(traces, ends[:-1], axis=1), strict=True):
            values = part * self.units[name]
            found[name] = (
                (np.exp(values) if name in self.logs else values).reshape(-1, *shape).astype(self.dtypes[name])
            )
        return found


def _flat(values: np.ndarray, log: bool) -> np.ndarray:
    flat = values.reshape(len(values), -1).astype(np.float64)
    return np.log(flat) if log else flat
