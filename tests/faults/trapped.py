"""A problem whose solving the tests watch and disturb, in a module of its own so that workers can import it."""

from __future__ import annotations

import itertools
import os
import signal
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from distributed import get_worker

from ritz.compute.cluster.consumer import receive
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems
from ritz.tasks.generation.worker import Solved


class Trapped(Darcy):
    """Darcy flow that writes down what it solves, and that files in ``folder`` hold up.

    ``solved`` gets a line, process id and checksum of the input, for every sample that is posed. While there is a
    file ``gate``, every block waits until it can take away a file ``token-*``. What is solved on the train worker, to
    measure what the surrogate has to be compared with, is none of that.
    """

    kind: Literal["trapped"] = "trapped"  # type: ignore[assignment]
    folder: str
    singular: tuple[int, ...] = ()
    """Ids of samples with a system that has no solution: no flow through the boundary."""
    deadly: tuple[int, ...] = ()
    """Ids of samples that kill the process that solves them."""

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        inputs = super().draw(seed, ids)
        inputs["a"][np.isin(ids, self.singular)] = 1.0
        inputs["a"][np.isin(ids, self.deadly)] = 2.0
        return inputs

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        if _on_train_worker():
            return super().simulate(inputs, solve)
        if (inputs["a"] == 2).all(axis=(1, 2)).any():
            os.kill(os.getpid(), signal.SIGKILL)
        _trap(Path(self.folder), inputs["a"])

        def disturbed(systems: Systems) -> np.ndarray:
            assert isinstance(systems.operators, Stencil)
            c = systems.operators.coefficients.copy()
            closed = np.ptp(inputs["a"], axis=(1, 2)) == 0
            c[closed, 0] = -c[closed, 1:].sum(axis=1)
            return solve(Systems(Stencil(c, symmetric=True), systems.rhs))

        return super().simulate(inputs, disturbed)


class TrappedTrajectories(AdvectionDiffusion):
    """Trajectories that are written down and held up as by `Trapped`, when they begin."""

    kind: Literal["trapped_trajectories"] = "trapped_trajectories"  # type: ignore[assignment]
    folder: str

    def march(self, fields: Arrays, inputs: Mapping[str, np.ndarray], steps: int) -> Arrays:
        if not _on_train_worker() and np.array_equal(fields["u"], inputs["u0"]):
            _trap(Path(self.folder), inputs["u0"])
        return super().march(fields, inputs, steps)


def checksums(fields: np.ndarray) -> list[int]:
    """Return a number for each input field, by which a trapped problem says what it solved."""
    return [zlib.crc32(np.ascontiguousarray(field).tobytes()) for field in fields]


def _trap(folder: Path, fields: np.ndarray) -> None:
    """Write down the input fields of a block, and wait where there is a gate."""
    lines = "".join(f"{os.getpid()} {checksum}\n" for checksum in checksums(fields))
    with (folder / "solved").open("ab", buffering=0) as file:
        file.write(lines.encode())
    while (folder / "gate").exists() and not _taken(folder.glob("token-*")):
        time.sleep(0.02)


def solved(folder: Path) -> list[tuple[int, int]]:
    """Return ``(process id, checksum)`` for every sample posed so far, in order."""
    path = folder / "solved"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), int(checksum)) for pid, checksum in (line.split() for line in lines)]


def collect(channel: str, count: int) -> list[Solved]:
    """Take ``count`` solved shards from a channel; runs on the train worker."""
    return list(itertools.islice((solved for solved in receive(channel) if solved is not None), count))


def _on_train_worker() -> bool:
    try:
        return "train" in get_worker().state.total_resources
    except ValueError:
        return False


def _taken(files: Iterable[Path]) -> bool:
    """Whether one of the files could be removed; only one process can."""
    for file in files:
        try:
            file.unlink()
        except FileNotFoundError:
            continue
        return True
    return False
