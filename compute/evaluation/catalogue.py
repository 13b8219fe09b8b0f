from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import TypeAdapter

from ritz.compute.evaluation.field_errors import LargestError, RelativeH1Error, RelativeL2Error, SpectralError
from ritz.compute.evaluation.metric import Metric
from ritz.compute.kind import OneOf

METRICS = OneOf(Metric, lambda: (RelativeL2Error, RelativeH1Error, LargestError, SpectralError), group="ritz.metrics")
"""The shipped metrics, and those of installed packages."""

AnyMetric = Annotated[Metric, METRICS]
"""Field type: any of them, or an instance of one's own class."""

USUAL: tuple[Metric, ...] = (RelativeL2Error(), RelativeH1Error(), LargestError(), SpectralError())
"""What a model is measured by where the recipe names nothing."""


def metrics(document: Sequence[Any] | None) -> tuple[Metric, ...]:
    """Return the metrics that a recipe's document names; the usual ones where it names none.

    Raises
    ------
    ValueError
        There is no such metric.
    """
    if document is None:
        return USUAL
    return tuple(TypeAdapter(tuple[AnyMetric, ...]).validate_python(document))
