"""What a solver made of the operators of a batch, kept from the second time that the batch comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ritz.compute.solvers.operators import Operators

KEPT = 1_000_000
"""Unknowns, all together, of the operators of which something is kept: on plane grids that is about 300 MB of factors,
or 100 MB of hierarchies."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Kept(Generic[Made]):
    """What was made of a batch of operators: a carry, see `ritz.compute.solvers.solver.Solver.solve`.

    A batch that comes once, as in steady problems, leaves nothing. One that comes again, as in time stepping, comes
    as the same object. Nothing of it is pickled: a copy makes it again and gets the same bits.

    Attributes
    ----------
    operators
        The batch.
    seen
        One more than the position of the last operator that was met.
    made
        What was made of operators, by their positions.
    """

    operators: Operators | None = None
    seen: int = 0
    made: Mapping[int, Made] = field(default_factory=dict)

    def of(self, operators: Operators) -> Kept[Made]:
        """Return this if it belongs to these operators, an empty one of theirs otherwise."""
        return self if self.operators is operators else Kept(operators)

    def wants(self, i: int) -> bool:
        """Whether what is made of operator ``i`` is to be kept: it was met before, and there is room."""
        assert self.operators is not None
        return i < self.seen and (len(self.made) + 1) * self.operators.pattern.size <= KEPT

    def having(self, i: int, made: Made | None) -> Kept[Made]:
        """Return this with operator ``i`` met, and what was made of it, if that is to be kept."""
        more = self.made if made is None else {**self.made, i: made}
        return Kept(self.operators, max(self.seen, i + 1), more)

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, ()
