from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from distributed import LocalCluster, Nanny

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=2), train=Role(threads=2)).open() as opened:
        yield opened


class Plain(Nanny):
    """Starts workers as they are without us: what Dask is told here would change the environment for good."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pre_spawn_env.clear()


@contextmanager
def plain(**options: Any) -> Iterator[LocalCluster]:
    """Run a cluster of Dask that is none of ours, on loopback; the options are those of `LocalCluster`."""
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**here, worker_class=Plain, **options) as running:
        yield running
