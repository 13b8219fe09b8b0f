from __future__ import annotations

from prefect import flow

from ritz.tasks.auditing import audit as stage
from ritz.tasks.auditing.audit_record import AuditRecord
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.looking import Audit


@flow(name="audit")
@stoppable
def audit(dataset: str, store: str, profile: str = "local") -> AuditRecord:
    """Look for anything in a version of a dataset that is not as it must be; return the record.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such dataset or version, or its problem cannot be loaded.
    """
    prepared = prepare(Audit(dataset), store, profile)
    with prepared.profile.open(Audit.roles) as cluster:
        record: AuditRecord = stage.audit(prepared.store, cluster, prepared.work)
    return record
