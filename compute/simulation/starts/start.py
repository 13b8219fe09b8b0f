"""Fields at which the solves of some samples begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays


@dataclass(frozen=True)
class Start:
    """Fields of some samples at which a solve begins.

    Attributes
    ----------
    fields
        ``(n, *dims)`` for every output.
    first
        Of a problem in time the states ``(n, *space)`` by output at time zero that the fields follow; by default those
        of the samples themselves. A step begins at the state before it, moved by what the fields change in this step.
    """

    fields: Arrays
    first: Arrays | None = None


@dataclass(frozen=True)
class Starts:
    """A way to begin the solves of all samples of a batch, such as at the predictions of a surrogate.

    Attributes
    ----------
    name
        ``"prediction"``, ``"neighbours"``.
    of
        Gives the starts of samples, by their positions ``(k,)``.
    seconds
        Of the processor that were spent for all samples before the first start was asked for.
    """

    name: str
    of: Callable[[np.ndarray], Start]
    seconds: float = 0.0
