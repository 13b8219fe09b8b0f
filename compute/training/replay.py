from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.surrogates.weights import weights
from ritz.compute.training.parts.curve import Record
from ritz.compute.training.parts.trace import machine
from ritz.compute.training.replay_comparison import Comparison, MachineDifference, StepDifference
from ritz.compute.training.run import seeded
from ritz.compute.training.samples.block import Block
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.training import Training
from ritz.compute.training.training_record import EXACT, TrainingMachine

TOLERANCE = 0.02
"""Largest relative difference of a loss of the curve on another machine, or with other threads or versions.

Rounding differs there, and the steps amplify it: with two threads instead of one the curve of 96 steps of a small FNO
moved by 3e-7 (measured). In a long training it may move by more, so agreement is evidence and no proof: one other
sample in one late step can stay below the bound.
"""


@dataclass(frozen=True)
class Recorded:
    """What a training left behind.

    Attributes
    ----------
    schedule
        ``(steps, batch)`` int64, the sample ids of every step.
    losses
        ``(steps,)`` float64.
    curve
        Records of the training.
    validation
        Ids of the samples of the validation error, in the order in which they came.
    total
        Steps that the schedule of the learning rate was made for.
    machines
        On what each part of it was done.
    model
        What came of it.
    """

    schedule: np.ndarray
    losses: np.ndarray
    curve: list[Record]
    validation: np.ndarray
    total: int
    machines: list[TrainingMachine]
    model: Model


@dataclass(frozen=True)
class Replayed:
    """A training that was done again.

    Attributes
    ----------
    losses, curve
        As in `Recorded`.
    machines
        On what each part of it was done; as many as there are recorded.
    model
        What came of it.
    """

    losses: np.ndarray
    curve: list[Record]
    machines: list[TrainingMachine]
    model: Model


def replay(
    training: Training,
    symmetries: str,
    recorded: Recorded,
    steps: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]],
    validation: Mapping[str, np.ndarray],
    *,
    problem: Problem | None = None,
    start: Model | None = None,
    device: str = "cpu",
    threads: int | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Replayed:
    """Do the steps of a training again: from the same initial weights, on the same samples.

    The number of threads is that with which each step was done, as far as torch takes it; it is as before afterwards.

    Parameters
    ----------
    training
        Its configuration.
    symmetries
        Attribute of the dataset; see `Problem.template`.
    recorded
        What is done again; its losses are not looked at.
    steps
        Yields ids ``(batch,)`` and fields ``(batch, *dims)`` of the steps of ``recorded.schedule``.
    validation
        Fields of ``recorded.validation``.
    problem
        For the losses that need its equations.
    start
        Model whose weights it began with; None where they were drawn.
    device
        Where to do it.
    threads
        Take so many instead.
    progress
        Called with the number of steps done and the loss after each.
    """
    import torch

    before = torch.get_num_threads()
    begins = {one.first: one for one in recorded.machines}
    shown = {record.step: record.validation for record in recorded.curve}
    machines: list[TrainingMachine] = []
    try:
        with seeded(training.seed, device):
            loop = training.loop(
                recorded.model.surrogate,
                recorded.model.normalisation,
                symmetries,
                recorded.total,
                refill=_never,
                around=Surroundings(problem, device),
            )
            if start is not None:
                loop.action.start(start)
            for ids, fields in steps:
                if loop.step in begins:
                    torch.set_num_threads(threads or begins[loop.step].threads or before)
                    machines.append(machine(loop.action.device).since(loop.step))
                known = shown.get(loop.step + 1, len(loop.validation))
                if known != len(loop.validation):
                    # As many as had arrived when the record was made.
                    part = {name: values[:known] for name, values in validation.items()}
                    loop.validation.replace(recorded.validation[:known], part)
                loss = loop.learn(ids, fields)
                if progress is not None:
                    progress(loop.step, loss)
            loop.settle()
            return Replayed(np.array(loop.trace.losses), loop.curve.records, machines, loop.finish())
    finally:
        torch.set_num_threads(before)


def _never(ids: np.ndarray) -> Block:
    raise AssertionError(f"a replay has no checkpoint, but was asked for {ids}")


def compare(recorded: Recorded, again: Replayed) -> Comparison:
    """Compare a replay with what was recorded, bit for bit where machine, versions and threads are the same."""
    differing = _differing(recorded.machines, again.machines)
    unequal = np.flatnonzero(recorded.losses != again.losses)
    first = int(unequal[0]) if len(unequal) else None
    pairs = _pairs(recorded.curve, again.curve)
    curve = max((_relative(one, other) for one, other in pairs), default=0.0)
    before, after = weights(recorded.model.module), weights(again.model.module)
    same_tensors = {name: before[name].shape for name in before} == {name: after[name].shape for name in after}
    moved = max(_moved(before[name], after[name]) for name in before) if same_tensors else math.inf
    same_weights = same_tensors and all(np.array_equal(before[name], after[name]) for name in before)
    equal = first is None and curve == 0.0 and same_weights
    exact = not differing
    return Comparison(
        agrees=equal if exact else curve <= TOLERANCE,
        exact=exact,
        differing=differing,
        tolerance=None if exact else TOLERANCE,
        equal=equal,
        first_difference=None
        if first is None
        else StepDifference(
            step=first + 1, recorded=float(recorded.losses[first]), replayed=float(again.losses[first])
        ),
        steps=len(recorded.losses),
        steps_differing=len(unequal),
        records=len({record.step for record in recorded.curve} & {record.step for record in again.curve}),
        curve_difference=curve,
        weights_difference=moved,
        tensors=len(before),
    )


def stack(ids: np.ndarray, samples: Mapping[int, Arrays]) -> Arrays:
    """Return the fields of samples ``(n, *dims)`` in the order of ``ids``; empty for none."""
    names = samples[int(ids[0])] if len(ids) else ()
    return {name: np.stack([samples[int(one)][name] for one in ids]) for name in names}


def _differing(recorded: list[TrainingMachine], here: list[TrainingMachine]) -> tuple[MachineDifference, ...]:
    """Return what is not as recorded, each once; and a device other than the processor, which promises no bits."""
    found: list[MachineDifference] = []
    for then, now in zip(recorded, here, strict=True):
        for what in EXACT:
            entry = MachineDifference(what=what, recorded=getattr(then, what), here=getattr(now, what))
            other = entry.recorded != entry.here or (what == "device" and entry.here != "cpu")
            if other and entry not in found:
                found.append(entry)
    return tuple(found)


def _pairs(recorded: list[Record], again: list[Record]) -> list[tuple[float, float]]:
    """Return the losses and validation errors that both curves have at one step."""
    replayed = {record.step: record for record in again}
    pairs = []
    for record in recorded:
        if record.step not in replayed:
            continue
        other = replayed[record.step]
        pairs.append((record.loss, other.loss))
        if record.validate is not None and other.validate is not None:
            pairs.append((record.validate, other.validate))
    return pairs


def _relative(one: float, other: float) -> float:
    return abs(one - other) / max(abs(one), 1e-300)


def _moved(one: np.ndarray, other: np.ndarray) -> float:
    if not one.size:
        return 0.0
    return float(np.abs(one - other).max() / max(float(np.abs(one).max()), 1e-30))
