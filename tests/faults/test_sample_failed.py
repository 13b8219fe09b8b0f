from __future__ import annotations

import io
import json
import subprocess
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.solvers.choice.auto import Auto
from ritz.storage.reading import read
from ritz.tasks.generation.worker import probe
from tests import attached
from tests.command import ritz
from tests.faults.conftest import SHARD, SHARDS, STEPS, Trap

pytestmark = pytest.mark.slow

BAD = 3
"""A training sample without solution."""


@pytest.fixture(scope="module")
def done(trap: Trap, cluster: Cluster) -> subprocess.CompletedProcess[str]:
    profile = attached.profile(cluster)
    finished = ritz(*trap.command("--profile", profile, singular=(BAD,)), env=trap.environment)
    assert finished.returncode == 0, finished.stderr
    return finished


def test_the_run_ends_well_and_says_so(done: subprocess.CompletedProcess[str]) -> None:
    ledger = json.loads(done.stdout)["ledger"]
    assert (ledger["failed"], ledger["solved"]) == (1, SHARDS * SHARD)
    assert sum(ledger["solvers"].values()) == SHARDS * SHARD - 1
    assert 0 < ledger["max_residual"] <= 1e-8
    assert "1 failed" in done.stderr


def test_the_sample_is_kept_out_of_sight_with_its_reason(done: Any, trap: Trap) -> None:
    assert sorted(read(trap.store, "tiny")["sample_id"].values) == sorted(set(range(SHARDS * SHARD)) - {BAD})
    failed = read(trap.store, "tiny", statuses=("failed",))
    assert failed["sample_id"].values.tolist() == [BAD]
    assert np.isnan(failed["u"].values).all()
    assert (failed["a"].values == 1).all()
    ledger = trap.dataset().ledger()
    row = {name: column[ledger["sample_id"] == BAD].item() for name, column in ledger.items()}
    assert row["status"] == "failed"
    assert row["reason"] in ("breakdown", "not_converged")
    assert not row["residual"] <= 1e-8


def test_nothing_is_learnt_from_it(done: Any, trap: Trap) -> None:
    folder = f"models/tiny/{json.loads(done.stdout)['model']['version']}"
    schedule = np.load(io.BytesIO(trap.store.read(f"{folder}/schedule.npy")))
    assert len(schedule) == STEPS
    assert BAD not in schedule
    card = json.loads(trap.store.read(f"{folder}/card.json"))
    assert card["training"]["samples_received"] == trap.pipeline.train_samples - 1


def test_the_choice_of_the_solver_survives_it(trap: Trap) -> None:
    problem = trap.pipeline.problem.model_copy(update={"singular": (BAD,)})
    found = probe(problem, 0, 1e-8, Auto(), ordered=np.arange(8), each=1e6)
    assert found.solver.kind == found.choice.chosen["kind"]
    assert {row.missed for row in found.choice.tried} <= {0, 1}
    assert found.panel
