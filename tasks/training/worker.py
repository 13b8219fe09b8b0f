from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.cluster.cluster import Notifier
from ritz.compute.document import Json
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.tensors import pack
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.checkpoint import Corrupt
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.training import Fit, Training
from ritz.storage import models, sealed
from ritz.storage.errors import Damaged
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents.card import Card, ModelVersion, Origin, Variable
from ritz.tasks.documents.reading import read as read_document
from ritz.tasks.documents.training import Arrival, Best, History, TrainingMachine, TrainingSummary
from ritz.tasks.measuring import novelty_worker as novelty
from ritz.tasks.training.epochs import passes
from ritz.tasks.training.lease_guard import Fence
from ritz.tasks.training.ranks import joined
from ritz.tasks.training.source import Source

CHECKPOINT_EVERY = 10.0
"""Seconds between two checkpoints."""

PARTS = ("model.safetensors", "schedule.npy", "losses.npy", "history.json")
"""What is kept of a training, under ``fits/<identity>/`` and with the model."""

_SUMMARY = "summary.json"


@dataclass(frozen=True)
class Fitting:
    """A training to do: what the train worker is given.

    Attributes
    ----------
    identity
        Identity of the model; what is kept of the training lies under ``fits/<identity>/`` in the store.
    dataset
        Name of the dataset; with ``version`` for offline training, growing under one's eyes without.
    shards
        Number of shards that will arrive, at all ranks.
    samples
        Number of training samples among them.
    dataset_identity
        Identity of the growing dataset: what another recipe made under its name is never learnt from. None with
        ``version``.
    channel
        Channel on which solved shards arrive, or None for offline training.
    device
        Where the network and the batches lie: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    fence
        The driver's lock: without it nothing is written.
    rank, rendezvous
        With several ``training.ranks``, which of them this is, and where they meet (`ritz.compute.cluster.rendezvous`).
    """

    identity: str
    store: str
    dataset: str
    version: str | None
    problem: Problem
    surrogate: Surrogate
    training: Training
    shards: int
    samples: int
    seed: int
    dataset_identity: str | None
    channel: str | None
    device: str = "cpu"
    fence: Fence | None = None
    rank: int = 0
    rendezvous: str | None = None


def fit(job: Fitting) -> TrainingSummary:
    """Train, from a channel while shards are solved or from a published version; return a summary.

    Goes on from the checkpoint if there is one. The model, its history and the schedule stay in the store, where the
    first of several ranks puts them.
    """
    store = Store(job.store)
    with joined(job.rendezvous, job.rank, job.training.ranks, job.device) as group:
        return kept(
            store, job.identity, lambda **around: _fit(job, group=group, **around), job.fence, silent=job.rank > 0
        )


def kept(
    store: Store, identity: str, work: Callable[..., Fit], fence: Fence | None = None, *, silent: bool = False
) -> TrainingSummary:
    """Do a training of which model, history, schedule and checkpoints lie under ``fits/<identity>/``.

    Parameters
    ----------
    work
        Trains with ``load``, ``save``, ``progress`` and ``save_every_s`` of `ritz.compute.training.run.Surroundings`;
        not called where the training is finished.
    fence
        The driver's lock: without it nothing is written.
    silent
        Leave it to another rank of the same training to tell how far it is and to write what came out.

    Raises
    ------
    ritz.storage.errors.Damaged
        If the checkpoint, or what a finished training left, has other bytes than were written.
    ritz.storage.errors.Refused
        If the driver has lost its lock.
    """
    folder, tell = f"fits/{identity}", Notifier(identity)
    checkpoint = f"{folder}/checkpoint.safetensors"
    # Where the training was killed between the summary and its seal, it goes on from its last checkpoint.
    if store.exists(f"{folder}/{_SUMMARY}") and (ended := sealed.Sealed(store, folder, _SUMMARY)).complete:
        done = read_document(TrainingSummary, ended.document, store.location(f"{folder}/{_SUMMARY}"))
        if not silent:
            tell({"step": done.steps, "loss": None}, last=True)
        return done

    def check() -> None:
        if fence is not None:
            fence.check(store)

    def save(blob: bytes) -> None:
        check()
        store.write(checkpoint, blob)

    try:
        fitted = work(
            load=lambda: store.read(checkpoint) if store.exists(checkpoint) else None,
            save=save,
            progress=lambda state: None if silent else tell(state),
            save_every_s=CHECKPOINT_EVERY,
        )
    except Corrupt as error:
        raise Damaged(f"{store.location(checkpoint)}: {error}") from error
    history = History(
        curve=tuple(fitted.curve),
        received=tuple(Arrival(shard=shard, time=when) for shard, when in fitted.received.items()),
        validation=tuple(fitted.validation.tolist()),
        total=fitted.total,
        **fitted.trace.document(),
    )
    summary = TrainingSummary(
        steps=len(fitted.schedule),
        first_step=fitted.curve[0]["time"],
        last_step=fitted.curve[-1]["time"],
        parameters=sum(weights.numel() for weights in fitted.model.module.parameters()),
        waited=fitted.waited,
        seconds=fitted.trace.seconds,
        machines=tuple(TrainingMachine(**machine) for machine in fitted.trace.machines),
        samples_received=fitted.curve[-1]["received"],
        any_grid=fitted.model.surrogate.any_grid,
        stopped=fitted.stopped,
        best=None if fitted.best is None else Best(**fitted.best),
        unseen=fitted.unseen,
    )
    if silent:
        return summary
    # Which may not be the last one that was asked for: a training stops early.
    tell({"step": summary.steps, "loss": fitted.curve[-1]["loss"]}, last=True)
    files = {
        "model.safetensors": fitted.model.to_bytes(),
        "schedule.npy": _npy(fitted.schedule),
        "losses.npy": _npy(np.array(fitted.trace.losses)),
        "history.json": json.dumps(history.document()).encode(),
    }
    check()
    sealed.write(store, folder, _SUMMARY, files, summary.document(), new=False)
    return summary


def left(store: Store, identity: str, names: Iterable[str]) -> dict[str, bytes]:
    """Return some of the files that a finished training left, by name.

    Raises
    ------
    ritz.storage.errors.StorageError
        If one is missing or has other bytes than were written.
    """
    found = sealed.Sealed(store, f"fits/{identity}", _SUMMARY)
    return {name: found.file(name) for name in names}


def _fit(job: Fitting, **keeping: Any) -> Fit:
    """Train on the samples in the way that the kind of training asks for."""
    store, source = Store(job.store), Source(job)
    around = {"refill": source.refill, "problem": job.problem, "device": job.device, **keeping}
    if isinstance(job.training, Offline):
        samples = passes(store, f"{job.dataset}@{job.version}", job.training)
        return job.training.fit(job.surrogate, source.template(), samples, **around)
    assert isinstance(job.training, Online)
    return job.training.fit(job.surrogate, source.template(), source.arrivals, samples=job.samples, **around)


def register(store_url: str, identity: str, name: str, origin: Origin) -> ModelVersion:
    """Make a finished training a version of the model ``name``; the same identity again gives the same version.

    The card gets the variables and the grid of the dataset that ``origin`` names. Beside it lies what tells
    inputs that are unlike those of the training (`ritz.tasks.measuring.novelty_worker`), and where the grid is a mesh
    its coordinates, in ``mesh.safetensors``.
    """
    store = Store(store_url)
    data = read(store, origin.dataset.spec)
    card = Card.model_validate({**origin.entries(), **_interface(data), "identity": identity})
    files = left(store, identity, PARTS) | {novelty.FILE: novelty.of_inputs(data).to_bytes()}
    beside = {str(coordinate): value for coordinate, value in data.coords.items() if _is_mesh(value)}
    if beside:
        about = {name: {"dims": list(value.dims), "attrs": _texts(value)} for name, value in beside.items()}
        files["mesh.safetensors"] = pack({name: value.values for name, value in beside.items()}, about)
    version = models.save(store, name, files, card.document())
    return ModelVersion(name=version.name, version=version.version)


def _interface(data: xr.Dataset) -> Json:
    """Return the entries of a card that say what a model takes and gives."""
    dimensions = Dimensions.of(data)
    described: dict[str, dict[str, Variable]] = {"input": {}, "output": {}}
    for name, dims in dimensions.variables.items():
        entry = Variable(dims=tuple(dims), dtype=str(data[name].dtype), attrs=_texts(data[name]))
        described[data[name].attrs["role"]][name] = entry
    with_positions = [dim for dim in dimensions.sizes if dim in data.coords]
    return {
        "inputs": described["input"],
        "outputs": described["output"],
        "space": list(dimensions.space),
        "sizes": dimensions.sizes,
        "grid": {dim: data[dim].values.tolist() for dim in with_positions},
        "coordinates": {dim: _texts(data[dim]) for dim in with_positions},
    }


def _texts(variable: xr.DataArray) -> dict[str, str]:
    return {key: value for key, value in variable.attrs.items() if isinstance(value, str)}


def _is_mesh(coordinate: xr.DataArray) -> bool:
    return "sample" not in coordinate.dims and coordinate.name not in coordinate.dims


def _npy(array: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
