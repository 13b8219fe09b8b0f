from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.storage import models
from ritz.storage.store import Store
from tests import attached
from tests.command import TINY, ritz


@pytest.fixture(scope="module")
def second(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, environment: dict[str, str]
) -> tuple[Store, dict[str, Any], tuple[str, ...]]:
    """A second, undisturbed run of the recipe of `tiny_store`, and where commands find store and cluster."""
    store = tmp_path_factory.mktemp("second") / "store"
    place = ("--store", str(store), "--profile", attached.profile(cluster), "--json")
    done = ritz("run", TINY, *place, env=environment)
    assert done.returncode == 0, done.stderr
    return Store(store), json.loads(done.stdout), place


@pytest.mark.soak
def test_a_run_is_replayed_by_its_name(
    second: tuple[Store, dict[str, Any], tuple[str, ...]], environment: dict[str, str]
) -> None:
    _, record, place = second
    done = ritz("replay", record["run"], *place, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["agrees"], found["exact"], found["equal"], found["steps"]) == (True, True, True, 96)
    assert (found["model"], found["dataset"]["snapshot"]) == ("tiny@v1", record["dataset"]["snapshot"])
    assert "replay: equal bit for bit" in done.stderr
    assert "solve:" not in done.stderr


def _schedule(store: Store) -> tuple[np.ndarray, list[dict[str, Any]]]:
    files, _ = models.load(store, "tiny")
    return np.load(io.BytesIO(files["schedule.npy"])), json.loads(files["history.json"])["curve"]


@pytest.mark.soak
def test_two_runs_with_one_seed_agree_in_the_statistics_of_their_schedules(
    tiny_store: tuple[Path, dict[str, Any]], second: tuple[Store, dict[str, Any], tuple[str, ...]]
) -> None:
    """Which ids make a step depends on the order of arrival; how many steps, and how often a sample comes, does not.

    Compared are the number of steps, the samples that were used, the mean of the repeats a sample (equal), their
    standard deviation (to 35 %), and their distribution: the largest distance of the two distribution functions is
    below 0.235, the critical value of Kolmogorov and Smirnov for twice 96 samples at 1 %. And in both no step was done
    before the samples received allowed it.
    """
    repeats = []
    for store in (Store(tiny_store[0]), second[0]):
        schedule, curve = _schedule(store)
        assert schedule.shape == (96, 8)
        counts = Counter(schedule.ravel().tolist())
        assert set(counts) <= {one for one in range(160) if one % 20 < 12}
        assert len(counts) >= 0.95 * 96
        repeats.append(np.array([counts[one] for one in range(160) if one % 20 < 12]))
        # One step a sample, and the buffer holds the watermark when the first is done.
        assert all(row["step"] <= row["received"] for row in curve)
        assert curve[0]["received"] >= 16
    one, other = repeats
    assert one.mean() == other.mean() == 8
    assert one.std() == pytest.approx(other.std(), rel=0.35)
    values = np.arange(max(one.max(), other.max()) + 1)
    distance = abs((one[:, None] <= values).mean(axis=0) - (other[:, None] <= values).mean(axis=0)).max()
    assert distance < 0.235
