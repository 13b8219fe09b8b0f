"""Values and names of users in messages: cut to a length, and with suggestions for misspelt names."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST = 120
"""Characters of a value in a message."""


class _Short(reprlib.Repr):
    """Python's `repr`, bounded in time and length; long values are cut and give their length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxset = self.maxfrozenset = self.maxdict = 8
        self.fillvalue = "…"

    def repr_str(self, value: str, level: int) -> str:  # noqa: ARG002
        if len(value) <= LONGEST:
            return repr(value)
        return f"{value[:50]!r}…{value[-20:]!r} ({len(value)} characters)"

    def repr_int(self, value: int, level: int) -> str:  # noqa: ARG002
        # Python refuses to write a longer one, and below that takes time with the square of its length.
        digits = int(value.bit_length() * 0.30103) + 1
        return repr(value) if digits <= LONGEST else f"a whole number of about {digits} digits"


_SHORT = _Short()


def shown(value: Any) -> str:
    """Return a value as a message quotes it: as Python writes it, cut where that is long.

    Examples
    --------
    >>> shown("darcy"), shown(10**5000)
    ("'darcy'", 'a whole number of about 5001 digits')
    >>> shown("x" * 1000)[-17:]
    '(1000 characters)'
    """
    return cut(_SHORT.repr(value))


def cut(text: str, longest: int = 2 * LONGEST) -> str:
    """Return a text without its middle where it is longer than ``longest`` characters.

    Examples
    --------
    >>> cut("a long sentence about nothing", 20)
    'a long sen…t nothing'
    """
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[1 - longest // 2 :]}"


def meant(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'darcy'?" where a known name is near, and nothing else.

    Examples
    --------
    >>> meant("dracy", ["darcy", "heat"])
    "; did you mean 'darcy'?"
    """
    near = nearest(name, known)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return at most two known names that a mistyped one is near to, the nearest first."""
    if len(name) > LONGEST:
        return []
    plain = {one.lower().replace("-", "_"): one for one in known}
    wanted = name.lower().replace("-", "_")
    return [plain[one] for one in difflib.get_close_matches(wanted, plain, 2, 0.7)]
