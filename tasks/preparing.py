"""What every command and every flow does first: plan what is asked for, look what is finished, refuse bad input.

`prepare` does so for every `ritz.tasks.requests.request.Request`, in one way for the command line, for a flow that is
called and for one that is served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from ritz.compute.cluster.profile import Profile
from ritz.tasks.recipes import load_profile
from ritz.tasks.requests.request import Done, Request, Work

AHEAD = ("ritz.tasks.generation.worker", "numba", "pandas", "xarray", "scipy.interpolate", "scipy.sparse.linalg")
"""Modules that the workers of this machine load while a server starts. They start no thread, and PyTorch is not among
them, which solvers have no use for.
"""


@dataclass(frozen=True)
class Prepared(Generic[Work, Done]):
    """A request that can be worked on, or what has been made of it before.

    Attributes
    ----------
    work
        What is to be done: the pipeline with the samples that it is about now, the versions that names mean.
    store
        URL that means the same store in every process.
    profile
        On what to compute.
    done
        What an earlier run came to that did all of this; None where there is something to do, and then all is checked.
    new_store
        In words that a store will be made, which may be one that was mistyped; empty where it is there.
    """

    work: Work
    store: str
    profile: Profile
    done: Done | None
    new_store: str


def prepare(
    request: Request[Work, Done], store: str, profile: str | Profile, begin: Callable[[], None] = lambda: None
) -> Prepared[Work, Done]:
    """Read the profile, plan, look for what is finished, and check; refuse bad input before any work.

    Workers of this machine begin to load what they need once all is checked.

    Parameters
    ----------
    request
        What is asked for.
    store
        Folder or URL of the store of datasets, models and runs.
    profile
        On what to compute, or the name or path of that.
    begin
        Is called once there is something to do, before the checks, which may take a while.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If there is no such profile, or what is asked for makes no sense.
    ritz.storage.errors.StorageError
        If the store cannot be used, or what is in it does not go with what is asked for.
    ritz.compute.cluster.errors.ClusterError
        If the profile's cluster does not answer, or lacks what is needed.
    """
    place = load_profile(profile) if isinstance(profile, str) else profile
    from ritz.storage.store import Store

    url = Store(store).url
    work = request.planned(url)
    done = request.finished(work, url)
    new = ""
    if done is None:
        begin()
        new = _new(url)
        request.check(work, url, place)
        place.ahead(AHEAD)
    return Prepared(work, url, place, done, new)


def _new(store: str) -> str:
    from ritz.storage.store import Store

    nothing = Store(store).nothing()
    mistyped = nothing.partition("; did you mean")
    return f"new store {store}{''.join(mistyped[1:])}" if nothing else ""
