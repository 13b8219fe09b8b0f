from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Fault, Kind, in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation, Variable
from ritz.compute.training.losses.catalogue import AnyLoss
from ritz.compute.training.losses.fields import RelativeL2
from ritz.compute.training.parts.optimiser import AdamW, AnyOptimiser
from ritz.compute.training.parts.precision import Precision
from ritz.compute.training.parts.rate import AnyRate, Cosine
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.parts.trace import Trace

if TYPE_CHECKING:
    import torch
    import xarray as xr


@dataclass(frozen=True)
class Fit:
    """What a training gives.

    Attributes
    ----------
    model
        The trained model, on the CPU.
    curve
        Records ``{"step", "time", "loss", "received", "validate", "validation"}``: mean loss since the record before,
        training samples received until then, seconds since the epoch, validation error or None, samples it is of.
    schedule
        ``(steps, ranks * batch_size)`` int64, the sample ids that made each step, in the order of the ranks.
    received
        Time at which each shard arrived at its rank, in seconds since the epoch, by its number; empty offline.
    waited
        Seconds this process waited for samples after the first step.
    validation
        Ids of the samples of the validation error, ``(m,)`` int64, in the order in which they came to the first rank.
    total
        Steps that the schedule of the learning rate was made for.
    trace
        Loss of every step, the time they took and on what.
    stopped
        Step after which early stopping ended the training, or None.
    best
        ``{"step", "error"}`` of the weights that were kept, where there is early stopping and a validation; else None.
    unseen
        Training samples that arrived and are in no step.
    """

    model: Model
    curve: list[dict[str, Any]]
    schedule: np.ndarray
    received: dict[int, float]
    waited: float
    validation: np.ndarray
    total: int
    trace: Trace
    stopped: int | None = None
    best: dict[str, float] | None = None
    unseen: int = 0


class Training(Kind, ABC):
    """How a surrogate is trained, whatever way its samples come.

    The loss is the weighted sum of ``losses``. The first share ``coarse`` of the steps sees means over blocks of two
    points along every axis of space, which costs a quarter in two dimensions.
    """

    kind: str
    batch_size: int = Field(default=8, ge=1, le=4096, json_schema_extra=in_units("samples"))
    """Samples in a step, for every rank."""
    ranks: int = Field(default=1, ge=1, le=1024)
    """Trainers that take every step together, each on samples of its own; their gradients are averaged."""
    optimiser: AnyOptimiser = AdamW()
    """What turns gradients into steps."""
    rate: AnyRate = Cosine()
    """How the learning rate changes over the steps."""
    losses: tuple[AnyLoss, ...] = Field(default=(RelativeL2(),), min_length=1, max_length=8)
    """What is kept small: the sum of these."""
    clip: float | None = Field(default=1.0, gt=0, le=1e6)
    """Largest norm of the gradient; None for no limit."""
    precision: Precision = "float32"
    """In what the network multiplies; 16 bits only where the device has them."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then validated and saved; None for none."""
    stopping: Stopping | None = None
    """When to stop early; None for never."""
    coarse: float = Field(default=0.75, ge=0, le=1)
    """Share of the steps at half the resolution, where the grid is even and the surrogate works on any; 0 for none."""
    augment: bool = True
    """Whether every drawn sample is moved by a random symmetry of the problem."""
    validation: int = Field(default=32, ge=0, le=100_000, json_schema_extra=in_units("samples"))
    """Samples of the validate split on which the curve's validation error is taken."""
    seed: int = Field(default=0, ge=0)
    """Seed of the weights, the batches and the symmetries."""

    def faults(self) -> Iterator[Fault]:
        """Yield early stopping that has nothing to go by; see `Kind.faults`."""
        if self.stopping is not None and self.validation == 0:
            yield Fault(
                ("validation", "stopping"),
                "validation is 0, expected at least 1: early stopping goes by the validation error",
            )

    @property
    @abstractmethod
    def least(self) -> int:
        """Training samples without which it does not begin."""

    @abstractmethod
    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""

    def unmet(self, samples: int) -> Iterator[Fault]:
        """Yield for what ``samples`` training samples are not enough."""
        del samples
        yield from ()

    def check(self, samples: int) -> None:
        """Raise a ValueError where ``samples`` training samples are not enough for what is asked."""
        found = [fault.message for fault in self.unmet(samples)]
        if found:
            raise ValueError("; ".join(found))

    @property
    def asks_torch(self) -> bool:
        """Whether optimiser or rate are torch's own, which may not go with every network."""
        return self.optimiser.kind == "torch" or self.rate.kind == "torch"

    def try_on(self, module: torch.nn.Module) -> None:
        """Raise a ValueError where the optimiser does not go with a network, which is thrown away, or with the rate."""
        self.optimiser.try_on(module)
        try:
            self.rate.follow(self.optimiser.build(module.parameters()), 100)
        except (ValueError, KeyError) as error:
            raise ValueError(f"rate {self.rate.kind!r} does not go with this optimiser: {error}") from error

    def check_losses(self, normalisation: Normalisation, problem: Problem | None) -> None:
        """Raise a ValueError where a loss is not for the variables or the problem; needs no torch."""
        penalty = problem.penalty if problem is not None and problem.has_penalty else None
        for loss in self.losses:
            loss.check(normalisation, penalty, "" if problem is None else problem.kind, self.coarse)


def outline(template: xr.Dataset) -> Normalisation:
    """Return the variables and dimensions of a template as a normalisation that was fitted on nothing."""
    dimensions = Dimensions.of(template)
    about = {name: template[name].attrs for name in dimensions.variables}
    variables = [
        Variable(name=name, role=attrs["role"], transform=attrs.get("transform", "identity"))
        for name, attrs in about.items()
    ]
    return Normalisation(variables=tuple(variables), dimensions=dimensions)
