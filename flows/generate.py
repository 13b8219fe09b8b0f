from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import flow

from ritz.flows.settings import DEFAULT_STORE, prepare_prefect

prepare_prefect()  # Prefect reads its settings when it is imported.

from prefect.context import FlowRunContext

from ritz.compute.cluster.profile import Profile
from ritz.flows.launch import launch
from ritz.flows.server.access import embedded
from ritz.flows.serving.events import tell_published
from ritz.tasks.catalogue.asked import write_asked
from ritz.tasks.driver.limit import limited
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.errors import RecipeError
from ritz.tasks.generation import generate as stage
from ritz.tasks.generation.result import Generated
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.solving import Generate


def generate_dataset(
    recipe: str | Pipeline,
    overrides: Mapping[str, Any] | None = None,
    store: str = DEFAULT_STORE,
    profile: str | Profile = "local",
) -> Generated:
    """Solve and publish the dataset of a recipe; one that is published is grown to more samples.

    What is solved already is not solved again. The flow's history is kept by the Prefect server that
    ``PREFECT_API_URL`` names, else by one of its own, as with ``ritz generate``; called inside a flow it is a part of
    that.

    Parameters
    ----------
    recipe
        Name of a shipped recipe, path of a YAML file, ``NAME@VERSION`` for the one that made a dataset of the store, or
        a pipeline, whose problem may be a class of one's own.
    overrides
        Dotted path of a field → value, e.g. ``{"data.samples": 2048}``; none with a pipeline.
    store
        Folder or URL where datasets, models and runs lie.
    profile
        On what to compute.

    Returns
    -------
    Generated
        ``dataset``, with ``name``, ``version``, ``snapshot``, ``samples`` and ``splits``; ``ledger``, what the solves
        came to; ``choice`` and ``panel``, how the solver was chosen; ``seconds``.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    ritz.storage.errors.StorageError
        If another recipe made the dataset of this name, or the store cannot be written.

    Examples
    --------
    >>> import ritz
    >>> made = ritz.generate("small@v1", store="ritz-store")
    >>> made.dataset.spec, made.dataset.samples, made.ledger.failed
    ('small@v1', 40, 0)
    >>> ritz.generate("darcy", {"data.samples": 100})
    Traceback (most recent call last):
    ritz.tasks.errors.RecipeError: recipe 'darcy': data: samples = 100 is no multiple of shard = 16; ...
    """
    if isinstance(recipe, Pipeline) and overrides:
        raise RecipeError(f"overrides are {dict(overrides)!r}, expected none with a pipeline: change the pipeline")
    request = Generate(recipe) if isinstance(recipe, Pipeline) else Generate.read(recipe, overrides, store)
    prepared = prepare(request, store, profile)
    if prepared.done is not None:
        write_asked(prepared.work.catalogue, prepared.store)
        return prepared.done
    if FlowRunContext.get() is not None:
        return _pipeline_flow(request.pipeline, store, profile)
    with embedded():
        return launch(_pipeline_flow, request.pipeline, store, profile)


@flow(name="generate", validate_parameters=False)
@stoppable
def _pipeline_flow(pipeline: Pipeline, store: str, profile: str | Profile) -> Generated:
    return _generated(Generate(pipeline), store, profile)


@flow(name="generate")
@stoppable
def generate(recipe: str, overrides: dict[str, object] | None, store: str, profile: str = "local") -> Generated:
    """Make the dataset of a recipe: what ``ritz generate`` starts.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    """
    return _generated(Generate.read(recipe, overrides, store), store, profile)


def _generated(request: Generate, store: str, profile: str | Profile) -> Generated:
    prepared = prepare(request, store, profile)
    if prepared.done is not None:
        write_asked(prepared.work.catalogue, prepared.store)
        return prepared.done
    with limited(prepared.profile.time_limit), prepared.profile.open(Generate.roles) as cluster:
        generated = stage.generate(prepared.work, prepared.store, cluster)
    tell_published(prepared.store, generated.dataset, prepared.work.name)
    write_asked(prepared.work.catalogue, prepared.store)
    return generated
