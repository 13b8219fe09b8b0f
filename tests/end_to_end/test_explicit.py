from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from ritz.compute import kind
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.matched import fastest
from ritz.compute.simulation.simulate import ITSELF
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.auditing.audit import audit
from ritz.tasks.auditing.regenerate_worker import regenerate
from ritz.tasks.auditing.version import sample_of
from ritz.tasks.generation.generate import generate
from ritz.tasks.pipeline import Data, Pipeline
from tests.explicit import Explicit


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("explicit", "tests.explicit:Explicit", "ritz.problems")
    monkeypatch.setattr(kind, "entry_points", lambda group: [entry] if group == entry.group else [])


def test_a_problem_that_solves_by_itself_is_generated_audited_made_again_and_priced(
    tmp_path: Path, cluster: Cluster, installed: None
) -> None:
    store, problem = str(tmp_path / "store"), Explicit()
    pipeline = Pipeline(name="explicit", problem=problem, data=Data(samples=160, shard=16))
    made = generate.fn(pipeline, store, cluster)
    assert (made.choice.document(), made.panel) == ({}, ())
    data = read(Store(store), "explicit").load()
    assert Dataset.open(Store(store), "explicit").summary()["solvers"] == {ITSELF: 160}
    assert not data["iterations"].any()
    assert not data["matvecs"].any()
    assert (data["seconds"] > 0).all()
    assert (data["residual"] <= 1e-14).all()
    # One wave decays by a factor a step.
    factor = 1 - problem.step * (problem.points / np.pi * np.sin(np.pi / problem.points)) ** 2
    decayed = data["v"].values[:, None] * factor ** np.arange(1, problem.steps + 1)[:, None]
    np.testing.assert_allclose(data["u"].values, decayed, atol=1e-6)

    # Goes on as it began.
    more = pipeline.with_samples(192)
    assert generate.fn(more, store, cluster).ledger.reused == 160

    record = audit.fn(store, cluster, "explicit")
    assert record.clean, record.findings
    assert record.checks["residuals"].checked == 192
    assert record.checks["again"].checked > 0
    again = regenerate(sample_of(store, "explicit@v1", 7)).receipt
    assert again.agrees
    assert again.solver.document() == {"stored": ITSELF, "again": ITSELF}

    inputs, truth = {"v": data["v"].values[:4]}, {"u": data["u"].values[:4]}
    found = fastest(problem, inputs, truth, 1e-3, rtol=1e-8)
    assert found.fastest is not None
    assert found.fastest.error is not None
    assert found.fastest.solver == {"kind": ITSELF}
    assert found.fastest.error <= 1e-3
