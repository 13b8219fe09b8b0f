"""A run whose surrogate two train workers learn together, and its replay by one process."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from ritz.storage import models
from ritz.storage.store import Store
from tests.command import TINY, replayed, ritz

pytestmark = pytest.mark.slow

PROFILE = "kind: local\nsolve: {count: 1}\ntrain: {count: 2}\n"


def test_a_run_with_two_ranks_is_replayed_by_one_process_with_the_same_bits(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    profile, store = tmp_path / "two.yaml", str(tmp_path / "store")
    profile.write_text(PROFILE)
    ranks = ("--set", "training.ranks=2", "--set", "training.watermark=12")
    run = ritz("run", TINY, "--store", store, "--profile", str(profile), *ranks, env=environment)
    assert run.returncode == 0, run.stderr
    schedule = np.load(io.BytesIO(models.load(Store(store), "tiny@v1")[0]["schedule.npy"]))
    # 96 training samples and 1 batch of 8 a sample: each of the two does 48.
    assert schedule.shape == (48, 16)
    assert not set(schedule[:, :8].ravel()) & set(schedule[:, 8:].ravel()), "each learns from shards of its own"
    found = replayed(store, "tiny@v1")
    assert found["exact"]
    assert found["equal"]
