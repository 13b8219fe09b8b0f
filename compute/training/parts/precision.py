from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ritz.compute.training.parts.part import Part, State

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16", "float16"]
"""In what the network multiplies: weights, loss and optimiser are float32 with each."""

Device = Literal["cpu", "cuda", "mps"]


def check_device(device: str) -> None:
    """Refuse a device that this process has not.

    Raises
    ------
    ValueError
        With the devices there are.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device, False):
        raise ValueError(
            f"device is {device!r}, and torch {torch.__version__} finds none here; expected one of "
            f"{', '.join(name for name, found in there.items() if found)}"
        )


class Arithmetic(Part):
    """The arithmetic of a training on one device: float32, or the network's products in 16 bits.

    bfloat16 has the range of float32 and is used as it is. float16 has not: the loss is scaled, so that small gradients
    stay above zero, and a step whose gradients overflow is left out (torch's ``GradScaler``).

    Parameters
    ----------
    precision, device
        See `Precision` and `check_device`.

    Raises
    ------
    ValueError
        If the device is not there or has no such arithmetic.
    """

    name: ClassVar[str] = "precision"

    def __init__(self, precision: Precision, device: str) -> None:
        import torch

        check_device(device)
        possible = {
            "float32": True,
            "bfloat16": torch.amp.autocast_mode.is_autocast_available(device)
            and (device != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)),
            "float16": device == "cuda",
        }
        if not possible[precision]:
            raise ValueError(
                f"precision is {precision!r}, which device {device!r} has not; expected one of "
                f"{', '.join(name for name, found in possible.items() if found)}"
            )
        self.precision, self.device = precision, device
        self.scaler: Any = torch.amp.GradScaler(device) if precision == "float16" else None

    def forward(self) -> AbstractContextManager[None]:
        """Return the context in which the network is evaluated."""
        import torch

        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device, dtype=getattr(torch, self.precision))

    def backward(self, loss: torch.Tensor) -> None:
        """Take the gradients of a loss, scaled where that is needed."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def unscale(self, optimiser: torch.optim.Optimizer) -> None:
        """Bring the gradients of an optimiser's parameters back to their size, before they are clipped."""
        if self.scaler is not None:
            self.scaler.unscale_(optimiser)

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """Let the optimiser step, unless a scaled gradient overflowed."""
        if self.scaler is None:
            optimiser.step()
        else:
            self.scaler.step(optimiser)
            self.scaler.update()

    def state(self) -> State:
        """Return the scale; see `Part.state`."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def load(self, state: State) -> None:
        """Go on from it; see `Part.load`."""
        if self.scaler is not None:
            self.scaler.load_state_dict(state)
