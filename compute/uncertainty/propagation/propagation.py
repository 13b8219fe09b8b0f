from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import scipy
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ritz.compute.evaluation.quantities.catalogue import AnyQuantity
from ritz.compute.kind import Fault, Kind, in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.uncertainty.propagation.chain import Chain, Pilot
from ritz.compute.uncertainty.propagation.counts import Quantile, Screen, Share, quantiles, screens, share_above
from ritz.compute.uncertainty.propagation.deviations import Deviations, errors, of_moments
from ritz.compute.uncertainty.propagation.influence import Influence, influence
from ritz.compute.uncertainty.propagation.points import FIRST, REPLICATES, pilot
from ritz.compute.uncertainty.propagation.telescope import (
    BLOCK,
    Answered,
    Ask,
    Estimates,
    Telescope,
    Wanted,
    estimated,
)

MOST = 2**24
"""Samples of a rung, at most."""

QUESTIONS = ("deviation", "above", "quantile", "sensitivity")
"""Fields of a question about something else than means."""

Positive = Annotated[float, Field(gt=0)]

TRUTH = "truth"
"""Name of the rung that is the problem itself."""


@dataclass(frozen=True)
class Propagated:
    """An answer about a population.

    Attributes
    ----------
    pilot
        What rungs answer and cost on some samples, that are in no estimate.
    seconds
        Of the pilot, of all rungs and processes.
    chain
        How means or deviations were estimated; None where neither was asked for.
    means, deviations
        The means, or the standard deviations; None where they were not asked for.
    screen, shares
        For each quantity what judged samples far from the threshold, and the share above it.
    quantiles
        Of each quantity.
    influence
        Of the coordinates of the law on each quantity.
    reached
        Whether intervals are as narrow as asked for, or time was up as asked for.
    """

    pilot: Pilot
    seconds: float
    chain: Chain | None = None
    means: Estimates | None = None
    deviations: Estimates | None = None
    screen: tuple[Screen | None, ...] = ()
    shares: tuple[Share, ...] = ()
    quantiles: tuple[Quantile, ...] = ()
    influence: Influence | None = None
    reached: bool = True


class Propagation(Kind):
    """What is asked about the population of a law: means, deviations, a probability or quantiles of quantities.

    Means are a telescoping sum over rungs that a pilot chooses, coarser grids and surrogates among them, or plain
    solves where none pays; on quasi-random points where the law takes coordinates. Standard deviations follow from the
    means of values and squares. Probabilities are counts, with the truth solved where a cheap rung does not tell.
    Quantiles are those of solves. Indices of sensitivity are Sobol'. All intervals hold whatever a surrogate is worth:
    only the time depends on it.
    """

    quantities: tuple[AnyQuantity, ...] = Field(min_length=1, max_length=16)
    """What follows from a field."""
    deviation: bool = False
    """Asks for the standard deviations."""
    above: float | None = None
    """Asks for the probability that the quantities lie above it; in their units."""
    quantile: float | None = Field(default=None, gt=0, lt=1)
    """Asks for the value below which such a share of the population lies."""
    sensitivity: int | None = Field(default=None, ge=1, le=64, json_schema_extra=in_units("coordinates"))
    """Asks for the Sobol' indices of so many leading coordinates of the law, and of the rest of it together."""
    error: Positive | tuple[Positive, ...] | None = None
    """Half width of the intervals to reach, of all quantities or of each: of a mean in the quantity's units."""
    seconds: float | None = Field(default=None, gt=0, le=1e7, json_schema_extra=in_units("s"))
    """Time to spend, the pilot's among it."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the intervals."""
    law: dict[str, Any] = Field(default={})
    """Another law than that of the data: fields of the problem with other values, e.g. ``{sigma: 1.5}``, or ``{kind:
    empirical, dataset: NAME}``, a law of the rows of a dataset, with the parameters of the kind."""
    rungs: tuple[str, ...] | None = None
    """Cheap rungs that may be used; all that there are by default, none where it is empty."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is usual: questions from before there were such fields are the same ones."""
        written: dict[str, Any] = write(self)
        if not self.deviation:
            written.pop("deviation", None)
        if not self.law:
            written.pop("law", None)
        return written

    @property
    def beyond_means(self) -> dict[str, Any]:
        """The fields of a question about something else than means, with their values; empty for means."""
        # A probability may be asked for above 0.
        return {name: value for name in QUESTIONS if (value := getattr(self, name)) is not None and value is not False}

    def faults(self) -> Iterator[Fault]:
        """Yield two questions at once, and an answer without an end; see `Kind.faults`."""
        asked = self.beyond_means
        if len(asked) > 1:
            said = [f"{name} is {'true' if value is True else f'{value:g}'}" for name, value in asked.items()]
            yield Fault(tuple(asked), f"{' and '.join(said)}, expected one of them: each is a question of its own")
        if (self.error is None) == (self.seconds is None):
            given = "neither is given" if self.error is None else f"error is {self.error} and seconds is {self.seconds}"
            yield Fault(("error", "seconds"), f"{given}, expected error or seconds, by which an answer ends")
        for name in ("quantile", "sensitivity"):
            if name in asked and self.error is not None:
                yield Fault(
                    (name, "error"),
                    f"error is {self.error} with {name}, expected seconds: how wide its intervals get is not known "
                    "beforehand",
                )
        if isinstance(self.error, tuple) and len(self.error) != len(self.quantities):
            yield Fault(
                ("error", "quantities"),
                f"error is {self.error}, expected one number, or one for each of {len(self.quantities)} quantities",
            )
        names = [one.name for one in self.quantities]
        if len(set(names)) < len(names):
            yield Fault(("quantities",), f"quantities are {names}, expected each once")

    def unfit(self, problem: Problem) -> str:
        """Return why these are no questions about a problem, in a few words; empty where they are."""
        if reason := problem.unsolvable():
            return reason
        for one in self.quantities:
            if reason := one.unfit(problem):
                return f"{one.name}: {reason}"
        if self.sensitivity is not None and self.sensitivity > problem.leading:
            return (
                f"sensitivity is {self.sensitivity}, expected at most {problem.leading}, the coordinates of the law of "
                f"problem {problem.kind!r}"
            )
        return ""

    def targets(self) -> np.ndarray | None:
        """Return the half width to reach for each quantity, ``(q,)``; None where time decides."""
        return None if self.error is None else np.broadcast_to(np.array(self.error), len(self.quantities))

    def run(self, ask: Ask, rungs: Sequence[str], seed: int, leading: int) -> Propagated:
        """Answer.

        Parameters
        ----------
        ask
            Answers of the rungs.
        rungs
            Their names, the truth first.
        seed
            Of the population.
        leading
            Coordinates of the law that may be given.

        Raises
        ------
        ValueError
            If the time is not enough for the pilot, or for a quantile of so few solves.
        ritz.compute.uncertainty.propagation.rungs.SolveFailed
            If a sample has no answer.
        """
        begun = time.monotonic()
        if self.beyond_means:
            # Exact counts and orders are those of random samples, and the intervals of deviations hold for these.
            leading = 0
        names = [rungs[0]]
        if self.quantile is None:
            names += [name for name in rungs[1:] if self.rungs is None or name in self.rungs]
        compared, spent = self._pilot(ask, names, seed, leading)
        taken = time.monotonic() - begun
        if self.seconds is not None and taken >= self.seconds:
            raise ValueError(
                f"seconds is {self.seconds:g}, expected more than {taken:.2g}: that is what the pilot of "
                f"{REPLICATES * FIRST} samples on {len(names)} rungs took"
            )
        left = None if self.seconds is None else self.seconds - taken
        if self.above is not None:
            return self._shares(ask, compared, spent, seed, left)
        if self.quantile is not None:
            truth, share, level = compared.truth, self.quantile, self.level
            found = quantiles(ask, truth, seed, len(self.quantities), share, level, _clock(left), MOST)
            return Propagated(compared, spent, quantiles=found)
        if self.sensitivity is not None:
            assert left is not None
            indices = influence(ask, compared, seed, self.sensitivity, self.level, left)
            return Propagated(compared, spent, influence=indices)
        targets = self.targets()
        if self.deviation:
            telescope: Telescope = self._deviations(compared, seed, left)
        else:
            chain = _chosen(compared, self._errors(targets), left)
            telescope = Telescope(chain, compared.shifts(chain), seed, leading, self.level)
        estimates = estimated(telescope, ask, targets, _clock(left), MOST)
        answered = Propagated(
            compared, spent, telescope.chain, reached=targets is None or bool(np.all(estimates.half_width <= targets))
        )
        if self.deviation:
            return replace(answered, deviations=estimates)
        return replace(answered, means=estimates)

    def _deviations(self, compared: Pilot, seed: int, left: float | None) -> Deviations:
        about, targets = compared.values[compared.truth].std(axis=0, ddof=1), self.targets()
        columns, centres = of_moments(compared)
        chain = _chosen(columns, self._errors(None if targets is None else errors(targets, about)), left)
        return Deviations(chain, columns.shifts(chain), centres, about, seed, self.level)

    def _errors(self, half_widths: np.ndarray | None) -> np.ndarray | None:
        """Return the standard errors of the half widths of intervals; None where time decides."""
        return None if half_widths is None else half_widths / scipy.stats.norm.ppf(0.5 + self.level / 2)

    def _shares(self, ask: Ask, compared: Pilot, spent: float, seed: int, left: float | None) -> Propagated:
        """Count each quantity by itself, as another screen may do for it, in an equal part of the time that is left."""
        assert self.above is not None
        chosen, shares, targets = [], [], self.targets()
        for number in range(len(self.quantities)):
            screen = next((one for one, _ in screens(compared, number, self.above)), None)
            target = None if targets is None else float(targets[number])
            clock = _clock(None if left is None else left / len(self.quantities))
            shares.append(
                share_above(ask, compared.truth, seed, number, self.above, screen, self.level, target, clock, MOST)
            )
            chosen.append(screen)
        reached = targets is None or all(one.half_width <= end for one, end in zip(shares, targets, strict=True))
        return Propagated(compared, spent, screen=tuple(chosen), shares=tuple(shares), reached=reached)

    def _pilot(self, ask: Ask, names: Sequence[str], seed: int, leading: int) -> tuple[Pilot, float]:
        """Compare the rungs; return how, and the seconds that took.

        A rung that costs as much as the truth is in no chain: it is asked for the first samples alone.
        """
        points, size = pilot(seed, leading), BLOCK // 4
        parts = [points.taken(slice(first, first + size)) for first in range(0, len(points), size)]
        found: dict[str, list[Answered]] = {name: [] for name in names}

        def answer(rungs: Sequence[str], numbers: Sequence[int]) -> None:
            answered = list(ask(Wanted(0, (name,), number, parts[number]) for name in rungs for number in numbers))
            for one in sorted(answered, key=lambda one: one.asked.replicate):
                found[one.asked.rungs[0]].append(one)

        def price(name: str) -> float:
            # The least of some parts: the first one loads what the others find there.
            return min(one.seconds[0] / len(one.asked.points) for one in found[name])

        truth = names[0]
        answer(names, [0])
        answer([truth], range(1, len(parts)))
        # A first answer may have loaded something: who is dear then gets another chance.
        doubtful = [name for name in names[1:] if price(name) >= price(truth)]
        answer(doubtful, [1])
        dear = [name for name in doubtful if price(name) >= price(truth)]
        for name in names[1:]:
            if name not in dear:
                answer([name], range(len(found[name]), len(parts)))
        values = {name: np.concatenate([one.values[0] for one in found[name]]) for name in names}
        compared = Pilot(
            {name: values[name] for name in names if name not in dear},
            {name: price(name) for name in names},
            bool(leading),
            {name: values[name] for name in dear},
        )
        return compared, sum(sum(one.seconds) for several in found.values() for one in several)


def _chosen(compared: Pilot, precise: np.ndarray | None, left: float | None) -> Chain:
    """Return the chain for standard errors to reach, or that gets furthest in the time that is left."""
    if precise is not None:
        return compared.best(precise)
    assert left is not None
    return compared.best_within(left)


def _clock(seconds: float | None) -> Callable[[], bool]:
    """Return what tells between two steps whether time is up: each step takes as long as all before it."""
    begun = time.monotonic()
    return lambda: seconds is not None and 2 * (time.monotonic() - begun) > seconds
