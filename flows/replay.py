from __future__ import annotations

from prefect import flow

from ritz.tasks.checks import check_replay
from ritz.tasks.recipes import load_profile
from ritz.tasks.signals import stoppable
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
    model = check_replay(store, run)
    with load_profile(profile).open(("train",)) as cluster:
        found: ReplayedModel = stage.replay(store, cluster, model, threads=threads)
    return found
