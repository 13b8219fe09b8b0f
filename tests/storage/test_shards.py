from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import zarr

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, StorageError
from ritz.storage.shards import write_shard
from tests.storage.fields import SHARD, SHARDS, definition, fields, fill, in_both, ledger, with_failure


@in_both
def test_forks_made_once_commit_in_any_order_from_other_processes(dataset, start, tmp_path):
    (tmp_path / "fork").write_bytes(pickle.dumps(dataset.fork()))
    processes = [start("write", tmp_path / "fork", shard, tmp_path / str(shard)) for shard in (1, 3)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert errors == ""
    with dataset.lock():
        for shard in (3, 1):
            assert dataset.commit({shard: (pickle.loads((tmp_path / str(shard)).read_bytes()), ledger(shard))})
    for shard in (1, 3):
        np.testing.assert_array_equal(dataset.read_shard(shard).arrays["u"], fields(shard)["u"])
    assert Dataset.open(dataset.store, "made").committed() == {1, 3}


@in_both
def test_a_fork_from_before_other_commits_and_a_version_still_commits(dataset):
    fork = dataset.fork()
    late = write_shard(fork, 2, fields(2), ledger(2))
    fill(dataset, 0, 1)
    dataset.publish("two shards")
    with dataset.lock():
        assert dataset.commit({2: (late, ledger(2))})
        assert dataset.commit({4: (write_shard(fork, 4, fields(4), ledger(4)), ledger(4))})
    for shard in (0, 1, 2, 4):
        np.testing.assert_array_equal(dataset.read_shard(shard).arrays["a"], fields(shard)["a"])
    assert "v1: two shards" in Dataset.open(dataset.store, "made").attrs["history"]


@pytest.mark.parametrize("handle", ["same", "fresh"])
def test_a_second_receipt_is_dropped_and_the_data_stays(dataset, handle):
    fork = dataset.fork()
    fill(dataset, 2)
    other = {name: values + 1 for name, values in fields(2).items()}
    second = dataset if handle == "same" else Committer.open(dataset.store, "made")
    with second.lock():
        assert second.commit({2: (write_shard(fork, 2, other, ledger(2)), ledger(2))}) == set()
    np.testing.assert_array_equal(dataset.read_shard(2).arrays["u"], fields(2)["u"])


@in_both
def test_shards_that_are_committed_together_are_one_commit(dataset):
    fork = dataset.fork()
    fill(dataset, 2)
    written = {shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard)) for shard in (3, 0, 2)}
    before = len(list(dataset._repository.ancestry(branch="main")))
    with dataset.lock():
        assert dataset.commit(written) == {0, 3}
        assert dataset.commit(written) == set()
    commits = list(dataset._repository.ancestry(branch="main"))
    assert len(commits) == before + 1
    assert (commits[0].message, commits[0].metadata["shards"]) == ("shards 0, 3", [0, 3])
    for shard in (0, 2, 3):
        np.testing.assert_array_equal(dataset.read_shard(shard).arrays["u"], fields(shard)["u"])
    assert dataset.progress()["done"] == 3 * SHARD


@in_both
def test_of_shards_that_are_committed_together_all_come_or_none(dataset):
    fork = dataset.fork()
    written = {shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard)) for shard in (0, 1)}
    written[2] = (fork, ledger(2))
    with dataset.lock(), pytest.raises(Refused, match="shard 2: the fork holds shard None"):
        dataset.commit(written)
    assert dataset.committed() == Dataset.open(dataset.store, "made").committed() == set()


@in_both
def test_a_handle_sees_what_another_committed_before_it_commits(dataset):
    other = Committer.open(dataset.store, "made")
    assert dataset.committed() == set()
    fill(other, 1)
    with dataset.lock():
        wrong = write_shard(dataset.fork(), 1, fields(3), ledger(1))
        assert dataset.commit({1: (wrong, ledger(1))}) == set()
    assert dataset.committed() == {1}


def changed(name, values):
    return fields(0) | {name: values}


@pytest.mark.parametrize(
    ("shard", "arrays", "message"),
    [
        (-1, fields(0), "expected one of 0 to 4"),
        (SHARDS, fields(0), "expected one of 0 to 4"),
        (0, {"a": fields(0)["a"]}, r"fields \['a'\]: expected \['a', 'u'\]"),
        (0, changed("v", fields(0)["u"]), "expected"),
        (0, changed("u", fields(0)["u"][:2]), r"'u': expected float32 of shape \(4, 8, 8\), got .*\(2, 8, 8\)"),
        (0, changed("u", np.concatenate([fields(0)["u"]] * 2)), r"\(8, 8, 8\)"),
        (0, changed("u", fields(0)["u"][..., :4]), r"\(4, 8, 4\)"),
        (0, changed("u", fields(0)["u"].astype(float)), "expected float32 .* got float64"),
        (0, changed("u", np.where(np.eye(8) > 0, np.float32(np.nan), fields(0)["u"])), "sample 0 .* is ok and has NaN"),
        (0, changed("a", np.where(np.eye(8) > 0, np.float32(np.inf), fields(0)["u"])), "'a'.*infinite"),
    ],
)
def test_wrong_fields_are_refused_and_nothing_is_written(dataset, shard, arrays, message):
    fork = dataset.fork()
    with pytest.raises(Refused, match=message):
        write_shard(fork, shard, arrays, ledger(0))
    assert not fork.session().has_uncommitted_changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": ["ok"] * (SHARD - 1)}, r"'status' has shape \(3,\): expected \(4,\)"),
        ({"status": ["good"] * SHARD}, "'good' is none of .*absent.*ok.*failed"),
        ({"status": ["absent"] * SHARD}, "got 'absent'"),
        ({"status": ["failed"] * SHARD}, "'reason': expected"),
        ({"reason": ["breakdown"] * SHARD}, "'reason': expected"),
        ({"reason": ["tired"] * SHARD}, "'tired' is none of"),
        ({"residual": [1e-9, 1e-9, 2e-8, 1e-9]}, "sample 2 .* 2e-08, above the dataset's rtol 1e-08"),
        ({"residual": [1e-9, np.nan, 1e-9, 1e-9]}, "sample 1 .* nan"),
        ({"residual": [-1.0] * SHARD}, "sample 0"),
        ({"residual": ["small"] * SHARD}, "expected numbers"),
        ({"iterations": [1.5] * SHARD}, "'iterations': expected whole numbers .* 1.5"),
        ({"matvecs": [-1] * SHARD}, "'matvecs': expected whole numbers"),
        ({"seconds": [np.inf] * SHARD}, "'seconds'"),
        ({"solver": ["magic"] * SHARD}, "'magic' is none of .*direct.*recycled"),
        ({"solver": ["none"] * SHARD}, "got 'none'"),
        ({"extra": [0] * SHARD}, "extra"),
    ],
)
def test_a_wrong_ledger_is_refused_by_the_writer_and_by_the_committer(dataset, changes, message):
    with pytest.raises(Refused, match=message):
        write_shard(dataset.fork(), 0, fields(0), ledger(0, **changes))
    written = write_shard(dataset.fork(), 0, fields(0), ledger(0))
    with dataset.lock(), pytest.raises(Refused, match=message):
        dataset.commit({0: (written, ledger(0, **changes))})
    assert dataset.committed() == set()


def test_an_output_of_a_failed_sample_must_be_nan_throughout(dataset):
    arrays, columns = with_failure(0, 1)
    arrays["u"][1, 0, 0] = 3
    with pytest.raises(Refused, match=r"'u': sample 1 of the shard failed.*NaN throughout"):
        write_shard(dataset.fork(), 0, arrays, columns)


def test_a_shard_in_which_all_failed_is_there(dataset):
    columns = ledger(0, status=["failed"] * SHARD, reason=["not_finite"] * SHARD, residual=[np.nan] * SHARD)
    arrays = {name: np.full_like(values, np.nan) for name, values in fields(0).items()}
    with dataset.lock():
        assert dataset.commit({0: (write_shard(dataset.fork(), 0, arrays, columns), columns)})
    assert dataset.progress()["failed"] == SHARD
    assert np.isnan(dataset.read_shard(0).arrays["u"]).all()


def test_a_fork_takes_one_shard_and_commits_as_that_shard(dataset):
    written = write_shard(dataset.fork(), 0, fields(0), ledger(0))
    with pytest.raises(Refused, match="holds shard 0 already"):
        write_shard(written, 1, fields(1), ledger(1))
    with dataset.lock():
        with pytest.raises(Refused, match="shard 1: the fork holds shard 0"):
            dataset.commit({1: (written, ledger(0))})
        with pytest.raises(Refused, match="shard 0: the fork holds shard None"):
            dataset.commit({0: (dataset.fork(), ledger(0))})


def test_what_a_fork_writes_beside_its_shard_is_refused_also_among_others(dataset):
    forks = {index: write_shard(dataset.fork(), index, fields(index), ledger(index)) for index in (0, 1)}
    session = forks[1].session()
    zarr.open_array(session.store, path="u", mode="r+")[2 * SHARD : 3 * SHARD] = 1
    forks[1] = forks[1].holding(1, session, 0)
    with dataset.lock(), pytest.raises(Refused, match=r"shard 0, 1: .* changes .* not only this shard"):
        dataset.commit({index: (fork, ledger(index)) for index, fork in forks.items()})
    assert dataset.committed() == set()


@in_both
def test_misaligned_writes_that_zarr_accepts_are_refused_at_the_commit(dataset):
    fork = dataset.fork()
    session = fork.session()
    group = zarr.open_group(session.store, mode="r+")
    stored = dict(group.arrays())
    stored["u"][2:6] = 1
    stored["status"][2:6] = 1
    with dataset.lock(), pytest.raises(Refused, match=r"changes .*'/u': \[0, 1\].* not only this shard"):
        dataset.commit({0: (fork.holding(0, session, 0), ledger(0))})
    assert dataset.committed() == set()


def test_a_fork_of_another_dataset_is_refused(dataset):
    other = Committer.ensure(dataset.store, "other", **definition(identity="two"))
    with dataset.lock(), pytest.raises(Refused, match="of another dataset, two"):
        dataset.commit({0: (write_shard(other.fork(), 0, fields(0), ledger(0)), ledger(0))})


def test_only_the_holder_of_the_lock_commits(dataset):
    written = write_shard(dataset.fork(), 0, fields(0), ledger(0))
    with pytest.raises(Refused, match=r"with dataset.lock\(\)"):
        dataset.commit({0: (written, ledger(0))})


def test_a_flipped_byte_is_found_when_it_is_read(dataset):
    fill(dataset, 0)
    folder = dataset.store.location("datasets/made/chunks")
    shard = max(Path(folder).iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        Dataset.open(dataset.store, "made").read_shard(0)


def test_a_dataset_that_is_gone_is_not_made_anew(dataset):
    fork, folder = dataset.fork(), Path(dataset.store.location("datasets/made"))
    written = write_shard(fork, 0, fields(0), ledger(0))
    folder.rename(folder.with_name("away"))
    for work in (
        lambda: write_shard(fork, 1, fields(1), ledger(1)),
        lambda: dataset.commit({0: (written, ledger(0))}),
        lambda: dataset.publish("gone"),
        dataset.committed,
        dataset.progress,
    ):
        with pytest.raises(StorageError, match=rf"^{folder} is gone, .* goes on from there$"), dataset.lock():
            work()
        assert not folder.exists()
    folder.with_name("away").rename(folder)
    with dataset.lock():
        assert dataset.commit({0: (written, ledger(0))})
