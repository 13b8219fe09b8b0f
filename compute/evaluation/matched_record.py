"""What the search for the fastest solve at matched error came to, as it is kept."""

from __future__ import annotations

from ritz.compute.document import DocumentPart, Json, Number


class Trial(DocumentPart):
    """A solve that was tried.

    Attributes
    ----------
    space, time
        Times fewer points along an axis, and times fewer steps.
    solver
        Its fields.
    error
        Mean relative L2 error, None where a sample failed.
    seconds
        Per sample.
    spread
        By what factor its repeats differ, see `ritz.compute.evaluation.cost.spread`.
    accurate
        Whether the error is small enough.
    """

    space: int
    time: int
    rtol: Number
    solver: Json
    error: Number | None
    seconds: Number
    spread: Number = 1.0
    accurate: bool


class LeftOutGrids(DocumentPart):
    """Grids that were not tried, as pairs of ``space`` and ``time``, and why."""

    reason: str
    grids: tuple[tuple[int, int], ...]


class Matched(DocumentPart):
    """What the search for the fastest solve came to.

    Attributes
    ----------
    error
        What was to be matched.
    samples
        On how many it was measured.
    complete
        Whether the limit cut nothing off.
    fastest
        One of those tried, None if none is accurate.
    """

    error: Number
    samples: int
    tried: tuple[Trial, ...]
    left_out: tuple[LeftOutGrids, ...]
    complete: bool
    fastest: Trial | None


class EqualSeconds(DocumentPart):
    """What the search for the most accurate solve in given seconds came to.

    Attributes
    ----------
    seconds
        Per sample, what a solve may take.
    samples
        On how many it was measured.
    complete
        Whether the limit cut nothing off.
    best
        One of those tried, None if none is as quick.
    quickest
        The quickest of those tried whose samples were all solved; None if there is none.
    times
        Of the curves, those of the problem.
    nrmse, correlation
        Of ``best``, at each of the times, the mean over the samples.
    valid_time, lyapunov_times
        Of ``best``, the means over the samples of `ritz.compute.evaluation.rollouts.valid_time.ValidTime`.
    """

    seconds: Number
    samples: int
    tried: tuple[Trial, ...]
    left_out: tuple[LeftOutGrids, ...]
    complete: bool
    best: Trial | None
    quickest: Trial | None
    times: tuple[Number, ...] = ()
    nrmse: tuple[Number, ...] = ()
    correlation: tuple[Number, ...] = ()
    valid_time: Number | None = None
    lyapunov_times: Number | None = None
