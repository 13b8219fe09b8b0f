"""How every solve ends: an answer is good by its true residual, and what misses is answered once more.

Answers stay where they are, in NumPy or on a device of torch: what is done with all numbers of a field is done by the
operators (`Operators.residuals`) and the fallback; what is decided is decided here, from one number per system.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.scaling import binary, exponent, norm, shifted
from ritz.compute.solvers.solver import COLUMNS, Attempt, Ledger, Solutions
from ritz.compute.solvers.systems import Systems

log = logging.getLogger(__name__)

_LEAST = 2.0**-400
"""Norm from which on nothing of it was lost to underflow."""


class Fallback(Protocol):
    """What answers the systems that a solver missed; any `Sequential` does."""

    @property
    def kind(self) -> str:
        """What the ledger calls it."""
        ...

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
        """Answer system ``i`` with an array of the library and device of ``systems.rhs``; see `Sequential.attempt`."""
        ...


def certify(
    systems: Systems,
    x: Any,
    rtol: float,
    fallback: Fallback | None,
    *,
    spent: Ledger,
    finite: Sequence[bool],
    level: int = logging.WARNING,
) -> Solutions:
    """Tell good answers by their true residuals, and have those that miss answered by the fallback.

    Parameters
    ----------
    systems
        What was solved, with numbers of moderate size (`Systems.balanced`).
    x
        ``(n, *shape)`` answers, float64 or complex128, an array of NumPy or torch. It is handed over: rows of systems
        that were missed are overwritten.
    rtol
        Largest true ``‖b − Ax‖/‖b‖`` of a good answer.
    fallback
        Answers one by one what was missed; None where nothing does.
    spent
        What the answers took, by column, an entry a system: ``iterations``, ``matvecs``, ``seconds``, ``solver``, and
        ``reason``, why the solver thinks there is no good answer, or ``""``. ``residual`` is the true one where the
        solver has computed it in float64 from ``x`` itself, None to have it computed, NaN where there is no answer.
    finite
        ``(n,)`` whether matrix and right-hand side have finite entries; what has not is not tried again.
    level
        At which the log has the systems that are missed.

    Returns
    -------
    Solutions
        ``x``, NaN where a system failed, and the ledger.
    """
    ledger: Ledger = {name: list(spent[name]) if name in spent else [""] * len(systems) for name in COLUMNS}
    # One of zero may be one whose square left the range.
    rows = [i for i, residual in enumerate(spent["residual"]) if not residual]
    start = time.perf_counter()
    for i, residual in zip(rows, relative_residuals(systems, x, rows), strict=True):
        ledger["matvecs"][i] += spent["residual"][i] is None
        ledger["residual"][i] = residual
    share = (time.perf_counter() - start) / max(len(rows), 1)
    for i in rows:
        ledger["seconds"][i] += share
    for i in range(len(systems)):
        if not finite[i]:
            log.log(level, "system %d has entries that are not finite: it is not solved", i)
            ledger["residual"][i], ledger["reason"][i] = math.nan, "not_finite"
        elif _good(ledger, i, rtol, level):
            continue
        elif fallback is not None:
            start = time.perf_counter()
            _answered(systems, x, i, rtol, fallback, ledger, level)
            ledger["seconds"][i] += time.perf_counter() - start
        if ledger["status"][i] != "ok":
            ledger["status"][i] = "failed"
            x[i] = math.nan
    return Solutions(x, ledger)


def _answered(systems: Systems, x: Any, i: int, rtol: float, fallback: Fallback, ledger: Ledger, level: int) -> None:
    """Let the fallback answer a system, and add to the ledger what that took."""
    attempt, _ = fallback.attempt(systems, i, rtol=rtol, carry=None)
    residual = math.nan
    if attempt.x is not None:
        x[i] = attempt.x.reshape(x.shape[1:])
        residual = attempt.residual or relative_residuals(systems, x, [i])[0]
    ledger["iterations"][i] += attempt.iterations
    ledger["matvecs"][i] += attempt.matvecs + (attempt.x is not None and attempt.residual is None)
    ledger["residual"][i], ledger["solver"][i], ledger["reason"][i] = residual, fallback.kind, attempt.reason
    _good(ledger, i, rtol, level)


def _good(ledger: Ledger, i: int, rtol: float, level: int) -> bool:
    """Judge a system by its residual."""
    residual = ledger["residual"][i]
    if residual <= rtol:
        ledger["status"][i], ledger["reason"][i] = "ok", ""
        return True
    ledger["reason"][i] = ledger["reason"][i] or ("not_converged" if math.isfinite(residual) else "not_finite")
    solver, reason = ledger["solver"][i], ledger["reason"][i]
    log.log(level, "%s missed rtol %.1e on system %d: %s, residual %.1e", solver, rtol, i, reason, residual)
    return False


def restored(systems: Systems, solutions: Solutions, shifts: np.ndarray, rtol: float) -> Solutions:
    """Take the answers to balanced systems back to the units they came in; one that does not fit there has failed.

    Parameters
    ----------
    systems, shifts
        As `Systems.balanced` gave them.
    solutions
        The certified answers to ``systems``.
    rtol
        Largest true relative residual of a good answer.
    """
    if not shifts.any():
        return solutions
    x, ledger = solutions.x.copy(), solutions.ledger
    for i in map(int, np.flatnonzero(shifts)):
        if ledger["status"][i] != "ok":
            continue
        answer = shifted(x[i], -int(shifts[i]))
        kept = shifted(answer, int(shifts[i]))
        if not np.array_equal(kept, x[i]):
            residual = relative_residual(systems.operators, i, kept.ravel(), systems.rhs[i].ravel())
            ledger["residual"][i] = residual
            if not residual <= rtol:
                log.warning("the answer to system %d leaves the range of %s", i, x.dtype)
                ledger["status"][i], ledger["reason"][i] = "failed", "not_finite"
                answer = np.full_like(answer, np.nan)
        x[i] = answer
    return Solutions(x, ledger)


def relative_residuals(systems: Systems, x: Any, rows: Iterable[int]) -> list[float]:
    """Return `relative_residual` of answers ``x`` ``(n, *shape)`` to some systems, by their positions."""
    rows = list(rows)
    left, whole = systems.operators.residuals(x, systems.rhs, rows)
    sizes = zip(rows, left.tolist(), whole.tolist(), strict=True)
    return [_ratio(systems.operators, i, x[i], systems.rhs[i], residual, size) for i, residual, size in sizes]


def relative_residual(operators: Operators, i: int, x: np.ndarray, rhs: np.ndarray) -> float:
    """Return the true ``‖b − A_i x‖ / ‖b‖`` in double precision; 0 if both are zero, inf if only ``b`` is.

    Whatever the units: where squares leave the range, matrix, ``x`` and ``b`` are brought back by powers of two.
    """
    return _ratio(operators, i, x, rhs, *operators.residual(i, x, rhs))


def _ratio(operators: Operators, i: int, x: Any, rhs: Any, residual: float, size: float) -> float:
    """Return ``residual / size``, ``‖b − A_i x‖ / ‖b‖``, computed anew where one of them has left the range."""
    if _LEAST <= size < math.inf and residual < math.inf:
        return residual / size
    return _in_any_unit(operators, i, _flat(x), _flat(rhs))


def _in_any_unit(operators: Operators, i: int, x: np.ndarray, rhs: np.ndarray) -> float:
    entries = operators.entries(i)
    size = operators.magnitude(i)
    if not (math.isfinite(size) and np.isfinite(x).all() and np.isfinite(rhs).all()):
        return math.nan
    if not (x.any() or rhs.any()):
        return 0.0
    of_A, of_b = binary(size), exponent(rhs)
    moved = shifted(entries, -of_A)
    # Entries that lie too far apart to be moved stay.
    if not np.array_equal(shifted(moved, of_A), entries):
        of_A, moved = 0, entries
    # In units of b: what vanishes there is nothing beside it, what leaves the range is a miss.
    b = shifted(rhs, -of_b)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        left = norm(b - operators.pattern.matrix(moved) @ shifted(x, of_A - of_b))
    if not rhs.any():
        return 0.0 if left == 0 else math.inf
    return left / norm(b)


def _flat(x: Any) -> np.ndarray:
    """Return the numbers of one system as a vector of NumPy, wherever they lie: few systems need that."""
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x).ravel()
