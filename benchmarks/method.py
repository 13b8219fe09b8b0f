"""What a method in a table is: it is handed a step of a sequence, and answers with solutions and its own clock."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ritz.compute.solvers.systems import Systems

# Iterative peers stop on a residual they update; it may differ from the true one in the last digits.
MARGIN = 0.9


@dataclass(frozen=True)
class Step:
    """What is solved at once: one system, or many right-hand sides of one matrix.

    Attributes
    ----------
    systems
        As Ritz takes it.
    matrix
        As the peers take it; columns sorted, int32 indices.
    rhs
        ``(count, unknowns)``, contiguous: libraries are handed its address.
    """

    systems: Systems
    matrix: sp.csr_array
    rhs: np.ndarray

    def take(self, count: int) -> Step:
        """Return the step with the first ``count`` right-hand sides only."""
        return Step(self.systems.take(slice(count)), self.matrix, self.rhs[:count])

    def residuals(self, x: np.ndarray) -> np.ndarray:
        """Return the true ``‖b − Ax‖ / ‖b‖`` of every solution, in float64; NaN counts as infinite."""
        missed = self.rhs - (self.matrix @ x.T).T
        relative = np.linalg.norm(missed, axis=1) / np.linalg.norm(self.rhs, axis=1)
        return np.where(np.isnan(relative), np.inf, relative)


@dataclass(frozen=True)
class Answer:
    """Solutions of a step.

    Attributes
    ----------
    x
        ``(count, unknowns)`` float64.
    seconds
        From the matrix and right-hand sides in memory to the solutions in memory.
    setup
        The part of ``seconds`` before the first right-hand side is touched; None where it cannot be told apart, and
        where it was done in a step before.
    iterations
        Mean over the right-hand sides, None for a direct method.
    note
        What a reader must know of this answer, e.g. that another solver had to help.
    """

    x: np.ndarray
    seconds: float
    setup: float | None = None
    iterations: float | None = None
    note: str = ""


class Method(ABC):
    """A row of a table.

    Attributes
    ----------
    name
        As it is printed, with the settings that matter.
    group
        ``"ritz"``, ``"direct"`` or ``"iterative"``.
    reuses
        Whether work that depends on the pattern only is done once, outside of the clock.
    carries
        Whether something is carried from step to step.
    compiles
        Whether kernels may be compiled in the first answer of all.
    """

    name: str
    group: str
    reuses: bool
    carries: bool
    compiles: bool = False

    @abstractmethod
    def begin(self, step: Step) -> None:
        """Forget all, then do what is done once for a pattern."""

    @abstractmethod
    def restart(self) -> None:
        """Forget what was carried from step to step, but not the pattern nor a matrix that all steps have."""

    @abstractmethod
    def solve(self, step: Step) -> Answer:
        """Answer a step."""


Run = Callable[[np.ndarray], tuple[np.ndarray, int | None]]
"""Takes a right-hand side; returns the solution and the number of iterations, None for a direct method."""


@dataclass
class Peer(Method):
    """A method of this process: a function takes a step and returns the function that solves.

    Attributes
    ----------
    prepare
        Factors the matrix or builds a preconditioner.
    analyse
        Does what depends on the pattern only; its result is handed to ``prepare``.
    forget
        Drops what was carried from step to step.
    block
        Whether ``prepare``'s function takes all right-hand sides at once, as columns.
    constant
        Whether all steps have one matrix, so that ``prepare`` is called once.
    """

    name: str
    group: str
    prepare: Callable[[Step, Any], Run]
    analyse: Callable[[Step], Any] | None = None
    forget: Callable[[], None] | None = None
    block: bool = False
    constant: bool = False

    @property
    def reuses(self) -> bool:  # type: ignore[override]
        return self.analyse is not None

    @property
    def carries(self) -> bool:  # type: ignore[override]
        return self.forget is not None

    def begin(self, step: Step) -> None:
        self.analysis = self.analyse(step) if self.analyse else None
        self.run: Run | None = None

    def restart(self) -> None:
        if self.forget:
            self.forget()

    def solve(self, step: Step) -> Answer:
        start = time.process_time()
        run, setup = self.run, None
        if run is None:
            run = self.prepare(step, self.analysis)
            setup = time.process_time() - start
            self.run = run if self.constant else None
        if self.block:
            block, _ = run(np.asfortranarray(step.rhs.T))
            return Answer(block.T, time.process_time() - start, setup)
        answers = [run(b) for b in step.rhs]
        x = np.array([x for x, _ in answers])
        seconds = time.process_time() - start
        counts = [count for _, count in answers if count is not None]
        return Answer(x, seconds, setup, float(np.mean(counts)) if counts else None)


def steps(systems: Systems, together: int) -> Iterator[Step]:
    """Cut a sequence in steps of ``together`` systems; more than one need one matrix."""
    if together > 1 and not systems.operators.constant:
        raise ValueError(f"together is {together}, expected 1 for a sequence with more than one matrix")
    for first in range(0, len(systems), together):
        part = systems.take(slice(first, first + together))
        yield Step(part, part.operators.csr(0), np.ascontiguousarray(part.rhs.reshape(len(part), -1)))
