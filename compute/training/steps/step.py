from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from ritz.compute.surrogates.model import Model
from ritz.compute.training.parts.part import Part
from ritz.compute.training.training_record import BestValidation


class Step(ABC):
    """What is done with one batch of samples, and what has been learnt by it.

    Attributes
    ----------
    parts
        All that changes from step to step.
    device
        Where the module lies, as torch calls it.
    """

    parts: tuple[Part, ...]
    device: str

    @abstractmethod
    def learn(self, number: int, fields: Mapping[str, np.ndarray]) -> float:
        """Learn from samples and return the loss.

        Parameters
        ----------
        number
            Of the step, from 0.
        fields
            ``(batch, *dims)`` for every variable, in physical units.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """

    def start(self, model: Model) -> None:
        """Take the weights of a model to begin with, before the first step.

        Raises
        ------
        ValueError
            If there is nothing that could begin with weights, or they are of another surrogate.
        """
        raise ValueError(
            f"start is a model of {model.surrogate.kind!r}, expected None: nothing here begins with weights"
        )

    @abstractmethod
    def model(self) -> Model:
        """Return the model as it is now; it shares its module with the step."""

    def finish(self) -> Model:
        """Return the trained model, on the CPU."""
        model = self.model()
        model.module.cpu().eval()
        return model

    @property
    def exhausted(self) -> bool:
        """Whether no further step would make it better."""
        return False

    @property
    def best(self) -> BestValidation | None:
        """The validation whose weights `finish` returns, where they are not the last ones."""
        return None

    def setting(self) -> str:
        """Say how it was done, for the message about a number that is not finite."""
        return ""
