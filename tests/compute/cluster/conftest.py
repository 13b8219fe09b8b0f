from __future__ import annotations

from collections.abc import Iterator

import pytest

from compute.cluster.cluster import Cluster
from compute.cluster.local import Local
from compute.cluster.profile import Role


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=2), train=Role(threads=2)).open() as opened:
        yield opened
