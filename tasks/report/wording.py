from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ritz.compute.evaluation.cost import digits

MISSING = "–"
"""Stands for a number that was not measured."""

SPACE = "\xa0"
"""Between a number and its unit: no line breaks there."""


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many significant digits, whole numbers in full; a dash where there is none.

    Examples
    --------
    >>> number(0.02), number(9.81e-9), number(1e-8), number(1024), number(None)
    ('0.0200', '9.81e-9', '1e-8', '1,024', '–')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISSING if value is None else str(value)
    if math.isnan(value):
        return MISSING
    if isinstance(value, int) or 10**digits - 0.5 <= abs(value) < math.inf:
        return f"{value:,.0f}"
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    # Zeros at the end count, but not those of a power of ten that somebody asked for.
    return f"{mantissa}e{int(exponent)}" if exponent else f"{value:#.{digits}g}".rstrip(".")


def percent(value: float | None, digits: int = 1) -> str:
    r"""Write a share as a percentage, with a space that does not break; a dash where there is none.

    Examples
    --------
    >>> percent(0.9), percent(0.9042), percent(float("nan"))
    ('90\xa0%', '90.4\xa0%', '–')
    """
    if value is None or math.isnan(value):
        return MISSING
    text = f"{100 * value:.{digits}f}"
    return f"{text.removesuffix('.' + '0' * digits)}{SPACE}%"


def duration(seconds: float | None, digits: int = 3) -> str:
    r"""Write a time for a reader, with spaces that do not break; a dash where there is none.

    Examples
    --------
    >>> duration(0.0123), duration(71.52), duration(252), duration(4020)
    ('12.3\xa0ms', '71.5\xa0s', '4\xa0min\xa012\xa0s', '1\xa0h\xa07\xa0min')
    """
    if seconds is None or math.isnan(seconds):
        return MISSING
    if abs(seconds) < 1:
        parts = [number(1e3 * seconds, digits), "ms"]
    elif abs(seconds) < 120:
        parts = [number(float(seconds), digits), "s"]
    else:
        minutes, rest = divmod(round(seconds), 60)
        hours, left = divmod(minutes, 60)
        parts = [f"{hours:,}", "h", str(left), "min"] if hours else [str(minutes), "min", str(rest), "s"]
    return SPACE.join(parts)


def timing(measured: Mapping[str, Any], seconds: str = "seconds", spread: str = "spread") -> str:
    r"""Write a time that was measured repeatedly with as many digits as it is worth, and how far the repeats differ.

    Parameters
    ----------
    measured
        Holds the time under the first name, and under the second by what factor its repeats differ, if that is known.

    Examples
    --------
    >>> timing({"seconds": 0.01234, "spread": 1.3}), timing({"seconds": 0.01234})
    ('12 ms (repeats differ by a factor of 1.3)', '12.3 ms')
    """
    factor = measured.get(spread)
    if factor is None:
        return duration(measured[seconds])
    return f"{duration(measured[seconds], digits(factor))} (repeats differ by a factor of {number(factor, 2)})"


def share(part: float | None, whole: float | None) -> float | None:
    """Return ``part / whole``, None where one of them is absent or the whole is 0."""
    return part / whole if part is not None and whole else None


def key_numbers(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the five numbers that matter most: what, how much, and a sentence that says what it means."""
    return [row(record) for row in (_error, _gain, _coverage, _residual, _time)]


_UNKNOWN = "Not measured in this run."


def _error(record: Mapping[str, Any]) -> tuple[str, str, str]:
    error, splits = _error_of(record), (record.get("dataset") or {}).get("splits") or {}
    if not error:
        return "test error", MISSING, _UNKNOWN
    over = f"{number(splits['test'])} test samples" if "test" in splits else "the test samples"
    return (
        "test error",
        number(error.get("mean")),
        f"Mean relative L2 error over {over}. Half of them are below {number(error.get('median'))}, "
        f"95\xa0% below {number(error.get('p95'))}; the worst is {number(error.get('max'))}.",
    )


def _gain(record: Mapping[str, Any]) -> tuple[str, str, str]:
    title, own = "against baselines", (_error_of(record) or {}).get("mean")
    means = {
        name: float(mean)
        for name, row in (record.get("baselines") or {}).items()
        if (mean := (row.get("relative_l2") or {}).get("mean")) is not None
    }
    if not means or not own:
        return title, MISSING, _UNKNOWN
    best = min(means, key=means.__getitem__)
    others = ", ".join(f"{name} {number(mean)}" for name, mean in means.items() if name != best)
    return (
        title,
        f"{number(means[best] / own, 2)}{SPACE}×",
        f"Mean error of the best baseline, {best} ({number(means[best])}), over that of this model."
        + (f" Others: {others}." if others else ""),
    )


def _coverage(record: Mapping[str, Any]) -> tuple[str, str, str]:
    band = (record.get("coverage") or {}).get("0.9")
    if not band:
        return "coverage at 90 %", MISSING, _UNKNOWN
    equal = band.get("constant_width_at_equal_coverage")
    return (
        "coverage at 90 %",
        percent(band.get("measured")),
        f"Share of test points inside the 90\xa0% bands. Their mean width is {number(band.get('width'))}"
        + (f"; a constant band of equal coverage needs {number(equal)}." if equal is not None else "."),
    )


def _residual(record: Mapping[str, Any]) -> tuple[str, str, str]:
    ledger, samples = record.get("ledger") or {}, (record.get("dataset") or {}).get("samples")
    if ledger.get("max_residual") is None:
        return "worst residual", MISSING, _UNKNOWN
    return (
        "worst residual",
        number(ledger["max_residual"]),
        f"Largest true relative residual ‖b − Ax‖/‖b‖ of any good sample; {number(ledger.get('rtol'))} was asked. "
        f"{number(ledger.get('failed'))} of {number(samples)} samples failed.",
    )


def _time(record: Mapping[str, Any]) -> tuple[str, str, str]:
    times = record.get("times") or {}
    overlap = share(times.get("steps_while_solving"), times.get("steps"))
    if overlap:
        return (
            "trained while solving",
            percent(overlap, 0),
            f"Of {number(times['steps'])} training steps, so many were done while samples were still being solved. "
            f"The whole run took {duration(times.get('total'))}.",
        )
    steps = times.get("steps")
    sentence = f"Time of the whole run, with {number(steps)} training steps." if steps is not None else _UNKNOWN
    return "time", duration(times.get("total")), sentence


def _error_of(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return (record.get("metrics") or {}).get("relative_l2")
