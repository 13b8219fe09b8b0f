from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from ritz.compute.kind import Source
from ritz.compute.solvers.expectation import passes
from ritz.compute.solvers.factorization.cyclic_elimination import eliminate
from ritz.compute.solvers.operators import Matrices, Operators, Pattern
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems


class Cyclic(Sequential):
    """Gaussian elimination of tridiagonal and cyclic tridiagonal systems, a batch in one call.

    The unknowns lie on a line or a ring, each coupled to its two neighbours; the last one is eliminated as the border
    of the tridiagonal matrix of the others. There are no interchanges: a matrix that needs them, which one with a
    dominant diagonal does not, leaves a residual above the tolerance or has a pivot of zero. ``iterations`` in the
    ledger is 0.

    Source: C. Temperton, "Algorithms for the solution of cyclic tridiagonal systems", J. Comput. Phys. 19 (1975).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "C. Temperton", "Algorithms for the solution of cyclic tridiagonal systems", 1975, "J. Comput. Phys. 19"
        ),
    )

    kind: Literal["cyclic"] = "cyclic"

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        return "" if bands_of(systems.operators.pattern) is not None else "cyclic needs tridiagonal matrices, or rings"

    def expected(self, systems: Systems) -> float:
        """Estimate the seconds per system; see `Solver.expected`."""
        return float(1e-5 + 3e-8 * systems.operators.pattern.size)

    def together(self, systems: Systems) -> np.ndarray | None:
        """Answer all systems at once; see `Sequential.together`."""
        return _eliminated(systems.operators, systems.rhs) if len(systems) else None

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: None) -> tuple[Attempt, None]:
        """Answer one system; see `Sequential.attempt`. There is nothing to carry."""
        del rtol
        x = _eliminated(systems.operators.take(slice(i, i + 1)), systems.rhs[i : i + 1]).ravel()
        work = passes(self.expected(systems), systems.operators.pattern.size)
        if not np.isfinite(x).all():
            return Attempt(None, 0, 0, "breakdown", work=work), carry
        return Attempt(x, 0, 0, work=work), carry


@lru_cache(maxsize=16)
def bands_of(pattern: Pattern) -> np.ndarray | None:
    """Return where the entries of tridiagonal matrices lie, on a line or a ring; None for other patterns.

    Returns
    -------
    bands
        ``(3, m)`` as `ritz.compute.solvers.factorization.cyclic_elimination.eliminate` takes them.
    """
    size, rows, columns = pattern.size, pattern.rows(), pattern.indices
    step = columns - rows
    # Of two unknowns each is the only neighbour of the other; in longer rings the first and the last are neighbours.
    if size > 2:
        step = (step + 1) % size - 1
    if step.size and not (step.min() >= -1 and step.max() <= 1):
        return None
    bands = np.full((3, size), -1)
    bands[step + 1, rows] = np.arange(len(columns))
    return bands


def _eliminated(operators: Operators, rhs: np.ndarray) -> np.ndarray:
    """Return the answers to some systems in the shape of ``rhs``, not finite where a pivot is zero."""
    bands = bands_of(operators.pattern)
    assert bands is not None
    if operators.constant:
        values = np.array(operators.entries(0)[None])
    elif isinstance(operators, Matrices):
        values = np.ascontiguousarray(operators.values)
    else:
        values = np.stack([operators.entries(i) for i in range(len(operators))])
    x = rhs.reshape(len(rhs), -1).astype(np.result_type(values, rhs))
    eliminate(values, bands, x, np.empty((2, x.shape[1]), x.dtype))
    return x.reshape(rhs.shape)
