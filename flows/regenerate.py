from __future__ import annotations

from prefect import flow

from ritz.tasks.auditing import regenerate as stage
from ritz.tasks.auditing.audit_record import RegeneratedSample
from ritz.tasks.auditing.version import sample_of
from ritz.tasks.recipes import load_profile
from ritz.tasks.signals import stoppable


@flow(name="regenerate")
@stoppable
def regenerate(dataset: str, sample: int, store: str, profile: str = "local") -> RegeneratedSample:
    """Make one sample of a version again and compare it with what is stored.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such dataset, version or sample, or its problem cannot be loaded.
    """
    sample_of(store, dataset, sample)
    with load_profile(profile).open(("solve",)) as cluster:
        found: RegeneratedSample = stage.regenerate(store, cluster, dataset, sample)
    return found
