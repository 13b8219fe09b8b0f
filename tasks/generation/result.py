from __future__ import annotations

import time

from ritz.compute.document import DocumentPart
from ritz.compute.solvers.choice.record import Choice, PanelRow
from ritz.compute.solvers.tuning.record import Tuning
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.storage.versions import Version
from ritz.tasks.documents.dataset import LedgerSummary, Probe, PublishedDataset
from ritz.tasks.documents.reading import read
from ritz.tasks.documents.solving import Solving
from ritz.tasks.generation.growth import version_of
from ritz.tasks.generation.learning import learnt_key, tuning
from ritz.tasks.pipeline import Pipeline


class Generated(DocumentPart):
    """A complete, published dataset and what this run did for it.

    Attributes
    ----------
    choice, panel
        From the newest probe for this dataset.
    last_shard
        When the last shard was committed, `time.time`, or None if nothing was left to solve.
    seconds
        Since this run began to generate.
    solving
        How well the workers were used; None if nothing was left to solve.
    tuning
        What the solver has learnt, over all shards of the dataset; None where it does not learn.
    """

    dataset: PublishedDataset
    ledger: LedgerSummary
    choice: Choice
    panel: tuple[PanelRow, ...]
    last_shard: float | None
    seconds: float
    solving: Solving | None = None
    tuning: Tuning | None = None


def complete(pipeline: Pipeline, store_url: str) -> Generated | None:
    """Return what generating would where every sample is solved and published, None elsewhere; starts nothing.

    Raises
    ------
    ritz.storage.errors.Refused
        If another recipe made the dataset of this name, or it was grown beyond these samples and no version holds them.
    """
    start = time.monotonic()
    dataset = Dataset.find(Store(store_url), pipeline.name, pipeline.dataset_identity, pipeline.fixed)
    version = None if dataset is None else version_of(dataset, pipeline.data.samples)
    if dataset is None or version is None:
        return None
    return describe(pipeline, dataset, version, reused=version.samples, last_shard=None, start=start)


def describe(
    pipeline: Pipeline, dataset: Dataset, published: Version, reused: int, last_shard: float | None, start: float
) -> Generated:
    """Describe a complete version of a dataset.

    Parameters
    ----------
    reused
        Samples that this run found solved.
    last_shard
        When it committed the last one, `time.time`, if any.
    start
        When it began, `time.monotonic`.
    """
    key = probe_key(pipeline)
    # A dataset that was copied here came without its probe.
    probe = read(Probe, dataset.store.document(key), key) if dataset.store.exists(key) else Probe()
    held = dataset.at(published.version)
    learnt = tuning(dataset.store, learnt_key(pipeline), pipeline.solver)
    made = Generated(
        dataset=PublishedDataset(
            name=published.name,
            version=published.version,
            snapshot=published.snapshot,
            samples=published.samples,
            splits=held.splits(),
        ),
        ledger=LedgerSummary(
            **held.summary(),
            rtol=pipeline.data.rtol,
            rounding_bound=held.rounding_bound,
            solved=published.samples - reused,
            reused=reused,
        ),
        choice=probe.choice,
        panel=probe.panel,
        last_shard=last_shard,
        seconds=time.monotonic() - start,
    )
    return made if learnt is None else made.changed(tuning=learnt)


def probe_key(pipeline: Pipeline) -> str:
    """Return where the newest probe for the dataset lies, for a run that finds all samples solved."""
    return f"probes/{pipeline.dataset_identity}.json"
