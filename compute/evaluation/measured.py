from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from ritz.compute.evaluation.tally import Tally

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Measured:
    """What was measured of some samples, in little memory; what was measured of others joins it.

    Attributes
    ----------
    rows
        By name, arrays whose first axis is that of the samples: joined end to end.
    sums
        By name, arrays that add up.
    tallies
        By name, how often values occurred.
    words
        By name, what is to be said of all of it: the first that is said stays.
    """

    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    sums: Mapping[str, np.ndarray] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Iterable[Measured]) -> Measured:
        """Join what was measured, in this order; a name that one of the parts lacks is left out."""
        parts = list(parts)
        first, *others = parts

        def common(kind: str) -> list[str]:
            return [name for name in getattr(first, kind) if all(name in getattr(part, kind) for part in others)]

        return cls(
            {name: np.concatenate([part.rows[name] for part in parts]) for name in common("rows")},
            {name: np.sum([part.sums[name] for part in parts], axis=0) for name in common("sums")},
            {name: Tally.join(part.tallies[name] for part in parts) for name in common("tallies")},
            {name: said for part in reversed(parts) for name, said in part.words.items()},
        )

    def __or__(self, other: Measured) -> Measured:
        """Return what both know of the same samples."""
        return Measured(
            {**self.rows, **other.rows},
            {**self.sums, **other.sums},
            {**self.tallies, **other.tallies},
            {**self.words, **other.words},
        )

    def arrays(self) -> Arrays:
        """Return all but the words as arrays by name, for a file; see `of_arrays`."""
        tallies = {
            f"tallies:{part}:{name}": values
            for name, tally in self.tallies.items()
            for part, values in (("keys", tally.keys), ("counts", tally.counts))
        }
        rows = {f"rows:{name}": values for name, values in self.rows.items()}
        return {**rows, **{f"sums:{name}": values for name, values in self.sums.items()}, **tallies}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], words: Mapping[str, str] | None = None) -> Self:
        """Read what `arrays` returned."""
        named = {tuple(name.split(":", 1)): values for name, values in arrays.items()}
        kept = {key: values for (part, key), values in named.items() if part == "tallies"}
        names = [key.removeprefix("keys:") for key in kept if key.startswith("keys:")]
        return cls(
            {key: values for (part, key), values in named.items() if part == "rows"},
            {key: values for (part, key), values in named.items() if part == "sums"},
            {name: Tally(kept[f"keys:{name}"], kept[f"counts:{name}"]) for name in names},
            words or {},
        )
