from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.iterative.composed import MARGIN
from ritz.compute.solvers.learned.weights import digest, unpacked
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norm
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt, Read
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.solvers.learned.network import Cycle

_SMALLEST = 8
"""Cells along an axis from which on the network has a coarser grid."""


class LearnedDirection(Sequential):
    """Conjugate directions that a small convolutional network proposes, for systems like those it was trained on.

    With r the residual an iteration asks the network for d(r), makes it A-orthogonal to the last ``memory`` directions,
    and goes along it to the minimum of ½ ⟨x, A x⟩ − ⟨b, x⟩, as conjugate gradients do along theirs. So whatever the
    network says, the error never grows, and an answer is as good as any other: its true residual is measured, and one
    that misses goes to the direct solver. What a network has not seen costs iterations.

    The network has no biases: it is homogeneous, whatever the size of r. Its weights are shared by all grids, and are
    trained on residuals alone (`ritz.compute.solvers.learned.training.trained`). They are an artefact of a store, which
    a recipe names with their digest; `equipped` hands them over. ``auto`` never tries this solver: it needs few
    iterations, and multigrid needs as few that cost less.

    Source: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, "A deep conjugate direction method for iteratively
    solving linear systems", ICML 2023. There the network is a deeper one on the grid of the systems, in 3D.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran",
            "A deep conjugate direction method for iteratively solving linear systems",
            2023,
            "ICML",
            "few iterations, independent of the problem's size",
            "learned_direction.txt",
        ),
    )

    kind: Literal["learned_direction"] = "learned_direction"
    weights: str = Field(min_length=1)
    """Name of the artefact in the store."""
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of the artefact."""
    memory: int = Field(default=3, ge=1, le=100, json_schema_extra=in_units("directions"))
    """Earlier directions to which a new one is made A-orthogonal."""
    maxiter: int = Field(default=200, ge=1, le=100_000, json_schema_extra=in_units("iterations"))
    """Iterations after which a system is given up and handed to the direct solver."""

    _blob: bytes | None = PrivateAttr(None)

    def equipped(self, read: Read) -> Self:
        """Return this solver with its weights; see `Solver.equipped`.

        Raises
        ------
        ValueError
            If the artefact has another digest, or is no network of this kind.
        """
        blob = read(self.weights, self.digest)
        if digest(blob) != self.digest:
            raise ValueError(f"solver.digest is {self.digest}, and that of artefact {self.weights!r} is {digest(blob)}")
        unpacked(blob)
        found = self.model_copy()
        found._blob = blob
        return found

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        operators = systems.operators
        if not isinstance(operators, Stencil) or len(operators.shape) != 2:
            return "learned directions need stencils on a plane grid"
        if operators.dtype.kind == "c" or not (operators.symmetric and operators.definite):
            return "learned directions need real symmetric positive definite operators"
        if min(operators.shape) < _SMALLEST:
            return f"learned directions need at least {_SMALLEST} cells along each axis, the grid has {operators.shape}"
        if self._blob is None:
            return f"its weights {self.weights!r} were not loaded (`equipped`)"
        return ""

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Cycle | None) -> tuple[Attempt, Any]:
        """Answer one system; see `Sequential.attempt`. The carry is the network."""
        if carry is None:
            assert self._blob is not None
            carry = unpacked(self._blob)
        operators, b = systems.operators, systems.rhs[i]
        x = np.zeros_like(b) if systems.guess is None else systems.guess[i].copy()
        r = b if systems.guess is None else b - operators.matvec(i, x)
        matvecs, target = int(systems.guess is not None), MARGIN * rtol * norm(b.ravel())
        earlier: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=self.memory)
        for iteration in range(self.maxiter):
            size = norm(r.ravel())
            if size <= target:
                return Attempt(x.ravel(), iteration, matvecs), carry
            d = _direction(carry, r / size)
            for other, image, curvature in earlier:
                d = d - (np.vdot(image, d) / curvature) * other
            image = operators.matvec(i, d)
            matvecs, curvature = matvecs + 1, float(np.vdot(d, image))
            if not (np.isfinite(curvature) and curvature > 0):
                return Attempt(None, iteration, matvecs, "breakdown"), carry
            part = np.vdot(r, d) / curvature
            x, r = x + part * d, r - part * image
            earlier.append((d, image, curvature))
        return Attempt(x.ravel(), self.maxiter, matvecs, "not_converged"), carry


def _direction(network: Cycle, residual: np.ndarray) -> np.ndarray:
    """Return the direction for one residual of norm 1, in float64; the network computes in float32."""
    import torch

    # Entries of about one.
    scale = residual.size**0.5
    with torch.inference_mode():
        found: np.ndarray = network(torch.from_numpy((scale * residual).astype(np.float32))[None])[0].numpy()
    return found.astype(np.float64)
