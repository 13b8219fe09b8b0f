"""Trainings that begin with the weights of a model."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.storage import models
from ritz.storage.errors import Refused, Unknown
from ritz.storage.store import Store
from ritz.tasks.checks import check_run
from ritz.tasks.documents import of_model
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load
from ritz.tasks.training import worker as train
from ritz.tasks.training.starting import started
from ritz.tasks.views.lineage import ModelLineage, lineage
from tests.command import TINY
from tests.compute.surrogates.test_stepping import INNER, model

TinyStore = tuple[Path, dict[str, Any]]


def begun(store: str, changes: dict[str, Any] | None = None) -> Pipeline:
    """Return the tiny recipe under another name, whose training begins with the model that the recipe made."""
    return load(TINY, {"name": "next", "training.start": "tiny@v1", **(changes or {})}, store_url=store)


def losses(store: Store, identity: str) -> np.ndarray:
    found: np.ndarray = np.load(io.BytesIO(store.read(f"fits/{identity}/losses.npy")))
    return found


def test_it_begins_where_the_model_ended(tiny_store: TinyStore, tmp_path: Path, quiet: None) -> None:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    store, recipe = Store(tmp_path / "store"), load(TINY)
    found = {}
    for start in (None, "tiny@v1"):
        job = train.Fitting(
            identity=f"from-{start}", store=store.url, dataset="tiny", version="v1", problem=recipe.problem,
            surrogate=recipe.surrogate, training=Offline(epochs=1, coarse=0.0, start=start), shards=20, samples=96,
            seed=0, dataset_identity=None, channel=None,
        )  # fmt: skip
        train.fit(job)
        found[start] = losses(store, job.identity)
    assert found["tiny@v1"][:3].mean() < 0.5 * found[None][:3].mean()


def test_a_model_that_fits_is_taken(tiny_store: TinyStore) -> None:
    check_run(begun(str(tiny_store[0])), str(tiny_store[0]), trains=True)


def test_the_lineage_names_the_start(tiny_store: TinyStore, tmp_path: Path) -> None:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    store = Store(tmp_path / "store")
    recipe = of_model.card(store, "tiny@v1").recipe
    models.amend(store, "tiny@v1", {"recipe": {**recipe, "training": {**recipe["training"], "start": "first@v3"}}})
    found = [lineage(str(where), "tiny@v1") for where in (tiny_store[0], tmp_path / "store")]
    assert [one.start for one in found if isinstance(one, ModelLineage)] == [None, "first@v3"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"training.start": "tiny@v7"}, Unknown, "tiny"),
        ({"training.start": "nobody@v1"}, Unknown, "nobody"),
        ({"surrogate.width": 4}, Refused, r"training.start is 'tiny@v1', a model of the surrogate .* expected that"),
        (
            {"problem": {"kind": "poisson", "shape": [16, 16]}},
            Refused,
            r"a model of the channels \{'a': 1, .* expected",
        ),
        ({"surrogate": {"kind": "ensemble", "size": 2}}, Refused, "its members have to differ from the first step on"),
    ],
    ids=["version", "name", "surrogate", "channels", "ensemble"],
)
def test_a_model_that_does_not_fit_is_refused(
    tiny_store: TinyStore, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    store = str(tiny_store[0])
    with pytest.raises(error, match=message):
        check_run(begun(store, changes), store, trains=True)


@pytest.mark.parametrize("name", ["tiny", "tiny@1", "../tiny@v1", "tiny@v0", ""])
def test_a_start_names_a_version(name: str) -> None:
    with pytest.raises(ValidationError, match="start"):
        Online(start=name)


def test_a_model_of_a_class_that_no_package_registers_is_a_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Own(Stepping):
        kind: Literal["own"] = "own"  # type: ignore[assignment]  # a kind of its own

    blob = model(Own(inner=INNER)).to_bytes()
    monkeypatch.setattr(models, "load", lambda *_: ({"model.safetensors": blob}, None))
    found = started(Store(tmp_path), Offline(start="own@v1"), Own(inner=INNER))
    assert found is not None
    assert found.surrogate == Own(inner=INNER)
    assert found.to_bytes() == blob


def test_a_training_without_a_start_is_the_one_from_before_there_was_a_choice() -> None:
    assert "start" not in Online().model_dump(mode="json")
    assert Online(start="tiny@v1").model_dump(mode="json")["start"] == "tiny@v1"
