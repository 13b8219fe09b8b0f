"""Errors of predictions in time over windows of their steps."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.evaluation.rollouts import by_step
from ritz.compute.kind import Fault, Source

APEBENCH = Source(
    "Koehler, Niedermayr, Westermann, Thuerey",
    "APEBench: a benchmark for autoregressive neural emulators of PDEs",
    2024,
    "NeurIPS, Datasets and Benchmarks",
)
THE_WELL = Source(
    "Ohana et al.",
    "The Well: a large-scale collection of diverse physics simulations for machine learning",
    2024,
    "NeurIPS, Datasets and Benchmarks",
)

Window = tuple[int, int]
"""First and last step, counted from 1."""


class _OverWindows(SubjectMetric):
    """An error of every step, the mean over windows of steps, and the geometric mean over all steps.

    The parts are ``step_1``, ``steps_6_to_12``, … and ``geometric_mean``. A window of which the trajectory does not
    reach the last step is left out.
    """

    windows: tuple[Window, ...] = ((1, 1), (6, 12), (13, 30))
    """First and last step of each, counted from 1."""

    def faults(self) -> Iterator[Fault]:
        """Yield the windows that are none; see `Kind.faults`."""
        for first, last in self.windows:
            if not 1 <= first <= last:
                yield Fault(
                    ("windows",), f"windows has [{first}, {last}], expected the first and the last step, from 1 on"
                )

    @abstractmethod
    def by_step(self, subject: Subject) -> np.ndarray:
        """Return the error of every step, ``(n, steps)`` float64."""

    @final
    def of(self, subject: Subject) -> Found:
        """Measure the samples; see `SubjectMetric.of`."""
        errors = self.by_step(subject)
        found = {
            part_of(first, last): errors[:, first - 1 : last].mean(axis=1)
            for first, last in self.windows
            if last <= errors.shape[1]
        }
        return {**found, "geometric_mean": geometric_mean(errors)}


class RolloutNRMSE(_OverWindows):
    """The root mean square error of every stored time, relative to the truth there, over windows and in all.

    ``geometric_mean`` is that over the steps of a sample, in which the first steps count as much as the last, many
    times larger ones. APEBench takes it of the mean over the samples, which is larger; the report has that one.
    """

    sources: ClassVar[tuple[Source, ...]] = (APEBENCH,)

    kind: Literal["rollout_nrmse"] = "rollout_nrmse"
    title: ClassVar[str] = "nRMSE of the rollout"

    def unfit_for(self, subject: Subject) -> str:
        """Refuse outputs without times, and a truth that is zero at a time."""
        return by_step.unfit(subject.dimensions) or by_step.unfit_for_scale(subject)

    def by_step(self, subject: Subject) -> np.ndarray:
        """Return the nRMSE of every step; see `ritz.compute.evaluation.rollouts.by_step.nrmse`."""
        return by_step.nrmse(subject)


class RolloutVRMSE(_OverWindows):
    """The root mean square error of every stored time, relative to the deviation of the truth from its mean over space.

    Over windows and in all; 1 for a prediction that knows the mean of the truth over space and nothing else. The
    windows are those of The Well.
    """

    sources: ClassVar[tuple[Source, ...]] = (THE_WELL,)

    kind: Literal["rollout_vrmse"] = "rollout_vrmse"
    title: ClassVar[str] = "VRMSE of the rollout"
    epsilon: float = Field(default=by_step.EPSILON, ge=0, le=1)
    """Added to the variance, in the square of the units of the output: it counts where an output is below 1e-3."""

    def unfit_for(self, subject: Subject) -> str:
        """Refuse outputs without times, and a single point, which has no variance."""
        alone = "it needs two points of space or more" if math.prod(subject.dimensions.shape) < 2 else ""
        return by_step.unfit(subject.dimensions) or alone

    def by_step(self, subject: Subject) -> np.ndarray:
        """Return the VRMSE of every step; see `ritz.compute.evaluation.rollouts.by_step.vrmse`."""
        return by_step.vrmse(subject, self.epsilon)


def part_of(first: int, last: int) -> str:
    """Return what the part of a window is called.

    Examples
    --------
    >>> part_of(1, 1), part_of(6, 12)
    ('step_1', 'steps_6_to_12')
    """
    return f"step_{first}" if first == last else f"steps_{first}_to_{last}"


def geometric_mean(errors: np.ndarray) -> np.ndarray:
    """Return the geometric mean of errors along their last axis, which is 0 where one of them is."""
    with np.errstate(divide="ignore"):
        values: np.ndarray = np.exp(np.log(errors).mean(axis=-1))
    return values
