"""Pages of what a stage by itself has measured; they lie beside the model."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Literal

from ritz.compute.document import Json
from ritz.storage.names import split_spec
from ritz.storage.reading import read, resolve
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.report.page import CALIBRATION_PAGE, EVALUATION_PAGE, render
from ritz.tasks.report.worker import evaluated, measured

Stage = Literal["evaluation", "calibration"]
"""What a page is about."""

PAGES = {"evaluation": EVALUATION_PAGE, "calibration": CALIBRATION_PAGE}


def page(store_url: str, stage: Stage, model: str, dataset: str) -> bytes:
    """Return the page of what a stage has measured of a model on a dataset, both as ``NAME@VERSION``."""
    store = Store(store_url)
    material = measured(store, model, dataset, by_coverage=stage == "calibration")
    return render(_record(store, stage, model, dataset), material, page=PAGES[stage])


def _record(store: Store, stage: Stage, model: str, dataset: str) -> Json:
    """Return what a run record would say of it, as far as it is known."""
    card, data = of_model.card(store, model), read(store, dataset)
    by = {"evaluation": "evaluate", "calibration": "quantify"}[stage]
    trained = f"in run {card.run}" if card.run is not None else "by itself"
    (name, version), (its_data, its_version) = split_spec("model", model), split_spec("dataset", dataset)
    about: Json = {
        "made": f"Made by `ritz {by}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. The model was trained {trained}, on "
        f"{card.dataset.name}@{card.dataset.version}.",
        "model": {"name": name, "version": version},
        "dataset": {
            "name": its_data,
            "version": its_version,
            "snapshot": resolve(store, dataset).snapshot,
            "samples": data.sizes["sample"],
            "splits": dict(Counter(data["split"].values.tolist())),
        },
        "recipe": card.recipe,
    }
    evaluation, calibration = evaluated(store, model, dataset), of_model.calibration(store, model)
    kept = card.document()
    errors = {} if evaluation is None else evaluation.document()
    bars = {} if calibration is None or calibration.dataset != dataset else calibration.document()
    return {
        **about,
        **{name: errors.get(name) for name in ("metrics", "baselines")},
        **{name: bars.get(name) for name in ("coverage", "ranking", "shifted")},
        "bar_seconds": bars.get("seconds"),
        **{name: kept.get(name) for name in ("cost", "break_even", "equal_seconds")},
    }
