from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from ritz.tasks.stage import artifact_key, in_prefect, show

log = logging.getLogger("ritz")

EVERY = 5.0
"""Seconds between two plain log lines of one bar."""

PROMPT = 1.0
"""Seconds in which a server takes what an artifact shows; one that has gone is asked for tens of seconds each time."""

SHARE = 0.05
"""Share of a stage's time that the artifact may take where the server is not prompt."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is; carried by a log record as its attribute ``progress``."""

    stage: str
    done: int
    total: int
    note: str = ""


class Reporter:
    """Reports the progress of one stage through the logger ``ritz`` and as a Prefect artifact.

    Every report is a DEBUG record, for a terminal that draws bars; the first, the last and one every few seconds
    are INFO records, for logs, and move the artifact. To be called in the thread of the stage, which alone knows
    the Prefect task that the artifact belongs to.
    """

    def __init__(self, stage: str, total: int, name: str) -> None:
        self.stage, self.total, self.name = stage, total, name
        self._last = float("-inf")
        self._artifact: UUID | None = None
        self._show_from = float("-inf")

    def __call__(self, done: int, note: str = "") -> None:
        """Report that ``done`` of the total is done."""
        now = time.monotonic()
        loud = now - self._last >= EVERY or done >= self.total
        level = logging.INFO if loud else logging.DEBUG
        text = f"{self.stage}: {done} of {self.total}{', ' + note if note else ''}"
        log.log(level, text, extra={"progress": Progress(self.stage, done, self.total, note)})
        if loud:
            self._last = now
            if in_prefect() and now >= self._show_from:
                self._show(100 * done / self.total)
                took = time.monotonic() - now
                self._show_from = now + took / SHARE if took > PROMPT else now

    def _show(self, percent: float) -> None:
        if self._artifact is None:
            key = artifact_key(self.name, self.stage)
            text = f"{self.stage} {self.name}"
            created: Any = show(create_progress_artifact, percent, key=key, description=text)
            self._artifact = created
        else:
            show(update_progress_artifact, self._artifact, percent)
