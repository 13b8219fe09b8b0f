from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass

import numpy as np

from ritz.compute.fields.errors import relative_l2, summary
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import weights
from ritz.compute.training.run import seeded
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training import Training
from ritz.storage.errors import StorageError
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.comparison.comparison_record import TrainedSeed
from ritz.tasks.comparison.subset import Chosen
from ritz.tasks.documents.evaluation import ErrorSummary
from ritz.tasks.documents.reading import read as read_document
from ritz.tasks.measuring.split_fields import load
from ritz.tasks.training.lease_guard import Fence
from ritz.tasks.training.worker import history_of, kept, left

MEMORY = 512 * 2**20
"""Bytes of samples that a training keeps in memory; of more, those read longest ago are read anew."""

LEFT = ("model.safetensors", "schedule.npy")
"""What stays of a training beside its result."""


@dataclass(frozen=True)
class Learning:
    """One training of a comparison: what a train worker is given.

    Attributes
    ----------
    folder
        Where in the store its result is to lie.
    identity
        Under ``fits/<identity>/`` lie its checkpoints while it runs.
    arm
        Name of the arm.
    dataset
        ``NAME@SNAPSHOT``.
    samples
        Training simulations to take.
    shard
        Of which so many arrive together online.
    fence
        The driver's lock: without it no checkpoint is written.
    """

    store: str
    folder: str
    identity: str
    arm: str
    dataset: str
    problem: Problem
    surrogate: Surrogate
    training: Training
    samples: int
    shard: int
    device: str = "cpu"
    fence: Fence | None = None


@dataclass(frozen=True)
class Learnt:
    """A finished training of a comparison."""

    receipt: TrainedSeed


def result_key(folder: str) -> str:
    """Return where the result of a training lies; it is written last."""
    return f"{folder}/result.json"


def learn(job: Learning) -> Learnt:
    """Train, measure on the test split and keep the result; what is finished is read back, what was begun goes on."""
    store, key = Store(job.store), result_key(job.folder)
    if not store.exists(key):
        try:
            store.write(key, json.dumps(_learnt(job, store).document()).encode())
            store.remove(f"fits/{job.identity}")
        except StorageError:
            # A worker whose driver was killed may have ended the same training, and taken its checkpoints away.
            if not store.exists(key):
                raise
    return Learnt(result(store, job.folder))


def result(store: Store, folder: str) -> TrainedSeed:
    """Return the result of a finished training."""
    key = result_key(folder)
    return read_document(TrainedSeed, store.document(key), store.location(key))


def _learnt(job: Learning, store: Store) -> TrainedSeed:
    around = Surroundings(job.problem, job.device)
    done = kept(store, job.identity, lambda around: _fit(job, store, around), around, job.fence)
    files = left(store, job.identity, LEFT)
    schedule = np.load(io.BytesIO(files["schedule.npy"]), allow_pickle=False)
    model = Model.from_bytes(files["model.safetensors"], job.surrogate)
    for name in LEFT:
        store.write(f"{job.folder}/{name}", files[name])
    return TrainedSeed(
        arm=job.arm,
        seed=job.training.seed,
        samples=job.samples,
        steps=done.steps,
        received=done.samples_received,
        seen=len(np.unique(schedule)),
        seconds=done.seconds,
        parameters=done.parameters,
        first_weights=first_weights(job, model.normalisation),
        test=ErrorSummary(**summary(_errors(model, store, job.dataset))),
        curve=tuple(row for row in history_of(store, job.identity).curve if row["validate"] is not None),
        machines=done.machines,
    )


def _fit(job: Learning, store: Store, around: Surroundings) -> Trained:
    chosen = Chosen(
        store, job.dataset, job.samples, job.training.seed, MEMORY, shard=job.shard, validate=job.training.validation
    )
    return job.training.fit(job.surrogate, chosen, around)


def first_weights(job: Learning, normalisation: Normalisation) -> str:
    """Return the SHA-256 of the weights that the training began with, built again from its seed."""
    if not isinstance(job.surrogate, Network):
        raise ValueError(job.training.unfit(job.surrogate))
    with seeded(job.training.seed, job.device):
        tensors = weights(network(job.surrogate, normalisation))
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].tobytes())
    return digest.hexdigest()


def _errors(model: Model, store: Store, dataset: str) -> np.ndarray:
    """Return the relative L2 error of every test sample, averaged over the outputs, ``(n,)``."""
    inputs, truth = load(read(store, dataset), "test")
    prediction = model.predict(inputs)
    return np.asarray(np.mean([relative_l2(prediction[name], truth[name]) for name in truth], axis=0))
