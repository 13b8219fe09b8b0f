"""What problems on the unit box with conditions at its walls have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.solvers.operators import Stencil


class InBox(Problem):
    """A problem on a box with the field ``shape``, one output, and conditions at the walls."""

    output: ClassVar[str] = "u"
    """Name of the output."""

    conductivity: ClassVar[str] = ""
    """Name of the input a of the only fluxes through the walls, −a ∇u, with u = 0 on them; empty where they differ."""

    if TYPE_CHECKING:
        # Field of a subclass, which keeps its place among its others.
        shape: tuple[int, ...]

    def conditions(self) -> dict[str, np.ndarray]:
        """Return the cells along the walls; see `Problem.conditions`."""
        return {self.output: along_walls(self.shape)}


class LinearInBox(InBox):
    """One whose equations are linear in the output, and not in time."""

    @abstractmethod
    def matrices(self, inputs: Mapping[str, np.ndarray]) -> Stencil:
        """Return the operators of the equations, one per sample."""

    def linearised(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Stencil:
        """Return `matrices`; see `Problem.linearised`."""
        del fields
        return self.matrices(inputs)


def along_walls(shape: tuple[int, ...]) -> np.ndarray:
    """Return which cells touch a wall, ``(*shape)`` bool."""
    found = np.ones(shape, dtype=bool)
    found[(slice(1, -1),) * len(shape)] = False
    return found
