from __future__ import annotations

import re
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from ritz.compute.kind import Kind

FIELDS = 5
"""Fields of a cron expression: minute, hour, day of the month, month, day of the week."""

ANCHOR = datetime(2020, 1, 1)
"""Local time that `Schedule.every` counts from, so that a server that starts again keeps the rhythm."""


class Schedule(Kind):
    """Schedule of a served recipe: give `cron` or `every`."""

    cron: str | None = Field(
        None,
        max_length=500,
        description="Cron expression of five fields, e.g. '0 3 * * *': minute, hour, day, month, day of the week.",
    )
    every: timedelta | None = Field(
        None,
        gt=timedelta(0),
        le=timedelta(days=3650),
        description=f"Interval, e.g. 'PT6H' or '06:00:00', counted from {ANCHOR:%Y-%m-%d %H:%M} in `timezone`.",
    )
    timezone: str = Field(
        "UTC",
        description="IANA name of the time zone, e.g. 'Europe/Berlin'. If a change of the clock skips a time of "
        "`cron`, the run starts later by the skipped span; if it repeats one, the run starts once, the first time. An "
        "interval of whole days keeps its time of day; a shorter one counts elapsed time.",
    )

    @field_validator("cron")
    @classmethod
    def _readable(cls, cron: str | None) -> str | None:
        if cron is not None and (reason := _unreadable(cron)):
            raise ValueError(reason)
        return cron

    @field_validator("every")
    @classmethod
    def _seconds(cls, every: timedelta | None) -> timedelta | None:
        if every is not None and every < timedelta(seconds=1):
            raise ValueError("expected at least a second")
        return every

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        known = available_timezones()
        if name not in known:
            nearest = _nearest(name, known)
            hint = f"the nearest is {nearest!r}" if nearest else "e.g. 'UTC' or 'Europe/Berlin'"
            raise ValueError(f"expected the IANA name of a time zone, {hint}")
        return name

    @model_validator(mode="after")
    def _one(self) -> Schedule:
        if (self.cron is None) == (self.every is None):
            raise ValueError("expected either `cron` or `every`")
        return self

    @property
    def anchor(self) -> datetime:
        """What `every` is counted from."""
        return ANCHOR.replace(tzinfo=ZoneInfo(self.timezone))

    def text(self) -> str:
        """Return the schedule in a line, with its time zone."""
        if self.cron is not None:
            return f"{self.cron} ({self.timezone})"
        return f"every {self.every} from {ANCHOR:%Y-%m-%d %H:%M} ({self.timezone})"


@cache
def parser() -> Any:
    """Return the class that reads cron expressions in Prefect's server, ``croniter``.

    Prefect has it as a file of its own. The file is loaded without Prefect, which fixes its settings when it is
    imported, so that the check of a recipe and the server that runs it cannot read an expression in two ways.
    """
    prefect = find_spec("prefect")
    assert prefect is not None
    assert prefect.origin is not None
    file = Path(prefect.origin).parent / "_vendor" / "croniter" / "croniter.py"
    spec = spec_from_file_location("ritz.tasks._croniter", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.croniter


def _unreadable(cron: str) -> str:
    """Return what is wrong with a cron expression, empty if the server can keep it."""
    expected = "expected a cron expression, e.g. '0 3 * * *'"
    fields = cron.split()
    if len(fields) in (6, 7):
        # The server would take the sixth for seconds, most other programs the first one.
        return (
            f"expected a cron expression of five fields (minute, hour, day, month, day of the week), e.g. '0 3 * * *'; "
            f"it has {len(fields)}, and seconds and years are not kept"
        )
    if len(fields) != FIELDS and not cron.startswith("@"):
        return expected
    if any(re.search("[hr]", re.sub("mar|apr|thu|fri", "", field.lower())) for field in fields if field[0] != "@"):
        return f"{expected}; random and hashed fields (R, H) are not kept"
    croniter = parser()
    try:
        croniter.expand(cron)
    except ValueError as error:
        return f"{expected}; {error}" if len(fields) == FIELDS else expected
    try:
        croniter(cron, datetime(2024, 1, 1)).get_next(datetime)
    except ValueError:
        return f"{expected}; this one names a day that never comes"
    return ""


def _nearest(name: str, known: set[str]) -> str | None:
    """Return the zone whose name, or whose city, is most like ``name``."""
    wanted = name.lower().replace(" ", "_")
    whole = {zone.lower(): zone for zone in known}
    cities = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known, reverse=True)}
    for names, asked in ((whole, wanted), (cities, wanted.rpartition("/")[2])):
        if found := get_close_matches(asked, names, n=1, cutoff=0.75):
            return names[found[0]]
    return None
