"""What the flows themselves refuse, before any work: datasets and models of other people's recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritz.flows.evaluate import evaluate
from ritz.flows.quantify import quantify
from ritz.flows.train import train
from ritz.storage import models
from ritz.storage.committer import Committer
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.pipeline import Pipeline
from tests.command import TINY
from tests.documents import card
from tests.storage.fields import SHARDS, definition, fill


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a published dataset of 20 samples, 8 to train on and 4 of each other split, and a model."""
    store = Store(tmp_path)
    dataset = Committer.ensure(store, "made", **definition())
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    models.save(store, "model", {}, card(Pipeline(name="model").document()).document())
    return store


def test_too_few_samples_to_train_on_are_refused(store: Store) -> None:
    with pytest.raises(Refused, match=r"training.watermark = 16 is above the 8 training samples of made@v1"):
        train.fn(TINY, {}, "made@v1", store.url)
    assert not store.exists("fits")


def test_too_few_samples_to_calibrate_on_are_refused(store: Store) -> None:
    said = "made@v1: has 4 samples of the split 'calibrate'; expected at least 19 for model model"
    with pytest.raises(Refused, match=said):
        quantify.fn("model", "made", store.url)


def test_a_dataset_without_a_test_split_is_refused(store: Store) -> None:
    dataset = Committer.ensure(store, "untested", **definition(split=["train"] * 20))
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    with pytest.raises(Refused, match="untested@v1: has 0 samples of the split 'test'; expected at least 1"):
        evaluate.fn("model", "untested", store.url)
