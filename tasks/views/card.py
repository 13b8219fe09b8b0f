from __future__ import annotations

from collections.abc import Mapping

from ritz.compute.cluster.usage import Usage
from ritz.compute.document import DocumentPart, Json
from ritz.compute.evaluation.cost import digits, rounded
from ritz.compute.evaluation.matched_record import EqualSeconds
from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.card import Card, CardMetrics, Variable
from ritz.tasks.documents.cost import BreakEven, Cost
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.evaluation import TruthErrors
from ritz.tasks.documents.law_calibration import LawCalibration, laws
from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.documents.training import TrainingSummary
from ritz.tasks.documents.verdict import Release

FIRST = (
    *("name", "run", "mode", "dataset", "training", "metrics", "truth", "calibration", "laws", "population"),
    *("cost", "break_even", "equal_seconds", "usage", "recipe", "inputs", "outputs"),
)
"""The order in which a card is read; what else it holds comes after."""

MISSING = {
    "metrics": "not measured; see `ritz evaluate`",
    "truth": "not measured; see `ritz evaluate`",
    "calibration": "not measured; see `ritz quantify`",
    "cost": "not measured; see `ritz evaluate`",
    "break_even": "not measured; see `ritz evaluate`",
}


class CardView(DocumentPart):
    """A card as it is read by a person: what became of the model first, and words in place of what was not measured.

    Attributes
    ----------
    model
        ``NAME@VERSION``.
    released
        None where the model never came to a gate.
    laws
        How bands for other laws were calibrated, by the names of these.
    """

    model: str
    release: Release
    released: bool | None
    missed: tuple[str, ...] = ()
    name: str
    run: str | None = None
    mode: str
    dataset: DatasetVersion
    training: TrainingSummary
    metrics: CardMetrics | str
    truth: TruthErrors | str
    calibration: Calibration | str
    laws: Mapping[str, LawCalibration] = {}
    population: tuple[PropagationRecord, ...] = ()
    cost: Cost | str
    break_even: BreakEven | str
    equal_seconds: EqualSeconds | None = None
    usage: Usage | None = None
    recipe: Json
    inputs: Mapping[str, Variable]
    outputs: Mapping[str, Variable]


def card(store_url: str, spec: str) -> CardView:
    """Return the card of a model, ``NAME[@VERSION]``: what made it, how good it is, what it costs, when that pays.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model or version.
    """
    store = Store(store_url)
    model, verdict = of_model.card(store, spec), of_model.verdict(store, spec)
    kept = MISSING | model.entries()
    if calibrated := laws(store, spec):
        kept["laws"] = calibrated
    found = {name: kept[name] for name in FIRST if name in kept} | kept
    if model.calibration is not None and "made" not in model.calibration.entries():
        found["calibration"] = model.calibration.changed(made=_made_before(store, spec))
    # One that was trained by itself never came to a gate.
    judged: Json = {"released": None, "release": "not judged"}
    if verdict is not None:
        judged = verdict.complete(model.recipe).entries()
    return CardView.model_validate({"model": models.resolve(store, spec).spec, **judged, **found})


def _made_before(store: Store, spec: str) -> str:
    """Return how bands were made by a release that did not write it down."""
    from ritz.compute.uncertainty.catalogue import calibrated

    blob = models.read_file(store, spec, "bands.json")
    try:
        said = "" if blob is None else calibrated(blob).made()
    except ValueError:
        # What made them is not installed here.
        said = ""
    return f"{said} An earlier release made them; `ritz quantify` makes them anew.".lstrip()


def break_even(kept: Card) -> str:
    """Return from how many queries on the model of a card has paid for itself, in a word or two."""
    even = kept.break_even
    if even is None or not even.measured:
        return "-"
    return "never" if even.queries is None else f"{rounded(even.queries, digits(even.spread)):,}"
