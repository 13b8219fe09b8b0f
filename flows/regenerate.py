from __future__ import annotations

from prefect import flow

from ritz.tasks.auditing import regenerate as stage
from ritz.tasks.auditing.audit_record import RegeneratedSample
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.looking import Regenerate


@flow(name="regenerate")
@stoppable
def regenerate(dataset: str, sample: int, store: str, profile: str = "local") -> RegeneratedSample:
    """Make one sample of a version again and compare it with what is stored.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such dataset, version or sample, or its problem cannot be loaded.
    """
    prepared = prepare(Regenerate(dataset, sample), store, profile)
    with prepared.profile.open(Regenerate.roles) as cluster:
        found: RegeneratedSample = stage.regenerate(prepared.store, cluster, prepared.work, sample)
    return found
