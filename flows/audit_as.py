from __future__ import annotations

from prefect import flow

from ritz.tasks.auditing import equations as stage
from ritz.tasks.auditing.equations_record import EquationAudit
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.looking import SAMPLES, AuditAs


@flow(name="audit-as")
@stoppable
def audit_as(dataset: str, problem: str, store: str, profile: str = "local", samples: int = SAMPLES) -> EquationAudit:
    """Measure whether the samples of a version solve the equations of a problem; return the record.

    Parameters
    ----------
    problem
        Its kind, its fields as YAML, or the path of a YAML file.
    samples
        How many samples are looked at; all if there are fewer.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If the problem is none, or its variables or points are not those of the dataset.
    ritz.storage.errors.StorageError
        If there is no such dataset or version.
    """
    prepared = prepare(AuditAs.read(dataset, problem, samples), store, profile)
    with prepared.profile.open(AuditAs.roles) as cluster:
        record: EquationAudit = stage.audit_as(prepared.store, cluster, prepared.work)
    return record
