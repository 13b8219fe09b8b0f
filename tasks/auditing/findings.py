from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ritz.tasks.auditing.audit_record import FindingRow, WorstValue

CHECKS = {
    "objects": "the files that describe the version have the bytes they were published with",
    "history": "every file of all states, and every branch and tag, is as it was when a version was last published",
    "checksums": "every chunk is there, can be read and has its crc32c",
    "coordinates": "equal to those of the problem",
    "ids": "each once",
    "splits": "the one that the recipe gives the id",
    "ledger": "ok samples: finite, recorded residual at most rtol; failed ones: a reason, outputs NaN throughout",
    "inputs": "drawn again, equal bit for bit",
    "residuals": "recomputed in float64, at most rtol + unit * || |A| |u| || / ||b||, unit 2^-24 for float32",
    "boundary": "as residuals, over the equations that hold boundary and initial conditions",
    "again": "solved again, relative L2 difference at most unit + rtol + 10 * sensitivity",
}
"""What is checked, in this order, and what is expected."""

SOLVED = ("inputs", "residuals", "boundary", "again")
"""Of these the checks that there are not for data that were solved elsewhere; see `ritz audit --as`."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as expected, by name.

    Attributes
    ----------
    check
        One of `CHECKS`.
    what
        What is wrong.
    variable, shard, samples, object
        Where, as far as it is known: an array, a shard, ids of samples, the path of a file relative to the store.
    """

    check: str
    what: str
    variable: str | None = None
    shard: int | None = None
    samples: tuple[int, ...] = ()
    object: str | None = None

    def __str__(self) -> str:
        named = [f"shard {self.shard}" if self.shard is not None else "", self.variable or "", _listed(self.samples)]
        return ": ".join([self.check, " ".join(filter(None, named)), *filter(None, [self.object]), self.what])

    def row(self) -> FindingRow:
        """Return it as a record holds it."""
        return FindingRow(
            check=self.check,
            variable=self.variable,
            shard=self.shard,
            samples=self.samples,
            object=self.object,
            what=self.what,
            text=str(self),
        )


def _listed(samples: tuple[int, ...]) -> str:
    if not samples:
        return ""
    more = f" and {len(samples) - 8} more" if len(samples) > 8 else ""
    return f"sample{'s' if len(samples) > 1 else ''} {', '.join(map(str, samples[:8]))}{more}"


@dataclass(frozen=True)
class Worst:
    """The value of a check that came nearest to its bound, or went furthest beyond it."""

    value: float
    bound: float
    sample: int

    @property
    def share(self) -> float:
        """The value in units of its bound; infinite if it is NaN."""
        share = self.value / self.bound if self.bound else np.inf if self.value else 0.0
        return share if share == share else np.inf

    def written(self) -> WorstValue:
        """Return it as a record holds it."""
        return WorstValue(value=_number(self.value), bound=_number(self.bound), sample=self.sample)


@dataclass(frozen=True)
class Outcome:
    """What a check found."""

    checked: int = 0
    bad: int = 0
    worst: Worst | None = None
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, findings: Iterable[Finding], checked: int) -> Outcome:
        """Return the outcome of a check whose every finding names the samples or the one thing that is bad."""
        findings = tuple(findings)
        return cls(checked, sum(max(1, len(finding.samples)) for finding in findings), None, findings)

    @classmethod
    def bounded(
        cls,
        check: str,
        shard: int,
        ids: np.ndarray,
        values: np.ndarray,
        bounds: np.ndarray,
        variable: str | None = None,
    ) -> Outcome:
        """Compare ``(n,)`` values of samples with their bounds; NaN is beyond any."""
        if not len(ids):
            return cls()
        share = np.divide(values, bounds, out=np.full(len(ids), np.inf), where=bounds > 0)
        first = int(np.argmax(np.where(np.isnan(share), np.inf, share)))
        worst = Worst(float(values[first]), float(bounds[first]), int(ids[first]))
        bad = ~(values <= bounds)
        if not bad.any():
            return cls(len(ids), 0, worst)
        what = f"{worst.value:.3g} is above {worst.bound:.3g}" + (", the worst of them" if bad.sum() > 1 else "")
        finding = Finding(check, what, variable, shard, tuple(ids[bad].tolist()))
        return cls(len(ids), int(bad.sum()), worst, (finding,))


Outcomes = Mapping[str, Outcome]
"""Outcomes by the name of the check."""


def join(parts: Iterable[Outcomes]) -> dict[str, Outcome]:
    """Return the outcomes of all parts together, in the order of `CHECKS`."""
    found: dict[str, list[Outcome]] = {check: [] for check in CHECKS}
    for part in parts:
        for check, outcome in part.items():
            found[check].append(outcome)
    return {check: _sum(outcomes) for check, outcomes in found.items() if outcomes}


def _sum(outcomes: list[Outcome]) -> Outcome:
    worst = max((one.worst for one in outcomes if one.worst), key=lambda one: one.share, default=None)
    findings = tuple(finding for one in outcomes for finding in one.findings)
    return Outcome(sum(one.checked for one in outcomes), sum(one.bad for one in outcomes), worst, findings)


def _number(value: float) -> float | None:
    """Return a number of three digits as JSON can hold it; None if it is not finite."""
    return float(f"{value:.3g}") if np.isfinite(value) else None
