from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ritz.compute.uncertainty.coverage import Coverage
from ritz.storage.errors import Refused
from ritz.tasks.documents.calibration import CoverageRow, key


def coverage_rows(coverage: Sequence[Coverage], where: str) -> dict[str, CoverageRow]:
    """Return what intervals were worth, by level, as documents have it.

    Parameters
    ----------
    where
        On what they were measured, for the message.

    Raises
    ------
    ritz.storage.errors.Refused
        If no sample has an interval with a bound: there is no width to tell.
    """
    for one in coverage:
        if not np.isfinite(one.width):
            raise Refused(
                f"{where}: none of {len(one.shares)} samples has an error bar with a bound at the level {one.level:g}: "
                "what they are made by has no answer there; uncertainty.spread=learnt asks the model alone"
            )
    return {key(one.level): CoverageRow.model_validate(one.document()) for one in coverage}
