from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ritz.storage.documents import Json
from ritz.storage.errors import Refused

STATUSES = ("absent", "ok", "failed")
"""What became of a sample; ``absent`` is the fill value: nothing was committed yet."""

REASONS = ("none", "not_converged", "breakdown", "not_finite")
"""Why a sample failed; written as ``""`` in a ledger where there is no reason."""

SPLITS = ("train", "validate", "steer", "calibrate", "test")
"""What a sample is for."""

IMPORTED = "import"
"""Named as the solver of a sample that was solved elsewhere: its residual is not known, NaN, and no time was taken."""

NUMBERS = {"residual": np.float64, "iterations": np.int32, "matvecs": np.int32, "seconds": np.float64}
"""The columns that are numbers, with their stored dtypes; the others are flags of dtype int8."""

COLUMNS = ("status", "reason", "residual", "iterations", "matvecs", "seconds", "solver")

SUMMARIZED = ("status", "residual", "seconds", "solver")
"""The columns that `summary` needs."""

Ledger = Mapping[str, Sequence[Any] | np.ndarray]
"""Columns of equal length, one entry a sample: ``status`` (``"ok"`` or ``"failed"``), ``reason`` (``""`` where
it is ok), ``residual`` (relative, true, float64), ``iterations``, ``matvecs``, ``seconds``, ``solver``."""


def flags(solvers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the meanings of the flag columns; the stored value is the position."""
    return {"status": STATUSES, "reason": REASONS, "solver": ("none", *solvers)}


def encode(ledger: Ledger, n: int, rtol: float, solvers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Check the ledger of ``n`` samples and turn its flags into numbers.

    Parameters
    ----------
    ledger
        The columns, as `Ledger` says.
    n
        How many samples they must describe.
    rtol
        Largest relative residual of a sample that is ok.
    solvers
        The solvers the dataset knows.

    Returns
    -------
    dict of numpy.ndarray
        Every column ``(n,)`` in its stored dtype.

    Raises
    ------
    Refused
        A column is missing, unknown, of another length or not a number; a flag is unknown; an ok sample has a
        residual that is not finite or above ``rtol``, or one that was imported has any; a reason is missing or one too
        many.
    """
    if set(ledger) != set(COLUMNS):
        raise Refused(f"ledger columns {sorted(ledger)}: expected {sorted(COLUMNS)}")
    for name, column in ledger.items():
        if np.ndim(column) != 1 or len(column) != n:
            raise Refused(f"ledger column {name!r} has shape {np.shape(column)}: expected ({n},)")
    meanings = flags(solvers)
    columns = {
        name: _positions(name, ledger[name], meanings[name]) if name in meanings else _numbers(name, ledger[name])
        for name in COLUMNS
    }
    ok = columns["status"] == STATUSES.index("ok")
    if (columns["status"] == STATUSES.index("absent")).any():
        raise Refused("ledger column 'status': expected 'ok' or 'failed', got 'absent'")
    if (ok != (columns["reason"] == REASONS.index("none"))).any():
        raise Refused("ledger column 'reason': expected '' where status is ok and a reason where it failed")
    if (columns["solver"] == 0).any():
        raise Refused(f"ledger column 'solver': expected one of {list(solvers)}, got 'none'")
    residual, elsewhere = columns["residual"], imported(columns["solver"], solvers)
    if (elsewhere & ~np.isnan(residual)).any():
        raise Refused("ledger column 'residual': expected NaN for a sample that was imported: nobody has measured it")
    # Written so that NaN is refused too.
    bad = ok & ~elsewhere & ~((residual >= 0) & (residual <= rtol))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise Refused(
            f"ledger column 'residual': sample {first} of the shard is ok with {residual[first]}, above the "
            f"dataset's rtol {rtol}; solve it again or give it status 'failed'"
        )
    return columns


def imported(solver: np.ndarray, solvers: tuple[str, ...]) -> np.ndarray:
    """Return which samples were solved elsewhere, ``(n,)`` bool, of the column ``solver`` as it is stored."""
    found: np.ndarray = solver == 1 + solvers.index(IMPORTED) if IMPORTED in solvers else np.zeros(solver.shape, bool)
    return found


def decode(columns: Mapping[str, np.ndarray], solvers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Undo `encode`: flags as strings (``absent`` samples included), numbers as they are."""
    meanings = flags(solvers)
    meanings["reason"] = ("", *REASONS[1:])
    return {name: np.array(meanings[name])[column] if name in meanings else column for name, column in columns.items()}


def _positions(name: str, column: Sequence[str] | np.ndarray, meanings: tuple[str, ...]) -> np.ndarray:
    known = {meaning: position for position, meaning in enumerate(meanings)}
    if name == "reason":
        known = {"": known["none"]} | known
    try:
        return np.array([known[str(value)] for value in column], np.int8)
    except KeyError as error:
        raise Refused(f"ledger column {name!r}: {error.args[0]!r} is none of {list(meanings)}") from error


def _numbers(name: str, column: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind not in "iuf":
        raise Refused(f"ledger column {name!r} has dtype {values.dtype}: expected numbers")
    dtype = NUMBERS[name]
    if dtype is np.int32:
        # NaN and infinity fail a comparison.
        whole = (values >= 0) & (values <= np.iinfo(np.int32).max) & (values == np.floor(values))
        if not whole.all():
            bad = values[~whole][0]
            raise Refused(f"ledger column {name!r}: expected whole numbers of at least 0, got {bad}")
    elif name == "seconds" and not (np.isfinite(values) & (values >= 0)).all():
        raise Refused("ledger column 'seconds': expected finite numbers of at least 0")
    return values.astype(dtype)


def summary(columns: Mapping[str, np.ndarray], solvers: tuple[str, ...]) -> Json:
    """Sum up the columns `SUMMARIZED` as they are stored.

    Counts the flags as they are: a million of them as strings take seconds and a hundred megabytes.

    Returns
    -------
    dict
        ``max_residual`` of the ok samples, None if it is known of none; ``solvers``, ok samples by the solver that
        answered; ``failed`` (samples); ``seconds`` (solver time, all samples).
    """
    status = columns["status"]
    good = status == STATUSES.index("ok")
    known = good & ~imported(columns["solver"], solvers)
    names = flags(solvers)["solver"]
    counts = np.bincount(columns["solver"][good], minlength=len(names))
    return {
        "max_residual": float(columns["residual"][known].max()) if known.any() else None,
        "solvers": {name: int(counts[names.index(name)]) for name in sorted(names) if counts[names.index(name)]},
        "failed": int(np.count_nonzero(status == STATUSES.index("failed"))),
        "seconds": float(np.nansum(columns["seconds"])),
    }
