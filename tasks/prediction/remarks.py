"""What a user should know of predictions, a line each."""

from __future__ import annotations

import numpy as np

from ritz.compute.uncertainty.novelty.novelty import Judged
from ritz.tasks.prediction.inputs import Inputs
from ritz.tasks.prediction.output import DOUBTFUL, FAR, OUTSIDE, Estimated

_MOST = 5
"""Samples that a line names."""


def of_inputs(
    inputs: Inputs, judged: Judged | None, why: str, trained_on: str, bands: bool, law: str | None = None
) -> list[str]:
    """Return what is to be said of the inputs.

    Parameters
    ----------
    why
        Why they were not judged.
    trained_on
        Dataset of the model.
    bands
        Whether the predictions have bands.
    law
        For which other law these were calibrated.
    """
    found = []
    also = "; neither are the bands" if bands and law is None else ""
    if inputs.other:
        points = " and ".join(f"{points} points along {dim!r}" for dim, points in inputs.other.items())
        bare = [dim for dim in inputs.other if dim not in inputs.places]
        taken = f" (without coordinates along {', '.join(map(repr, bare))}: taken to fill the box)" if bare else ""
        found.append(f"the model was not trained on {points}{taken}{'; the bands are not calibrated there' * bands}")
    if judged is None or judged.unsure:
        reason = why if judged is None else judged.unsure
        found.append(f"whether the inputs are like those of {trained_on} cannot be judged: {reason}")
    elif judged.outside.any():
        rows = np.flatnonzero(judged.outside)
        worst = int(judged.score.argmax())
        chance = f", p = {judged.p[worst]:.2g}" if np.isfinite(judged.p[worst]) else ""
        found.append(
            f"{len(rows)} of {len(inputs)} inputs are unlike those of {trained_on} by {judged.rule} "
            f"(position {_listed(rows)}; at {worst}{chance} {judged.reasons[worst]}): predictions are not to be relied "
            f"on there{also}; `{OUTSIDE}` flags them"
        )
    if law is not None:
        found.append(f"the bands are those of the law {law!r}: whether the inputs are of that law is not judged")
    return found


def of_estimates(estimated: Estimated | None, inputs: Inputs) -> list[str]:
    """Return which errors by the equations are large or cannot be relied on."""
    if estimated is None or inputs.other:
        return []
    found = []
    doubtful, far = (np.flatnonzero(one) for one in (estimated.doubtful, estimated.far))
    if len(doubtful):
        found.append(
            f"the equations do not bound the error of {len(doubtful)} of {len(inputs)} predictions (position "
            f"{_listed(doubtful)}): `{DOUBTFUL}` flags them"
        )
    if len(far):
        worst = int(far[np.argmax(estimated.error[far])])
        found.append(
            f"the estimated error of {len(far)} of {len(inputs)} predictions is beyond {estimated.limit_text()} "
            f"(position {_listed(far)}; at {worst} it is {estimated.error[worst]:.3g}): `{FAR}` flags them"
        )
    return found


def _listed(rows: np.ndarray) -> str:
    return ", ".join(map(str, rows[:_MOST].tolist())) + (", …" if len(rows) > _MOST else "")
