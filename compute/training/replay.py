from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model, weights
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.loop import Loop
from ritz.compute.training.parts.trace import EXACT, machine
from ritz.compute.training.run import seeded
from ritz.compute.training.training import Training

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
        Records of the training; see `ritz.compute.training.loop.Loop`.
    validation
        Ids of the samples of the validation error, in the order in which they came.
    total
        Steps that the schedule of the learning rate was made for.
    machines
        See `ritz.compute.training.parts.trace.Trace`.
    model
        What came of it.
    """

    schedule: np.ndarray
    losses: np.ndarray
    curve: list[dict[str, Any]]
    validation: np.ndarray
    total: int
    machines: list[dict[str, Any]]
    model: Model


@dataclass(frozen=True)
class Replayed:
    """A training that was done again.

    Attributes
    ----------
    losses, curve
        As in `Recorded`.
    machines
        On what each part of it was done, with ``first``; as many as there are recorded.
    model
        What came of it.
    """

    losses: np.ndarray
    curve: list[dict[str, Any]]
    machines: list[dict[str, Any]]
    model: Model


def replay(
    training: Training,
    symmetries: str,
    recorded: Recorded,
    steps: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]],
    validation: Mapping[str, np.ndarray],
    *,
    problem: Problem | None = None,
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
    device
        Where to do it.
    threads
        Take so many instead.
    progress
        Called with the number of steps done and the loss after each.
    """
    import torch

    before = torch.get_num_threads()
    begins = {one["first"]: one for one in recorded.machines}
    shown = {record["step"]: record["validation"] for record in recorded.curve}
    machines: list[dict[str, Any]] = []
    try:
        with seeded(training.seed, device):
            surrogate, normalisation = recorded.model.surrogate, recorded.model.normalisation
            loop = Loop(training, surrogate, normalisation, symmetries, recorded.total, problem=problem, device=device)
            where = str(next(loop.module.parameters()).device)
            for ids, fields in steps:
                if loop.step in begins:
                    torch.set_num_threads(threads or begins[loop.step]["threads"])
                    machines.append({"first": loop.step, **machine(where)})
                known = shown.get(loop.step + 1, len(loop.validation_ids))
                if known != len(loop.validation_ids):
                    # As many as had arrived when the record was made.
                    part = {name: values[:known] for name, values in validation.items()}
                    loop.set_validation(recorded.validation[:known], part)
                loss = loop.learn(ids, fields)
                if progress is not None:
                    progress(loop.step, loss)
            loop.settle()
            return Replayed(np.array(loop.trace.losses), loop.curve, machines, loop.finish())
    finally:
        torch.set_num_threads(before)


def compare(recorded: Recorded, again: Replayed) -> dict[str, Any]:
    """Compare a replay with what was recorded, bit for bit where machine, versions and threads are the same.

    Returns
    -------
    dict
        JSON-able. ``exact``: whether bits were compared; ``differing``: what of the machine is not as recorded, as
        ``{"what", "recorded", "here"}``; ``tolerance``: None if exact, else `TOLERANCE`, for the losses of the curve;
        ``agrees``: the verdict; ``equal``: whether all bits are equal, losses, curve and weights;
        ``first_difference``: the first step whose loss is another, ``{"step", "recorded", "replayed"}`` with the first
        step 1, or None; ``steps``; ``steps_differing``; ``records``: those of the curve that were compared;
        ``curve_difference``: largest relative difference of their losses and validation errors;
        ``weights_difference``: largest of a weight over the largest weight of its tensor; ``tensors``.
    """
    differing = _differing(recorded.machines, again.machines)
    unequal = np.flatnonzero(recorded.losses != again.losses)
    first = int(unequal[0]) if len(unequal) else None
    pairs = _pairs(recorded.curve, again.curve)
    curve = max((_relative(one, other) for one, other in pairs), default=0.0)
    before, after = weights(recorded.model.module), weights(again.model.module)
    moved = max(_moved(before[name], after[name]) for name in before)
    same_weights = all(np.array_equal(before[name], after[name]) for name in before)
    equal = first is None and curve == 0.0 and same_weights
    exact = not differing
    return {
        "agrees": equal if exact else curve <= TOLERANCE,
        "exact": exact,
        "differing": differing,
        "tolerance": None if exact else TOLERANCE,
        "equal": equal,
        "first_difference": None
        if first is None
        else {
            "step": first + 1,
            "recorded": float(recorded.losses[first]),
            "replayed": float(again.losses[first]),
        },
        "steps": len(recorded.losses),
        "steps_differing": len(unequal),
        "records": len({record["step"] for record in recorded.curve} & {record["step"] for record in again.curve}),
        "curve_difference": curve,
        "weights_difference": moved,
        "tensors": len(before),
    }


def stack(ids: np.ndarray, samples: Mapping[int, Arrays]) -> Arrays:
    """Return the fields of samples ``(n, *dims)`` in the order of ``ids``; empty for none."""
    names = samples[int(ids[0])] if len(ids) else ()
    return {name: np.stack([samples[int(one)][name] for one in ids]) for name in names}


def _differing(recorded: list[dict[str, Any]], here: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is not as recorded, each once; and a device other than the processor, which promises no bits."""
    found: list[dict[str, Any]] = []
    for then, now in zip(recorded, here, strict=True):
        for what in EXACT:
            entry = {"what": what, "recorded": then.get(what), "here": now[what]}
            if (then.get(what) != now[what] or (what == "device" and now[what] != "cpu")) and entry not in found:
                found.append(entry)
    return found


def _pairs(recorded: list[dict[str, Any]], again: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return the losses and validation errors that both curves have at one step."""
    replayed = {record["step"]: record for record in again}
    return [
        (record[name], replayed[record["step"]][name])
        for record in recorded
        if record["step"] in replayed
        for name in ("loss", "validate")
        if record[name] is not None and replayed[record["step"]][name] is not None
    ]


def _relative(one: float, other: float) -> float:
    return abs(one - other) / max(abs(one), 1e-300)


def _moved(one: np.ndarray, other: np.ndarray) -> float:
    if not one.size:
        return 0.0
    return float(np.abs(one - other).max() / max(float(np.abs(one).max()), 1e-30))
