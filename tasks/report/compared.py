from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMES = {
    "offline": "offline",
    "equal_steps": "online, equal steps",
    "equal_solves": "online, equal solves",
    "equal_time": "online, equal wall time",
}


@dataclass(frozen=True)
class Compared:
    """What the page of a comparison is about; its parts are those of the record."""

    record: Mapping[str, Any]

    def part(self, name: str) -> Any:
        """Return a part of the record."""
        return self.record.get(name)

    def errors(self, arm: str) -> list[float]:
        """Return the mean test error of an arm, seed by seed."""
        return [float(one["test"]["mean"]) for one in self.record["arms"][arm]["seeds"]]
