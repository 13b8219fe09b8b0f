from __future__ import annotations

from prefect import flow

from ritz.tasks.driver.signals import stoppable
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.learning import Replay
from ritz.tasks.training import replay as stage
from ritz.tasks.training.replay_record import ReplayedModel


@flow(name="replay")
@stoppable
def replay(run: str, store: str, profile: str = "local", threads: int | None = None) -> ReplayedModel:
    """Do the training of a run again and compare.

    Parameters
    ----------
    run
        Name of a run, or of a model with its version.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such run or model, or what it was trained on is gone.
    """
    prepared = prepare(Replay(run), store, profile)
    with prepared.profile.open(Replay.roles) as cluster:
        found: ReplayedModel = stage.replay(prepared.store, cluster, prepared.work, threads=threads)
    return found
