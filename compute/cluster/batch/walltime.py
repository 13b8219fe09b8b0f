"""Walltimes of jobs, and when their workers leave."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

STAGGER = 0.05
"""By which share of their time workers leave earlier than others, so that not all leave at once."""

_FORM = re.compile(r"(\d+):([0-5]\d):([0-5]\d)")


def seconds(walltime: str) -> int:
    """Return the seconds of a walltime ``HH:MM:SS``; hours may exceed 24.

    Examples
    --------
    >>> seconds("36:00:30")
    129630
    """
    form = _FORM.fullmatch(walltime)
    if form is None or not int(walltime.replace(":", "")):
        raise ValueError(f"expected hours, minutes and seconds such as '36:00:00' (got {walltime!r})")
    hours, minutes, rest = map(int, form.groups())
    return 3600 * hours + 60 * minutes + rest


def _checked(walltime: str) -> str:
    seconds(walltime)
    return walltime


Walltime = Annotated[str, AfterValidator(_checked)]
"""Field type: a time as batch systems write it."""


class Lifetime(NamedTuple):
    """When the worker of a job leaves, in seconds.

    Attributes
    ----------
    mean, stagger
        It leaves at a random time between ``mean - stagger`` and ``mean + stagger`` after its start.
    latest
        At the latest it leaves so long after the start of its job.
    """

    mean: float
    stagger: float
    latest: float

    @classmethod
    def within(cls, walltime: str, margin: float) -> Lifetime:
        """Return the lifetime in a job of this walltime that ends ``margin`` seconds before it.

        Raises
        ------
        ValueError
            If nothing is left of the walltime.
        """
        latest = seconds(walltime) - margin
        if latest <= 0:
            raise ValueError(f"margin is {margin:g} s, expected less than the walltime {walltime}")
        stagger = STAGGER * latest
        return cls(latest - stagger, stagger, latest)
