from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ritz.storage.committer import Committer
from ritz.storage.errors import Refused, StorageError
from ritz.storage.listing import list_datasets
from ritz.storage.store import Store
from tests.storage.fields import N, definition, fill, in_both, template


@in_both
def test_ensure_makes_then_opens_then_refuses_another_identity(store):
    first = Committer.ensure(store, "made", **definition())
    fill(first, 0)
    assert Committer.ensure(store, "made", **definition()).committed() == {0}
    with pytest.raises(Refused, match=r"another recipe: name a new one, e\.g\. --set name=made-2"):
        Committer.ensure(store, "made", **definition(identity="two"))
    assert list_datasets(store) == ["made"]


def test_a_million_samples_are_laid_out_without_reading_the_template(store):
    n = 1_000_000
    many = Committer.ensure(
        store, "many", **definition(n, shard=1000, split=np.full(n, "train"), sample_id=np.arange(n))
    )
    assert many.progress() == {"done": 0, "failed": 0, "to_go": n}
    assert sum(file.stat().st_size for file in Path(store.url).rglob("*") if file.is_file()) < 10e6


@pytest.mark.parametrize("name", ["", "../made", "a/b", ".made", "-made", "a b", "x" * 101, "made\n"])
def test_names_that_are_paths_or_worse_are_refused(store, name):
    with pytest.raises(StorageError, match="dataset name"):
        Committer.ensure(store, name, **definition())
    assert not Path(store.url).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": 3}, "20 samples in shards of 3"),
        ({"shard": 0}, "multiple"),
        ({"sample_id": np.zeros(N, int)}, "20 different integers"),
        ({"sample_id": np.arange(N - 1)}, "20 different integers"),
        ({"sample_id": np.arange(N) * 1.0}, "float64"),
        ({"split": np.full(N, "holdout")}, "split.*calibrate"),
        ({"attrs": {}}, "rtol"),
        ({"attrs": {"rtol": 2.0}}, "rtol.*2.0"),
        ({"attrs": {"rtol": 1e-8, "shard": 7}}, "shard.*written by the store"),
        ({"attrs": {"rtol": 1e-8, "x": object()}}, "JSON"),
        ({"recipe": {"x": np.nan}}, "JSON"),
        ({"identity": ""}, "identity"),
        ({"solvers": ("two words",)}, "solver name"),
        ({"template": xr.zeros_like(template(), dtype=int)}, "'a': expected floating point"),
        ({"template": template().transpose("y", ...)}, "'sample' as first dimension"),
        ({"template": template().assign(u=template()["u"].drop_attrs())}, "'u': expected the attribute role"),
        ({"template": template().rename(u="status")}, "'status' is a ledger column"),
        ({"template": template()[[]].assign_coords(sample=np.arange(N))}, "at least one variable"),
    ],
)
def test_a_wrong_definition_leaves_nothing_behind(store, changes, message):
    with pytest.raises(StorageError, match=message):
        Committer.ensure(store, "made", **definition(**changes))
    assert not Path(store.url).exists()


def test_a_store_that_cannot_be_there_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot list .*file/below/datasets/made: Not a directory"):
        Committer.ensure(Store(tmp_path / "file" / "below"), "made", **definition())
