from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch

# A dict because torch's own objects give and take theirs as one, nested and of any depth.
State = dict[str, Any]
"""What a part keeps: arrays, tensors, numbers and texts, nested as in torch's ``state_dict``; see `freeze`."""


@dataclass(frozen=True)
class Validated:
    """A validation, the same for all ranks.

    Attributes
    ----------
    error
        Mean relative L2 error; finite.
    samples
        On how many samples it was taken.
    step
        Steps done until then.
    module
        What was validated: the averaged weights where there are any.
    """

    error: float
    samples: int
    step: int
    module: torch.nn.Module


class Part(ABC):
    """Something of a training that has a state of its own and hears of every step: all of it is in a checkpoint.

    Only the part itself changes its state.
    """

    name: ClassVar[str]
    """Under which its state lies in a checkpoint; no other part has it."""

    shared: ClassVar[bool] = True
    """Whether the state is the same for all ranks; if not, each has its own."""

    def before(self, step: int) -> None:  # noqa: B027
        """Hear that step number ``step``, from 0, is about to be done."""

    def after(self, step: int) -> None:  # noqa: B027
        """Hear that a step was done, the ``step``-th: the first is 1."""

    def validated(self, validated: Validated) -> None:  # noqa: B027
        """Hear of a validation."""

    def state(self) -> State:
        """Return what changes; nothing where all follows from the number of the step."""
        return {}

    def load(self, state: State) -> None:  # noqa: B027
        """Go on from a state; tensors and arrays in it lie on the CPU and belong to the part from now on."""
