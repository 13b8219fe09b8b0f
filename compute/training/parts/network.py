from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ritz.compute.surrogates.weights import load_weights, weights
from ritz.compute.training.parts.part import Part, State

if TYPE_CHECKING:
    import torch


class Weights(Part):
    """The weights of the network that is trained."""

    name: ClassVar[str] = "network"

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def state(self) -> State:
        """Return them by name; see `Part.state`."""
        return dict(weights(self.module))

    def load(self, state: State) -> None:
        """Set them; see `Part.load`."""
        load_weights(self.module, state)
