from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

EXACT = ("torch", "numpy", "capability", "device", "threads", "pardiso")
"""What has to be the same for the same bits: entries of `machine`."""


def machine(device: str) -> dict[str, Any]:
    """Return on what this process computes: versions, kind of processor, ``device`` and number of threads.

    ``pardiso`` is whether PARDISO was there before torch: its MKL then takes the place of torch's own, and rounds
    otherwise.
    """
    import torch

    loaded = list(sys.modules)

    return {
        # The version is of a class of torch, which whoever reads this need not load.
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": device,
        "threads": torch.get_num_threads(),
        "pardiso": "pypardiso" in loaded[: loaded.index("torch")],
    }


@dataclass
class Trace:
    """What a training leaves behind so that it can be done again and compared: part of its checkpoint.

    Attributes
    ----------
    losses
        Loss of every step.
    seconds
        Time spent in the steps, with their validation, without waiting; steps that a kill took are not in it.
    machines
        On what the steps were done: entries of `machine` with ``first``, the number of the first step there. More
        than one where a training went on elsewhere.
    """

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    machines: list[dict[str, Any]] = field(default_factory=list)
    _begun: bool = False

    def begin(self, step: int, module: torch.nn.Module) -> None:
        """Note on what this process computes; called before every step, it looks at the first one."""
        if self._begun:
            return
        self._begun = True
        here = machine(str(next(module.parameters()).device))
        if not self.machines or {**self.machines[-1], "first": step} != {**here, "first": step}:
            self.machines.append({"first": step, **here})

    def add(self, loss: float, seconds: float) -> None:
        """Note the loss of a step and how long it took."""
        self.losses.append(loss)
        self.seconds += seconds

    def document(self) -> dict[str, Any]:
        """Return what JSON can hold of it: all but the losses."""
        return {"seconds": self.seconds, "machines": self.machines}

    def restore(self, losses: np.ndarray, document: dict[str, Any]) -> None:
        """Take over what another process left."""
        self.losses = losses.tolist()
        self.seconds, self.machines = document["seconds"], list(document["machines"])
