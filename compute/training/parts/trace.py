from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from ritz.compute.training.parts.part import Part, State

EXACT = ("torch", "numpy", "capability", "device", "threads", "pardiso")
"""What has to be the same for the same bits: attributes of a `Machine`."""


@dataclass(frozen=True)
class Machine:
    """On what a process computes, as far as its bits depend on it.

    Attributes
    ----------
    torch, numpy
        Versions; None where a release that recorded it did not know them.
    capability
        Vector instructions of the processor that torch uses.
    device
        Where the network lies.
    threads
        Of torch.
    pardiso
        Whether PARDISO was there before torch: its MKL then takes the place of torch's own, and rounds otherwise.
    """

    torch: str | None = None
    numpy: str | None = None
    capability: str | None = None
    device: str | None = None
    threads: int | None = None
    pardiso: bool | None = None

    def document(self) -> dict[str, str | int | bool | None]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Stretch:
    """Steps that were done on one machine.

    Attributes
    ----------
    first
        Number of the first of them, from 0; the last is before the next stretch.
    machine
        On what.
    """

    first: int
    machine: Machine

    def document(self) -> dict[str, str | int | bool | None]:
        """Return it as JSON has it."""
        return {"first": self.first, **self.machine.document()}

    @classmethod
    def read(cls, document: dict[str, str | int | bool | None]) -> Stretch:
        """Read what `document` returned; what another release wrote beside it is left out."""
        return cls(int(document["first"] or 0), Machine(**{name: document.get(name) for name in EXACT}))  # type: ignore[arg-type]  # a document is checked where it is compared


def machine(device: str) -> Machine:
    """Return on what this process computes on ``device``."""
    import torch

    loaded = list(sys.modules)
    return Machine(
        # The version is of a class of torch, which whoever reads this need not load.
        torch=str(torch.__version__),
        numpy=np.__version__,
        capability=torch.backends.cpu.get_cpu_capability(),
        device=device,
        threads=torch.get_num_threads(),
        pardiso="pypardiso" in loaded[: loaded.index("torch")],
    )


class Trace(Part):
    """What a training leaves behind so that it can be done again and compared.

    Parameters
    ----------
    device
        Where the network lies, as torch calls it.

    Attributes
    ----------
    losses
        Loss of every step.
    seconds
        Time spent in the steps, with their validation, without waiting; steps that a kill took are not in it.
    machines
        On what the steps were done. More than one where a training went on elsewhere.
    """

    name: ClassVar[str] = "trace"

    def __init__(self, device: str) -> None:
        self.losses: list[float] = []
        self.seconds = 0.0
        self.machines: list[Stretch] = []
        self._device, self._begun = device, False

    def before(self, step: int) -> None:
        """Note on what this process computes: before its first step, when the number of threads is settled."""
        if self._begun:
            return
        self._begun = True
        here = machine(self._device)
        if not self.machines or self.machines[-1].machine != here:
            self.machines.append(Stretch(step, here))

    def add(self, loss: float, seconds: float) -> None:
        """Note the loss of a step and how long it took."""
        self.losses.append(loss)
        self.seconds += seconds

    def document(self) -> dict[str, float | list[dict[str, str | int | bool | None]]]:
        """Return what JSON can hold of it: all but the losses."""
        return {"seconds": self.seconds, "machines": [one.document() for one in self.machines]}

    def state(self) -> State:
        """Return all of it; see `Part.state`."""
        return {**self.document(), "losses": np.array(self.losses, np.float64)}

    def load(self, state: State) -> None:
        """Go on from it; see `Part.load`."""
        self.losses, self.seconds = state["losses"].tolist(), state["seconds"]
        self.machines = [Stretch.read(one) for one in state["machines"]]
