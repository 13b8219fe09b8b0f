from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from ritz.compute.cluster.cluster import Notifier
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.catalogue import AnyTraining
from ritz.compute.training.parts.curve import Record
from ritz.compute.training.replay import Recorded, compare, replay, stack
from ritz.compute.training.training import Training
from ritz.compute.training.training_record import TrainingMachine
from ritz.storage import models
from ritz.storage.cached import CachedSamples
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, StorageError, Unknown
from ritz.storage.selection import Selection
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.training import History
from ritz.tasks.parsing.recorded_problem import problem_of
from ritz.tasks.training.replay_record import ComparedReplay
from ritz.tasks.training.starting import started

AHEAD = 32
"""Steps whose samples are read together."""


@dataclass(frozen=True)
class Replaying:
    """A training to be done again.

    Attributes
    ----------
    model
        ``NAME@VERSION``, what came of it.
    surrogate
        What learnt the model, where its class is not registered.
    threads
        Threads of torch, instead of as many as there were.
    device
        Where to do it.
    topic
        Under which progress is told.
    """

    store: str
    model: str
    topic: str
    surrogate: Surrogate | None = None
    threads: int | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Kept:
    """What the store has of a training: what was recorded, the samples that its schedule names, and its start."""

    training: Training
    problem: Problem | None
    symmetries: str
    recorded: Recorded
    samples: CachedSamples
    start: Model | None = None


def again(job: Replaying) -> ComparedReplay:
    """Do a training again from its schedule and snapshot, and compare."""
    kept = opened(Store(job.store), job.model, job.surrogate)
    tell, steps = Notifier(job.topic), len(kept.recorded.schedule)

    def progress(step: int, loss: float) -> None:
        tell({"step": step, "loss": loss}, last=step == steps)

    return done_again(kept, threads=job.threads, device=job.device, progress=progress)


def done_again(
    kept: Kept,
    *,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> ComparedReplay:
    """Do a training again and compare; the options are those of `ritz.compute.training.replay.replay`."""
    start, recorded = time.monotonic(), kept.recorded
    validation = stack(recorded.validation, kept.samples.read(recorded.validation))
    steps = batches(recorded.schedule, kept.samples)
    replayed = replay(
        kept.training,
        kept.symmetries,
        recorded,
        steps,
        validation,
        problem=kept.problem,
        start=kept.start,
        device=device,
        threads=threads,
        progress=progress,
    )
    return ComparedReplay(
        **compare(recorded, replayed).entries(),
        machines=tuple(recorded.machines),
        here=tuple(replayed.machines),
        seconds=time.monotonic() - start,
    )


def batches(schedule: np.ndarray, samples: CachedSamples) -> Iterator[tuple[np.ndarray, Arrays]]:
    """Yield ids and fields of every step; the samples of some steps are read together."""
    for start in range(0, len(schedule), AHEAD):
        window = schedule[start : start + AHEAD]
        fields = samples.read(window.ravel())
        for ids in window:
            yield ids, stack(ids, fields)


def opened(store: Store, spec: str, surrogate: Surrogate | None = None) -> Kept:
    """Read what a training left behind and look that all of its samples are there; fields are not read yet.

    Of an ensemble it is the training of the first member.

    Raises
    ------
    ritz.storage.errors.StorageError
        As `found`.
    """
    left = found(store, spec)
    model = Model.from_bytes(left.blob, surrogate)
    recorded = Recorded(
        schedule=left.schedule,
        losses=left.losses,
        curve=[Record(**row) for row in left.history.curve],
        validation=left.validation,
        total=left.total,
        machines=list(left.machines),
        model=model.surrogate.first(model),
    )
    recipe = left.card.recipe
    training: Training = TypeAdapter(AnyTraining).validate_python(recipe["training"])
    start = started(store, training, surrogate)
    return Kept(training, problem_of(recipe), left.symmetries, recorded, left.samples, start)


@dataclass(frozen=True)
class Found:
    """What the store has of a training, before its network is built."""

    card: Card
    history: History
    total: int
    machines: tuple[TrainingMachine, ...]
    schedule: np.ndarray
    losses: np.ndarray
    blob: bytes
    symmetries: str
    samples: CachedSamples

    @property
    def validation(self) -> np.ndarray:
        """Ids of the samples of the validation error."""
        return np.array(self.history.validation, np.int64)


def found(store: Store, spec: str) -> Found:
    """Look for all that a replay needs; no field of a sample is read, and no network built.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model, or the snapshot it was trained on or a sample of the schedule is gone.
    ritz.storage.errors.Refused
        If the model was trained by a release that did not record its losses.
    ritz.storage.errors.StorageError
        If the schedule or the losses are none.
    """
    files, _ = models.load(store, spec)
    card, history = of_model.card(store, spec), of_model.history(store, spec)
    missing = [name for name in ("schedule.npy", "losses.npy", of_model.HISTORY) if name not in files]
    if missing or history is None or history.machines is None or history.total is None:
        lost = missing[0] if missing else f"machines in {of_model.HISTORY}"
        raise Refused(
            f"model {spec}: {lost} is not there, so its training cannot be compared; an older release registered it: "
            "train it again"
        )
    schedule, losses = (_array(spec, files, name) for name in ("schedule.npy", "losses.npy"))
    if schedule.ndim != 2 or schedule.dtype.kind != "i" or losses.shape != schedule.shape[:1]:
        raise StorageError(
            f"model {spec}: schedule.npy has the shape {schedule.shape} and losses.npy {losses.shape}; expected "
            "(steps, batch) and (steps,)"
        )
    data = card.dataset
    snapshot = f"dataset {data.spec}, snapshot {data.snapshot}"
    try:
        samples = CachedSamples(Selection(store, f"{data.name}@{data.snapshot}", splits=None))
        attrs = Dataset.open(store, data.name).at(data.snapshot).attrs
    except Unknown as error:
        raise Unknown(f"model {spec} was trained on {snapshot}, which is gone: {error}") from error
    left = Found(
        card=card,
        history=history,
        total=history.total,
        machines=history.machines,
        schedule=schedule,
        losses=losses,
        blob=files["model.safetensors"],
        symmetries=str(attrs.get("symmetries", "none")),
        samples=samples,
    )
    for what, ids in (("the schedule", schedule), ("the validation", left.validation)):
        if len(gone := samples.missing(ids)):
            raise Unknown(
                f"sample {gone[0]}, which {what} of model {spec} names, is not among the good samples of {snapshot} "
                f"({len(gone)} of them are not)"
            )
    return left


def _array(spec: str, files: dict[str, bytes], name: str) -> np.ndarray:
    try:
        read: np.ndarray = np.load(io.BytesIO(files[name]), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise StorageError(f"model {spec}: {name} cannot be read: {error}") from error
    return read
