from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.surrogates.grid import Grid
from ritz.compute.training.samples.augmentation import check_symmetries
from ritz.compute.training.training import outline
from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.storage import models
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, Unknown
from ritz.storage.integrity.located import locate
from ritz.storage.names import split_spec
from ritz.storage.store import Store
from ritz.tasks.auditing.version import maker, opened
from ritz.tasks.catalogue import site
from ritz.tasks.documents import of_model
from ritz.tasks.documents.records import run_lock, trained
from ritz.tasks.equipping import equipped
from ritz.tasks.generation.growth import version_of
from ritz.tasks.parsing.asked_rows import is_of_rows
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.propagation.stored_law import stored_law
from ritz.tasks.training import replay_worker as replay
from ritz.tasks.training.starting import check_start

if TYPE_CHECKING:
    import xarray as xr

    from ritz.compute.cluster.cluster import Cluster
    from ritz.storage.versions import Version
    from ritz.tasks.requests.learning import OfflineFit


def check_run(pipeline: Pipeline, store_url: str, *, trains: bool = False) -> None:
    """Refuse what a run would refuse, before anything is started.

    Parameters
    ----------
    trains
        Whether the samples are learnt from as they are solved.

    Raises
    ------
    ritz.storage.errors.StorageError
        If the store cannot be written.
    ritz.storage.errors.Refused
        If the problem cannot be solved or has a grid that the surrogate is not for, the training cannot be done so,
        another recipe made the dataset of this name, or it has been grown beyond the samples of this one, and no
        version holds just these.
    ritz.storage.errors.Unknown
        If the solver needs an artefact that is not in the store.
    ritz.storage.errors.Busy
        If another process runs this recipe or works on its dataset.
    """
    if reason := pipeline.problem.unsolvable():
        raise Refused(
            f"problem.kind is {pipeline.problem.kind!r}, expected one that can be solved: {reason}; `ritz import` adds "
            "samples, `ritz train` learns from them"
        )
    if trains:
        _check_grid(pipeline, pipeline.problem.template(1))
        unmet = "; ".join(fault.message for fault in pipeline.unmet())
        if unmet:
            raise Refused(unmet)
        if not pipeline.training.while_solving:
            raise Refused(
                f"training.kind is {pipeline.training.kind!r}, expected 'online': a run trains while it solves; "
                "use `ritz generate` and then `ritz train` to train on what is published"
            )
        _check_learning(pipeline, pipeline.problem.template(1), pipeline.train_samples)
    store = Store(store_url)
    store.check_writable()
    equipped(pipeline.solver, store)
    if trains:
        check_start(pipeline, store, pipeline.problem.template(1))
    check_catalogue(pipeline, store)
    dataset = Committer.find(store, pipeline.name, pipeline.dataset_identity, pipeline.fixed)
    if dataset is not None:
        version_of(dataset, pipeline.data.samples)
        with store.lock(run_lock(pipeline.name), f"run of {pipeline.name!r} in {store.url}"), dataset.lock():
            pass


def check_populations(pipeline: Pipeline, store_url: str) -> None:
    """Refuse laws of rows that a dataset of the store does not give; the latest version of the run's own is to come.

    Raises
    ------
    ritz.tasks.errors.RecipeError, ritz.storage.errors.Unknown
        As `ritz.tasks.propagation.stored_law.stored_law`.
    """
    for number, asked in enumerate(pipeline.propagate):
        if is_of_rows(asked.law) and split_spec("dataset", asked.law["dataset"]) != (pipeline.name, "latest"):
            stored_law(asked.law, pipeline.problem, Store(store_url), f"propagate.{number}.law")


def check_catalogue(pipeline: Pipeline, store: Store) -> None:
    """Refuse a catalogue that cannot be written; see `ritz.tasks.catalogue.site.opened`."""
    if pipeline.catalogue is not None:
        site.check(store, pipeline.catalogue)


def check_ranks(pipeline: Pipeline, cluster: Cluster) -> None:
    """Refuse more ranks than there are workers to train on.

    Raises
    ------
    ritz.storage.errors.Refused
        If there are too few.
    """
    ranks, workers = pipeline.training.trainers, cluster.expected("train")
    if ranks > 1 and cluster.device == "mps":
        raise Refused(f"training.ranks is {ranks} on the device 'mps', expected 1: nothing connects several of them")
    if ranks > workers:
        raise Refused(
            f"training.ranks is {ranks}, but the profile has {workers} train workers; expected at least as many "
            "(profile.train.count)"
        )


def check_training(fit: OfflineFit) -> None:
    """Refuse a dataset that a recipe cannot be trained on offline.

    Raises
    ------
    ritz.storage.errors.StorageError
        If the store cannot be written.
    ritz.storage.errors.Refused
        If the version is not complete, has too few training samples, or a grid that the surrogate is not for.
    """
    pipeline, version, data = fit.pipeline, fit.dataset, fit.data
    data.store.check_writable()
    check_catalogue(pipeline, data.store)
    if version.samples != data.samples:
        raise Refused(f"dataset {version.spec} holds {version.samples} of {data.samples} samples; finish it first")
    if short := pipeline.training.short(fit.samples, version.spec):
        raise Refused(short)
    _check_grid(pipeline, data.template)
    ours, theirs = pipeline.document()["problem"], data.recipe.get("problem")
    if pipeline.training.needs_equations and ours != theirs:
        raise Refused(
            f"dataset {version.spec} is of the problem {theirs}; expected that of the recipe, {ours}, whose equations "
            "the loss 'residual' takes"
        )
    _check_learning(pipeline, data.template, fit.samples)
    check_start(pipeline, data.store, data.template)


def check_measuring(store_url: str, model: str, version: Version, splits: tuple[str, ...]) -> None:
    """Refuse a dataset that a model cannot be measured on.

    Parameters
    ----------
    version
        Of the dataset.
    splits
        Of which the dataset must have samples.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such model, or the store cannot be written.
    ritz.storage.errors.Refused
        If the dataset has other variables or a grid that the model is not for, too few samples of a split, or the
        samples that the model was trained on in another split.
    """
    store = Store(store_url)
    card = of_model.card(store, model)
    store.check_writable()
    data = Dataset.open(store, version.name).at(version.version)
    dimensions = Dimensions.of(data.template)
    fields = dimensions.variables
    for name, entry in {**card.inputs, **card.outputs}.items():
        if fields.get(name) != entry.dims:
            raise Refused(
                f"dataset {version.spec}: variable {name!r} of model {model} must have the dimensions "
                f"{entry.dims}; the dataset has {fields}"
            )
    fixed = {dim for dim in card.sizes if dim not in card.space or not card.training.any_grid}
    for dim, points in card.sizes.items():
        if dim in fixed and dimensions.sizes[dim] != points:
            raise Refused(
                f"dataset {version.spec}: has {dimensions.sizes[dim]} points along {dim!r}; model {model} works for "
                f"{points} alone"
            )
    ours, theirs = card.recipe, data.recipe
    present = Counter(data.index()[1].tolist())
    needs = uncertainty(ours["uncertainty"]).needs()
    for split in splits:
        least = max(1, needs[split].least if split in needs else 0)
        if present[split] < least:
            raise Refused(
                f"dataset {version.spec}: has {present[split]} samples of the split {split!r}; expected at least "
                f"{least} for model {model}"
            )
    same = ours["problem"] == theirs["problem"] and ours["data"]["seed"] == theirs["data"]["seed"]
    if same and ours["data"]["splits"] != theirs["data"]["splits"]:
        raise Refused(
            f"dataset {version.spec} has the samples of model {model} in other splits: what it was trained on would "
            "be tested; take a dataset with another seed, or the same splits"
        )


def audited(store_url: str, spec: str) -> tuple[str, ...]:
    """Return what of a name and version can be audited: ``"dataset"``, ``"model"``, or both of them.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is neither.
    """
    store, found, missing = Store(store_url), [], []
    for what, look in (("dataset", locate), ("model", models.named)):
        try:
            look(store, spec)
        except Unknown as error:
            missing.append(error)
        else:
            found.append(what)
    if not found:
        name, _ = split_spec("dataset or model", spec)
        # About a version the one that there is has more to say.
        raise missing[int(name not in store.list("datasets") and name in store.list("models"))]
    return tuple(found)


def check_audit(store_url: str, dataset: str) -> None:
    """Refuse a dataset that cannot be audited; one that is damaged can be.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such dataset or version.
    ritz.storage.errors.Refused
        If its problem cannot be loaded.
    """
    store = Store(store_url)
    located = locate(store, dataset)
    scan, damage = opened(store, located)
    if scan is not None and not damage:
        maker(located, scan)


def _check_grid(pipeline: Pipeline, template: xr.Dataset) -> None:
    """Refuse a problem on whose grid the surrogate cannot be trained, or has no such error bars."""
    try:
        dimensions = Dimensions.of(template)
        check_symmetries(template.attrs.get("symmetries", "none"), dimensions)
        pipeline.surrogate.check(Grid.of(dimensions))
    except ValueError as error:
        raise Refused(f"problem {pipeline.problem.kind!r}, surrogate {pipeline.surrogate.kind!r}: {error}") from error
    try:
        pipeline.uncertainty.check(dimensions)
    except ValueError as error:
        raise Refused(f"problem {pipeline.problem.kind!r}: {error}") from error


def _check_learning(pipeline: Pipeline, template: xr.Dataset, samples: int) -> None:
    """Refuse losses, an optimiser or a rate that do not go with the problem and the surrogate."""
    try:
        pipeline.training.check_learning(pipeline.surrogate.learner, outline(template), pipeline.problem, samples)
    except ValueError as error:
        raise Refused(f"training.{error}") from error


def check_replay(store_url: str, name: str) -> str:
    """Refuse what a replay would refuse, before anything is started; return the model as ``NAME@VERSION``.

    Raises
    ------
    ritz.storage.errors.StorageError
        As `trained` and `ritz.tasks.training.replay_worker.found`.
    """
    spec = trained(store_url, name)
    replay.found(Store(store_url), spec)
    return spec
