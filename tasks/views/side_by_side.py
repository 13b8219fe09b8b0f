"""Several models beside each other, by the same metrics on the same test samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ritz.compute.document import DocumentPart, Number
from ritz.compute.evaluation.catalogue import METRICS
from ritz.compute.evaluation.paired import gain, mean_with_ends
from ritz.storage import models
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.names import split_spec
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.evaluation import Evaluation, TruthErrors
from ritz.tasks.views.measures import LARGE, part_of, titles

LEVEL = 0.95
"""Confidence of all intervals."""


class MeanError(DocumentPart):
    """The mean of an error over the test samples, with Student's interval; without one for a single sample."""

    mean: Number
    low: Number | None
    high: Number | None


class Paired(DocumentPart):
    """How large a model's relative L2 error is beside that of the first one, on the same samples.

    Attributes
    ----------
    ratio
        Geometric mean of the ratios of the errors of single samples; below 1 the model is better.
    low, high
        Ends of its interval, see `ritz.compute.evaluation.paired.gain`.
    won
        Samples, of ``pairs``, on which the model is better.
    verdict
        ``"better"`` or ``"worse"`` where the interval leaves no doubt, else ``"undecided"``.
    """

    ratio: Number
    low: Number
    high: Number
    won: int
    pairs: int
    verdict: str


class MeasuredModel(DocumentPart):
    """A model with its errors.

    Attributes
    ----------
    model
        ``NAME@VERSION``.
    evaluated_on
        The version of the dataset on which it was evaluated.
    errors
        By metric and part; none for a metric that was not measured, or by an earlier release.
    paired
        Against the first model; None for that one, and where an error is zero.
    """

    model: str
    evaluated_on: str
    surrogate: str
    mode: str
    steps: int
    parameters: int
    errors: Mapping[str, Mapping[str, MeanError]]
    paired: Paired | None = None


class SideBySide(DocumentPart):
    """Models on one dataset.

    Attributes
    ----------
    dataset
        Its name.
    samples
        Test samples that all models were measured on; the only ones that count here.
    level
        Of all intervals, which are over samples: another training may differ by more.
    truth
        What errors the truth has itself, as the first model that knows them says.
    unfit
        Metrics that are none for these fields, and why.
    """

    dataset: str
    samples: int
    level: Number
    models: tuple[MeasuredModel, ...]
    truth: TruthErrors | None
    unfit: Mapping[str, str]


@dataclass(frozen=True)
class _Measured:
    spec: str
    card: Card
    evaluation: Evaluation
    ids: np.ndarray


def side_by_side(store_url: str, specs: Sequence[str]) -> SideBySide:
    """Compare models, ``NAME[@VERSION]`` each, that were evaluated on versions of one dataset.

    Splits are fixed by id, so that versions of a dataset share test samples. Metrics that scale an error by other
    samples are left out where the versions differ.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model, or one was not evaluated.
    ritz.storage.errors.StorageError
        If a model is named twice, the datasets differ, or no test sample is shared.
    """
    store = Store(store_url)
    measured = [_measured(store, models.resolve(store, spec).spec) for spec in specs]
    twice = next((one.spec for at, one in enumerate(measured) if one.spec in [m.spec for m in measured[:at]]), None)
    if twice is not None:
        raise StorageError(f"model {twice} is named twice, expected different models")
    first = measured[0]
    name, _ = split_spec("dataset", first.evaluation.dataset)
    for other in measured[1:]:
        if split_spec("dataset", other.evaluation.dataset)[0] != name:
            raise StorageError(
                f"model {first.spec} was evaluated on {first.evaluation.dataset} and {other.spec} on "
                f"{other.evaluation.dataset}, expected one dataset; see `ritz evaluate {other.spec} --dataset "
                f"{first.evaluation.dataset}`"
            )
    shared = first.ids
    for other in measured[1:]:
        shared = np.intersect1d(shared, other.ids)
    shared = np.sort(shared)
    if not shared.size:
        raise StorageError(f"models {', '.join(one.spec for one in measured)} share no test sample of {name}")
    same = len({one.evaluation.dataset for one in measured}) == 1
    unfit = {kind: reason for one in reversed(measured) for kind, reason in one.evaluation.unfit.items()}
    return SideBySide(
        dataset=name,
        samples=len(shared),
        level=LEVEL,
        models=tuple(_row(one, None if one is first else first, shared, same) for one in measured),
        truth=next((one.evaluation.truth for one in measured if one.evaluation.truth is not None), None),
        unfit=unfit,
    )


def columns(found: SideBySide) -> dict[tuple[str, str], str]:
    """Return what was measured of any model, metric and part, with the title of each."""
    named, known = titles(), METRICS.kinds()
    large = {kind for kind, cls in known.items() if getattr(cls, "large_is_good", False)}
    return {
        (kind, part): part_of(named.get(kind, kind), kind, part) + (f" ({LARGE})" if kind in large else "")
        for model in found.models
        for kind, parts in model.errors.items()
        for part in parts
    }


def rows(found: SideBySide) -> list[dict[str, str]]:
    """Return the table of a terminal, a row per error and a column per model: means with half their intervals."""
    table = [
        {"error": title, **{model.model: cell(model, kind, part) for model in found.models}}
        for (kind, part), title in columns(found).items()
    ]
    paired = {model.model: "-" if model.paired is None else ratio(model.paired) for model in found.models}
    return [*table, {"error": f"relative L2 over that of {found.models[0].model}", **paired}]


def cell(model: MeasuredModel, kind: str, part: str) -> str:
    """Return the mean of one part of one metric with half its interval."""
    error = model.errors.get(kind, {}).get(part)
    return "-" if error is None else short(error)


def short(error: MeanError) -> str:
    """Write a mean error with half its interval.

    Examples
    --------
    >>> short(MeanError(mean=0.02061, low=0.0195, high=0.0217)), short(MeanError(mean=0.02061, low=None, high=None))
    ('0.0206±0.0011', '0.0206')
    """
    if error.low is None or error.high is None:
        return f"{error.mean:.3g}"
    return f"{error.mean:.3g}±{(error.high - error.low) / 2:.2g}"


def ratio(paired: Paired) -> str:
    """Write how large an error is beside that of the first model, with its interval.

    Examples
    --------
    >>> ratio(Paired(ratio=0.5, low=0.45, high=0.5512, won=9, pairs=10, verdict="better"))
    '0.5 [0.45, 0.551]'
    """
    return f"{paired.ratio:.3g} [{paired.low:.3g}, {paired.high:.3g}]"


def _measured(store: Store, spec: str) -> _Measured:
    evaluation = of_model.evaluation(store, spec)
    card = of_model.card(store, spec)
    if evaluation is None:
        raise Unknown(f"model {spec} was not evaluated; see `ritz evaluate {spec} --dataset {card.dataset.spec}`")
    if evaluation.sample_ids:
        return _Measured(spec, card, evaluation, np.array(evaluation.sample_ids))
    # An earlier release kept no ids, and the test samples of a version do not change.
    data = read(store, evaluation.dataset)
    ids = data["sample_id"].values[data["split"].values == "test"]
    if len(ids) != len(evaluation.relative_l2):
        raise StorageError(
            f"the evaluation of model {spec} has {len(evaluation.relative_l2)} errors for the {len(ids)} test samples "
            f"of {evaluation.dataset}; see `ritz evaluate {spec} --dataset {evaluation.dataset}`"
        )
    return _Measured(spec, card, evaluation, ids)


def _row(one: _Measured, first: _Measured | None, shared: np.ndarray, same: bool) -> MeasuredModel:
    whole = {"relative_l2": {"": one.evaluation.relative_l2}}
    found = whole | dict(one.evaluation.by_sample) | whole
    known = METRICS.kinds()
    places = _places(one.ids, shared)
    errors = {
        kind: {part: _mean(np.array(values)[places]) for part, values in parts.items()}
        for kind, parts in found.items()
        if same or getattr(known.get(kind), "by_sample", True)
    }
    return MeasuredModel(
        model=one.spec,
        evaluated_on=one.evaluation.dataset,
        surrogate=str(one.card.recipe["surrogate"]["kind"]),
        mode=one.card.mode,
        steps=one.card.training.steps,
        parameters=one.card.training.parameters,
        errors=errors,
        paired=None if first is None else _paired(one, first, shared),
    )


def _places(ids: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return where the shared ids, in ascending order, lie among all of a model."""
    order = np.argsort(ids, kind="stable")
    places: np.ndarray = order[np.searchsorted(ids[order], shared)]
    return places


def _mean(values: np.ndarray) -> MeanError:
    if len(values) < 2:
        return MeanError(mean=float(values.mean()), low=None, high=None)
    mean, low, high = mean_with_ends(values, LEVEL)
    return MeanError(mean=mean, low=low, high=high)


def _paired(one: _Measured, first: _Measured, shared: np.ndarray) -> Paired | None:
    ours, theirs = (np.array(model.evaluation.relative_l2)[_places(model.ids, shared)] for model in (one, first))
    if len(shared) < 2 or not (np.all(ours > 0) and np.all(theirs > 0)):
        return None
    found = gain(ours, theirs, LEVEL)
    # A gain is the share that is saved.
    ratio, low, high = (1 - share for share in (found.mean, found.high, found.low))
    return Paired(ratio=ratio, low=low, high=high, won=found.won, pairs=len(shared), verdict=found.verdict)
