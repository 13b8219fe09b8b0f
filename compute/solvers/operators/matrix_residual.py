from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel


@kernel
def residual_squares(values, indptr, indices, x, rhs, rows, left, whole):
    """Write the squared norms of ``b − A x`` and of ``b`` of some systems into ``left`` and ``whole`` ``(len(rows),)``.

    Parameters
    ----------
    values
        ``(n, entries)`` of sparse matrices on one pattern.
    indptr, indices
        The pattern.
    x, rhs
        ``(n, size)``.
    rows
        Which systems.
    """
    for k in range(len(rows)):
        i = rows[k]
        entries, vector, b = values[i], x[i], rhs[i]
        remains, total = 0.0, 0.0
        for row in range(len(b)):
            difference = b[row]
            for at in range(indptr[row], indptr[row + 1]):
                difference -= entries[at] * vector[indices[at]]
            remains += (difference * np.conj(difference)).real
            total += (b[row] * np.conj(b[row])).real
        left[k], whole[k] = remains, total
