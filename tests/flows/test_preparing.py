"""A command, a flow that is called and one that is served refuse the same input in the same words, before any work."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from ritz.compute.cluster.errors import ClusterError
from ritz.flows import served
from ritz.flows.audit import audit
from ritz.flows.compare import online_offline
from ritz.flows.evaluate import evaluate
from ritz.flows.generate import generate
from ritz.flows.quantify import quantify
from ritz.flows.recalibrate import recalibrate
from ritz.flows.regenerate import regenerate
from ritz.flows.replay import replay
from ritz.flows.run import run
from ritz.flows.served import run_served
from ritz.flows.serving.binding import VARIABLE, Binding
from ritz.flows.train import train
from ritz.storage import models
from ritz.storage.committer import Committer
from ritz.storage.errors import StorageError
from ritz.storage.store import Store
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.overrides import assignments
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.learning import Evaluate, Train
from ritz.tasks.requests.solving import Generate, Run
from tests.command import TINY, inside
from tests.documents import card
from tests.storage.fields import SHARDS, definition, fill

REFUSED = (RecipeError, StorageError, ClusterError)
"""What a command says in one line."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands for {word} in what is asked for.

    In ``store`` lie a dataset of 20 samples that has the name of the recipe, and a model that does not go with it.
    """
    folder = tmp_path_factory.mktemp("prepared")
    store = Store(folder / "store")
    dataset = Committer.ensure(store, "tiny", **definition())
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    models.save(store, "model", {}, card(Pipeline(name="model").document()).document())
    (folder / "file").write_text("")
    with socket.socket() as nobody:
        # Bound and not listening: the port is taken, and nobody answers.
        nobody.bind(("127.0.0.1", 0))
        (folder / "gone.yaml").write_text(
            f"kind: attach\naddress: tcp://127.0.0.1:{nobody.getsockname()[1]}\ntimeout: 1\n"
        )
        yield {
            "store": store.url,
            "new": str(folder / "new"),
            "below": str(folder / "file" / "store"),
            "gone": str(folder / "gone.yaml"),
        }


def said_by(arguments: list[str]) -> str:
    """What `ritz` says of arguments that it refuses."""
    done = inside(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if not re.match(r"\d\d:\d\d:\d\d (start|work): ", line)]
    return line


def refused(work: Callable[[], object]) -> str:
    """The line that a command would say of what work raises."""
    with pytest.raises(REFUSED) as caught:
        work()
    return f"ritz: {caught.value}"


RUNS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown key": ({"problem.shap": [8, 8]}, "{new}", "local", "problem.shap: there is no such field"),
    "bad value": ({"training.batch_size": -1}, "{new}", "local", "training.batch_size: Input should be greater"),
    "too few to calibrate": ({"data.samples": 80}, "{new}", "local", "expected at least 19"),
    "wrong grid": ({"problem": {"kind": "plate", "cells": 8}}, "{new}", "local", "surrogate 'fno'"),
    "another recipe's name": ({}, "{store}", "local", "is made by another recipe"),
    "no room": (
        {"data.samples": 10**9, "data.shard": 20, "problem.shape": [4096, 4096]},
        "{new}",
        "local",
        "data.samples: to keep 1000000000 new samples",
    ),
    "unknown profile": ({}, "{new}", "cloud", "profile 'cloud' is unknown"),
    "nobody answers": ({}, "{new}", "{gone}", "no Dask scheduler answered"),
    "store below a file": ({}, "{below}", "local", "Not a directory"),
    "store elsewhere": ({}, "ftp://host/store", "local", "store 'ftp://host/store': expected a folder"),
}
"""Overrides, store, profile, and what is said of them."""


@pytest.mark.parametrize("case", RUNS)
def test_a_run_is_refused_alike_however_it_is_asked_for(
    case: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides, store, profile, expected = RUNS[case]
    store, profile = store.format(**places), profile.format(**places)
    said = said_by(["run", TINY, *assignments(overrides), "--store", store, "--profile", profile])
    assert expected in said
    assert refused(lambda: run.fn(TINY, overrides, store, profile)) == said
    # As in the process of a served run, but for the names that its lines bear.
    deployment = str(uuid4())
    monkeypatch.setenv(VARIABLE, json.dumps({deployment: asdict(Binding(TINY, store, profile))}))
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", deployment)
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(uuid4()))
    monkeypatch.setattr(served, "bear", lambda _: None)
    assert refused(lambda: run_served.fn(overrides)) == said
    assert list(Path(places["new"]).rglob("*")) == []


SIZES: dict[str, Any] = {"seeds": 2, "samples": 15, "epochs": None, "fresh": 4}

STAGES: dict[str, tuple[str, Callable[[str], object], str]] = {
    "generate": (
        f"generate {TINY} --set data.seed=5",
        lambda store: generate.fn(TINY, {"data.seed": 5}, store),
        "is made by another recipe",
    ),
    "generate with a bad value": (
        f"generate {TINY} --set data.shard=0",
        lambda store: generate.fn(TINY, {"data.shard": 0}, store),
        "data.shard: Input should be greater than 0",
    ),
    "train": (
        f"train {TINY} --dataset tiny",
        lambda store: train.fn(TINY, {}, "tiny", store),
        "training.watermark = 16 is above the 8 training samples of tiny@v1",
    ),
    "train on nobody": (
        f"train {TINY} --dataset nobody",
        lambda store: train.fn(TINY, {}, "nobody", store),
        "dataset 'nobody': not in",
    ),
    "evaluate": (
        "evaluate nobody --dataset tiny",
        lambda store: evaluate.fn("nobody", "tiny", store),
        "model 'nobody': not in",
    ),
    "quantify": (
        "quantify model --dataset tiny",
        lambda store: quantify.fn("model", "tiny", store),
        "tiny@v1: has 4 samples of the split 'calibrate'; expected at least 19 for model model",
    ),
    "quantify for another law": (
        "quantify model --dataset tiny --law rough",
        lambda store: recalibrate.fn("model", "tiny", "rough", store),
        "the problem 'made' of dataset tiny@v1 is not installed here",
    ),
    "compare": (
        f"compare online-offline {TINY} --seeds 2 --samples 15",
        lambda store: online_offline.fn(TINY, {}, store, **SIZES),
        "--samples 15 is below training.watermark = 16",
    ),
    "audit": ("audit tiny@v1", lambda store: audit.fn("tiny@v1", store), "its problem 'made' cannot be loaded"),
    "regenerate": (
        "regenerate tiny@v9 --sample 0",
        lambda store: regenerate.fn("tiny@v9", 0, store),
        "has no version 'v9'; there are: v1",
    ),
    "replay": ("replay nobody", lambda store: replay.fn("nobody", store), "nobody"),
}
"""Arguments of a command, the call of its flow, and what is said of both."""


@pytest.mark.parametrize("case", STAGES)
def test_a_stage_is_refused_alike_however_it_is_asked_for(case: str, places: dict[str, str]) -> None:
    arguments, call, expected = STAGES[case]
    said = said_by([*arguments.split(), "--store", places["store"]])
    assert expected in said
    assert refused(lambda: call(places["store"])) == said


def test_what_is_prepared_is_typed_and_nothing_is_written(places: dict[str, str]) -> None:
    begun: list[str] = []
    prepared = prepare(Run.read(TINY, {}, places["new"]), places["new"], "local", begin=lambda: begun.append("begun"))
    assert (prepared.work.name, prepared.store, prepared.profile.kind) == ("tiny", places["new"], "local")
    assert prepared.done is None
    assert prepared.new_store == f"new store {places['new']}"
    assert begun == ["begun"]
    assert list(Path(places["new"]).rglob("*")) == []
    fit = prepare(Train.read(TINY, {"training.watermark": 8}, places["store"], "tiny"), places["store"], "local")
    assert (fit.work.dataset.spec, fit.work.data.n_shards, fit.work.samples) == ("tiny@v1", SHARDS, 8)
    assert fit.new_store == ""
    measured = prepare(Evaluate("model", "tiny"), places["store"], "local").work
    assert (measured.model.spec, measured.dataset.spec) == ("model@v1", "tiny@v1")
    assert measured.uncertainty.kind == "conformal"


def test_a_dataset_that_has_all_samples_asks_for_no_cluster(tmp_path: Path, places: dict[str, str]) -> None:
    changes = {"problem.shape": [8, 8], "data.samples": 4 * SHARDS, "data.shard": 4}
    pipeline = Generate.read(TINY, changes, "").pipeline
    ids, store = np.arange(4 * SHARDS), Store(tmp_path)
    dataset = Committer.ensure(
        store,
        pipeline.name,
        pipeline.problem.template(len(ids)),
        identity=pipeline.dataset_identity,
        recipe=pipeline.document(),
        sample_id=ids,
        split=pipeline.data.splits.of(ids),
        shard=4,
        solvers=("direct", "recycled"),
        attrs={"rtol": pipeline.data.rtol},
    )
    fill(dataset, *range(SHARDS))
    dataset.publish("all")
    made = generate.fn(TINY, changes, store.url, places["gone"])
    assert made.dataset.version == "v1"
    done = inside("generate", TINY, *assignments(changes), "--store", store.url, "--profile", places["gone"])
    assert (done.returncode, done.stderr) == (0, "nothing to do: tiny@v1 has all samples\n")
