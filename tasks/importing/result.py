from __future__ import annotations

import time

from ritz.compute.document import DocumentPart, Number
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.storage.versions import Version
from ritz.tasks.documents.dataset import PublishedDataset
from ritz.tasks.importing.manifest import Manifest
from ritz.tasks.importing.plan import Plan, unchanged


class ImportedDataset(DocumentPart):
    """A dataset that was imported, and what this import did for it.

    Attributes
    ----------
    files, bytes
        Of which all samples come.
    imported
        Samples that this import added.
    failed
        Samples of all that have a value that is not finite.
    seconds
        Of this import.
    """

    dataset: PublishedDataset
    files: int
    bytes: int
    imported: int
    failed: int
    seconds: Number


def complete(plan: Plan, store_url: str) -> ImportedDataset | None:
    """Return what importing would where every file is imported and published, None elsewhere; no file is read."""
    start, manifest = time.monotonic(), plan.manifest
    if manifest is None or not unchanged(plan):
        return None
    dataset = Dataset.open(Store(store_url), plan.mapping.name)
    version = published(dataset, manifest.samples)
    return None if version is None else describe(dataset, version, manifest, 0, start)


def published(dataset: Dataset, samples: int) -> Version | None:
    """Return the version of a dataset that holds all of so many samples, None if there is none yet."""
    return next((one for one in reversed(dataset.versions()) if one.samples == samples == dataset.samples), None)


def describe(dataset: Dataset, version: Version, manifest: Manifest, imported: int, start: float) -> ImportedDataset:
    """Describe a version of an imported dataset; the import began at ``start``, `time.monotonic`."""
    held = dataset.at(version.version)
    return ImportedDataset(
        dataset=PublishedDataset(
            name=version.name,
            version=version.version,
            snapshot=version.snapshot,
            samples=version.samples,
            splits=held.splits(),
        ),
        files=len(manifest.files),
        bytes=sum(sum(item.bytes) for item in manifest.items),
        imported=imported,
        failed=held.summary()["failed"],
        seconds=time.monotonic() - start,
    )
