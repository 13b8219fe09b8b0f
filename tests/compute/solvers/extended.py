"""Answers judged in extended precision, where everything fits."""

from __future__ import annotations

import numpy as np


def check(A, b, x, info, rtol):
    """Say whether an answer is right, measured in extended precision where everything fits."""
    assert info != 0 or np.isfinite(x).all()
    if info == 0:
        wide = np.clongdouble if A.dtype.kind == "c" else np.longdouble
        left = b.astype(wide) - A.astype(wide) @ x.astype(wide)
        whole = b.astype(wide)
        assert np.sqrt(np.sum(np.abs(left) ** 2)) <= 1.01 * rtol * np.sqrt(np.sum(np.abs(whole) ** 2))
