from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ritz.compute.training.parts.part import Part, State

if TYPE_CHECKING:
    from types import ModuleType


class Randomness(Part):
    """torch's global random numbers, on the CPU and on the device of the training.

    On another device than the one that a checkpoint was written on, the state of that device's is not taken over.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    name: ClassVar[str] = "rng"

    def __init__(self, device: str) -> None:
        self.device = device

    def state(self) -> State:
        """Return the state of both; see `Part.state`."""
        import torch

        state: State = {"on": self.device, "cpu": torch.get_rng_state()}
        return state if self.device == "cpu" else state | {"device": self._module().get_rng_state()}

    def load(self, state: State) -> None:
        """Go on with the random numbers that would have followed; see `Part.load`."""
        import torch

        torch.set_rng_state(state["cpu"])
        if self.device != "cpu" and self.device == state["on"]:
            self._module().set_rng_state(state["device"])

    def _module(self) -> ModuleType:
        import torch

        return torch.cuda if self.device == "cuda" else torch.mps
