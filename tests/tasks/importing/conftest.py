from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """What imports and audits run on."""
    with Local().open(("solve",)) as opened:
        yield opened
