from __future__ import annotations

import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ritz.compute.training.parts.part import Part, State
from ritz.compute.training.training_record import TrainingMachine


def machine(device: str) -> TrainingMachine:
    """Return on what this process computes on ``device``."""
    import torch

    loaded = list(sys.modules)
    return TrainingMachine(
        # The version is of a class of torch, which whoever reads this need not load.
        torch=str(torch.__version__),
        numpy=np.__version__,
        processor=processor(),
        capability=torch.backends.cpu.get_cpu_capability(),
        device=device,
        threads=torch.get_num_threads(),
        pardiso="pypardiso" in loaded[: loaded.index("torch")],
    )


@cache
def processor() -> str:
    """Return the maker, family and model of the processor, e.g. ``"GenuineIntel 6/143"``."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if {"vendor_id", "cpu family", "model"} <= found.keys():
        return f"{found['vendor_id']} {found['cpu family']}/{found['model']}"
    return platform.processor() or platform.machine()


class Trace(Part):
    """What a training leaves behind so that it can be done again and compared.

    Parameters
    ----------
    device
        Where the model lies, as torch calls it.

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
        self.machines: list[TrainingMachine] = []
        self._device, self._begun = device, False

    def before(self, step: int) -> None:
        """Note on what this process computes: before its first step, when the number of threads is settled."""
        if self._begun:
            return
        self._begun = True
        here = machine(self._device)
        if not self.machines or self.machines[-1].differing(here):
            self.machines.append(here.since(step))

    def add(self, loss: float, seconds: float) -> None:
        """Note the loss of a step and how long it took."""
        self.losses.append(loss)
        self.seconds += seconds

    def document(self) -> dict[str, float | list[dict[str, Any]]]:
        """Return what JSON can hold of it: all but the losses."""
        return {"seconds": self.seconds, "machines": [one.document() for one in self.machines]}

    def state(self) -> State:
        """Return all of it; see `Part.state`."""
        return {**self.document(), "losses": np.array(self.losses, np.float64)}

    def load(self, state: State) -> None:
        """Go on from it; see `Part.load`."""
        self.losses, self.seconds = state["losses"].tolist(), state["seconds"]
        self.machines = [TrainingMachine.model_validate(one) for one in state["machines"]]
