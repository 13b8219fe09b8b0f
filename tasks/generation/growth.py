"""How many samples a run of a recipe is about, where its dataset may have been grown."""

from __future__ import annotations

from collections.abc import Callable

from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.storage.versions import Version
from ritz.tasks.pipeline import Pipeline


def planned(pipeline: Pipeline, store_url: str, done: Callable[[Pipeline], bool]) -> Pipeline:
    """Return the pipeline with the number of samples that it is about now.

    A recipe without ``data.grow`` stays as it is. With it, the first run makes ``data.samples``, and every further one
    adds ``data.grow`` once ``done`` says that all there is to do with the present ones is done; a run that was killed
    is so ended before the next growth.

    Raises
    ------
    ritz.storage.errors.Refused
        If another recipe made the dataset of this name.
    """
    if pipeline.data.grow is None:
        return pipeline
    dataset = Dataset.find(Store(store_url), pipeline.name, pipeline.dataset_identity, pipeline.fixed)
    if dataset is None or dataset.samples < pipeline.data.samples:
        return pipeline
    present = pipeline.with_samples(dataset.samples)
    return pipeline.with_samples(dataset.samples + pipeline.data.grow) if done(present) else present


def published(pipeline: Pipeline, store_url: str) -> bool:
    """Return whether a version of the recipe's dataset holds exactly its samples."""
    dataset = Dataset.find(Store(store_url), pipeline.name, pipeline.dataset_identity, pipeline.fixed)
    return dataset is not None and version_of(dataset, pipeline.data.samples) is not None


def version_of(dataset: Dataset, samples: int) -> Version | None:
    """Return the newest published version that holds so many samples, None if there is none.

    Raises
    ------
    ritz.storage.errors.Refused
        The dataset has been grown beyond this number, and no version holds it.
    """
    versions = dataset.versions()
    found = next((version for version in reversed(versions) if version.samples == samples), None)
    if found is None and samples < dataset.samples:
        known = ", ".join(f"{version.samples} ({version.version})" for version in versions)
        raise Refused(
            f"dataset {dataset.name!r} has {dataset.samples} samples, the recipe asks for {samples}; expected at least "
            f"{dataset.samples}" + (f", or what a version holds: {known}" if known else "")
        )
    return found
