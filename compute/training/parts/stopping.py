from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, in_units
from ritz.compute.surrogates.weights import load_weights, weights
from ritz.compute.training.parts.part import Part, State, Validated

if TYPE_CHECKING:
    import torch


class Stopping(Kind):
    """When a training stops before its last step: when the validation error has not fallen for a while.

    The model is the one of the lowest validation error, also where all steps are done. Errors on different samples are
    not compared: while validation samples still arrive, each new set of them begins the count anew.
    """

    patience: int = Field(default=5, ge=1, le=10_000, json_schema_extra=in_units("validations"))
    """Validations without a lower error, after which no further step is done. There are about 20 in a training."""
    least: float = Field(default=0.0, ge=0, lt=1)
    """By what share of the lowest error another must be below it to count as lower."""


class Best(Part):
    """The lowest validation error so far, with the weights that had it.

    Attributes
    ----------
    error, step
        The lowest error and after which step it was; inf and 0 before the first.
    stale
        Validations since then.
    samples
        On how many validation samples the errors were taken.
    tensors
        The weights of that step, on the CPU.
    """

    name: ClassVar[str] = "best"

    def __init__(self, stopping: Stopping) -> None:
        self.stopping = stopping
        self.error, self.step, self.stale, self.samples = math.inf, 0, 0, 0
        self.tensors: dict[str, np.ndarray] = {}

    def validated(self, validated: Validated) -> None:
        """Take in a validation error; see `Part.validated`."""
        grown = validated.samples != self.samples
        if grown or validated.error < self.error * (1 - self.stopping.least):
            self.error, self.step, self.stale, self.samples = validated.error, validated.step, 0, validated.samples
            self.tensors = {name: value.copy() for name, value in weights(validated.module).items()}
        else:
            self.stale += 1

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.stale >= self.stopping.patience

    def restore(self, module: torch.nn.Module) -> None:
        """Set a network to the best weights, if there was a validation."""
        if self.tensors:
            load_weights(module, self.tensors)

    def state(self) -> State:
        """Return the numbers and the weights; see `Part.state`."""
        numbers = {"error": self.error, "step": self.step, "stale": self.stale, "samples": self.samples}
        return numbers | {"tensors": dict(self.tensors)}

    def load(self, state: State) -> None:
        """Go on from them; see `Part.load`."""
        self.error, self.step, self.stale = state["error"], state["step"], state["stale"]
        self.samples, self.tensors = state["samples"], state["tensors"]
