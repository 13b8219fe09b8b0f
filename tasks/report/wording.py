from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def settings(kind: Any) -> str:
    """Write a choice with its settings, as a record has it.

    Examples
    --------
    >>> settings({"kind": "krylov", "method": "cg", "preconditioner": {"kind": "ssor", "omega": 1.3}})
    'krylov (method cg, preconditioner ssor (omega 1.3))'
    """
    if not isinstance(kind, Mapping):
        return str(kind)
    rest = ", ".join(f"{name} {settings(value)}" for name, value in kind.items() if name != "kind")
    return f"{kind.get('kind')}" + (f" ({rest})" if rest else "")


def differing(kinds: Sequence[Any]) -> list[str]:
    """Write choices by the settings in which they differ; those of one kind go without its name.

    Examples
    --------
    >>> cg = {"kind": "krylov", "method": "cg"}
    >>> differing([cg | {"preconditioner": "ssor"}, cg | {"preconditioner": {"kind": "ssor", "omega": 1.3}}])
    ['preconditioner ssor', 'preconditioner ssor (omega 1.3)']
    """
    if not all(isinstance(kind, Mapping) for kind in kinds):
        return [settings(kind) for kind in kinds]
    alike = {name for name in kinds[0] if all(name in kind and kind[name] == kinds[0][name] for kind in kinds)}
    if "kind" not in alike:
        return [settings(kind) for kind in kinds]
    return [
        ", ".join(f"{name} {settings(value)}" for name, value in kind.items() if name not in alike) or settings(kind)
        for kind in kinds
    ]
