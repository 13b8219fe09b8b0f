from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.model import Model
from ritz.storage.store import Store
from ritz.tasks.documents.training import TrainedMember, TrainingSummary
from ritz.tasks.training.worker import PARTS, Fitting, finished, keep, left


@dataclass(frozen=True)
class Joining:
    """Trained members of which an ensemble is to be made.

    Attributes
    ----------
    identity
        Of the ensemble.
    ensemble
        What it is.
    members
        What was done for each, the first one first.
    """

    identity: str
    ensemble: Ensemble
    members: tuple[Fitting, ...]


def member_place(identity: str, number: int) -> str:
    """Return under which identity a member of an ensemble is trained: below that of the ensemble, and gone with it."""
    return f"{identity}/members/{number}"


def further(first: Fitting, identity: str, number: int, version: str) -> Fitting:
    """Return what is to be done for a further member: the same on a published version, from another seed.

    A store keeps variables in an order of its own; all members see them in that of the first.
    """
    seed = first.training.seed + number
    streamed = first.version is None
    return replace(
        first,
        identity=member_place(identity, number),
        version=version,
        dataset_identity=None,
        channel=None,
        variables=tuple(map(str, first.problem.template(1).data_vars)) if streamed else None,
        training=first.training.model_copy(update={"seed": seed}),
    )


def join(job: Joining) -> TrainingSummary:
    """Make the ensemble of trained members and keep it as a training of its own; schedule and history are the first's.

    Raises
    ------
    ritz.storage.errors.StorageError
        If what a member left is missing or has other bytes than were written.
    """
    store = Store(job.members[0].store)
    if (done := finished(store, job.identity)) is not None:
        return done
    summaries, models = [], []
    for member in job.members:
        summary = finished(store, member.identity)
        assert summary is not None
        summaries.append(summary)
        blob = left(store, member.identity, ("model.safetensors",))["model.safetensors"]
        models.append(Model.from_bytes(blob, job.ensemble.member))
    model, first = job.ensemble.joined(models), job.members[0]
    summary = summaries[0].changed(
        parameters=model.size,
        seconds=sum(one.seconds for one in summaries),
        members=tuple(_member(*pair) for pair in zip(job.members, summaries, strict=True)),
    )
    if first.fence is not None:
        first.fence.check(store)
    files = left(store, first.identity, PARTS) | {"model.safetensors": model.to_bytes()}
    keep(store, job.identity, files, summary)
    return summary


def _member(job: Fitting, summary: TrainingSummary) -> TrainedMember:
    batches: Literal["stream", "version"] = "version" if job.version is not None else "stream"
    return TrainedMember(seed=job.training.seed, batches=batches, steps=summary.steps, seconds=summary.seconds)
