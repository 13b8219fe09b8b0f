from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from ritz.compute.cluster.cluster import Notifier
from ritz.compute.cluster.worker_logs import SAYS
from ritz.compute.document import Json
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.tensors import pack
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.checkpoint import Corrupt, Outdated
from ritz.compute.training.surroundings import Progress, Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training import Training
from ritz.storage import models, sealed
from ritz.storage.documents import mapping
from ritz.storage.errors import Damaged, Refused
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents.card import Card, ModelVersion, Origin, Variable
from ritz.tasks.documents.of_model import HISTORY
from ritz.tasks.documents.reading import read as read_document
from ritz.tasks.documents.training import Arrival, Forecast, History, TrainingSummary
from ritz.tasks.measuring import novelty_worker as novelty
from ritz.tasks.training.lease_guard import Fence
from ritz.tasks.training.ranks import joined
from ritz.tasks.training.source import Source
from ritz.tasks.training.starting import started

CHECKPOINT_EVERY = 10.0
"""Seconds between two checkpoints."""

PARTS = ("model.safetensors", "schedule.npy", "losses.npy", HISTORY)
"""What is kept of a training, under ``fits/<identity>/`` and with the model."""

_SUMMARY = "summary.json"

log = logging.getLogger(SAYS)


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
        Where the model and the batches lie: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    fence
        The driver's lock: without it nothing is written.
    variables
        Order of the variables, where it is not that of the dataset.
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
    variables: tuple[str, ...] | None = None
    rank: int = 0
    rendezvous: str | None = None


def fit(job: Fitting) -> TrainingSummary:
    """Train, from a channel while shards are solved or from a published version; return a summary.

    Goes on from the checkpoint if there is one. The model, its history and the schedule stay in the store, where the
    first of several ranks puts them.
    """
    store = Store(job.store)
    with joined(job.rendezvous, job.rank, job.training.trainers, job.device) as group:
        around = Surroundings(job.problem, job.device, start=started(store, job.training, job.surrogate), group=group)

        def work(around: Surroundings) -> Trained:
            return job.training.fit(job.surrogate, Source(job), around)

        return kept(store, job.identity, work, around, job.fence, silent=job.rank > 0)


def kept(
    store: Store,
    identity: str,
    work: Callable[[Surroundings], Trained],
    around: Surroundings,
    fence: Fence | None = None,
    *,
    silent: bool = False,
) -> TrainingSummary:
    """Do a training of which model, history, schedule and checkpoints lie under ``fits/<identity>/``.

    Parameters
    ----------
    work
        Trains; not called where the training is finished.
    around
        What it has around it, but for checkpoints and progress, which are kept and sent here.
    fence
        The driver's lock: without it nothing is written.
    silent
        Leave it to another rank of the same training to tell how far it is and to write what came out.

    Raises
    ------
    ritz.storage.errors.Damaged
        If the checkpoint, or what a finished training left, has other bytes than were written.
    ritz.storage.errors.Refused
        If the driver has lost its lock, or an earlier release wrote the checkpoint.
    """
    folder, tell = f"fits/{identity}", Notifier(identity)
    checkpoint = f"{folder}/checkpoint.safetensors"
    if (done := finished(store, identity)) is not None:
        if not silent:
            tell({"step": done.steps, "loss": None}, last=True)
        return done
    if not silent:
        log.info("trains on %s, device %s", platform.node(), around.device)

    def check() -> None:
        if fence is not None:
            fence.check(store)

    def save(blob: bytes) -> None:
        check()
        store.write(checkpoint, blob)

    def progress(state: Progress) -> None:
        if not silent:
            tell(state.document())

    def load() -> bytes | None:
        return store.read(checkpoint) if store.exists(checkpoint) else None

    try:
        trained = work(replace(around, load=load, save=save, progress=progress, save_every_s=CHECKPOINT_EVERY))
    except Corrupt as error:
        raise Damaged(f"{store.location(checkpoint)}: {error}") from error
    except Outdated as error:
        raise Refused(f"{store.location(checkpoint)}: {error}") from error
    history = History(
        curve=tuple(record.document() for record in trained.curve),
        received=tuple(Arrival(shard=shard, time=when) for shard, when in trained.received.items()),
        validation=tuple(trained.validation.tolist()),
        total=trained.total,
        forecasts=_forecasts(trained),
        **trained.trace.document(),
    )
    summary = TrainingSummary(
        steps=len(trained.schedule),
        first_step=trained.curve[0].time,
        last_step=trained.curve[-1].time,
        parameters=trained.model.size,
        waited=trained.waited,
        seconds=trained.trace.seconds,
        machines=tuple(trained.trace.machines),
        samples_received=trained.curve[-1].received,
        any_grid=trained.model.surrogate.any_grid,
        stopped=trained.stopped,
        best=trained.best,
        unseen=trained.unseen,
    )
    if silent:
        return summary
    # Which may not be the last one that was asked for: a training stops early.
    tell({"step": summary.steps, "loss": trained.curve[-1].loss}, last=True)
    files = {
        "model.safetensors": trained.model.to_bytes(),
        "schedule.npy": _npy(trained.schedule),
        "losses.npy": _npy(np.array(trained.trace.losses)),
        HISTORY: json.dumps(history.document()).encode(),
    }
    check()
    keep(store, identity, files, summary)
    return summary


def _forecasts(trained: Trained) -> tuple[Forecast, ...]:
    """Return the forecasts in the order of the steps."""
    if not trained.forecasts:
        return ()
    rows = zip(*(trained.forecasts[name].tolist() for name in ("ids", "steps", "errors")), strict=True)
    found = [Forecast(id=id, step=step, relative_l2=error) for id, step, error in rows]
    return tuple(sorted(found, key=lambda one: one.step))


def finished(store: Store, identity: str) -> TrainingSummary | None:
    """Return the summary of a training that has come to its end, None before.

    Raises
    ------
    ritz.storage.errors.Damaged
        If what it left has other bytes than were written.
    """
    folder = f"fits/{identity}"
    # Where the training was killed between the summary and its seal, it goes on from its last checkpoint.
    if not store.exists(f"{folder}/{_SUMMARY}") or not (ended := sealed.Sealed(store, folder, _SUMMARY)).complete:
        return None
    return read_document(TrainingSummary, ended.document, store.location(f"{folder}/{_SUMMARY}"))


def keep(store: Store, identity: str, files: Mapping[str, bytes], summary: TrainingSummary) -> None:
    """Write what a training left, `PARTS`, and its summary."""
    sealed.write(store, f"fits/{identity}", _SUMMARY, dict(files), summary.document(), new=False)


def left(store: Store, identity: str, names: Iterable[str]) -> dict[str, bytes]:
    """Return some of the files that a finished training left, by name.

    Raises
    ------
    ritz.storage.errors.StorageError
        If one is missing or has other bytes than were written.
    """
    found = sealed.Sealed(store, f"fits/{identity}", _SUMMARY)
    return {name: found.file(name) for name in names}


def history_of(store: Store, identity: str) -> History:
    """Return how a finished training went; errors as `left`."""
    place = store.location(f"fits/{identity}/{HISTORY}")
    return read_document(History, mapping(left(store, identity, (HISTORY,))[HISTORY], place), place)


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
