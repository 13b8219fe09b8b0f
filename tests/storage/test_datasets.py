from __future__ import annotations

import pickle
import subprocess
import sys

import icechunk
import numpy as np
import pytest
import xarray as xr

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.reading import read, resolve
from ritz.storage.shards import write_shard
from tests.storage.fields import SHARD, SHARDS, N, definition, fields, fill, in_both, ledger, template, with_failure


@in_both
def test_a_shard_is_read_back_bit_for_bit(dataset):
    fill(dataset, 3)
    samples = dataset.read_shard(3)
    np.testing.assert_array_equal(samples.sample_id, definition()["sample_id"][3 * SHARD : 4 * SHARD])
    np.testing.assert_array_equal(samples.split, definition()["split"][3 * SHARD : 4 * SHARD])
    for name, values in fields(3).items():
        np.testing.assert_array_equal(samples.arrays[name], values)
        assert samples.arrays[name].dtype == np.float32
    for name, column in ledger(3).items():
        np.testing.assert_array_equal(samples.ledger[name], column)


@in_both
def test_a_shard_that_is_not_committed_reads_as_none(dataset):
    write_shard(dataset.fork(), 0, fields(0), ledger(0))
    assert dataset.read_shard(0) is None
    assert dataset.committed() == set()


@in_both
def test_samples_are_read_by_id_in_the_order_asked_for(dataset):
    fill(dataset, *range(SHARDS))
    ids = np.array([1001, 1019, 1010, 1000, 1001])
    samples = dataset.read_samples(ids)
    np.testing.assert_array_equal(samples.sample_id, ids)
    everything = np.concatenate([fields(shard)["u"] for shard in range(SHARDS)])
    np.testing.assert_array_equal(samples.arrays["u"], everything[1000 + N - 1 - ids])
    np.testing.assert_array_equal(samples.ledger["iterations"], (1000 + N - 1 - ids) // SHARD)


def test_samples_that_are_absent_are_named(dataset):
    fill(dataset, 0)
    with pytest.raises(Unknown, match="sample 7 is not in it"):
        dataset.read_samples(np.array([1019, 7]))
    with pytest.raises(Unknown, match="shard 4 is not committed"):
        dataset.read_samples(np.array([1019, 1000]))


@in_both
def test_plain_xarray_reads_coordinates_units_and_flags(dataset):
    fill(dataset, 0, 2)
    session = icechunk.Repository.open(dataset.store.repository("datasets/made")).readonly_session("main")
    plain = xr.open_zarr(session.store, consolidated=False)
    assert set(plain.coords) == {"sample_id", "split", "x", "y"}
    assert plain["u"].dims == ("sample", "y", "x")
    assert plain["u"].attrs["units"] == "m"
    assert plain["x"].attrs["units"] == "m"
    np.testing.assert_array_equal(plain["x"], template()["x"])
    np.testing.assert_array_equal(plain["u"][2 * SHARD : 3 * SHARD], fields(2)["u"])
    assert np.isnan(plain["u"][SHARD : 2 * SHARD]).all()
    assert plain["status"].attrs["flag_meanings"] == "absent ok failed"
    assert plain["status"].attrs["flag_values"] == [0, 1, 2]
    np.testing.assert_array_equal(plain["status"], np.repeat([1, 0, 1, 0, 0], SHARD))
    assert plain["split"].attrs["flag_meanings"] == "train validate steer calibrate test"
    assert plain["solver"].attrs["flag_meanings"] == "none direct recycled"
    assert plain.attrs["Conventions"].startswith("CF-")
    assert plain.attrs["rtol"] == 1e-8
    assert plain.attrs["symmetries"] == "square"


def test_an_opened_dataset_knows_what_made_it(dataset):
    opened = Dataset.open(dataset.store, "made")
    assert (opened.identity, opened.samples, opened.shard, opened.n_shards) == ("one", N, SHARD, SHARDS)
    assert opened.recipe == definition()["recipe"]
    assert (opened.rtol, opened.solvers, opened.fields) == (1e-8, ("direct", "recycled"), ("a", "u"))
    np.testing.assert_array_equal(opened.index()[0], definition()["sample_id"])
    np.testing.assert_array_equal(opened.index()[1], definition()["split"])


def test_the_template_comes_back_without_memory(dataset):
    back = dataset.template
    assert set(back.data_vars) == {"a", "u"}
    for name, field in template().data_vars.items():
        assert back[name].dims == field.dims
        assert back[name].dtype == field.dtype
        assert field.attrs.items() <= back[name].attrs.items()
        assert back[name].values.strides == (0, 0, 0)
    xr.testing.assert_identical(back["x"].reset_coords(drop=True), template()["x"].reset_coords(drop=True))


def test_progress_and_ledger_count_every_status(dataset):
    arrays, columns = with_failure(1, 2)
    fill(dataset, 0)
    with dataset.lock():
        dataset.commit({1: (write_shard(dataset.fork(), 1, arrays, columns), columns)})
    assert dataset.progress() == {"done": 7, "failed": 1, "to_go": N - 8}
    table = dataset.ledger()
    assert list(table["status"][4:9]) == ["ok", "ok", "failed", "ok", "absent"]
    assert list(table["reason"][4:9]) == ["", "", "not_converged", "", ""]
    assert list(table["solver"][4:6]) == ["direct", "recycled"]
    assert np.isnan(table["residual"][8:]).all()
    np.testing.assert_array_equal(table["sample_id"], definition()["sample_id"])
    # The failed one was answered by "direct", with a residual of 0.3.
    assert dataset.summary() == {
        "max_residual": 2e-10,
        "solvers": {"direct": 3, "recycled": 4},
        "failed": 1,
        "seconds": 4.0,
    }


def test_the_summary_of_nothing_is_empty(dataset):
    assert dataset.summary() == {"max_residual": None, "solvers": {}, "failed": 0, "seconds": 0.0}


@in_both
def test_readers_get_ok_samples_unless_they_ask_for_others(dataset):
    arrays, columns = with_failure(1, 2)
    with dataset.lock():
        dataset.commit({1: (write_shard(dataset.fork(), 1, arrays, columns), columns)})
        dataset.publish("first")
    good = read(dataset.store, "made")
    np.testing.assert_array_equal(good["sample_id"], definition()["sample_id"][[4, 5, 7]])
    np.testing.assert_array_equal(good["u"], fields(1)["u"][[0, 1, 3]])
    np.testing.assert_array_equal(good["split"], definition()["split"][[4, 5, 7]])
    assert read(dataset.store, "made", ("failed",)).sizes["sample"] == 1
    assert read(dataset.store, "made@v1", ("ok", "failed", "absent")).sizes["sample"] == N
    with pytest.raises(StorageError, match=r"statuses.*good.*absent"):
        read(dataset.store, "made", ("good",))


@in_both
def test_a_pickled_handle_opens_the_same_dataset(dataset):
    fill(dataset, 1)
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.read_shard(1).arrays["u"], fields(1)["u"])


@in_both
def test_unknown_datasets_are_answered_with_those_there_are(store):
    with pytest.raises(Unknown, match="none yet"):
        Dataset.open(store, "made")
    Committer.ensure(store, "made", **definition())
    with pytest.raises(Unknown, match=r"'mad'.*there are: made"):
        resolve(store, "mad@v1")


@in_both
def test_what_is_no_dataset_is_named(store):
    store.write("datasets/strange/file", b"")
    with pytest.raises(StorageError, match="strange: the repository doesn't exist"):
        Dataset.open(store, "strange")


def test_importing_the_room_loads_no_training_or_workflow_library():
    code = (
        "import sys, ritz.storage.committer, ritz.storage.models, ritz.storage.runs;"
        "print([m for m in ('torch', 'dask', 'distributed', 'prefect', 'sklearn', 'compute') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@in_both
def test_nothing_is_printed_or_logged(store, capfd):
    created = Committer.ensure(store, "made", **definition())
    fill(created, 0)
    created.publish("first")
    read(store, "made").load()
    assert capfd.readouterr() == ("", "")
