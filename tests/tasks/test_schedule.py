from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prefect.server.schemas import schedules as server
from pydantic import ValidationError

from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.schedule import ANCHOR, Schedule, parser
from ritz.tasks.recipes import load

START = datetime(2026, 11, 29, 12, tzinfo=UTC)


def taken(cron: str) -> bool:
    """Whether the check of a recipe takes an expression."""
    try:
        Schedule(cron=cron)
    except ValidationError:
        return False
    return True


def kept(cron: str, zone: str = "UTC", start: datetime = START, count: int = 3) -> list[datetime]:
    """Return when the server runs an expression; nothing if it refuses it."""
    try:
        found = asyncio.run(server.CronSchedule(cron=cron, timezone=zone).get_dates(count, start=start))
    except ValueError:
        return []
    return [date.astimezone(UTC) for date in found]


def read(cron: str, count: int = 3) -> list[datetime]:
    """Return the times that the parser of the check reads, in UTC."""
    # An hour is in when it begins.
    times = parser()(cron, START.replace(tzinfo=None) - timedelta(seconds=1))
    return [times.get_next(datetime).replace(tzinfo=UTC) for _ in range(count)]


def test_the_check_and_the_server_have_one_parser() -> None:
    assert inspect.getsourcefile(parser().expand) == inspect.getsourcefile(server.croniter.expand)


NUMBER = st.integers(0, 75).map(str)
NAME = st.sampled_from(
    ["MON", "sun", "Thu", "JAN", "mar", "APR", "L", "l", "?", "R", "h", "W", "LW", "5L", "L5", "2#1"]
)
SPAN = st.tuples(NUMBER, NUMBER).map("-".join)
ENTRY = st.one_of(
    st.just("*"),
    NUMBER,
    SPAN,
    NAME,
    st.tuples(st.one_of(st.just("*"), SPAN), NUMBER).map("/".join),
    st.tuples(NAME, NAME).map("-".join),
    st.sampled_from(["R(0-10)", "H(0-3)", "r/5", "", "-1", "1.5", "*/*", "٣"]),
)
FIELD = st.lists(ENTRY, min_size=1, max_size=3).map(",".join)
EXPRESSION = st.lists(FIELD, min_size=3, max_size=8).map(" ".join)
ALIAS = st.sampled_from(["@hourly", "@daily", "@DAILY", "@midnight", "@weekly", "@yearly", "@reboot", "@every 5m"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(EXPRESSION, ALIAS, st.text(max_size=20)))
@example("30 2 * * *")
@example("0 3 * * SUN")
@example("0 3 * * 7")
@example("0 0 1,15 * MON")
@example("0 3 L * *")
@example("0 3 * * 5#2")
@example("0 3 ? * *")
@example("0 0 29 2 *")
@example("0 0 31 2 MON")
def test_what_the_check_takes_the_server_runs_as_it_was_read(cron: str) -> None:
    runs = kept(cron)
    if taken(cron):
        assert runs == read(cron)
        assert all(date.second == 0 for date in runs)
    else:
        # What is refused beyond the server's own rules: seconds and years, and times that are drawn by lot.
        assert not runs or len(cron.split()) > 5 or set("rh") & set(cron.lower())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 59), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True),
    st.sampled_from(["*", "1,15", "L", "31"]),
    st.sampled_from(["*", "2", "JAN-MAR", "*/5"]),
    st.sampled_from(["*", "MON-FRI", "0", "7", "sat"]),
)
def test_what_a_person_writes_is_taken(minutes: list[int], hours: list[int], day: str, month: str, week: str) -> None:
    cron = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} {day} {month} {week}"
    assert taken(cron) == bool(kept(cron))


@pytest.mark.parametrize("cron", ["0 0 3 * * *", "0 3 * * * *", "*/10 0 3 * * *", "0 3 * * * 30 2030", "0 3 * * * 0"])
def test_seconds_are_refused_by_name(cron: str) -> None:
    with pytest.raises(RecipeError, match=r"schedule\.cron: expected a cron expression of five fields") as caught:
        load("darcy", {"schedule.cron": cron})
    assert f"it has {len(cron.split())}, and seconds and years are not kept (got {cron!r})" in str(caught.value)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("R 3 * * *", "random and hashed fields (R, H) are not kept"),
        ("0 H(0-3) * * *", "random and hashed fields (R, H) are not kept"),
        ("0 0 30 2 *", "names a day that never comes"),
        ("0 0 31 4,6 *", "names a day that never comes"),
        ("61 * * * *", "[61 * * * *] is not acceptable, out of range"),
        ("0-999999999 * * * *", "out of bands"),
    ],
)
def test_the_reason_of_a_refusal_is_said(cron: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", {"schedule.cron": cron})
    assert said in str(caught.value)
    assert "e.g. '0 3 * * *'" in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "nearest"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("America/Sao Paulo", "America/Sao_Paulo"),
        ("New York", "America/New_York"),
        ("Asia/Calcuta", "Asia/Calcutta"),
    ],
)
def test_a_wrong_time_zone_is_refused_with_the_nearest(zone: str, nearest: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", {"schedule": {"cron": "0 3 * * *", "timezone": zone}})
    assert f"schedule.timezone: expected the IANA name of a time zone, the nearest is {nearest!r}" in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "+02:00", "../../etc/passwd"])
def test_a_time_zone_like_no_other_is_refused(zone: str) -> None:
    with pytest.raises(RecipeError, match=r"schedule\.timezone: expected the IANA name of a time zone"):
        load("darcy", {"schedule": {"every": "PT6H", "timezone": zone}})


def test_every_time_zone_that_the_check_takes_is_one_for_the_server() -> None:
    for zone in sorted(available_timezones()):
        schedule = Schedule(cron="0 3 * * *", timezone=zone)
        assert server.CronSchedule(cron="0 3 * * *", timezone=schedule.timezone).timezone == zone


def test_a_time_that_the_clock_skips_comes_later_and_one_that_it_repeats_comes_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring, autumn = datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)

    def local(start: datetime, cron: str, count: int) -> list[str]:
        return [f"{date.astimezone(berlin):%d. %H:%M %Z}" for date in kept(cron, "Europe/Berlin", start, count)]

    assert local(spring, "30 2 * * *", 2) == ["28. 03:30 CEST", "29. 02:30 CEST"]
    assert local(autumn, "30 2 * * *", 2) == ["25. 02:30 CEST", "26. 02:30 CET"]
    hourly = local(datetime(2026, 10, 24, 23, tzinfo=UTC), "0 * * * *", 4)
    assert hourly == ["25. 01:00 CEST", "25. 02:00 CEST", "25. 03:00 CET", "25. 04:00 CET"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_an_interval_is_counted_from_a_fixed_time(zone: str) -> None:
    def runs(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
        assert schedule.every is not None
        kept = server.IntervalSchedule(interval=schedule.every, anchor_date=schedule.anchor, timezone=zone)
        return list(asyncio.run(kept.get_dates(count, start=start)))

    hours = Schedule(every=timedelta(hours=6), timezone=zone)
    first = ANCHOR.replace(tzinfo=ZoneInfo(zone)).timestamp()
    assert [(date.timestamp() - first) % 21600 for date in runs(hours, START, 8)] == [0] * 8
    # Whole days stay at midnight, winter and summer.
    days = runs(Schedule(every=timedelta(days=1), timezone=zone), START, 300)
    assert {f"{date.astimezone(ZoneInfo(zone)):%H:%M}" for date in days} == {"00:00"}


@pytest.mark.parametrize("every", ["PT0.5S", "P9999D", "-PT1H", 0])
def test_an_interval_that_no_server_can_keep_is_refused(every: object) -> None:
    with pytest.raises(RecipeError, match=r"schedule\.every: (Input should be|expected at least a second)"):
        load("darcy", {"schedule": {"every": every}})


def test_the_schedule_is_told_with_its_time_zone() -> None:
    assert Schedule(cron="0 3 * * *").text() == "0 3 * * * (UTC)"
    assert Schedule(cron="0 3 * * *", timezone="Europe/Berlin").text() == "0 3 * * * (Europe/Berlin)"
    every = Schedule(every=timedelta(hours=6), timezone="Asia/Tokyo")
    assert every.text() == "every 6:00:00 from 2020-01-01 00:00 (Asia/Tokyo)"
