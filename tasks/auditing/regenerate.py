from __future__ import annotations

from ritz.compute.cluster.cluster import Cluster
from ritz.tasks.auditing import regenerate_worker as worker
from ritz.tasks.auditing.audit_record import RegeneratedSample
from ritz.tasks.auditing.version import sample_of
from ritz.tasks.stage import stage


@stage("regenerate")
def regenerate(store_url: str, cluster: Cluster, dataset: str, sample: int) -> RegeneratedSample:
    """Make one sample of ``dataset`` (``NAME@VERSION``) again and compare it with what is stored.

    `ritz.tasks.auditing.regenerate_worker.regenerate` says what may differ.
    """
    wanted = sample_of(store_url, dataset, sample)
    found: worker.Regenerated = cluster.call("solve", worker.regenerate, wanted)
    return RegeneratedSample(dataset=dataset, snapshot=wanted.source.snapshot, **found.receipt.entries())
