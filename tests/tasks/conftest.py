from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.training import worker as train


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    # The one thing that needs a cluster: to tell the driver how far the training is.
    monkeypatch.setattr(train, "Notifier", lambda _: lambda *_, **__: None)


@pytest.fixture(scope="package")
def measuring() -> Iterator[Cluster]:
    """What stages of measuring run on."""
    with Local().open(("train",)) as opened:
        yield opened


@pytest.fixture(scope="module")
def inputs(tiny_store: tuple[Path, dict[str, Any]]) -> xr.Dataset:
    """Three test samples as a user would have them: the input, its coordinates and nothing else."""
    data = read(Store(tiny_store[0]), "tiny")
    chosen = data.isel(sample=np.flatnonzero(data["split"].values == "test")[:3])
    return xr.Dataset({"a": chosen["a"].drop_vars([name for name in chosen.coords if name not in ("x", "y")]).load()})
