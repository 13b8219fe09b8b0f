"""From an answer to its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import scipy

from ritz.compute.uncertainty.propagation.influence import Influence
from ritz.compute.uncertainty.propagation.propagation import Propagated, Propagation
from ritz.tasks.documents.propagation import AnswerRow, PropagationRecord, RungRow
from ritz.tasks.propagation.question import Question


def record(question: Question, found: Propagated, left_out: Mapping[str, str], wall: float) -> PropagationRecord:
    """Return the record of an answer; parameters as its attributes."""
    seconds, counts, chosen = _spent(found)
    asked, law = question.asked, question.law
    return PropagationRecord(
        about=question.about,
        law=question.changes if law is None else law.document,
        rows=None if law is None else law.rows,
        seed=question.seed,
        question=asked.model_dump(mode="json", exclude_defaults=True),
        level=asked.level,
        rungs=tuple(_rung(found, name, counts.get(name, 0)) for name in found.pilot.prices),
        left_out=dict(left_out),
        chosen=chosen,
        quasi_random=question.leading if found.pilot.quasi_random else 0,
        answers=tuple(_answers(asked, found)),
        reached=found.reached,
        pilot_seconds=found.seconds,
        seconds=seconds,
        wall_seconds=wall,
    )


def _spent(found: Propagated) -> tuple[dict[str, float], dict[str, int], tuple[str, ...]]:
    """Return the seconds and the samples by rung, and the rungs that were taken."""
    if (estimates := found.means or found.deviations) is not None:
        assert found.chain is not None
        names, samples = found.chain.rungs, estimates.samples
        # A rung answers its own term and the one before.
        both = [own + before for own, before in zip(samples, (0, *samples[:-1]), strict=True)]
        return estimates.seconds, dict(zip(names, both, strict=True)), names
    truth = found.pilot.truth
    if (of := found.influence) is not None:
        cheap = of.samples - of.solved
        return of.seconds, {of.rung: cheap, truth: of.solved}, tuple(dict.fromkeys((truth, of.rung)))
    seconds: dict[str, float] = {}
    counts: dict[str, int] = {truth: 0}
    for share in found.shares:
        for name, spent in share.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + spent
    for screen, share in zip(found.screen, found.shares, strict=True):
        counts[truth] += share.solved
        if screen is not None:
            counts[screen.rung] = counts.get(screen.rung, 0) + share.samples
    if found.quantiles:
        seconds[truth], counts[truth] = found.quantiles[0].seconds, found.quantiles[0].samples
    return seconds, counts, tuple(name for name, count in counts.items() if count or name == truth)


def _rung(found: Propagated, name: str, samples: int) -> RungRow:
    pilot = found.pilot
    about = {"name": name, "seconds": pilot.prices[name], "samples": samples}
    if name == pilot.truth:
        return RungRow(**about)
    low, high = pilot.squared_correlation_interval(pilot.truth, name)
    middle = pilot.squared_correlation(pilot.truth, name)
    true, cheap = np.array([(one.mean(), two.mean()) for one, two in pilot.pairs(pilot.truth, name)]).T
    return RungRow(
        **about,
        rho2=tuple((float(one), float(two), float(three)) for one, two, three in zip(middle, low, high, strict=True)),
        bias=tuple(float(c / t - 1) if t else None for c, t in zip(cheap, true, strict=True)),
    )


def _answers(asked: Propagation, found: Propagated) -> Iterator[AnswerRow]:
    pilot, normal = found.pilot, scipy.stats.norm.ppf(0.5 + asked.level / 2)
    price, values = pilot.prices[pilot.truth], pilot.values[pilot.truth]
    spread = values.std(axis=0, ddof=1)
    for number, quantity in enumerate(asked.quantities):
        if (estimates := found.means or found.deviations) is not None:
            width, error = float(estimates.half_width[number]), float(spread[number])
            if found.deviations is not None and error:
                # The standard error of a deviation, to first order, times the root of the samples.
                error = float(((values[:, number] - values[:, number].mean()) ** 2).std(ddof=1)) / (2 * error)
            yield AnswerRow(
                quantity=quantity.name,
                question="mean" if found.means is not None else "standard deviation",
                value=float(estimates.value[number]),
                low=float(estimates.low[number]),
                high=float(estimates.high[number]),
                samples=sum(estimates.samples),
                solved=estimates.samples[0],
                plain_seconds=float((normal * error / width) ** 2 * price) if width else None,
            )
        elif found.shares:
            share = found.shares[number]
            yield AnswerRow(
                quantity=quantity.name,
                question=f"above {asked.above:g}",
                value=share.above / share.samples,
                low=share.low,
                high=share.high,
                samples=share.samples,
                solved=share.solved,
                plain_seconds=share.samples * price,
            )
        elif found.influence is not None:
            yield from _indices(found.influence, number, quantity.name)
        else:
            quantile = found.quantiles[number]
            yield AnswerRow(
                quantity=quantity.name,
                question=f"quantile {asked.quantile:g}",
                value=quantile.value,
                low=quantile.low,
                high=quantile.high,
                samples=quantile.samples,
                solved=quantile.samples,
                plain_seconds=quantile.seconds,
            )


def _indices(found: Influence, number: int, quantity: str) -> Iterator[AnswerRow]:
    """Yield the first-order and the total index of each coordinate."""
    for sort, estimates in (("first", found.indices.first), ("total", found.indices.total)):
        coordinates = estimates.value.shape[1]
        for column in range(coordinates):
            name = f"coordinate {column + 1}" if column < coordinates - 1 else "the rest"
            yield AnswerRow(
                quantity=quantity,
                question=f"{sort} index of {name}",
                value=float(estimates.value[number, column]),
                low=float(estimates.low[number, column]),
                high=float(estimates.high[number, column]),
                samples=found.samples,
                solved=found.solved,
            )
