from __future__ import annotations

import logging
from uuid import uuid4

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.stage import stage
from ritz.tasks.training import replay_worker as worker
from ritz.tasks.training.replay_record import ComparedReplay, ReplayedModel
from ritz.tasks.training.supervision import follow

log = logging.getLogger("ritz")


@stage("replay")
def replay(
    store_url: str, cluster: Cluster, model: str, *, surrogate: Surrogate | None = None, threads: int | None = None
) -> ReplayedModel:
    """Do the training of ``model``, ``NAME@VERSION``, again on the train worker; nothing is solved or written."""
    card = of_model.card(Store(store_url), model)
    job = worker.Replaying(store_url, model, f"replay-{uuid4().hex}", surrogate, threads, cluster.device)
    report = Reporter("replay", card.training.steps, card.name)
    found: ComparedReplay = follow(cluster, report, job.topic, worker.again, job)
    log.info("replay: %s", sentence(found))
    return ReplayedModel(model=model, dataset=card.dataset, **found.entries())


def sentence(found: ComparedReplay) -> str:
    """Say how a replay compares with what was recorded."""
    first = found.first_difference
    parts = []
    if found.differing:
        changed = ", ".join(f"{one.what} {one.recorded}, here {one.here}" for one in found.differing)
        parts.append(
            f"not on the recorded machine ({changed}), so the curve is compared with a relative tolerance of "
            f"{found.tolerance:g}: {'it agrees' if found.agrees else 'it DIFFERS'}, by at most "
            f"{found.curve_difference:.3g}"
        )
    if found.equal:
        parts.append(
            f"equal bit for bit: the losses of {found.steps} steps, {found.records} records of the curve, "
            f"{found.tensors} tensors of weights"
        )
    elif first is not None:
        parts.append(
            f"step {first.step} is the first that differs: loss {first.recorded!r} recorded, "
            f"{first.replayed!r} replayed ({found.steps_differing} of {found.steps} steps differ, the curve "
            f"by at most {found.curve_difference:.3g}, the weights by at most {found.weights_difference:.3g})"
        )
    else:
        parts.append(
            f"the losses of all {found.steps} steps are equal, but the curve differs by "
            f"{found.curve_difference:.3g} and the weights by {found.weights_difference:.3g}: they are not those "
            "that the training left"
        )
    return "; ".join(parts)
