from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import TypeAdapter

from ritz.compute.evaluation.distribution_scores import CRPS, EnergyScore, RankHistogram
from ritz.compute.evaluation.field_errors import (
    IntegralError,
    LargestError,
    NormalisedRMSE,
    RelativeH1Error,
    RelativeL2Error,
    SpectralError,
    VarianceScaledRMSE,
)
from ritz.compute.evaluation.metric import SubjectMetric
from ritz.compute.evaluation.rollouts.drift import ConservedDrift
from ritz.compute.evaluation.rollouts.valid_time import ValidTime
from ritz.compute.evaluation.rollouts.window_errors import RolloutNRMSE, RolloutVRMSE
from ritz.compute.evaluation.wall_errors import BoundaryError, WallFluxError
from ritz.compute.kind import OneOf

METRICS = OneOf(
    SubjectMetric,
    lambda: (
        RelativeL2Error,
        RelativeH1Error,
        LargestError,
        SpectralError,
        NormalisedRMSE,
        VarianceScaledRMSE,
        BoundaryError,
        IntegralError,
        WallFluxError,
        CRPS,
        EnergyScore,
        RankHistogram,
        RolloutNRMSE,
        RolloutVRMSE,
        ValidTime,
        ConservedDrift,
    ),
    group="ritz.metrics",
)
"""The shipped metrics, and those of installed packages."""

AnyMetric = Annotated[SubjectMetric, METRICS]
"""Field type: any of them, or an instance of one's own class."""

USUAL: tuple[SubjectMetric, ...] = (
    RelativeL2Error(),
    RelativeH1Error(),
    LargestError(),
    SpectralError(),
    NormalisedRMSE(),
    VarianceScaledRMSE(),
    BoundaryError(),
    IntegralError(),
    WallFluxError(),
    CRPS(),
    EnergyScore(),
    RankHistogram(),
    RolloutNRMSE(),
    RolloutVRMSE(),
    ValidTime(),
    ConservedDrift(),
)
"""What a model is measured by where the recipe names nothing."""


def metrics(document: Sequence[Any] | None) -> tuple[SubjectMetric, ...]:
    """Return the metrics that a recipe's document names; the usual ones where it names none.

    Raises
    ------
    ValueError
        There is no such metric.
    """
    if document is None:
        return USUAL
    return tuple(TypeAdapter(tuple[AnyMetric, ...]).validate_python(document))
