from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ritz.compute.kind import Kind
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch

Penalty = Callable[[dict[str, "torch.Tensor"], dict[str, "torch.Tensor"]], "torch.Tensor"]
"""`Problem.penalty` of a problem: inputs and outputs by name ``(n, *dims)`` to relative residuals ``(n,)``."""

_LEAST = 1e-30
"""Stands for the norm of a field that is zero everywhere."""


@dataclass(frozen=True)
class Batch:
    """What a loss sees of one batch.

    Attributes
    ----------
    normalisation
        Names the variables and their channels.
    x
        Normalised inputs, ``(n, channel, *space)``.
    prediction, truth
        Outputs in physical units, ``(n, channel, *space)``.
    """

    normalisation: Normalisation
    x: torch.Tensor
    prediction: torch.Tensor
    truth: torch.Tensor

    def outputs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return prediction and truth of every output, ``(n, its channels, *space)``."""
        parts = self.normalisation.channels("output")
        return [(self.prediction[:, part], self.truth[:, part]) for part in parts]


class Loss(Kind, ABC):
    """What the network is made to keep small; several are added up by their weights."""

    kind: str
    weight: float = Field(default=1.0, gt=0, le=1e9)
    """By which it is multiplied."""

    needs_equations: ClassVar[bool] = False
    """Whether it takes the equations of the problem, so that the samples must be of that very problem."""

    def check(self, normalisation: Normalisation, penalty: Penalty | None, problem: str, coarse: float) -> None:
        """Refuse variables, or a problem, that this loss is not for.

        Parameters
        ----------
        penalty, problem
            The problem's `Problem.penalty`, None if it has none; and the problem's kind.
        coarse
            Share of the steps at half the resolution.

        Raises
        ------
        ValueError
            With what was expected.
        """

    @abstractmethod
    def value(self, batch: Batch, penalty: Penalty | None) -> torch.Tensor:
        """Return the loss of a batch, a scalar, before it is weighted."""


def relative(difference: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Return ``difference / whole`` where the whole is not zero."""
    return difference / whole.clamp_min(_LEAST)
