from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ritz.tasks.comparison.comparison_record import ComparisonRecord

NAMES = {
    "offline": "offline",
    "equal_steps": "online, equal steps",
    "equal_solves": "online, equal solves",
    "equal_time": "online, equal wall time",
}


@dataclass(frozen=True)
class Compared:
    """What the page of a comparison is about; its parts are those of the record."""

    record: ComparisonRecord

    def part(self, name: str) -> Any:
        """Return a part of the record."""
        return getattr(self.record, name, None)

    def errors(self, arm: str) -> list[float]:
        """Return the mean test error of an arm, seed by seed."""
        return [float(one.test.mean) for one in self.record.arms[arm].seeds]
